"""The comparison of two sweeps as a page, a table and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.figures import sweep_changes
from analysis.figures.rendering import render_figure
from analysis.formatting import (
    format_count,
    format_difference,
    format_half_width,
    format_interval,
    format_number,
    format_p,
    format_p_relation,
    join_words,
)
from analysis.reporting.html import render_html
from analysis.reporting.markdown import render_markdown
from analysis.reporting.methods import METHODS
from analysis.reporting.page import ReportPage, ReportSection, list_presets, make_slugs
from analysis.reporting.report_figures import ReportFigure
from analysis.reporting.tables import PageTable, TableCell
from analysis.reporting.write_report import FORMATS, format_csv, write_report_files
from analysis.schema import Results
from analysis.statistics.comparison import build_comparisons
from analysis.statistics.inference.intervals import ROUNDING_TOLERANCE
from analysis.statistics.strata import remove_levels
from analysis.statistics.sweep_changes import Change, SweepChanges, compute_changes

CLAIMS_METHOD = (
    "Claims",
    "One family is declared: each norm's AUEC after against before, of all comparisons of the "
    "report, adjusted together by Holm. Single batch sizes are exploratory and adjusted together. "
    "Intervals are each comparison's own, the verdict is Holm's.",
)


def write_comparison_files(
    before: Results,
    after: Results,
    out: str | Path,
    settings_filter: Mapping[str, str] | None = None,
) -> tuple[Path, list[str]]:
    """Write the comparison of two sweeps to the folder `out`.

    Args:
        before: results of the earlier sweep.
        after: results of the later sweep.
        out: folder, made if absent.
        settings_filter: value that each setting has in all trials of both sweeps, as text, by
            setting name. A level of the filter does not make the sweeps different where the
            setting is a factor in one of them alone.

    Returns:
        The path of the HTML page, and the sentences on what changed.

    Raises:
        AnalysisError: the two have nothing in common, or `out` cannot be written to.
    """
    before, after = (
        _remove_filtered_levels(results, settings_filter or {}) for results in (before, after)
    )
    changes = compute_changes(build_comparisons(before), build_comparisons(after))
    suffixes = (
        [f"-{name}" for name in make_slugs([c.label for c in changes])]
        if len(changes) > 1
        else [""]
    )
    content = ReportPage(
        name=f"{before.name} → {after.name}",
        presets=tuple(dict.fromkeys((*list_presets(before), *list_presets(after)))),
        sections=tuple(map(_build_section, changes, suffixes)),
        notes=tuple(dict.fromkeys((*before.notes, *after.notes))),
        methods=(*(item for item in METHODS if item[0] not in ("Gap", "Claims")), CLAIMS_METHOD),
        protocol=_list_unequal_settings(before, after),
        provenance=_list_code_versions(before, after),
        warnings=(*before.warnings, *after.warnings),
    )
    figures = [drawn for section in content.sections for drawn in section.figures]
    files = {
        f"figures/{d.stem}.{form}": render_figure(d.figure, form)
        for d in figures
        for form in FORMATS
    }
    svg = {drawn.stem: files[f"figures/{drawn.stem}.svg"] for drawn in figures}
    files["report.html"] = render_html(content, svg).encode()
    files["report.md"] = render_markdown(content).encode()
    files["tables/changes.csv"] = format_csv(tabulate_sweep_changes(changes)).encode()
    lines = [line for section in content.sections for line in section.answer]
    return write_report_files(Path(out), files), lines


def _remove_filtered_levels(results: Results, settings_filter: Mapping[str, str]) -> Results:
    """Return `results` with variants that leave out the levels of the filter."""
    trials, expected = (
        frame.assign(
            variant=[remove_levels(variant, settings_filter) for variant in frame["variant"]]
        ).astype({"variant": frame["variant"].dtype})
        for frame in (results.trials, results.expected)
    )
    untrained = tuple(
        replace(cells, variant=remove_levels(cells.variant, settings_filter))
        for cells in results.untrained
    )
    return replace(results, trials=trials, expected=expected, untrained=untrained)


def _build_section(pair_changes: SweepChanges, suffix: str) -> ReportSection:
    """Return the page's section on one comparison."""
    caption = (
        "After minus before, with 95 % intervals: filled where the change is distinguishable from "
        "none (Holm)."
    )
    return ReportSection(
        label=pair_changes.label if suffix else "",
        coverage=(),
        answer=tuple(describe_changes(pair_changes)),
        missing=pair_changes.unmatched,
        power=(),
        figures=(
            ReportFigure(
                f"moved{suffix}",
                "What moved",
                caption,
                sweep_changes.ALT,
                sweep_changes.draw_sweep_changes(pair_changes),
            ),
        ),
        tables=(_build_table(pair_changes),),
    )


