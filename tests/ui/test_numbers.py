"""The Numbers tab: rows method by method, sorting, and what strangers write stays text."""

import json
from dataclasses import replace

import pytest

gr = pytest.importorskip("gradio")

from explorer.evidence.blocks import Code, Details, Heading, Paragraph, Table, plain  # noqa: E402
from explorer.imaging import open_photo  # noqa: E402
from explorer.resources.peak_memory import Peak  # noqa: E402
from explorer.session import Options  # noqa: E402
from explorer.ui.choices import example_photos  # noqa: E402
from explorer.ui.numbers import (  # noqa: E402
    block_page,
    bytes_text,
    measures_chart,
    measures_value,
    seconds_text,
)
from explorer.ui.tabs.numbers import measured  # noqa: E402
from explorer.views.measures import Cost, MeasureError, Measures, measure  # noqa: E402

SMALL = "?example=cat&input_size=128&output_size=96&upsamplers=nearest,bilinear,anyup"


@pytest.fixture(scope="module")
def options():
    photo = open_photo(example_photos()["cat"])
    return Options(photo, upsamplers=("nearest", "bilinear"), input_size=128, output_size=96)


def made(method, x2, backbone="lite", seconds=0.5):
    cost = Cost(seconds, seconds, 2_000_000, Peak())
    return Measures(
        backbone, "Lite", method, method.title(), "published", "row", 7, {2: x2, 4: "too small"},
        0.9, 0.1, cost,
    )  # fmt: skip


def test_rows_come_one_by_one_and_say_what_was_measured(session, options):
    steps = list(measured(session, options))
    assert [status["kind"] for _, _, status in steps] == ["work", "work", "done"]
    assert "Nearest" in steps[0][2]["text"] and "2 to go" in steps[0][2]["text"]
    tables = [json.loads(json.dumps(value))[0] for value, _, _ in steps]
    assert [table["waiting"] for table in tables] == [[0, 1], [1], []]
    last = tables[-1]
    assert [row[0] for row in last["rows"]] == ["Nearest", "Bilinear"]
    assert len({len(row) for row in [last["head"], *last["rows"], *last["values"]]}) == 1
    column = last["head"].index("reconstruction x2 ↑")
    for row, values, method in zip(last["rows"], last["values"], options.upsamplers, strict=True):
        found = measure(session, options, "efficientnet_lite0", method)
        assert values[column] == found.reconstruction[2]
        assert row[column] == f"{found.reconstruction[2]:.4f}"
    figure = steps[-1][1]
    shown = {(trace.name, trace.y[0]) for trace in figure.data}
    assert ("Bilinear", tables[-1]["values"][1][column]) in shown
    assert "96" in steps[-1][2]["text"] and "cat" in steps[-1][2]["text"]


def test_the_best_of_a_backbone_is_marked_and_gaps_are_gaps(options):
    chosen = replace(options, backbones=("lite", "other"), upsamplers=("jbu", "anyup"))
    found = [
        made("jbu", 0.5),
        made("anyup", 0.7),
        made("jbu", 0.9, "other"),
        MeasureError("other", "Other", "anyup", "AnyUp", "no weights <b>here</b>"),
    ]
    table, fold = measures_value(found, chosen)
    assert table["head"][1] == "backbone"
    column = table["head"].index("reconstruction x2 ↑")
    assert [column in best for best in table["best"]] == [False, True, False, False]
    assert table["rows"][0][column + 1] == "–" and table["values"][0][column + 1] is None
    assert table["rows"][0][-1] == "–"  # memory that cannot be seen
    assert table["bad"] == [3] and table["rows"][3][-1] == "no weights <b>here</b>"
    notes = " ".join(part["text"] for part in fold["blocks"])
    assert "x4 of Jbu on Lite: too small" in notes and "not measured on this system" in notes
    figure = measures_chart(found, chosen)
    assert {trace.marker.symbol for trace in figure.data} == {"circle", "diamond"}
    assert measures_chart([found[-1]], chosen) is None


def test_units():
    assert [seconds_text(s) for s in (0.0004, 0.25, 2.345)] == ["0.4 ms", "250 ms", "2.35 s"]
    assert [bytes_text(b) for b in (54_321, 3_210_000, 150e6, 2.5e9)] == [
        "0.1 MB",
        "3.2 MB",
        "150 MB",
        "2.50 GB",
    ]


@pytest.mark.browser
def test_the_tab_fills_sorts_and_stays_inside(address, visit):
    page = visit(address + SMALL, ready="#status .status")
    page.wait_for_selector("#status .status.done")
    page.get_by_role("tab", name="Numbers").click()
    page.wait_for_selector("#numbers-status .status.done")
    names = page.locator("#tabs [role=tab]").all_inner_texts()
    assert len(set(names)) == len(names) and "Numbers" in names
    rows = page.locator("#numbers-table tbody tr")
    assert rows.count() == 3
    cells = [row.locator("th, td").all_inner_texts() for row in rows.all()]
    assert [row[0] for row in cells] == ["Nearest", "Bilinear", "AnyUp"]
    assert all("…" not in row for row in cells)
    column = cells[0].index("0")  # parameters of a method without any
    page.locator("#numbers-table thead .ps-sort").nth(column).click()
    counts = [row.locator("td").nth(column - 1).inner_text() for row in rows.all()]
    assert counts == [cells[2][column], "0", "0"] and counts[0] != "0"
    head = page.locator("#numbers-table thead th").nth(column)
    assert head.get_attribute("aria-sort") == "descending"
    page.wait_for_selector("#numbers-chart .js-plotly-plot .scatterlayer .point")
    for tab, text in (
        ("Published", "Never mix columns of different papers"),
        ("Claims", "JAFAR's position encoding is the stronger one."),
        ("Which method?", "One backbone in production"),
        ("Our tables", "Our tables"),
    ):
        page.get_by_role("tab", name=tab).click()
        page.get_by_text(text).first.wait_for()
    assert page.locator("#numbers-published a").first.get_attribute("rel") == "noopener noreferrer"


@pytest.fixture(scope="module")
def strange(serve):
    evil = "<img src=x onerror=window.hacked=1>${window.hacked=2}{{x}}[a](javascript:window.b=1)"
    grid = Table((evil, "n"), ((evil, evil),))
    parts = [
        Heading(evil),
        Paragraph(evil, True),
        Code(evil),
        grid,
        Details(evil, (Paragraph(evil),)),
    ]
    with gr.Blocks() as demo:
        block_page("strange", plain(parts))
    return serve(demo), evil


@pytest.mark.browser
def test_what_strangers_write_is_shown_as_text(strange, visit):
    page = visit(strange[0], ready="#strange table")
    page.locator("#strange summary").click()
    shown = page.inner_text("#strange")
    assert shown.count(strange[1]) == 8
    assert page.evaluate("window.hacked") is None
    assert page.locator("#strange img").count() == 0 and page.locator("#strange a").count() == 0
