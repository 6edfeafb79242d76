"""The documentation's tables of speed, made of what was measured last.

    python -m benchmarks.page

Fills the blocks of README.md and docs/speed.md that begin with `<!-- benchmarks.page: NAME -->`
and end with `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.published import machines, published

ROOT = Path(__file__).parent.parent
FILES = ("README.md", "docs/speed.md")
BLOCK = re.compile(r"(<!-- benchmarks\.page: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
BATCH_SIZES = (2, 16, 64)
WIDTHS = (2, 4, 8, 16)
WORDS = {1: "one core", 2: "two cores", 4: "four cores", 8: "eight cores"}


def filled(text: str) -> str:
    """The text with each of its blocks made anew."""
    return BLOCK.sub(lambda block: f"{block[1]}{BLOCKS[block[2]]()}\n{block[3]}", text)


def machine() -> str:
    """On what it was measured, a line for each machine."""
    lines = []
    for it in machines():
        cores = WORDS.get(it["cores"], f"{it['cores']} cores")
        gpu = f"beside an {it['gpu']}" if it["gpu"] else "without a GPU"
        versions = f"Python {it['python']}, PyTorch {it['torch']}, Ray {it['ray']}"
        lines.append(
            f"By `make bench` on {cores} of an {it['cpu']} ({it['instructions']}) {gpu}, with "
            f"{versions}; {it['date']}."
        )
    return "\n\n".join(lines)


def training() -> str:
    """A row per norm: images a second over those of the plain loop."""
    small = {size: published(f"training-resnet8-{size}") for size in BATCH_SIZES}
    large = {size: published(f"training-resnet18-{size}") for size in BATCH_SIZES}
    rows = []
    for norm in small[2]:
        of_small = [
            f"{over_plain(small[size][norm]):.2f} / {over_plain(small[size][norm], 'compiled'):.2f}"
            for size in BATCH_SIZES
        ]
        rows.append([norm, *of_small, *(f"{over_plain(large[s][norm]):.2f}" for s in BATCH_SIZES)])
    return table(["norm", "batch 2", "16", "64", "ResNet-18: 2", "16", "64"], rows)


def over_plain(found: dict[str, float], which: str = "ours") -> float:
    """How many times as many images a second a loop trains as the plain one."""
    return found["plain"] / found[which]


def overhead() -> str:
    """A row per way to train the same trials."""
    found = published("sweep-overhead")
    rows = [
        ["`norm-sweep run`", two(found["sweep run"])],
        ["joblib, a pool of two", two(found["joblib"])],
        ["`xargs -P 2`, a Python process a trial", two(found["xargs -P 2"])],
        ["Ray Tune as its documentation shows it", two(found["ray tune"])],
    ]
    return table(["", "time over the ideal"], rows)


def sweep() -> str:
    """A row per figure of a whole sweep."""
    growth, startup = published("sweep-growth"), published("sweep-startup")
    forecast, tracking = published("sweep-forecast"), published("sweep-tracking")
    ends = f"{1e3 * growth['first_s']:.0f} and {1e3 * growth['last_s']:.0f} ms"
    late = startup["first_step_s"] / startup["floor_s"]
    rows = [
        [f"each of the first and of the last 200 of {growth['trials']:,} trials of one step", ends],
        ["the most memory that the driver of these held", f"{growth['memory_bytes'] / 1e6:.0f} MB"],
        ["command to first training step, over `ray.init` and one worker's imports", two(late)],
        [
            "what `plan` foretells after the quickstart's first seed, over what the others take",
            two(forecast["foretold"]),
        ],
        ["what these take, over slots that are never idle", two(forecast["makespan_over_bound"])],
        ["an epoch's way to MLflow, of the driver's time", f"{1e3 * tracking['median_s']:.2f} ms"],
    ]
    measured_by = ["growth", "growth", "startup", "forecast", "forecast", "tracking"]
    return table(
        ["", "", "`python -m benchmarks.sweep`"],
        [[*row, f"`{name}`"] for row, name in zip(rows, measured_by, strict=True)],
    )


def seeds() -> str:
    """A row per cell: steps a second and seed over those of one alone."""
    rows = []
    for model, title in (("resnet8", ""), ("resnet18", ", ResNet-18")):
        for size in BATCH_SIZES if model == "resnet8" else BATCH_SIZES[:1]:
            for norm, by_name in published(f"seeds-{model}-{size}").items():
                names = [*(f"S={n}" for n in WIDTHS), "auto", *(f"C={n}" for n in (1, *WIDTHS))]
                cells = [two(by_name[name]) if name in by_name else "" for name in names]
                rows.append([f"{norm}, {size}{title}", *cells])
    compiled = ["compiled: 1", *map(str, WIDTHS)]
    return table(["norm, batch", "S=2", *map(str, WIDTHS[1:]), "`auto`", *compiled], rows)


def quickstart() -> str:
    """What `seeds_per_trainable: auto` gains a whole sweep."""
    found = published("seeds-quickstart")
    alone, together = found["alone_s"], found["together_s"]
    return (
        f"The quickstart with {found['seeds']} seeds took {alone:.0f} s, with "
        f"`seeds_per_trainable: auto` {together:.0f} s: {alone / together:.1f} times as fast."
    )


def in_short() -> str:
    """The README's: the least and the most of the norms, and the sweep beside the others."""

    def span(model: str, size: int, which: str = "ours") -> str:
        found = published(f"training-{model}-{size}").values()
        ratios = [over_plain(of_norm, which) for of_norm in found]
        return f"{min(ratios):.1f} to {max(ratios):.1f}"

    found = published("sweep-overhead")
    others = f"{found['xargs -P 2']:.1f}; {found['ray tune']:.1f}"
    rows = [
        ["small network", span("resnet8", 2), span("resnet8", 64)],
        [
            "the same, compiled steps",
            span("resnet8", 2, "compiled"),
            span("resnet8", 64, "compiled"),
        ],
        ["ResNet-18, arithmetic alone", span("resnet18", 2), span("resnet18", 64)],
    ]
    beside = [
        ["`norm-sweep run`", two(found["sweep run"])],
        ["joblib, which keeps nothing", two(found["joblib"])],
        ["a process per trial; plain Ray Tune", others],
    ]
    heads = ["a trial, seven norms", "batch 2", "64", "", "a sweep of one-second trials", ""]
    return table(heads, [[*ours, "", *other] for ours, other in zip(rows, beside, strict=True)])


