"""`compare`: two sweeps side by side, as a page, a table and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.figures import sweep_changes
from analysis.figures.rendering import rendered
from analysis.formatting import (
    between,
    counted,
    digits_for,
    equals,
    listed,
    number,
    p_value,
    signed,
)
from analysis.reporting.html import html
from analysis.reporting.markdown import markdown
from analysis.reporting.methods import METHODS
from analysis.reporting.page import Page, Section, edition_of, slugs
from analysis.reporting.report_figures import Drawn
from analysis.reporting.tables import Shown, Table, margin
from analysis.reporting.write_report import FORMATS, write
from analysis.schema import Results
from analysis.statistics.comparison import build_comparisons
from analysis.statistics.inference.intervals import ROUNDING_TOLERANCE
from analysis.statistics.sweep_changes import Change, SweepChanges, compare_sweeps

CLAIMS = (
    "Claims",
    "One family is declared: each norm's AUEC after against before, of all comparisons of the "
    "report, adjusted together by Holm. Single batch sizes are exploratory and adjusted together. "
    "Intervals are each comparison's own, the verdict is Holm's.",
)


def compare(before: Results, after: Results, out: str | Path) -> tuple[Path, list[str]]:
    """Write what moved from `before` to `after` to the folder `out`.

    Returns the page's path and what was found, in lines. Raises `InputError` where the two have
    nothing in common or `out` cannot be written.
    """
    found = compare_sweeps(build_comparisons(before), build_comparisons(after))
    suffixes = [f"-{name}" for name in slugs([c.label for c in found])] if len(found) > 1 else [""]
    content = Page(
        name=f"{before.name} → {after.name}",
        edition=" / ".join(dict.fromkeys(filter(None, (edition_of(before), edition_of(after))))),
        sections=tuple(map(_section, found, suffixes)),
        notes=tuple(dict.fromkeys((*before.notes, *after.notes))),
        methods=(*(item for item in METHODS if item[0] not in ("Gap", "Claims")), CLAIMS),
        protocol=_settings_that_differ(before, after),
        provenance=_versions(before, after),
        warnings=(*before.warnings, *after.warnings),
    )
    figures = [drawn for section in content.sections for drawn in section.figures]
    files = {
        f"figures/{d.stem}.{form}": rendered(d.figure, form) for d in figures for form in FORMATS
    }
    svg = {drawn.stem: files[f"figures/{drawn.stem}.svg"] for drawn in figures}
    files["report.html"] = html(content, svg).encode()
    files["report.md"] = markdown(content).encode()
    files["tables/changes.csv"] = _csv(found).encode()
    lines = [line for section in content.sections for line in section.answer]
    return write(Path(out), files), lines


def _section(found: SweepChanges, suffix: str) -> Section:
    caption = (
        "After minus before, with 95 % intervals: filled where the change is distinguishable from "
        "none (Holm)."
    )
    return Section(
        label=found.label if suffix else "",
        coverage=(),
        answer=tuple(answer(found)),
        missing=found.unmatched,
        power=(),
        figures=(
            Drawn(
                f"moved{suffix}",
                "What moved",
                caption,
                sweep_changes.ALT,
                sweep_changes.draw(found),
            ),
        ),
        tables=(_table(found),),
    )


def answer(found: SweepChanges) -> list[str]:
    """What moved, in words; nothing is called unchanged that is merely not distinguishable."""
    lines = [f"Not the same thing was trained: {found.mismatch}."] if found.mismatch else []
    if found.shared_sizes:
        sizes = listed(found.shared_sizes)
        lines.append(f"AUEC is over the batch sizes that both have: {sizes}.")
    declared = [change for change in found.changes if change.batch_size is None]
    lines += [_declared(change, found.family_size) for change in declared]
    cells = [change for change in found.changes if change.batch_size is not None]
    moving = [
        f"{c.norm} at {c.batch_size} ({signed(c.difference.value)})"
        for c in cells
        if c.is_significant
    ]
    if moving:
        lines.append(f"At single batch sizes these moved (Holm over all): {listed(moving)}.")
    elif cells:
        lines.append(_none_moved(cells))
    lines += _diverged(cells)
    if found.unmatched:
        lines.append(f"Not compared, since only one of the two has them: {_few(found.unmatched)}.")
    return lines


def _none_moved(cells: Sequence[Change]) -> str:
    """That no cell moved, and how far that is a result of a test."""
    if all(
        max(abs(c.before - c.after), abs(c.difference.value)) <= ROUNDING_TOLERANCE for c in cells
    ):
        return f"All {counted(len(cells), 'cell')} are the same before and after."
    tested = [c for c in cells if not np.isnan(c.p_adjusted)]
    if not tested:
        return (
            f"Whether any of {counted(len(cells), 'cell')} moved cannot be tested: fewer than "
            "three seeds, or each with the same difference."
        )
    text = f"None of {counted(len(tested), 'cell')} moved distinguishably (Holm over all of them)"
    untested = len(cells) - len(tested)
    return f"{text}; {untested} could not be tested." if untested else f"{text}."


def _diverged(cells: Sequence[Change]) -> list[str]:
    """Where trials diverged that a change rests on."""
    lost = [
        f"{c.norm} at {c.batch_size} ({c.diverged_before} before, {c.diverged_after} after)"
        for c in cells
        if c.diverged_before or c.diverged_after
    ]
    if not lost:
        return []
    return [
        f"Diverged trials, which count at the error of guessing (†): {listed(lost)}. A change may "
        "rest on them alone."
    ]


def _few(items: Sequence[str], most: int = 4) -> str:
    shown = "; ".join(item.removeprefix("only ") for item in items[:most])
    return shown if len(items) <= most else f"{shown}; and {len(items) - most} more"


def _declared(change: Change, family: int) -> str:
    mean = change.difference
    mark = "†" if change.diverged_before or change.diverged_after else ""
    text = (
        f"{change.norm}: AUEC{mark} {number(change.before)} % before, {number(change.after)} % "
        f"after{_over(change)}"
    )
    if np.isnan(mean.half_width):
        return (
            f"{text} ({signed(mean.value)} points over {counted(mean.num, 'seed')}, no interval)."
        )
    how = "" if change.is_paired else ", Welch's, as fewer than three seeds are in common"
    verdict = "moved" if change.is_significant else "not distinguishable from no change"
    p = f", Holm-adjusted p {equals(change.p_adjusted)}"
    if not change.is_significant and not mean.low <= 0 <= mean.high:
        p = f" by itself, but p {equals(change.p_adjusted)} after Holm's adjustment for {family} "
        p += "comparisons"
    moved_by = f"{signed(mean.value, digits_for(mean))} points"
    return f"{text}: {verdict} ({moved_by}, 95 % interval {between(mean)}{p}{how})."


def _over(change: Change) -> str:
    """Over which seeds the means are, where the difference is not over the same ones."""
    if change.drops_seeds and change.difference.num:
        return f" (over the {counted(change.difference.num, 'seed')} in common)"
    if change.is_paired and change.difference.num:
        return ""
    return " (over each one's own seeds)"


def _table(found: SweepChanges) -> Table:
    by_key = {(change.norm, change.batch_size): change for change in found.changes}
    norms = list(dict.fromkeys(norm for norm, _ in by_key))
    sizes = sorted({size for _, size in by_key if size is not None}, reverse=True)
    columns: list[int | None] = [None, *sizes]
    lost = any(change.diverged_before or change.diverged_after for change in found.changes)
    return Table(
        "Changes in test error",
        ("norm", "AUEC", *map(str, sizes)),
        tuple((norm, tuple(_shown(by_key.get((norm, c))) for c in columns)) for norm in norms),
        (
            "After minus before, percentage points, ± half the width of the 95 % interval; below, "
            "the p adjusted by Holm. Paired by seed where at least three are in common, otherwise "
            "Welch's. Bold: adjusted p below 0.05."
            + (" †: rests on diverged trials, counted at chance error." if lost else ""),
        ),
    )


def _shown(change: Change | None) -> Shown:
    if change is None:
        return Shown("")
    p = p_value(change.p_adjusted)
    note = f"p {p}" if p != "–" else f"n = {change.difference.num}"
    if change.diverged_before or change.diverged_after:
        note += f"\n† {change.diverged_before} → {change.diverged_after} diverged"
    mean = change.difference
    return Shown(signed(mean.value), margin(mean), note, best=change.is_significant)


def _csv(found: tuple[SweepChanges, ...]) -> str:
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
        for item in found
        for change in item.changes
    ]
    text: str = pd.DataFrame(rows).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text


def _settings_that_differ(before: Results, after: Results) -> tuple[tuple[str, str], ...]:
    names = sorted({*before.settings.columns, *after.settings.columns})
    pairs = [
        (name, *(" / ".join(sorted(set(t.settings.get(name, [])) - {""})) for t in (before, after)))
        for name in names
    ]
    return tuple((name, f"{was or '–'} → {now or '–'}") for name, was, now in pairs if was != now)


def _versions(before: Results, after: Results) -> tuple[tuple[str, str], ...]:
    texts = [", ".join(sorted(set(t.trials["code_version"]) - {""})) for t in (before, after)]
    return (("code versions", " → ".join(text or "–" for text in texts)),) if any(texts) else ()
