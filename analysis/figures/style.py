"""What the figures share: colours, markers, type, and drawing without touching global state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from math import log2
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from analysis.figures.norm_labels import FONT, drawn_names

INK = "#222222"
SOFT = "#767676"
GRID = "#e4e4e4"

# Okabe and Ito's palette, which people with any colour vision tell apart; yellow is left out,
# as it vanishes on white; then Tol's muted tones for further norms. Dark and light alternate, so
# that neighbours differ in grey too.
_COLOURS = (
    *("#0072B2", "#D55E00", "#222222", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"),
    *("#332288", "#999933", "#882255", "#888888", "#117733"),
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_DASHES: tuple[Literal["-"] | tuple[float, tuple[float, ...]], ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (6, 1.5, 1.2, 1.5)),
)

RC: dict[Any, Any] = {
    "font.family": [FONT],
    "font.size": 9.0,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.grid": False,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.dpi": 160,
    "svg.fonttype": "path",
    "text.parse_math": False,  # a `$` in a norm's name is a dollar
    "svg.hashsalt": "analysis",
    "pdf.fonttype": 42,
}


@dataclass(frozen=True)
class Look:
    """How one norm is drawn, in every figure alike."""

    name: str
    colour: str
    marker: str
    dash: Literal["-"] | tuple[float, tuple[float, ...]]


def looks(norms: Sequence[str]) -> dict[str, Look]:
    """A look for each norm by its place; colour, marker and dash differ together."""
    parts = zip(drawn_names(norms), cycle(_COLOURS), cycle(_MARKERS), cycle(_DASHES), strict=False)
    return {norm: Look(*look) for norm, look in zip(norms, parts, strict=True)}


@contextmanager
def sheet(width: float, height: float) -> Iterator[Figure]:
    """A figure (inches) to draw on under this style; nothing outside the block is changed."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def batch_size_axis(axes: Axes, batch_sizes: Sequence[int], room: int = 20) -> None:
    """A log axis over batch sizes, large to small, labelled with the sizes themselves.

    About `room` labels fit; one that would touch the label before it is left out.
    """
    axes.set_xscale("log", base=2)
    axes.set_xlim(max(batch_sizes) * 2**0.4, min(batch_sizes) / 2**0.4)
    gap = (log2(max(batch_sizes) / min(batch_sizes)) + 0.8) / room
    labels, last = [], float("inf")
    for size in sorted(batch_sizes, reverse=True):
        shown = last - log2(size) >= gap
        labels.append(str(size) if shown else "")
        last = log2(size) if shown else last
    axes.set_xticks(sorted(batch_sizes, reverse=True), labels)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("batch size")


def panels(figure: Figure, num: int, *, share_x: bool = False) -> list[Axes]:
    """`num` panels with a common y axis in the rows that `rows_of` counts; the rest is empty."""
    columns = _columns(num)
    grid = figure.subplots(rows_of(num), columns, sharex=share_x, sharey=True, squeeze=False)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(w_pad=0.1)
    found = list(grid.flat)
    for axes in found[num:]:
        axes.set_visible(False)
    for axes in found[max(0, num - columns) : num]:
        axes.tick_params(labelbottom=True)
    return found[:num]


def rows_of(num: int) -> int:
    """How many rows `num` panels take: three to a row, but four in two rows."""
    return -(-num // _columns(num))


def _columns(num: int) -> int:
    return 2 if num == 4 else min(3, num)


def legend(figure: Figure, by_norm: Mapping[str, Look]) -> None:
    """One legend of lines for all panels, above them, in as many columns as fit."""
    handles = [Line2D([], [], color=k.colour, linestyle=k.dash) for k in by_norm.values()]
    names = [look.name for look in by_norm.values()]
    columns = max(1, min(4, 96 // (max(map(len, names)) + 9)))
    if sum(len(name) + 9 for name in names) <= 108:
        columns = len(names)
    figure.legend(handles, names, loc="outside upper left", ncols=columns, fontsize=9)


def percent_axis(axes: Axes, lowest: float, highest: float) -> None:
    """Percent on the y axis, on a log scale where the values span more than four to one."""
    if lowest > 0 and highest / lowest > 4:
        axes.set_yscale("log")
        steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 90)
        axes.yaxis.set_minor_locator(NullLocator())
        shown = [step for step in steps if lowest / 1.6 <= step <= highest * 1.3]
        axes.set_ylim(lowest / 1.2, highest * 1.25)
        axes.set_yticks(shown)
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)


def spread(values: Sequence[float], gap: float) -> list[float]:
    """`values` moved apart until neighbours are `gap` away, keeping their order and centre.

    Each block of labels that would overlap is laid out evenly around the mean of its wishes.
    """
    order = sorted(range(len(values)), key=lambda i: values[i])
    blocks: list[list[int]] = []
    for index in order:
        blocks.append([index])
        while len(blocks) > 1 and _start(blocks[-1], values, gap) < (
            _start(blocks[-2], values, gap) + gap * len(blocks[-2])
        ):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    placed = [0.0] * len(values)
    for block in blocks:
        start = _start(block, values, gap)
        for place, index in enumerate(block):
            placed[index] = start + gap * place
    return placed


def _start(block: Sequence[int], values: Sequence[float], gap: float) -> float:
    centre = sum(values[i] for i in block) / len(block)
    return centre - gap * (len(block) - 1) / 2
