"""Training throughput against a careful plain loop, in images per second.

    python -m benchmarks.training [--models resnet8 resnet18] [--norms ...] [--batch-sizes 2 16 64]
                                  [--compile] [--publish]

The plain loop is what people write: `DataLoader`, torchvision's transforms, eager PyTorch,
`torch.optim.SGD`, and the same network with torch's own norms, or with the formula by plain
autograd where torch has no such norm. Repetitions alternate; a row gives the median of each and
their ratio. Each loop has a process of its own. With `--compile` a third one alternates with them:
ours with compiled steps, its ratio to ours eager, and the seconds until its first step was done,
which nothing compiled earlier shortens. On a CPU one thread runs, and its CPU time counts, so that
other work on shared cores counts less.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms

import normmods
from benchmarks.published import publish
from trainables import Trial
from trainables.data.load import Dataset, Split, load_dataset
from trainables.models.build import build_model
from trainables.spec import DataSpec, ModelSpec, NormSpec, OptimizerSpec, TrainSpec, TrialSpec

NORMS = (
    *("batchnorm", "groupnorm", "instancenorm", "layernorm"),
    *("batchrenorm", "renorm_debias", "assocnorm"),
)
Make = Callable[..., Iterator[None]]
Repetition = Callable[[], float]
"""Takes its steps in the loop's own process; returns the seconds."""

OPTIMIZER = OptimizerSpec(lr=0.01, momentum=0.9, weight_decay=5e-4)
SMALL_STEPS, LARGE_IMAGES = 100, 64
"""Optimizer steps of a repetition of the small network; images of one of the large."""


