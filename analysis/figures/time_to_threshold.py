"""How many trials have not yet reached the threshold, over epochs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import GRID, Look, legend, looks, panels, rows_of, sheet
from analysis.findings import Findings
from analysis.statistics.survival import SurvivalCurve, estimate_survival

ALT = (
    "Step curves of the fraction of trials that have not yet reached the declared test error, "
    "one panel per batch size, one line per norm, with the numbers still at risk underneath."
)


def draw(findings: Findings) -> Figure | None:
    """Kaplan-Meier curves over epochs by batch size.

    None where no threshold was declared, or no trial reached it: the table says so.
    """
    times = findings.times
    if times is None or not times["reached"].any():
        return None
    by_norm = looks(findings.comparison.norms)
    sizes = [b for b in findings.comparison.batch_sizes if (times["batch_size"] == b).any()]
    by_norm = {norm: by_norm[norm] for norm in by_norm if (times["norm"] == norm).any()}
    height = 1.9 + 0.16 * len(by_norm)
    with sheet(7.2, 0.6 + height * rows_of(len(sizes))) as figure:
        horizon = max(1.0, float(times["epochs"].max()))
        grid = panels(figure, len(sizes))
        for axes, size in zip(grid, sizes, strict=True):
            _panel(axes, times[times["batch_size"] == size], by_norm, horizon)
            axes.set_title(f"batch size {size}")
            spec = axes.get_subplotspec()
            if spec is not None and spec.is_first_col():
                axes.set_ylabel("fraction not there yet")
                for row, look in enumerate(by_norm.values()):
                    _beneath(axes, look.name, (0, row), look.colour, left=True)
        legend(figure, by_norm)
        return figure


def _panel(axes: Axes, times: pd.DataFrame, by_norm: dict[str, Look], horizon: float) -> None:
    ticks = np.unique(np.linspace(0, horizon, 4).round())
    lines = []
    for norm, look in by_norm.items():
        part = times[times["norm"] == norm]
        if part.empty:
            lines.append((look.colour, ["–"] * len(ticks)))
            continue
        curve = estimate_survival(part["epochs"].to_numpy(float), part["reached"].to_numpy(bool))
        axes.step(
            curve.times,
            curve.remaining,
            where="post",
            color=look.colour,
            linestyle=look.dash,
            linewidth=1.5,
        )
        lines.append((look.colour, [str(at_risk(curve, part, tick)) for tick in ticks]))
    axes.set_ylim(-0.03, 1.05)
    axes.set_xlim(0, horizon * 1.04)
    axes.set_xticks(ticks)
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    axes.set_xlabel("epoch; below, trials at risk" + "\n" * len(lines))
    for row, (colour, counts) in enumerate(lines):
        for tick, count in zip(ticks, counts, strict=True):
            _beneath(axes, count, (tick, row), colour)


def _beneath(
    axes: Axes, text: str, at: tuple[float, int], colour: str, *, left: bool = False
) -> None:
    """`text` under the x axis at an epoch, in a row of the numbers at risk, or left of them."""
    epoch, row = at
    axes.annotate(
        text,
        (epoch, 0),
        xycoords=("data", "axes fraction"),
        xytext=(-16 if left else 0, -31 - 10 * row),
        textcoords="offset points",
        ha="right" if left else "center",
        va="top",
        color=colour,
        fontsize=7.5,
    )


def at_risk(curve: SurvivalCurve, times: pd.DataFrame, tick: float) -> int:
    """Trials that are still watched and above the threshold just before epoch `tick`."""
    return int((times["epochs"] >= tick).sum()) if tick else int(curve.at_risk[0])