def describe_changes(pair_changes: SweepChanges) -> list[str]:
    """Return sentences on what changed; a change that is not significant is not called none."""
    lines = (
        [f"Not the same thing was trained: {pair_changes.mismatch}."]
        if pair_changes.mismatch
        else []
    )
    if pair_changes.shared_sizes:
        sizes = join_words(pair_changes.shared_sizes)
        lines.append(f"AUEC is over the batch sizes that both have: {sizes}.")
    declared = [change for change in pair_changes.changes if change.batch_size is None]
    lines += [_describe_auec_change(change, pair_changes.family_size) for change in declared]
    cells = [change for change in pair_changes.changes if change.batch_size is not None]
    moving = [
        f"{c.norm} at {c.batch_size} ({format_difference(c.difference)})"
        for c in cells
        if c.is_significant
    ]
    if moving:
        lines.append(f"At single batch sizes these moved (Holm over all): {join_words(moving)}.")
    elif cells:
        lines.append(_describe_no_change(cells))
    lines += _describe_diverged_changes(cells)
    if pair_changes.unmatched:
        lines.append(
            "Not compared, since only one of the two has them: "
            f"{_join_first(pair_changes.unmatched)}."
        )
    return lines


def _describe_no_change(cells: Sequence[Change]) -> str:
    """Return a sentence that no cell changed, and whether that was tested."""
    if all(
        max(abs(c.before - c.after), abs(c.difference.value)) <= ROUNDING_TOLERANCE for c in cells
    ):
        return f"All {format_count(len(cells), 'cell')} are the same before and after."
    tested = [c for c in cells if not np.isnan(c.p_adjusted)]
    if not tested:
        return (
            f"Whether any of {format_count(len(cells), 'cell')} moved cannot be tested: fewer than "
            "three seeds, or each with the same difference."
        )
    text = (
        f"None of {format_count(len(tested), 'cell')} moved distinguishably (Holm over all of them)"
    )
    untested = len(cells) - len(tested)
    return f"{text}; {untested} could not be tested." if untested else f"{text}."


def _describe_diverged_changes(cells: Sequence[Change]) -> list[str]:
    """Return a sentence on changes that rest on diverged trials, if there are any."""
    lost = [
        f"{c.norm} at {c.batch_size} ({c.diverged_before} before, {c.diverged_after} after)"
        for c in cells
        if c.diverged_before or c.diverged_after
    ]
    if not lost:
        return []
    return [
        f"Diverged trials, which count at the error of guessing (†): {join_words(lost)}. A "
        "change may "
        "rest on them alone."
    ]


def _join_first(items: Sequence[str], most: int = 4) -> str:
    """Return the first `most` items and the number of the others."""
    shown = "; ".join(item.removeprefix("only ") for item in items[:most])
    return shown if len(items) <= most else f"{shown}; and {len(items) - most} more"


def _describe_auec_change(change: Change, family: int) -> str:
    """Return a sentence on the change of a norm's AUEC."""
    mean = change.difference
    mark = "†" if change.diverged_before or change.diverged_after else ""
    text = (
        f"{change.norm}: AUEC{mark} {format_number(change.before)} % before, "
        f"{format_number(change.after)} % "
        f"after{_describe_seeds(change)}"
    )
    if np.isnan(mean.half_width):
        return (
            f"{text} ({format_difference(mean)} points over {format_count(mean.num, 'seed')}, "
            "no interval)."
        )
    how = "" if change.is_paired else ", Welch's, as fewer than three seeds are in common"
    verdict = "moved" if change.is_significant else "not distinguishable from no change"
    p = f", Holm-adjusted p {format_p_relation(change.p_adjusted)}"
    if not change.is_significant and not mean.low <= 0 <= mean.high:
        p = (
            f" by itself, but p {format_p_relation(change.p_adjusted)} after Holm's adjustment "
            f"for {family} "
        )
        p += "comparisons"
    moved_by = f"{format_difference(mean)} points"
    return f"{text}: {verdict} ({moved_by}, 95 % interval {format_interval(mean)}{p}{how})."


