"""The probe protocols: gather pixels, train a probe per method and seed, score whole maps.

Three steps, each resumable. Gathering keeps the upsampled features of a few hundred pixels per
photo and seed (the same for every method). Training is then a matrix problem of seconds. Scoring
upsamples each tested photo once per method and reads all probes from it: one of the method's own
("own") and the one trained on bilinear features ("shared"), which asks whether the feature space
survives.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor

from explorer.cli.progress import progress_bar
from explorer.core import ExplorerError
from explorer.datasets import Dataset, Example
from explorer.evaluation.fitting import Samples, Schedule, digest_of, fit
from explorer.evaluation.methods import BASELINE, Method
from explorer.evaluation.pixels import Pixels, choose_pixels
from explorer.evaluation.result_store import Ledger, pack, unpack
from explorer.evaluation.samples import EvalContext, Sample, stamp, wait
from explorer.evaluation.tasks import Task, Truth
from explorer.probes import Probe, predict_together

OWN, SHARED = "own", "shared"
Weights = dict[
    str, list[tuple[Tensor, Tensor]]
]  # by method key (SHARED for the baseline's), per seed


@dataclass(frozen=True)
class Plan:
    """How much is measured: seeds, pixels per photo and seed, photos, and which probes."""

    seeds: int = 3
    pixels: int = 512
    schedule: Schedule = Schedule()
    variants: tuple[str, ...] = (OWN, SHARED)

    def __post_init__(self) -> None:
        """Refuse plans that measure nothing."""
        if self.seeds < 1 or self.pixels < 1 or not self.variants:
            raise ExplorerError("at least one seed, one pixel per photo and one kind of probe")


@dataclass(frozen=True, eq=False)
class Outcome:
    """One method's sums (images, seeds, *shape) for one kind of probe, and its median seconds."""

    method: Method
    variant: str
    sums: np.ndarray
    seconds: dict[str, float] = field(default_factory=dict)


