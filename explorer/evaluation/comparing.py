"""Run one comparison on photos for several methods; what was measured before is kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from accelerate import Accelerator
from accelerate.utils import gather_object

from explorer.cli.progress import progress_bar
from explorer.core import ONCE
from explorer.datasets import Dataset, Example
from explorer.evaluation.comparisons import Comparison
from explorer.evaluation.methods import Method
from explorer.evaluation.result_store import Ledger
from explorer.evaluation.samples import EvalContext, stamp, wait

PHOTO = "photo"


@dataclass(frozen=True, eq=False)
class Measured:
    """One row: per-photo values (images,) by column, median seconds; ``method`` None: the photo."""

    method: Method | None
    values: dict[str, np.ndarray]
    seconds: float = float("nan")


class CompareRun:
    """One comparison on a set of photos for several methods."""

    def __init__(
        self,
        comparison: Comparison,
        data: Dataset,
        examples: list[Example],
        methods: list[Method],
        stage: EvalContext,
        ledger: Ledger,
        accelerator: Accelerator,
        quiet: bool = False,
    ):
        self.comparison, self.data, self.examples = comparison, data, examples
        self.methods = [
            method
            for method in methods
            if method.shares
            and not (comparison.reads_once and (method.plain or method.upsampler.reading != ONCE))
        ]
        self.stage, self.ledger, self.accelerator = stage, ledger, accelerator
        self.quiet = quiet or not accelerator.is_main_process

    def run(self) -> list[Measured]:
        """Measure what is missing and return all rows."""
        share = self.examples[self.accelerator.process_index :: self.accelerator.num_processes]
        found = []
        for example in progress_bar("photos", items=share, quiet=self.quiet):
            found += self._photo(example)
        if self.accelerator.num_processes > 1:
            found = gather_object(found)
        return self._rows(found)

    def _photo(self, example: Example) -> list[dict]:
        keys = {method.key: self._key(method.identity, example) for method in self.methods}
        keys[PHOTO] = self._key(PHOTO, example)
        entries = {name: self.ledger.get(key) for name, key in keys.items()}
        if None in entries.values():
            scene = self.stage.scene(example)
            truth = self.comparison.truth(self.data, scene)
            for method in self.methods:
                if entries[method.key] is None:
                    start = wait(self.stage.device)
                    values = self.comparison.measure(self.stage, scene, method, truth)
                    seconds = round(wait(self.stage.device) - start, 4)
                    entries[method.key] = self.ledger.put(
                        keys[method.key], values=values, seconds=seconds
                    )
            if entries[PHOTO] is None:
                values = self.comparison.reference(scene, truth)
                entries[PHOTO] = self.ledger.put(keys[PHOTO], values=values)
        return [{"example": example.name, "row": name, **e} for name, e in entries.items()]

    def _rows(self, found: list[dict]) -> list[Measured]:
        rank = {example.name: i for i, example in enumerate(self.examples)}
        rows = []
        for name, method in [*((m.key, m) for m in self.methods), (PHOTO, None)]:
            mine = sorted((f for f in found if f["row"] == name), key=lambda f: rank[f["example"]])
            if not mine or not mine[0]["values"]:
                continue
            values = {k: np.array([f["values"][k] for f in mine]) for k in mine[0]["values"]}
            rows.append(
                Measured(method, values, float(np.median([f.get("seconds", 0) for f in mine])))
            )
        return rows

    def _key(self, identity: str, example: Example) -> str:
        files = [stamp(p) for p in (example.photo_path, example.map_path) if p is not None]
        parts = (self.comparison.name, files, self.stage.identity, self.stage.sizes, identity)
        return "compare:" + hashlib.sha256(repr(parts).encode()).hexdigest()
