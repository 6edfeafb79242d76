"""Style that the figures share: colours, markers, fonts, axes; global state is not changed."""

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

from analysis.figures.norm_labels import FONT, make_figure_labels

TEXT_COLOUR = "#222222"
MUTED_COLOUR = "#767676"
GRID_COLOUR = "#e4e4e4"

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

MATPLOTLIB_SETTINGS: dict[Any, Any] = {
    "font.family": [FONT],
    "font.size": 9.0,
    "axes.edgecolor": MUTED_COLOUR,
    "axes.labelcolor": TEXT_COLOUR,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.grid": False,
    "text.color": TEXT_COLOUR,
    "xtick.color": MUTED_COLOUR,
    "ytick.color": MUTED_COLOUR,
    "xtick.labelcolor": TEXT_COLOUR,
    "ytick.labelcolor": TEXT_COLOUR,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.dpi": 160,
    "svg.fonttype": "path",
    "text.parse_math": False,  # a `$` in a norm's name is a dollar
    "svg.hashsalt": "analysis",
    "pdf.fonttype": 42,
}


@dataclass(frozen=True)
class NormStyle:
    """Style of one norm, the same in every figure."""

    name: str
    colour: str
    marker: str
    dash: Literal["-"] | tuple[float, tuple[float, ...]]


def assign_styles(norms: Sequence[str]) -> dict[str, NormStyle]:
    """Return a style for each norm by its place; colour, marker and dash differ together."""
    parts = zip(
        make_figure_labels(norms), cycle(_COLOURS), cycle(_MARKERS), cycle(_DASHES), strict=False
    )
    return {norm: NormStyle(*look) for norm, look in zip(norms, parts, strict=True)}


@contextmanager
def open_figure(width: float, height: float) -> Iterator[Figure]:
    """Yield a figure (inches) under this style; nothing outside the block is changed."""
    with mpl.rc_context(MATPLOTLIB_SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def set_batch_size_axis(axes: Axes, batch_sizes: Sequence[int], max_labels: int = 20) -> None:
    """Set a log axis over batch sizes, large to small, labelled with the sizes.

    About `max_labels` labels fit; one that would touch the label before it is left out.
    """
    axes.set_xscale("log", base=2)
    axes.set_xlim(max(batch_sizes) * 2**0.4, min(batch_sizes) / 2**0.4)
    gap = (log2(max(batch_sizes) / min(batch_sizes)) + 0.8) / max_labels
    labels, last = [], float("inf")
    for size in sorted(batch_sizes, reverse=True):
        shown = last - log2(size) >= gap
        labels.append(str(size) if shown else "")
        last = log2(size) if shown else last
    axes.set_xticks(sorted(batch_sizes, reverse=True), labels)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("batch size")


def make_panels(figure: Figure, num: int, *, share_x: bool = False) -> list[Axes]:
    """Return `num` panels with a common y axis, in the rows that `count_rows` gives."""
    columns = _count_columns(num)
    grid = figure.subplots(count_rows(num), columns, sharex=share_x, sharey=True, squeeze=False)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(w_pad=0.1)
    found = list(grid.flat)
    for axes in found[num:]:
        axes.set_visible(False)
    for axes in found[max(0, num - columns) : num]:
        axes.tick_params(labelbottom=True)
    return found[:num]


def count_rows(num: int) -> int:
    """Return the number of rows for `num` panels: three to a row, but four in two rows."""
    return -(-num // _count_columns(num))


def _count_columns(num: int) -> int:
    """Return the number of columns for `num` panels."""
    return 2 if num == 4 else min(3, num)


def draw_legend(figure: Figure, by_norm: Mapping[str, NormStyle]) -> None:
    """Draw one legend of lines for all panels, above them, in as many columns as fit."""
    handles = [Line2D([], [], color=k.colour, linestyle=k.dash) for k in by_norm.values()]
    names = [look.name for look in by_norm.values()]
    columns = max(1, min(4, 96 // (max(map(len, names)) + 9)))
    if sum(len(name) + 9 for name in names) <= 108:
        columns = len(names)
    figure.legend(handles, names, loc="outside upper left", ncols=columns, fontsize=9)


def set_percent_axis(axes: Axes, lowest: float, highest: float) -> None:
    """Set a percent y axis, on a log scale where values span more than four to one."""
    if lowest > 0 and highest / lowest > 4:
        axes.set_yscale("log")
        steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 90)
        axes.yaxis.set_minor_locator(NullLocator())
        shown = [step for step in steps if lowest / 1.6 <= step <= highest * 1.3]
        axes.set_ylim(lowest / 1.2, highest * 1.25)
        axes.set_yticks(shown)
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(axis="y", color=GRID_COLOUR, linewidth=0.7)
    axes.set_axisbelow(True)


def spread_positions(values: Sequence[float], gap: float) -> list[float]:
    """Return `values` spread until neighbours are `gap` apart, in the same order and around one
    centre.

    Each block of labels that would overlap is laid out evenly around the mean of its values.
    """
    order = sorted(range(len(values)), key=lambda i: values[i])
    blocks: list[list[int]] = []
    for index in order:
        blocks.append([index])
        while len(blocks) > 1 and _compute_block_start(blocks[-1], values, gap) < (
            _compute_block_start(blocks[-2], values, gap) + gap * len(blocks[-2])
        ):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    placed = [0.0] * len(values)
    for block in blocks:
        start = _compute_block_start(block, values, gap)
        for place, index in enumerate(block):
            placed[index] = start + gap * place
    return placed


def _compute_block_start(block: Sequence[int], values: Sequence[float], gap: float) -> float:
    """Return the position of the first label of a block."""
    centre = sum(values[i] for i in block) / len(block)
    return centre - gap * (len(block) - 1) / 2