class ProbeRun:
    """One task on one dataset for several methods: ``run()`` returns outcomes on every process."""

    def __init__(
        self,
        task: Task,
        data: Dataset,
        train: list[Example],
        test: list[Example],
        methods: list[Method],
        stage: EvalContext,
        plan: Plan,
        ledger: Ledger,
        accelerator: Accelerator,
        quiet: bool = False,
    ):
        self.task, self.data, self.train, self.test = task, data, train, test
        self.methods, self.stage, self.plan = methods, stage, plan
        self.ledger, self.accelerator = ledger, accelerator
        self.quiet = quiet or not accelerator.is_main_process
        self.baseline = next(m for m in methods if m.key == BASELINE)

    def run(self) -> list[Outcome]:
        """Gather, train and score, going on where an earlier run stopped."""
        weights = self.trained()
        found = self._score(weights)
        return self._merge(found)

    # --- gathering and training ---

    def trained(self) -> Weights:
        """Return the weights of all probes, trained on the main process and sent to the others."""
        wanted = self.methods if OWN in self.plan.variants else [self.baseline]
        if SHARED in self.plan.variants and self.baseline not in wanted:
            wanted = [self.baseline, *wanted]
        keys = {method.key: self._training_key(method) for method in wanted}
        missing = [m for m in wanted if self.ledger.get(keys[m.key]) is None]
        if missing and self.accelerator.num_processes > 1:
            self._gather(missing, self._mine(self.train))  # fills the shared cache
            self.accelerator.wait_for_everyone()
        state: list = [None]
        if self.accelerator.is_main_process:
            samples = self._gather(missing, self.train) if missing else {}
            for method in missing:
                self._train(method, samples.pop(method.key), keys[method.key])
            state = [{m.key: self._kept(keys[m.key]) for m in wanted}]
        if self.accelerator.num_processes > 1:
            broadcast_object_list(state)
        weights = dict(state[0])
        if SHARED in self.plan.variants:
            weights[SHARED] = weights[BASELINE]
        return weights

    def _gather(self, methods: list[Method], examples: list[Example]) -> dict[str, Samples]:
        features: dict[str, list[Tensor]] = {method.key: [] for method in methods}
        truths, weights, seeds = [], [], []
        for example in progress_bar("training photos", items=examples, quiet=self.quiet):
            scene = self.stage.scene(example)
            truth = self.task.truth(self.data, example, scene.photo, scene.size)
            chosen = self.pixels(example, truth)
            if chosen is not None:
                truths.append(truth.values[..., chosen.rows, chosen.cols].movedim(-1, 0))
                weights.append(chosen.weights)
                seeds.append(torch.arange(self.plan.seeds).repeat_interleave(self.plan.pixels))
                for method in methods:
                    features[method.key].append(self._sampled(method, scene, chosen))
        if not truths and self.accelerator.is_main_process:
            raise ExplorerError("no training photo has a pixel whose truth is known")
        if not truths:
            return {}
        parts = torch.cat(truths), torch.cat(weights), torch.cat(seeds)
        return {key: Samples(torch.cat(found), *parts) for key, found in features.items()}

    def pixels(self, example: Example, truth: Truth) -> Pixels | None:
        """Return the pixels of a photo for all seeds, one after the other."""
        drawn = [
            choose_pixels(truth.valid, truth.band, self.plan.pixels, f"{seed}:{example.name}")
            for seed in range(self.plan.seeds)
        ]
        if drawn[0] is None:
            return None
        parts = ([getattr(d, name) for d in drawn] for name in ("rows", "cols", "weights"))
        return Pixels(*(torch.cat(part) for part in parts))

    def _sampled(self, method: Method, scene: Sample, chosen: Pixels) -> Tensor:
        key = f"pixels:{self._photo_key(method, scene)}:{chosen.digest}"

        def compute() -> Tensor:
            with torch.no_grad():
                features = scene.features_for(method)
                made = method.upsampler.prepare(scene.guidance, features, scene.size)
                device = scene.features.device
                return made.sample(chosen.rows.to(device), chosen.cols.to(device))[0].cpu()

        return self.stage.cache.get(key, compute).half()

    def _train(self, method: Method, samples: Samples, key: str) -> None:
        start = time.monotonic()
        found = [
            fit(
                samples.of_seed(seed),
                self.task.outputs,
                self.task.loss,
                seed,
                self.plan.schedule,
                self.stage.device,
            )
            for seed in range(self.plan.seeds)
        ]
        packed = [[pack(part.numpy()) for part in pair] for pair in found]
        self.ledger.put(key, probes=packed, seconds=time.monotonic() - start)

    def training_seconds(self, method: Method) -> float:
        """Return how long the training of a method's probes took, all seeds, without gathering."""
        entry = self.ledger.get(self._training_key(method))
        return 0.0 if entry is None else entry["seconds"]

    def _kept(self, key: str) -> list[tuple[Tensor, Tensor]]:
        entry = self.ledger.get(key)
        return [
            tuple(torch.from_numpy(unpack(part).copy()) for part in pair)
            for pair in entry["probes"]
        ]

    # --- scoring ---

    def _score(self, weights: Weights) -> list[dict]:
        examples = self._mine(self.test)
        found = []
        for example in progress_bar("tested photos", items=examples, quiet=self.quiet):
            scene: Sample | None = None
            truth: Truth | None = None
            for method in self.methods:
                probes = self.probes(method, weights)
                if not probes:
                    continue
                key = self._score_key(method, example, probes)
                entry = self.ledger.get(key)
                if entry is None:
                    if scene is None:
                        scene = self.stage.scene(example)
                        truth = self.task.truth(self.data, example, scene.photo, scene.size)
                    entry = self.ledger.put(key, **self.measure(method, scene, truth, probes))
                found.append({"example": example.name, "method": method.key, **entry})
        return found

    def probes(self, method: Method, weights: Weights) -> list[Probe]:
        """Return a method's own probes, then the shared ones if it can use them."""
        pairs = list(weights[method.key]) if OWN in self.plan.variants else []
        if SHARED in self.plan.variants and method.shares:
            pairs += weights[SHARED]
        return [self.task.probe(*pair) for pair in pairs]

    @torch.no_grad()
    def measure(self, method: Method, scene: Sample, truth: Truth, probes: list[Probe]) -> dict:
        """Upsample one photo with one method, read all probes and add up."""
        start = wait(self.stage.device)
        features = scene.features_for(method, fresh=True)
        made = method.upsampler.prepare(scene.guidance, features, scene.size)
        ready = wait(self.stage.device)
        predictions = predict_together(probes, made)
        done = wait(self.stage.device)
        sums = np.stack([self.task.sums(_on_cpu(p), truth) for p in predictions])
        return {
            "sums": pack(sums),
            "prepare_seconds": round(ready - start, 4),
            "predict_seconds": round(done - ready, 4),
        }

    def _merge(self, found: list[dict]) -> list[Outcome]:
        if self.accelerator.num_processes > 1:
            found = gather_object(found)
        rank = {example.name: i for i, example in enumerate(self.test)}
        outcomes = []
        for method in self.methods:
            rows = sorted(
                (row for row in found if row["method"] == method.key),
                key=lambda row: rank[row["example"]],
            )
            if not rows:
                continue
            sums = np.stack([unpack(row["sums"]) for row in rows])
            seconds = {
                name: float(np.median([row[f"{name}_seconds"] for row in rows]))
                for name in ("prepare", "predict")
            }
            first = 0
            for variant in (OWN, SHARED):
                if variant in self.plan.variants and first < sums.shape[1]:
                    part = sums[:, first : first + self.plan.seeds]
                    outcomes.append(Outcome(method, variant, part, seconds))
                    first += self.plan.seeds
        return outcomes

    # --- keys ---

    def _mine(self, examples: list[Example]) -> list[Example]:
        return examples[self.accelerator.process_index :: self.accelerator.num_processes]

    def _photo_key(self, method: Method, scene: Sample) -> str:
        return f"{scene.photo.digest}:{self.stage.identity}:{method.identity}:{scene.size}"

    def _training_key(self, method: Method) -> str:
        files = [stamp(p) for e in self.train for p in (e.photo_path, e.map_path)]
        parts = (
            self.task.name,
            self.task.outputs,
            getattr(self.task, "span", None),
            self.stage.identity,
            self.stage.sizes,
            method.identity,
            self.plan.seeds,
            self.plan.pixels,
            self.plan.schedule,
            files,
        )
        return "train:" + hashlib.sha256(repr(parts).encode()).hexdigest()

    def _score_key(self, method: Method, example: Example, probes: list[Probe]) -> str:
        parts = (
            self.task.name,
            digest_of(*(t for p in probes for t in (p.weight, p.bias))),
            stamp(example.photo_path),
            stamp(example.map_path),
            self.stage.identity,
            self.stage.sizes,
            method.identity,
        )
        return "score:" + hashlib.sha256(repr(parts).encode()).hexdigest()


def _on_cpu(found):
    return type(found)(found.values.cpu())
