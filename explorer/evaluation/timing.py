"""How long an evaluation will take, from one photo."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from explorer.evaluation.probing import OWN, SHARED, ProbeRun
from explorer.evaluation.samples import wait


def estimate(made: ProbeRun) -> Iterator[str]:
    """Time every method on the first tested photo; yield a line each and one for the whole."""
    example = made.test[0]
    start = wait(made.stage.device)
    scene = made.stage.scene(example)
    truth = made.task.truth(made.data, example, scene.photo, scene.size)
    opening = wait(made.stage.device) - start
    chosen = made.pixels(example, truth)
    learns, tests = len(made.train), len(made.test)
    total = opening * (learns + tests)
    channels = made.stage.backbone.dim
    pair = (torch.zeros(made.task.outputs, channels), torch.zeros(made.task.outputs))
    weights = {method.key: [pair] * made.plan.seeds for method in made.methods}
    weights[SHARED] = [pair] * made.plan.seeds
    for method in made.methods:
        measured = made.measure(method, scene, truth, made.probes(method, weights))
        prepare, predict = measured["prepare_seconds"], measured["predict_seconds"]
        sample = 0.0
        gathers = OWN in made.plan.variants or method is made.baseline
        if gathers and chosen is not None:
            with torch.no_grad():
                features = scene.features_for(method)
                ready = method.upsampler.prepare(scene.guidance, features, scene.size)
                start = wait(made.stage.device)
                ready.sample(
                    chosen.rows.to(scene.features.device), chosen.cols.to(ready.values.device)
                )
                sample = wait(made.stage.device) - start
            total += learns * (prepare + sample)
        total += tests * (prepare + predict)
        yield (
            f"{method.title}: prepare {prepare:.2f} s, gather {sample:.2f} s, "
            f"predict {predict:.2f} s per photo"
        )
    minutes = total / 60 / made.accelerator.num_processes
    yield (
        f"about {minutes:.0f} minutes for {learns} photos to learn from and {tests} to test on, "
        "less what is already measured, plus the probes' training"
    )
