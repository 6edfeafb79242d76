"""What it gains to train several seeds of a cell side by side, as one network.

    python -m benchmarks.seeds cells [--models resnet8 resnet18] [--norms ...] [--batch-sizes ...]
                                     [--compile] [--publish]
    python -m benchmarks.seeds quickstart [--seeds 8] [--rounds 1] [--publish]

`cells`: steps a second and seed of S seeds side by side, over those of one alone, and the same of
`seeds_per_trainable: auto` with eight seeds. With `--compile` the same widths once more with
compiled steps, over one alone that is not compiled: S=1 is what compiling brings by itself, the
others what both bring together. Repetitions alternate; medians. On a CPU one thread runs, and its
own time counts.
`quickstart`: wall time of `norm-sweep run` of the quickstart without and with `auto`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import yaml

from benchmarks.published import publish
from benchmarks.training import data_for, spec_for
from trainables import Trial
from trainables.fused.lockstep import LockstepTraining
from trainables.fused.width import MAX_NETWORKS
from trainables.spec import TrialSpec

NORMS = ("batchnorm", "groupnorm", "assocnorm")
WIDTHS = (1, 2, 4, 8, 16)
STRETCH_S = 0.2


def trials_of(
    spec: TrialSpec, number: int, device: str, *, compilation: bool = False
) -> list[Trial]:
    """So many seeds of a cell, over an epoch that does not end."""
    still = replace(spec.train.optimizer, lr=1e-12)
    spec = replace(spec, train=replace(spec.train, optimizer=still))
    data = data_for(spec, 2000 * spec.batch_size, device)
    with mock.patch("trainables.training.load", return_value=data):
        return [
            Trial(replace(spec, seed=seed), device=device, compilation=compilation)
            for seed in range(number)
        ]


def clock(device: str) -> float:
    """Seconds, of this thread alone where it does the work."""
    if device == "cpu":
        return time.thread_time()
    torch.accelerator.synchronize()
    return time.perf_counter()


def steps_a_second(lockstep: LockstepTraining, num_steps: int, device: str) -> float:
    """Steps of each seed a second, over one stretch."""
    trials = lockstep.trials
    if trials[0].steps_into_epoch + num_steps > trials[0].current_epoch().examples.num_batches:
        for trial in trials:
            trial.current = None
    begun_at = trials[0].steps_into_epoch
    lockstep.chunk_sizer.num_steps = num_steps
    start = clock(device)
    lockstep.advance()
    return len(trials) * (trials[0].steps_into_epoch - begun_at) / (clock(device) - start)


def gains(
    spec: TrialSpec, repetitions: int, device: str, *, with_compiled: bool
) -> tuple[dict[str, float], int]:
    """Throughput over that of one alone, by what is measured, and the width that `auto` took."""
    auto = LockstepTraining(trials_of(spec, MAX_NETWORKS, device))
    while auto.width.num_steps:
        auto.advance()
    crews = {
        f"S={width}": LockstepTraining(trials_of(spec, width, device), width) for width in WIDTHS
    }
    crews["auto"] = auto
    if with_compiled:
        for width in WIDTHS:
            trials = trials_of(spec, width, device, compilation=True)
            crews[f"C={width}"] = LockstepTraining(trials, width)
            steps_a_second(crews[f"C={width}"], 2, device)
    num_steps = max(2, int(STRETCH_S / auto.width.step_s[1] * MAX_NETWORKS))
    found: dict[str, list[float]] = {name: [] for name in crews}
    for repetition in range(repetitions + 1):
        for name, lockstep in crews.items():
            own = max(2, num_steps // (2 if name != "S=1" else 1))
            speed = steps_a_second(lockstep, min(own, lockstep.chunk_sizer.longest), device)
            if repetition:  # the first one warms up
                found[name].append(speed)
    median = {name: statistics.median(values) for name, values in found.items()}
    return {name: value / median["S=1"] for name, value in median.items()}, auto.width.current


def cells(options: argparse.Namespace) -> None:
    """Print a row per cell."""
    torch.set_num_threads(1)
    names = [f"S={width}" for width in WIDTHS[1:]] + ["auto"]
    names += [f"C={width}" for width in WIDTHS] if options.compile else []
    heads = " ".join(f"{name:>6}" for name in names)
    print(f"{'model':<10} {'norm':<11} {'batch':>5} {heads}")
    for model in options.models:
        for batch_size in options.batch_sizes:
            by_norm = {}
            for norm in options.norms:
                spec = spec_for(model, norm, batch_size)
                by_name, taken = gains(
                    spec, options.repetitions, options.device, with_compiled=options.compile
                )
                by_norm[norm] = by_name
                row = " ".join(f"{by_name[name]:>6.2f}" for name in names)
                print(f"{model:<10} {norm:<11} {batch_size:>5} {row}  auto: S={taken}", flush=True)
            if options.publish:
                publish(f"seeds-{model}-{batch_size}", by_norm)


def quickstart(seeds: int, rounds: int) -> dict[str, float]:
    """How long the whole sweep takes, start and MLflow and all."""
    grid = yaml.safe_load(Path("grids/quickstart.yaml").read_text(encoding="utf-8"))
    grid["factors"]["seed"] = seeds
    took: dict[Any, list[float]] = {1: [], "auto": []}
    for _ in range(rounds):
        for wanted, seconds in took.items():
            grid["resources"] = {"cpu": 1, "gpu": "auto", "seeds_per_trainable": wanted}
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                (Path(folder) / "grid.yaml").write_text(yaml.safe_dump(grid))
                command = [sys.executable, "-m", "sweep", "run", "grid.yaml"]
                start = time.perf_counter()
                subprocess.run(command, cwd=folder, check=True, capture_output=True)
                seconds.append(time.perf_counter() - start)
            print(f"  seeds_per_trainable: {wanted}: {seconds[-1]:.0f} s", flush=True)
    alone, together = (statistics.median(seconds) for seconds in took.values())
    print(
        f"quickstart with {seeds} seeds: {alone:.0f} s, with auto {together:.0f} s: "
        f"{alone / together:.2f} times as fast"
    )
    return {"seeds": seeds, "alone_s": alone, "together_s": together}


def main() -> None:
    """Measure one or the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["cells", "quickstart"])
    parser.add_argument("--models", nargs="+", default=["resnet8", "resnet18"])
    parser.add_argument("--norms", nargs="+", default=NORMS)
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[2, 8, 16, 64])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="with compiled steps too")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--publish", action="store_true", help="for the documentation's tables")
    options = parser.parse_args()
    if options.what == "cells":
        cells(options)
    else:
        found = quickstart(options.seeds, options.rounds)
        if options.publish:
            publish("seeds-quickstart", found)


if __name__ == "__main__":
    main()
