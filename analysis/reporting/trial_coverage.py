"""Sentences on expected trials: which have a result and which are missing."""

from __future__ import annotations

from analysis.formatting import format_count, format_ranges, join_words
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.intervals import MIN_SEEDS

MAX_CELLS_LISTED = 12
"""Cells without a result that are listed, at most."""


def describe_coverage(comparison: Comparison) -> list[str]:
    """Return sentences on how many trials have a result and what that forbids to claim."""
    cells = comparison.cells.values()
    asked = sum(len(cell.seeds) for cell in cells)
    ended = sum(len(cell.ended) for cell in cells)
    rows = len(comparison.trials)
    sizes = comparison.batch_sizes
    span = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
    counts = {len(cell.ended) for cell in cells}
    few_seeds, seeds = min(counts), format_count(max(counts), "seed")
    things = format_count(asked, "trial") if comparison.has_grid else format_count(rows, "row")
    lines = [
        f"{ended} of {things} {'has' if things.startswith('1 ') else 'have'} a result: "
        f"{format_count(len(comparison.norms), 'norm')}, batch size{'s'[: len(sizes) > 1]} {span}, "
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
            f"Fewer than {MIN_SEEDS} seeds in {format_count(len(few), 'cell')}: no interval "
            "is given "
            "there, and nothing is claimed from it."
        )
    versions = comparison.trials.groupby("norm")["spec_version"].agg(set)
    if len(set().union(*versions) - {""}) > 1:
        parts = [f"{', '.join(sorted(versions[norm]))} for {norm}" for norm in comparison.norms]
        lines.append(
            "Not trained to one specification: the spec version, which says what settings mean, "
            f"is {join_words(parts)}. Differences may come of that."
        )
    return [*lines, *describe_untrained(comparison)]


def describe_untrained(comparison: Comparison) -> list[str]:
    """Return a sentence per reason on cells that the grid's factors make but nobody trains."""
    return [
        f"Not trained: {item.norm} at batch size{'s'[: len(item.batch_sizes) > 1]} "
        f"{join_words(item.batch_sizes)}: {item.reason}."
        for item in comparison.untrained
    ]


def shorten_list(lines: list[str]) -> list[str]:
    """Return the first `MAX_CELLS_LISTED` lines, and a line with the number of the others."""
    more = len(lines) - MAX_CELLS_LISTED
    return lines if more <= 1 else [*lines[:MAX_CELLS_LISTED], f"and {more} more cells"]


def list_missing_trials(comparison: Comparison) -> list[str]:
    """Return one line per cell that lacks results: which seeds, and their outcome.

    Without a grid a missing trial has no row, and no more is known.
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
                f"{'seed' if len(seeds) == 1 else 'seeds'} "
                f"{join_words(format_ranges(seeds))} {state}"
                for state, seeds in states.items()
            ]
            lines.append(f"{norm} at batch size {size}: {'; '.join(parts)}")
    return lines if comparison.has_grid else [*lines, *_list_absent_seeds(comparison)]


def _list_absent_seeds(comparison: Comparison) -> list[str]:
    """Return lines on seeds without a row for a norm that shares other seeds with another norm."""
    grouped = comparison.trials.groupby("norm")["seed"]
    own = {str(norm): {int(seed) for seed in seeds} for norm, seeds in grouped}
    lines = []
    for norm in comparison.norms:
        beside = [seeds for seeds in own.values() if seeds & own[norm]]
        absent = sorted(set().union(*beside) - own[norm])
        if absent:
            what = "seed" if len(absent) == 1 else "seeds"
            lines.append(
                f"{norm} at every batch size: {what} {join_words(format_ranges(absent))} no row"
            )
    return lines
