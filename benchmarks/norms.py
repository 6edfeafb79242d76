"""What a layer costs against torch's own: forward and backward, time and peak memory.

    python benchmarks/norms.py [--layers assocnorm ...] [--compile] [--device cuda]

Every repetition times the norm and its native counterpart once, in turn, so that a disturbance
meets both; a row gives the median repetition of each and their ratio. On a CPU one thread runs,
and its CPU time counts, so that other work on shared cores counts less. `--compile` adds the same
table under `torch.compile` (minutes). Peak memory is what is allocated at once during forward and
backward, inputs not counted.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import normmods

CPU_SHAPES = ((64, 64, 32, 32), (64, 256, 8, 8), (2, 512, 4, 4))
ACCELERATOR_SHAPES = ((64, 256, 32, 32), *CPU_SHAPES)
GROUP_FAMILY = ("groupnorm", "instancenorm", "layernorm", "assocnorm")
DEFAULT_LAYERS = ("assocnorm", "batchrenorm", "renorm_debias")


def native_of(name: str, num_channels: int) -> nn.Module:
    """The torch layer that a norm is measured against."""
    if name in GROUP_FAMILY:
        return nn.GroupNorm(min(32, num_channels), num_channels)
    return nn.BatchNorm2d(num_channels)


def keep_freed_memory() -> None:
    """Asks glibc to hand no freed memory back, or page faults would be most of a large map's time.

    Elsewhere, without `mallopt`, nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3
        mallopt(trim_threshold, 2**30)
        mallopt(mmap_threshold, 2**25)


class Step:
    """One forward and backward pass from clean gradients."""

    def __init__(self, layer: nn.Module, x: Tensor, grad: Tensor) -> None:
        self.layer, self.x, self.grad = layer, x, grad
        self.leaves = [x, *layer.parameters()]

    def __call__(self) -> None:
        self.clear()
        self.layer(self.x).backward(self.grad)

    def clear(self) -> None:
        for leaf in self.leaves:
            leaf.grad = None


def synchronize(device: str) -> None:
    if device != "cpu":
        torch.accelerator.synchronize()


def median_times(steps: dict[str, Step], repetitions: int, device: str) -> dict[str, float]:
    """Median seconds of each step over interleaved repetitions, after three to warm up."""
    clock = time.thread_time if device == "cpu" else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repetition in range(repetitions + 3):
        for name, step in steps.items():
            synchronize(device)
            start = clock()
            step()
            synchronize(device)
            if repetition >= 3:
                times[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def peak_memory(step: Step, device: str) -> int:
    """Bytes allocated at once at most during a step, beyond what was there before."""
    step()
    step.clear()
    if device != "cpu":
        before = torch.accelerator.memory_allocated()
        torch.accelerator.reset_peak_memory_stats()
        step()
        return torch.accelerator.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiled.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    changes = [event for event in events if event.get("name") == "[memory]"]
    level = peak = 0
    for change in sorted(changes, key=lambda event: float(event["ts"])):
        level += change["args"]["Bytes"]
        peak = max(peak, level)
    return peak


def measure(
    name: str, shape: tuple[int, ...], device: str, compiled: bool, repetitions: int
) -> None:
    """Prints the row of one norm at one shape."""
    x = torch.randn(shape, device=device, requires_grad=True)
    grad = torch.randn(shape, device=device)
    native = native_of(name, shape[1]).to(device)
    layers = {"native": native, name: normmods.build(name, shape[1]).to(device)}
    steps = {}
    for key, layer in layers.items():
        chosen = torch.compile(layer, fullgraph=True) if compiled else layer
        steps[key] = Step(chosen, x, grad)
    seconds = median_times(steps, repetitions, device)
    memory = ""
    if not compiled:
        memory = f"{peak_memory(steps[name], device) / peak_memory(steps['native'], device):8.2f}"
    print(
        f"{name:16} {'x'.join(map(str, shape)):>14} {'compiled' if compiled else 'eager':>9}"
        f" {seconds[name] * 1e6:10.0f} {seconds['native'] * 1e6:10.0f}"
        f" {type(native).__name__:12} {seconds[name] / seconds['native']:6.2f} {memory}",
        flush=True,
    )
    torch.compiler.reset()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", nargs="+", default=DEFAULT_LAYERS, choices=normmods.names())
    parser.add_argument("--compile", action="store_true", help="also under torch.compile")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repetitions", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    shapes = CPU_SHAPES if arguments.device == "cpu" else ACCELERATOR_SHAPES
    print(
        f"{'norm':16} {'shape':>14} {'mode':>9} {'us':>10} {'native us':>10} {'native':12}"
        f" {'ratio':>6} {'memory':>8}"
    )
    for compiled in (False, True) if arguments.compile else (False,):
        for shape in shapes:
            repetitions = arguments.repetitions * (1 if shape[0] > 2 else 5)
            for name in arguments.layers:
                measure(name, shape, arguments.device, compiled, repetitions)


if __name__ == "__main__":
    main()
