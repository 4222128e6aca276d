"""Do cells describe the pixels under them? Where features change when the photo is mirrored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from explorer.backbones.alignment import is_measured
from explorer.core import Panel, Reading
from explorer.session import Options, Session
from explorer.views import palette
from explorer.views.base import VIEWS, View, error_panel, joined, photo_panel
from explorer.views.rows import backbone_provenance, row_label

MIRRORED = Reading(flipped=True)
ROBUST = 99.5  # percentile of the distances that gets the last colour
CENTRED = "measured: cells describe their own pixels, to a tenth of a cell"
UNKNOWN = "no offset is known; measure it with `python -m explorer measure alignment`"


@VIEWS.register("alignment")
class AlignmentView(View):
    """Where features change when the photo is mirrored, as the network reads it and aligned.

    Cosine distance between a cell's feature and that of the mirrored photo, mirrored back. Cells
    that look beside their own square disagree at every edge; what alignment leaves over is the
    network's own.
    """

    name = "alignment"
    title = "Alignment"
    order = 55

    def methods(self, options: Options) -> tuple[str, ...]:
        """Return none: upsamplers have no say."""
        return ()

    def stream(self, session: Session, options: Options) -> Iterator[Panel]:
        """Yield photo, plain and aligned map of every backbone; the maps share one scale."""
        self.check(options)
        for backbone in options.backbones:
            try:
                label = row_label(session, backbone)
                yield photo_panel(session, options, label, backbone)
                yield from self._maps(session, options, backbone, label)
            except Exception as error:
                yield error_panel(
                    backbone, "Photo", options.output, error, role="photo", backbone=backbone
                )

    def _maps(
        self, session: Session, options: Options, backbone: str, label: str
    ) -> Iterator[Panel]:
        model = session.backbone(backbone)
        chosen = {"Not aligned": replace(options, align=False)}
        if model.alignment(True):
            chosen["Aligned"] = replace(options, align=True)
        found = {column: mirror_distance(session, one, backbone) for column, one in chosen.items()}
        alone = ""
        if len(chosen) == 1:
            alone = CENTRED if is_measured(model.name, model.stage) else UNKNOWN
        high = max(max(float(np.percentile(one, ROBUST)) for one in found.values()), 1e-4)
        for column, distances in found.items():
            note = model.alignment_note(chosen[column].align)
            yield Panel(
                label,
                column,
                palette.look_up(palette.SEQUENTIAL, distances, 0, high),
                caption=joined(note, alone),
                origin=model.origin,
                metrics=(("mean", f"{distances.mean():.3f}"),),
                colorbar=palette.colorbar(
                    palette.SEQUENTIAL, 0, high, "cosine distance to the mirrored photo's features"
                ),
                recipe={
                    "view": self.name,
                    "photo": {"name": options.photo.name, "sha256": options.photo.digest},
                    "backbone": backbone_provenance(model, backbone, chosen[column]),
                },
                role="coarse",
                backbone=backbone,
                grid=distances.shape,
            )


def alignment_sentence(session: Session, options: Options, backbone: str) -> str:
    """Say in one sentence whether a backbone's cells describe their own pixels, on this photo."""
    model = session.backbone(backbone)
    plain, aligned = (
        mirror_distance(session, replace(options, align=align), backbone).mean()
        for align in (False, True)
    )
    changes = f"mirroring the photo changes its features by {plain:.3f} (cosine distance)"
    if moves := model.alignment(True):
        named = ", ".join(map(str, dict.fromkeys(moves)))
        return (
            f"{model.title}: its cells describe a place beside the pixels under them; moving the "
            f"photo by {named} px before the network corrects that: {changes}, by {aligned:.3f} "
            "once aligned."
        )
    if is_measured(model.name, model.stage):
        return f"{model.title}: its cells describe the pixels under them; {changes}."
    return f"{model.title}: {UNKNOWN}; {changes}."


def mirror_distance(session: Session, options: Options, backbone: str) -> np.ndarray:
    """Return 1 - cosine (h, w) of features and the mirrored photo's, mirrored back; 0 to 2."""
    plain = session.features(options, backbone).data
    mean = session.features(options, backbone, MIRRORED).data
    with torch.no_grad():
        distances = 1 - F.cosine_similarity(plain, 2 * mean - plain, dim=1)[0]
    return distances.clamp(0, 2).cpu().numpy()