def seeds_in_short() -> str:
    """The README's: what several seeds as one network gain at batch size 2."""
    names = ("S=4", "S=8", "C=1", "C=4", "C=8")
    rows = [
        [norm, *(f"{by_name[name]:.1f}" for name in names)]
        for norm, by_name in published("seeds-resnet8-2").items()
    ]
    return table(["batch 2, small network", "4 seeds", "8", "compiled: 1", "4", "8"], rows)


BLOCKS: dict[str, Callable[[], str]] = {
    name.__name__: name
    for name in (
        *(machine, training, overhead, sweep, seeds),
        *(quickstart, in_short, seeds_in_short),
    )
}


def two(ratio: float) -> str:
    return f"{ratio:.2f}"


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Markdown; a column is to the right if all that it has are numbers or nothing."""
    rows = [list(map(str, row)) for row in rows]
    columns = list(zip(*rows, strict=True))
    ruled = ["--:" if any(column) and all(map(_is_number, column)) else "---" for column in columns]
    head, *others = (f"| {' | '.join(row)} |" for row in ([*heads], *rows))
    lines = [head, f"|{'|'.join(ruled)}|", *others]
    return "\n".join(re.sub(r" +", " ", line) for line in lines)


def _is_number(text: str) -> bool:
    return not text or text[0].isdigit()


def main() -> None:
    """Fill the blocks of the documentation."""
    for name in FILES:
        file = ROOT / name
        file.write_text(filled(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
