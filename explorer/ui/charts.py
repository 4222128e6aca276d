"""Interactive charts of what the panels show: components, weights, similarities, predictions."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from explorer.core import ExplorerError
from explorer.session import Options, Session
from explorer.views import VIEWS
from explorer.views.attention import weights_table
from explorer.views.basis import project
from explorer.views.pca import PCAView
from explorer.views.predictions import at_query
from explorer.views.rows import PairContext
from explorer.views.similarity import similarity

MOST_BARS = 8
COLUMNS = 4
BLUE = "#0072b2"
LOOK = {"font": {"family": "Source Sans Pro, sans-serif"}, "template": "plotly_white"}


def chart(session: Session, options: Options, view: str) -> tuple[go.Figure, str]:
    """Return the chart of a view for the first backbone, and a sentence about it.

    Raises:
        ExplorerError: the view has no chart, or its numbers cannot be had.
    """
    charts = {
        "pca": components,
        "attention": weights,
        "similarity": similarities,
        "probe": predictions,
    }
    if view not in charts:
        having = ", ".join(VIEWS.get(name).title for name in charts)
        raise ExplorerError(
            f"{VIEWS.get(view).title} has no chart beside its panels; these have one: {having}"
        )
    figure, text = charts[view](session, options)
    figure.update_layout(margin={"l": 50, "r": 20, "t": 50, "b": 40}, **LOOK)
    return figure, text


def components(session: Session, options: Options) -> tuple[go.Figure, str]:
    """Explained variance, and the cells in the space of the three chosen components, coloured as
    in the map.
    """
    backbone, setting = options.backbones[0], PCAView.params(options)
    basis, scale = PCAView().basis(session, options, backbone, setting)
    cells = project(basis, session.features(options, backbone).data)
    chosen = list(setting.components)
    colours = scale.paint(cells[0, chosen]).reshape(-1, 3)
    height, width = cells.shape[-2:]
    axes = cells[0, chosen].flatten(1).cpu().numpy()
    where = [f"cell {n // width}, {n % width}" for n in range(height * width)]
    figure = make_subplots(
        cols=2,
        specs=[[{"type": "xy"}, {"type": "scene"}]],
        column_widths=[0.4, 0.6],
        subplot_titles=("Explained variance", "Coarse cells in PCA space"),
    )
    numbers = list(range(1, len(basis.explained) + 1))
    shares = (100 * basis.explained).tolist()
    picked = [BLUE if n - 1 in chosen else "#b0b0b0" for n in numbers]
    bars = go.Bar(x=numbers, y=shares, marker={"color": picked}, hovertemplate="%{y:.1f}%")
    points = go.Scatter3d(
        x=axes[0],
        y=axes[1],
        z=axes[2],
        mode="markers",
        marker={"size": 4, "color": [f"rgb({r},{g},{b})" for r, g, b in colours]},
        text=where,
        hovertemplate="%{text}<extra></extra>",
    )
    figure.add_trace(bars, row=1, col=1)
    figure.add_trace(points, row=1, col=2)
    figure.update_xaxes(title="component", dtick=1)
    figure.update_yaxes(title="% of the variance", rangemode="tozero")
    names = [f"PC {c + 1}" for c in chosen]
    figure.update_scenes(xaxis_title=names[0], yaxis_title=names[1], zaxis_title=names[2])
    figure.update_layout(showlegend=False, height=520)
    total = sum(shares)
    return figure, f"{basis.cells} cells; {len(numbers)} components hold {total:.0f}% of variance"


def weights(session: Session, options: Options) -> tuple[go.Figure, str]:
    """Every cell's weight for the query pixel, per method, to read off by pointing."""
    tables = {}
    for method in options.upsamplers:
        place = PairContext(session, options, options.backbones[0], "", method)
        tables[place.column] = weights_table(session, options, place.backbone, method)
    lines = math.ceil(len(tables) / COLUMNS)
    figure = make_subplots(
        rows=lines,
        cols=min(COLUMNS, len(tables)),
        subplot_titles=list(tables),
        horizontal_spacing=0.04,
        vertical_spacing=0.12,
    )
    highest = max(float(np.abs(table).max()) for table in tables.values())
    signed = any((table < 0).any() for table in tables.values())
    for n, table in enumerate(tables.values()):
        heat = go.Heatmap(
            z=table,
            coloraxis="coloraxis",
            hovertemplate="row %{y}, column %{x}: %{z:.4g}<extra></extra>",
        )
        figure.add_trace(heat, row=n // COLUMNS + 1, col=n % COLUMNS + 1)
    figure.update_yaxes(autorange="reversed", constrain="domain")
    figure.update_xaxes(constrain="domain")
    for n in range(1, len(tables) + 1):
        figure.update_yaxes(
            scaleanchor=f"x{n if n > 1 else ''}",
            row=(n - 1) // COLUMNS + 1,
            col=(n - 1) % COLUMNS + 1,
        )
    low = -highest if signed else 0
    colours = {"colorscale": "RdBu_r" if signed else "Inferno", "cmin": low, "cmax": highest}
    figure.update_layout(height=120 + 320 * lines, coloraxis=colours)
    row, col = PairContext(session, options, "", "", "").query
    return figure, f"weights over the coarse grid of output pixel row {row}, column {col}"


def similarities(session: Session, options: Options) -> tuple[go.Figure, str]:
    """How the cosines with the query pixel are spread, per method."""
    figure = go.Figure()
    for method in options.upsamplers:
        place = PairContext(session, options, options.backbones[0], "", method)
        counts, edges = np.histogram(similarity(place, place).cosine, bins=80, range=(-1, 1))
        middles = (edges[1:] + edges[:-1]) / 2
        share = 100 * counts / counts.sum()
        figure.add_trace(go.Scatter(x=middles, y=share, name=place.column, line_shape="hvh"))
    figure.update_xaxes(title="cosine with the query pixel")
    figure.update_yaxes(title="% of the pixels")
    figure.update_layout(height=460, hovermode="x unified")
    row, col = PairContext(session, options, "", "", "").query
    return figure, f"cosine of every pixel with output pixel row {row}, column {col}"


def predictions(session: Session, options: Options) -> tuple[go.Figure, str]:
    """What the probe says at the query pixel, per method."""
    found = {}
    for method in options.upsamplers:
        place = PairContext(session, options, options.backbones[0], "", method)
        found[place.column] = dict(at_query(place))
    labels = sorted(
        {name for values in found.values() for name in values},
        key=lambda name: -max(values.get(name, 0) for values in found.values()),
    )[:MOST_BARS]
    figure = go.Figure()
    for column, values in found.items():
        heights = [values.get(name, 0) for name in labels]
        figure.add_trace(go.Bar(name=column, x=labels, y=heights, hovertemplate="%{y:.3g}"))
    figure.update_layout(height=460, barmode="group")
    figure.update_yaxes(title="probability" if len(next(iter(found.values()))) > 3 else "")
    row, col = PairContext(session, options, "", "", "").query
    return figure, f"the probe at output pixel row {row}, column {col}"
