"""What was asked for, what is there, and what is missing, in words."""

from __future__ import annotations

from analysis.formatting import counted, listed, spans
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.intervals import MIN_SEEDS

FEW = 12
"""Cells without a result that are named one by one."""


def coverage(comparison: Comparison) -> list[str]:
    """What was asked for, what is there, and what that forbids to say."""
    cells = comparison.cells.values()
    asked = sum(len(cell.seeds) for cell in cells)
    ended = sum(len(cell.ended) for cell in cells)
    rows = len(comparison.trials)
    sizes = comparison.batch_sizes
    span = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
    counts = {len(cell.ended) for cell in cells}
    few_seeds, seeds = min(counts), counted(max(counts), "seed")
    things = counted(asked, "trial") if comparison.has_grid else counted(rows, "row")
    lines = [
        f"{ended} of {things} {'has' if things.startswith('1 ') else 'have'} a result: "
        f"{counted(len(comparison.norms), 'norm')}, batch size{'s'[: len(sizes) > 1]} {span}, "
        f"{seeds if len(counts) == 1 else f'{few_seeds} to {seeds}'} each."
    ]
    if not comparison.made_by_sweep and len(comparison.norms) > 1 and not comparison.is_unpaired:
        lines.append(
            "Rows of one seed are compared with each other: right if one seed gave every norm the "
            "same initial weights, data order or split. The table does not say so; where it did "
            "not, read welch_p in tables/gaps.csv, which pairs nothing."
        )
    few = [cell for cell in cells if 0 < len(cell.ended) < MIN_SEEDS]
    if few:
        lines.append(
            f"Fewer than {MIN_SEEDS} seeds in {counted(len(few), 'cell')}: no interval is given "
            "there, and nothing is claimed from it."
        )
    versions = comparison.trials.groupby("norm")["spec_version"].agg(set)
    if len(set().union(*versions) - {""}) > 1:
        parts = [f"{', '.join(sorted(versions[norm]))} for {norm}" for norm in comparison.norms]
        lines.append(
            "Not trained to one specification: the spec version, which says what settings mean, "
            f"is {listed(parts)}. Differences may come of that."
        )
    return [*lines, *left_out(comparison)]


def left_out(comparison: Comparison) -> list[str]:
    """Which cells the grid crosses and does not train, with the reason; a line for each reason."""
    return [
        f"Not trained: {item.norm} at batch size{'s'[: len(item.batch_sizes) > 1]} "
        f"{listed(item.batch_sizes)}: {item.reason}."
        for item in comparison.untrained
    ]


def in_short(lines: list[str]) -> list[str]:
    """The first few of the lines, and how many more there are."""
    more = len(lines) - FEW
    return lines if more <= 1 else [*lines[:FEW], f"and {more} more cells"]


def missing_trials(comparison: Comparison) -> list[str]:
    """One line per cell that lacks results: which seeds, and what became of them.

    Where nobody asked for the trial, all that is known is that it has no row.
    """
    absent = "not started" if comparison.has_grid else "no row"
    trials = comparison.trials
    keys = zip(trials["norm"], trials["batch_size"], trials["seed"], strict=True)
    outcomes = dict(zip(keys, trials["outcome"].str.replace("_", " "), strict=True))
    lines = []
    for (norm, size), cell in comparison.cells.items():
        states: dict[str, list[int]] = {}
        for seed in cell.missing:
            states.setdefault(outcomes.get((norm, size, seed), absent), []).append(seed)
        if states:
            parts = [
                f"{'seed' if len(seeds) == 1 else 'seeds'} {listed(spans(seeds))} {state}"
                for state, seeds in states.items()
            ]
            lines.append(f"{norm} at batch size {size}: {'; '.join(parts)}")
    return lines if comparison.has_grid else [*lines, *_absent_seeds(comparison)]


def _absent_seeds(comparison: Comparison) -> list[str]:
    """Seeds that a norm has no row of, and another has that it shares seeds with."""
    grouped = comparison.trials.groupby("norm")["seed"]
    own = {str(norm): {int(seed) for seed in seeds} for norm, seeds in grouped}
    lines = []
    for norm in comparison.norms:
        beside = [seeds for seeds in own.values() if seeds & own[norm]]
        absent = sorted(set().union(*beside) - own[norm])
        if absent:
            what = "seed" if len(absent) == 1 else "seeds"
            lines.append(f"{norm} at every batch size: {what} {listed(spans(absent))} no row")
    return lines
