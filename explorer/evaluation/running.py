"""A whole evaluation from a request: data, methods, runs, report, and a probe to ship."""

from __future__ import annotations

import datetime
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs

from explorer.backbones import load_backbone
from explorer.core import ALIGN
from explorer.datasets import Dataset, Example, open_dataset
from explorer.datasets.maps import map_size, same_size
from explorer.datasets.splits import subsample
from explorer.evaluation import probe_names
from explorer.evaluation.comparing import CompareRun
from explorer.evaluation.comparisons import COMPARISONS
from explorer.evaluation.environment import machine, versions
from explorer.evaluation.fitting import Schedule
from explorer.evaluation.methods import describe, load_methods
from explorer.evaluation.probing import SHARED, Plan, ProbeRun
from explorer.evaluation.report import summary_line, write_report
from explorer.evaluation.result_store import Ledger
from explorer.evaluation.samples import EvalContext, Sizes
from explorer.evaluation.tables import Table, comparison_table, probe_tables
from explorer.evaluation.tasks import TASKS
from explorer.files.outputs import check_folder
from explorer.imaging import photo_size
from explorer.probes import PROBES
from explorer.resources.feature_cache import FeatureCache

PATIENCE = timedelta(hours=12)  # one process may upsample long while the others wait


@dataclass(frozen=True)
class Request:
    """Everything an evaluation is asked for; see ``python -m explorer evaluate --help``."""

    task: str
    data: Path
    out: Path
    labels: str | None = None
    classes: str | None = None
    depth_max: float = 10.0
    part: str = "test"
    backbone: str = "efficientnet_lite0"
    upsamplers: tuple[str, ...] = ("bilinear",)
    controls: tuple[str, ...] = ("jbu", "blurred", "untrained")
    seeds: int = 3
    limit_train: int | None = None
    limit_test: int | None = None
    pixels: int = 512
    steps: int = 300
    variants: tuple[str, ...] = ("own", "shared")
    input_size: int = 448
    align: bool = ALIGN
    output_size: int | None = 448
    cache: Path | None = None
    cache_bytes: int = 8 * 2**30
    save_probe: Path | None = None
    probe_method: str | None = None
    licence: str = ""
    notes: str = ""
    cpu: bool = False
    allow_network: bool = True
    quiet: bool = False


def evaluate(request: Request) -> str | None:
    """Run a request and write its report; return its one-line summary (None off the main process).

    Raises:
        ExplorerError: anything a user can put right.
    """
    return Evaluation(request).run()


