"""What strangers may ask for: names from a list, weights by their rows, sizes within reason."""

from __future__ import annotations

from dataclasses import dataclass

from explorer.backbones import BACKBONES, is_timm_name, weights_cached
from explorer.core import ExplorerError, UnknownNameError
from explorer.core.messages import quoted, suggestion
from explorer.loading import UNTRAINED
from explorer.options import MAX_SIZE, Options
from explorer.weights import checkpoints

LONGEST_NAME = 120


@dataclass(frozen=True)
class AccessPolicy:
    """What a session does for whoever asks; the defaults trust everybody, as a program may.

    ``trust_names``: any timm name and any path to weights. ``longest``: the largest input and
    output side in pixels.
    """

    trust_names: bool = True
    longest: int = MAX_SIZE

    def check_sizes(self, options: Options) -> None:
        """Raise ExplorerError for sizes beyond the longest side."""
        asked = max(options.input_size, options.output_size)
        if asked > self.longest:
            raise ExplorerError(
                f"sizes are at most {self.longest} pixels here, not {asked}; on your own machine "
                f"they go up to {MAX_SIZE}"
            )

    def check_backbone(self, name: str) -> None:
        """Raise UnknownNameError unless the backbone "name" or "name:stage" may be loaded: one of
        the registry's, at a stage it has, or a timm model whose weights are on this machine.
        """
        if self.trust_names:
            return
        base, colon, stage = name.partition(":")
        if len(name) > LONGEST_NAME or not (base in BACKBONES or _is_cached(base)):
            raise UnknownNameError(
                f"the backbone {quoted(name, 60)} is not offered here; "
                f"{suggestion(name, BACKBONES)} (whoever starts the app with --trust-names can use "
                "any timm model)"
            )
        if not colon:
            return
        stages = BACKBONES.get(base).stages if base in BACKBONES else ()
        if stages and stage not in stages:
            raise UnknownNameError(f"{base} has the stages {', '.join(stages)}, not {stage[:40]!r}")
        if not stages and not (stage.isascii() and stage.isdigit() and len(stage) < 3):
            raise UnknownNameError(f"a stage of {base} is a number from 0, not {stage[:40]!r}")

    def check_checkpoint(self, method: str, wanted: str | None) -> None:
        """Raise UnknownNameError unless ``wanted`` is None, "untrained" or the name of a row of
        this method; a path never is.
        """
        if self.trust_names or wanted in (None, UNTRAINED):
            return
        rows = [row.name for row in checkpoints() if row.method == method]
        if wanted not in rows:
            raise UnknownNameError(
                f"there are no weights called {quoted(wanted, 60)} for {method}; "
                f"{suggestion(wanted, (*rows, UNTRAINED))} (paths only where the app was started "
                "with --trust-names)"
            )


def _is_cached(name: str) -> bool:
    return is_timm_name(name) and weights_cached(name)