def num_steps(model: str, batch_size: int) -> int:
    """Optimizer steps of a repetition."""
    return SMALL_STEPS if model == "resnet8" else max(2, LARGE_IMAGES // batch_size)


class ByFormula(nn.Module):
    """A norm by plain autograd, as it is written down in a paper."""

    def __init__(self, name: str, num_channels: int) -> None:
        super().__init__()
        self.layer = normmods.build(name, num_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer.reference(x)  # type: ignore[operator, no-any-return]


def plain_norm(name: str) -> Callable[[int], nn.Module]:
    """Builds the norm that somebody without this project would use."""
    groups = {"groupnorm": 32, "layernorm": 1}
    if name == "batchnorm":
        return nn.BatchNorm2d
    if name == "instancenorm":
        return lambda num_channels: nn.InstanceNorm2d(num_channels, affine=True)
    if name in groups:
        return lambda num_channels: nn.GroupNorm(min(groups[name], num_channels), num_channels)
    return lambda num_channels: ByFormula(name, num_channels)


class PlainImages(TorchDataset[tuple[Tensor, int]]):
    """Images one at a time through torchvision's transforms."""

    def __init__(self, data: Dataset, *, augmented: bool) -> None:
        self.images = data.train.images.cpu().permute(0, 2, 3, 1).numpy()
        self.labels = data.train.labels.tolist()
        size = self.images.shape[1]
        crop = [transforms.RandomCrop(size, padding=size // 8), transforms.RandomHorizontalFlip()]
        scale = 255.0
        mean, std = (x.flatten().cpu() / scale for x in (data.mean, data.std))
        self.transform = transforms.Compose(
            [
                transforms.ToPILImage(),
                *(crop if augmented else []),
                transforms.ToTensor(),
                transforms.Normalize(mean.tolist(), std.tolist()),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return self.transform(self.images[place]), self.labels[place]


def plain_epochs(spec: TrialSpec, data: Dataset, device: str) -> Iterator[None]:
    """The plain loop, an epoch at a time."""
    torch.manual_seed(spec.seed)
    model = build_model(
        spec.model,
        in_channels=data.train.images.shape[1],
        num_classes=data.num_classes,
        norm=plain_norm(spec.norm.name),
    ).to(device)
    optimizer = torch.optim.SGD(
        model.parameters(), OPTIMIZER.lr, OPTIMIZER.momentum, weight_decay=OPTIMIZER.weight_decay
    )
    images = PlainImages(data, augmented=spec.data.augment != "none")
    loader = DataLoader(images, spec.batch_size, shuffle=True, drop_last=True)
    while True:
        model.train()
        total = torch.zeros((), device=device)
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x.to(device)), y.to(device))
            loss.backward()
            optimizer.step()
            total += loss.detach()
        total.item()
        yield


def our_epochs(
    spec: TrialSpec, data: Dataset, device: str, *, compilation: bool = False
) -> Iterator[None]:
    """This project's trial, an epoch's training at a time."""
    with mock.patch("trainables.training.load", return_value=data):
        trial = Trial(spec, device=device, compilation=compilation)
    while True:
        epoch = trial.current_epoch()
        while not epoch.is_done:
            epoch.train_chunk(trial.chunk_sizer)
        trial.current = None
        if trial.steps.warnings:
            raise SystemExit(trial.steps.warnings[0])
        yield


def spec_for(model: str, norm: str, batch_size: int) -> TrialSpec:
    colour = model != "resnet8"
    return TrialSpec(
        norm=NormSpec(name=norm),
        batch_size=batch_size,
        seed=0,
        data=DataSpec(name="cifar10", augment="crop_flip") if colour else DataSpec(name="digits"),
        model=ModelSpec(name=model),
        train=TrainSpec(epochs=10_000, optimizer=OPTIMIZER),
    )


def data_for(spec: TrialSpec, num_images: int, device: str) -> Dataset:
    """Digits, or random images of CIFAR's shape: their content costs nothing."""
    if spec.data.name == "digits":
        data = load_dataset(spec.data, device=device)
        chosen = torch.arange(num_images, device=device) % len(data.train)
        return replace(data, train=Split(data.train.images[chosen], data.train.labels[chosen]))
    random = np.random.default_rng(0)
    images = torch.from_numpy(random.integers(0, 256, (num_images, 3, 32, 32), np.uint8))
    labels = torch.from_numpy(random.integers(0, 10, num_images))
    split = Split(images.to(device), labels.to(device))
    middle = torch.full((1, 3, 1, 1), 127.5, device=device)
    return Dataset(train=split, test=split, mean=middle, std=middle / 2, num_classes=10)


def synchronized(device: str) -> float:
    if device == "cpu":
        return time.thread_time()
    torch.accelerator.synchronize()
    return time.perf_counter()


def serve(asked: Connection, make: Make, spec: TrialSpec, device: str) -> None:
    """Take a repetition's steps whenever asked to, and answer with the seconds they took."""
    torch.set_num_threads(1)
    data = data_for(spec, num_steps(spec.model.name, spec.batch_size) * spec.batch_size, device)
    loop = make(spec, data, device)
    while asked.recv():
        start = synchronized(device)
        next(loop)
        asked.send(synchronized(device) - start)


@contextmanager
def loop_beside(make: Make, spec: TrialSpec, device: str) -> Iterator[Repetition]:
    """A loop in a process of its own, since what a process's memory is like is part of it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, make, spec, device))
    process.start()
    theirs.close()

    def repetition() -> float:
        ours.send(True)
        return float(ours.recv())

    try:
        yield repetition
    finally:
        ours.send(False)
        process.join()


def measure(
    spec: TrialSpec, repetitions: int, device: str, *, with_compiled: bool
) -> dict[str, float]:
    """Median seconds of the same number of steps in each loop, and of the compilation."""
    makers: dict[str, Make] = {"ours": our_epochs, "plain": plain_epochs}
    if with_compiled:
        makers["compiled"] = partial(our_epochs, compilation=True)
    found = {}
    times: dict[str, list[float]] = {name: [] for name in makers}
    with ExitStack() as stack:
        loops = {
            name: stack.enter_context(loop_beside(make, spec, device))
            for name, make in makers.items()
        }
        for repetition in loops.values():  # the first one warms up
            start = time.perf_counter()
            repetition()
            found["compile_s"] = time.perf_counter() - start
        for _ in range(repetitions):
            for name, repetition in loops.items():
                times[name].append(repetition())
    return found | {name: statistics.median(of_loop) for name, of_loop in times.items()}


HEAD = f"{'model':<10} {'norm':<14} {'batch':>5} {'images/s':>10} {'plain':>10} {'ratio':>6}"
COMPILED_HEAD = f" {'compiled':>10} {'to ours':>8} {'to plain':>8} {'compile s':>9}"


def row(spec: TrialSpec, found: dict[str, float]) -> str:
    num_images = num_steps(spec.model.name, spec.batch_size) * spec.batch_size
    ours, plain = found["ours"], found["plain"]
    line = (
        f"{spec.model.name:<10} {spec.norm.name:<14} {spec.batch_size:>5} "
        f"{num_images / ours:>10.0f} {num_images / plain:>10.0f} {plain / ours:>6.2f}"
    )
    if "compiled" not in found:
        return line
    compiled = found["compiled"]
    return (
        f"{line} {num_images / compiled:>10.0f} {ours / compiled:>8.2f} {plain / compiled:>8.2f} "
        f"{found['compile_s']:>9.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["resnet8", "resnet18"])
    parser.add_argument("--norms", nargs="+", default=NORMS, choices=normmods.names())
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[2, 16, 64])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="ours with compiled steps too")
    parser.add_argument("--publish", action="store_true", help="for the documentation's tables")
    options = parser.parse_args()
    print(HEAD + (COMPILED_HEAD if options.compile else ""))
    with tempfile.TemporaryDirectory() as empty:
        os.environ["NORM_SWEEP_CACHE"] = empty
        for model in options.models:
            for batch_size in options.batch_sizes:
                by_norm = {}
                for norm in options.norms:
                    spec = spec_for(model, norm, batch_size)
                    by_norm[norm] = found = measure(
                        spec, options.repetitions, options.device, with_compiled=options.compile
                    )
                    print(row(spec, found), flush=True)
                if options.publish:
                    publish(f"training-{model}-{batch_size}", by_norm)


if __name__ == "__main__":
    main()