def _describe_seeds(change: Change) -> str:
    """Return words on the seeds of the means, where they are not those of the difference."""
    if change.drops_seeds and change.difference.num:
        return f" (over the {format_count(change.difference.num, 'seed')} in common)"
    if change.is_paired and change.difference.num:
        return ""
    return " (over each one's own seeds)"


def _build_table(pair_changes: SweepChanges) -> PageTable:
    """Return the page's table of changes."""
    by_key = {(change.norm, change.batch_size): change for change in pair_changes.changes}
    norms = list(dict.fromkeys(norm for norm, _ in by_key))
    sizes = sorted({size for _, size in by_key if size is not None}, reverse=True)
    columns: list[int | None] = [None, *sizes]
    lost = any(change.diverged_before or change.diverged_after for change in pair_changes.changes)
    return PageTable(
        "Changes in test error",
        ("norm", "AUEC", *map(str, sizes)),
        tuple(
            (norm, tuple(_build_change_cell(by_key.get((norm, c))) for c in columns))
            for norm in norms
        ),
        (
            "After minus before, percentage points, ± half the width of the 95 % interval; below, "
            "the p adjusted by Holm. Paired by seed where at least three are in common, otherwise "
            "Welch's. Bold: adjusted p below 0.05."
            + (" †: rests on diverged trials, counted at chance error." if lost else ""),
        ),
    )


def _build_change_cell(change: Change | None) -> TableCell:
    """Return the table cell of a change."""
    if change is None:
        return TableCell("")
    p = format_p(change.p_adjusted)
    note = f"p {p}" if p != "–" else f"n = {change.difference.num}"
    if change.diverged_before or change.diverged_after:
        note += f"\n† {change.diverged_before} → {change.diverged_after} diverged"
    mean = change.difference
    return TableCell(
        format_difference(mean), format_half_width(mean), note, best=change.is_significant
    )


def tabulate_sweep_changes(all_changes: tuple[SweepChanges, ...]) -> pd.DataFrame:
    """Return one row per change, of every comparison that both sweeps have."""
    rows = [
        {
            "comparison": item.label,
            "norm": change.norm,
            "measure": "auec" if change.batch_size is None else "error",
            "batch_size": "" if change.batch_size is None else change.batch_size,
            "before": change.before,
            "after": change.after,
            "difference": change.difference.value,
            "half_width_95": change.difference.half_width,
            "seeds": change.difference.num,
            "paired": change.is_paired,
            "p_holm": change.p_adjusted,
            "diverged_before": change.diverged_before,
            "diverged_after": change.diverged_after,
        }
        for item in all_changes
        for change in item.changes
    ]
    return pd.DataFrame(rows)


def _list_unequal_settings(before: Results, after: Results) -> tuple[tuple[str, str], ...]:
    """Return the settings that differ between the sweeps, with both values."""
    names = sorted({*before.settings.columns, *after.settings.columns})
    pairs = [
        (name, *(" / ".join(sorted(set(t.settings.get(name, [])) - {""})) for t in (before, after)))
        for name in names
    ]
    return tuple((name, f"{was or '–'} → {now or '–'}") for name, was, now in pairs if was != now)


def _list_code_versions(before: Results, after: Results) -> tuple[tuple[str, str], ...]:
    """Return the code versions of both sweeps, as a row of the provenance."""
    texts = [", ".join(sorted(set(t.trials["code_version"]) - {""})) for t in (before, after)]
    return (("code versions", " → ".join(text or "–" for text in texts)),) if any(texts) else ()
