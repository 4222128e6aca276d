"""The training loop: Accelerate underneath, resumable at any step, atomic checkpoints."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs

from explorer.cli.progress import progress_bar
from explorer.core import ExplorerError, WeightsError
from explorer.files.atomic import OutputError, part_file
from explorer.files.outputs import check_file
from explorer.resources.feature_cache import FeatureCache
from explorer.training.labelled import LabelledPhotos
from explorer.training.log import RunLog, plot
from explorer.training.optimiser import enlarge, lr_factor, make_optimiser
from explorer.training.photos import PhotoFolder
from explorer.training.recipe import Recipe
from explorer.training.sharpness import label_retention
from explorer.training.step import Sampler, Step
from explorer.training.terms import Objective
from explorer.training.validation import cases, score, summary
from explorer.upsamplers import UPSAMPLERS, Upsampler
from explorer.upsamplers.saving import write_with_settings
from explorer.weights import load


@dataclass(frozen=True)
class Places:
    """Where a run reads and writes: the weights, and beside them log, curve and resume file."""

    out: Path
    cache: Path | None
    cache_bytes: int = 8 * 2**30

    @property
    def log(self) -> Path:
        """The JSON lines."""
        return self.out.with_suffix(".log.jsonl")

    @property
    def curve(self) -> Path:
        """The picture of the curve."""
        return self.out.with_suffix(".png")

    @property
    def resume(self) -> Path:
        """What a killed run goes on from."""
        return self.out.with_suffix(".resume.pt")


class Trainer:
    """One run: ``Trainer(...).run()`` trains to the last step and returns the best validation
    row.
    """

    def __init__(
        self,
        recipe: Recipe,
        backbones: list,
        train: list[Path],
        held_out: list[Path],
        places: Places,
        *,
        cpu: bool = False,
        mixed_precision: str = "no",
        validate_every: int = 250,
        validate_photos: int = 16,
        save_seconds: float = 120.0,
        validate_guidance: int = 112,
        quiet: bool = False,
        init: Path | None = None,
        labelled: LabelledPhotos | None = None,
    ):
        check_file(places.out, (".safetensors",))
        self.recipe, self.backbones, self.places = recipe, backbones, places
        self.labelled = labelled or LabelledPhotos()
        self.validate_guidance = validate_guidance
        self.accelerator = Accelerator(
            cpu=cpu,
            mixed_precision=mixed_precision,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        self.main = self.accelerator.is_main_process
        self.device = self.accelerator.device
        for backbone in backbones:
            backbone.to(self.device)
        self.folder, self.held_out = PhotoFolder(train), held_out[:validate_photos]
        self.cache = FeatureCache(places.cache, places.cache_bytes)
        self.validate_every, self.save_seconds, self.quiet = validate_every, save_seconds, quiet

        torch.manual_seed(recipe.seed)
        channels = backbones[0].dim
        kind = UPSAMPLERS.get(recipe.method)
        self.upsampler = kind(**(kind.options_for(channels) | dict(recipe.options)))
        if not kind.agnostic and any(b.dim != channels for b in backbones):
            raise ExplorerError(f"{kind.title} is built for one width: train one per backbone")
        if init is not None:
            start_from(self.upsampler, init)
        else:
            enlarge(self.upsampler, recipe.basis_scale, recipe.rope_scale)
        objective = Objective(self.upsampler, recipe, channels)
        optimiser = make_optimiser(recipe, objective)
        self.objective, self.optimiser = self.accelerator.prepare(objective, optimiser)
        self.sampler = Sampler(
            len(self.folder),
            recipe.batch,
            recipe.seed,
            self.accelerator.num_processes,
            self.accelerator.process_index,
        )
        self.step, self.seconds = 0, 0.0
        self.best: dict | None = None
        self.best_state: dict[str, torch.Tensor] | None = None

    def run(self) -> dict:
        """Train, validating and saving on the way; return the best validation row."""
        with _flushed_denormals():
            return self._run()

    def _run(self) -> dict:
        self._resume()
        log = RunLog(self.places.log, self.step) if self.main else None
        quiet = self.quiet or not self.main
        progress = progress_bar(
            "training", self.recipe.steps, "step", initial=self.step, quiet=quiet
        )
        saved = began = time.monotonic()
        before = self.seconds
        while self.step < self.recipe.steps:
            row = self._train_step()
            self.step += 1
            self.seconds = before + time.monotonic() - began
            done = self.step == self.recipe.steps
            if log:
                log.write(row)
                progress.set_postfix_str(f"loss {row['loss']:.4f}", refresh=False)
                progress.update(1)
            if self.main and (self.step % self.validate_every == 0 or done):
                found = self.validate()
                log.write(found)
                self._keep_best(found)
                self._plot()
                if not self.quiet:
                    progress.write(_sentence(found), file=sys.stdout)
            if self.main and (done or time.monotonic() - saved > self.save_seconds):
                self._save()
                saved = time.monotonic()
            if done:
                self.accelerator.wait_for_everyone()
        if self.main and not self.places.out.exists() and self.best_state is not None:
            write_with_settings(self.places.out, self.best_state, self.upsampler)
        progress.close()
        self.accelerator.end_training()
        return self.best or {}

    def _train_step(self) -> dict:
        recipe = self.recipe
        number = self.step
        torch.manual_seed(recipe.seed * 1_000_003 + number)  # dropout, the same after a resume
        backbone = self.backbones[number % len(self.backbones)]
        data = Step(
            recipe,
            backbone,
            self.folder,
            self.cache,
            self.sampler(number),
            number,
            self.device,
            self.labelled,
        )
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.lr * group["times"] * lr_factor(recipe, number)
        self.objective.train()
        losses = self.objective(data)
        weights = dict(recipe.terms)
        total = sum(weights[name] * value for name, value in losses.items())
        self.accelerator.backward(total)
        if recipe.clip:
            self.accelerator.clip_grad_norm_(self.objective.parameters(), recipe.clip)
        self.optimiser.step()
        self.optimiser.zero_grad()
        shown = {**losses, "loss": total}
        row = {
            name: self.accelerator.reduce(value.detach().float(), "mean").item()
            for name, value in shown.items()
        }
        if not math.isfinite(row["loss"]):
            raise ExplorerError(
                f"the loss became {row['loss']} at step {number}; a lower --lr usually helps"
            )
        return {"step": number, "backbone": f"{backbone.name}:{backbone.stage}", **row}

    @torch.no_grad()
    def validate(self) -> dict:
        """Score the upsampler on the held-out photos with the first backbone, and on labelled
        photos that nothing is learned from.
        """
        self.upsampler.eval()
        bilinear = UPSAMPLERS.create("bilinear")
        found, baseline = [], []
        photos = cases(
            self.held_out, self.backbones[0], self.cache, self.device, self.validate_guidance
        )
        for case in photos:
            found.append(score(self.upsampler, case))
            baseline.append(score(bilinear, case))
        seconds = round(self.seconds, 1)
        row = {"step": self.step - 1, "seconds": seconds, "guidance": self.validate_guidance}
        watched = self.labelled.watch(self.backbones[0], self.cache, self.device)
        return row | summary(found, baseline) | label_retention(self.upsampler, watched)

    def _keep_best(self, found: dict) -> None:
        if self.best is None or selection_score(found) > selection_score(self.best):
            self.best = found
            self.best_state = {
                k: v.detach().cpu().clone() for k, v in self.upsampler.state_dict().items()
            }
            write_with_settings(self.places.out, self.best_state, self.upsampler)

    def _plot(self) -> None:
        plot(self.places.log, self.places.curve)

    def _save(self) -> None:
        state = {
            "recipe": self.recipe.to_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "best_state": self.best_state,
            "objective": self.accelerator.unwrap_model(self.objective).state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "processes": self.accelerator.num_processes,
        }
        try:
            with part_file(self.places.resume) as part:
                torch.save(state, part)
        except (OutputError, RuntimeError) as error:  # torch's own, of a full disk
            raise ExplorerError(
                f"the run cannot be saved to {self.places.resume}: {error}"
            ) from None

    def _resume(self) -> None:
        if not self.places.resume.exists():
            return
        state = torch.load(self.places.resume, map_location="cpu", weights_only=True)
        mine, theirs = comparable(self.recipe.to_dict()), comparable(state["recipe"])
        keys = [k for k in mine if mine[k] != theirs.get(k)]
        if keys:
            changed = ", ".join(f"{k}: {theirs.get(k)} -> {mine[k]}" for k in keys)
            raise WeightsError(
                f"{self.places.resume.name} belongs to a run with other settings ({changed}); "
                "give another --out, or delete it to start again"
            )
        self.accelerator.unwrap_model(self.objective).load_state_dict(state["objective"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.best, self.best_state = state["best"], state["best_state"]
        if self.main and not self.quiet:
            print(f"going on at step {self.step}", flush=True)


def selection_score(found: dict) -> float:
    """Return what the best validation has most of: cosine, and labels kept, over bilinear."""
    labels = found.get("labels", 0.0) - found.get("labels_bilinear", 0.0)
    return found["gain_x2"] + found["gain_x4"] + labels


def start_from(upsampler: Upsampler, path: Path) -> None:
    """Load weights into an upsampler before training.

    Raises:
        WeightsError: the file cannot be read, or holds another method's or other parameters.
    """
    loaded = load(path, allow_network=False)
    known = loaded.row or loaded.settings
    if known and known.method != upsampler.name:
        raise WeightsError(
            f"the run cannot start from {path.name}: it holds weights of {known.method}, not "
            f"{upsampler.name}"
        )
    try:
        upsampler.load_state_dict(loaded.state, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"the run cannot start from {path.name}: {reason}") from None


def comparable(recipe: dict) -> dict:
    """Return what must not change on resuming, as JSON would have it; a run may be made longer or
    shorter.

    A setting that did not exist when the run began has its default, which changes nothing.
    """
    defaults = {f.name: f.default for f in fields(Recipe) if f.default is not MISSING}
    kept = {key: value for key, value in (defaults | recipe).items() if key != "steps"}
    return json.loads(json.dumps(kept))


def _sentence(found: dict) -> str:
    parts = [
        f"x{f} {found[f'cosine_x{f}']:.4f} ({found[f'gain_x{f}']:+.4f}, "
        f"{100 * found[f'wins_x{f}']:.0f}% of photos)"
        for f in (2, 4)
    ]
    if "labels" in found:
        parts.append(f"labels {found['labels']:.4f} (bilinear {found['labels_bilinear']:.4f})")
    return f"step {found['step'] + 1}: held out {', '.join(parts)}"


@contextmanager
def _flushed_denormals() -> Iterator[None]:
    """Let tiny numbers be zero meanwhile: vanishing gradients of early steps would cost time."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