class Evaluation:
    """One request at work."""

    def __init__(self, request: Request):
        check_folder(request.out)
        self.request = request
        kwargs = [InitProcessGroupKwargs(timeout=PATIENCE)]
        self.accelerator = Accelerator(cpu=request.cpu, kwargs_handlers=kwargs)
        device = self.accelerator.device
        name, _, chosen = request.backbone.partition(":")
        backbone = load_backbone(name, chosen or None, device)
        cache = FeatureCache(request.cache or request.out / "features", request.cache_bytes)
        sizes = Sizes(request.input_size, request.output_size)
        self.stage = EvalContext(backbone, cache, device, sizes, request.align)
        self.methods = load_methods(
            request.upsamplers,
            backbone,
            request.backbone,
            request.controls,
            device,
            request.allow_network,
        )
        self.ledger = Ledger(request.out, self.accelerator.process_index)
        self.plan = Plan(
            request.seeds, request.pixels, Schedule(steps=request.steps), request.variants
        )
        self.start = time.monotonic()
        self.quiet = request.quiet or not self.accelerator.is_main_process
        self.intro: list[str] = []
        self.facts: dict[str, Any] = {}

    def run(self) -> str | None:
        """Measure, then write the report."""
        if self.request.task in COMPARISONS:
            tables = [self._compare()]
        else:
            tables = [t for name in self._tasks() for t in self._probe(name)]
        if not self.accelerator.is_main_process:
            return None
        self._fill_facts()
        path = write_report(self.request.out, self.facts, tables)
        return summary_line(self.facts, tables, path)

    def _tasks(self) -> list[str]:
        return probe_names(self.request.task, self.request.data, self.request.labels)

    # --- the two families ---

    def _probe(self, name: str) -> list[Table]:
        request = self.request
        kind = PROBES.get(name).maps
        data = self._open(kind, request.labels if kind == "labels" else None)
        train = subsample(data.train, request.limit_train)
        test = subsample(data.test, request.limit_test)
        _check_sizes([*train, *test])
        task = TASKS.create(name, data=data)
        plan = self.plan
        if request.task == "preservation":
            plan = Plan(plan.seeds, plan.pixels, plan.schedule, (SHARED,))
        self._say_data(data, train, test)
        self._say_probes(plan)
        made = ProbeRun(
            task,
            data,
            train,
            test,
            self.methods,
            self.stage,
            plan,
            self.ledger,
            self.accelerator,
            self.quiet,
        )
        self._estimate(made)
        tables = probe_tables(task, made.run())
        if request.save_probe and self.accelerator.is_main_process and name == self._tasks()[0]:
            from explorer.evaluation.export_probe import keep_probe

            keep_probe(made, tables, request, self.stage)
        return tables

    def _compare(self) -> Table:
        request = self.request
        comparison = COMPARISONS.create(request.task)
        kind = comparison.maps(request.labels)
        if kind is None and request.labels:
            kind = "labels"  # not looked at: they say which photos are tested
        data = self._open(kind, request.labels if kind else None)
        test = subsample(data.test, request.limit_test)
        if kind:
            _check_sizes(test)
        self._say_data(data, [], test)
        self.intro.append(" ".join((comparison.__doc__ or "").split()))
        self.intro.append("Intervals are 95% over photos, paired with bilinear.")
        runner = CompareRun(
            comparison,
            data,
            test,
            self.methods,
            self.stage,
            self.ledger,
            self.accelerator,
            self.quiet,
        )
        return comparison_table(comparison, runner.run())

    def _open(self, kind: str | None, folder: str | None) -> Dataset:
        request = self.request
        return open_dataset(
            request.data, kind, folder, request.classes, request.depth_max, request.part
        )

    # --- words ---

    def _say_data(self, data: Dataset, train: list[Example], test: list[Example]) -> None:
        learnt = f"{len(train)} photos to learn from and " if train else ""
        self.intro.append(
            f"{data.root.name}{'/' + data.folder if data.folder else ''}: {learnt}{len(test)} to "
            f"test on ({data.split.how}). " + " ".join(f"{note}." for note in data.notes)
        )
        limit = self.request.limit_test
        if len(test) < len(data.test) or (train and len(train) < len(data.train)):
            self.intro.append(
                f"Limited to evenly spread photos of {len(data.train)} and {len(data.test)}."
            )
        self.facts["data"] = {
            "folder": data.root.name,
            "maps": data.folder or "none",
            "train": len(train),
            "test": len(test),
            "split": data.split.how,
            "limit": limit or "none",
        }

    def _say_probes(self, plan: Plan) -> None:
        self.intro.append(
            f"Frozen features, one 1x1 linear probe per method and seed, {plan.seeds} seeds (±: "
            f"their standard deviation), the same pixels, order and schedule for every method. A "
            f"probe learns from {plan.pixels} pixels per photo and seed, not from all: half of "
            "them drawn near edges and weighted so that the expected loss is that of all pixels; "
            "their features are kept in half precision. Tests are whole maps, "
            + (
                f"{self.stage.sizes.output} px on the longer side, maps brought to it by nearest."
                if self.stage.sizes.output
                else "at the maps' own size."
            )
        )
        self.intro.append(
            "In brackets: difference to bilinear with its 95% interval over test photos (paired "
            "bootstrap). Controls are in italics; near an edge means within 3 px of it."
        )

    def _estimate(self, made: ProbeRun) -> None:
        """Time every method on one photo and say how long the whole will take."""
        if self.quiet:
            return
        from explorer.evaluation.timing import estimate

        for line in estimate(made):
            print(line, file=sys.stderr, flush=True)

    def _fill_facts(self) -> None:
        request, model = self.request, self.stage.backbone
        aligned = model.alignment_note(request.align)
        if aligned:
            self.intro.append(f"Features {aligned}: the photo is moved before the backbone.")
        tasks = request.task
        self.facts |= {
            "title": f"{tasks} on {request.data.name}, {model.title} {model.stage}",
            "intro": list(dict.fromkeys(self.intro)),
            "backbone": {
                "name": model.name,
                "stage": model.stage,
                "channels": model.dim,
                "origin": model.origin,
                "sha256": model.digest,
                **({"alignment": aligned} if aligned else {}),
            },
            "settings": self._settings(),
            "methods": [describe(method) for method in self.methods],
            "versions": versions(),
            "machine": machine(self.stage.device, self.accelerator.num_processes),
            "seconds": round(time.monotonic() - self.start, 1),
            "date": datetime.date.today().isoformat(),
            "command": _command(),
        }

    def _settings(self) -> dict[str, Any]:
        request, schedule = self.request, self.plan.schedule
        sizes = {"input": request.input_size, "output": request.output_size or "maps"}
        if request.task in COMPARISONS:
            return sizes
        return sizes | {
            "seeds": request.seeds,
            "pixels": request.pixels,
            "schedule": f"AdamW {schedule.lr:g}, decay {schedule.weight_decay:g}, "
            f"{schedule.steps} steps of {schedule.batch}, cosine to zero",
        }


def _check_sizes(examples: list[Example]) -> None:
    """Compare headers before any work, so that a wrong file does not stop a run half way."""
    for example in examples:
        size = photo_size(example.photo_path)
        same_size(example.map_path, map_size(example.map_path), example.photo_path, size)


def _command() -> str:
    """Return the command with folders shortened to their last name."""
    shown = []
    for part in sys.argv[1:]:
        shown.append(Path(part).name if part.startswith(("/", "..")) else part)
    return "python -m explorer " + " ".join(shown)
