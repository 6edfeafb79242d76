"""The Python interface: results as data frames and reports.

A function takes loaded `Results`, or for a whole report any source that `load_results` takes. It
prints nothing and raises `AnalysisError`. The command line is written on these functions.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from analysis.errors import AnalysisError

if TYPE_CHECKING:
    import pandas as pd

    from analysis.findings import Findings
    from analysis.schema import Results

logger = logging.getLogger(__name__)

# Libraries are imported inside the functions: a report that is unchanged needs none of them, and
# they take longer to load than everything else that such a command does.

Source: TypeAlias = "str | Path | pd.DataFrame | Results"
"""Loaded results, or what `load_results` takes."""


class WrittenReport(NamedTuple):
    """A report in a folder.

    Attributes:
        page: path of its HTML page.
        headline: its main sentences, warnings first.
    """

    page: Path
    headline: list[str]


def tabulate_errors(results: Results, *, reference: str | None = None) -> pd.DataFrame:
    """Return the mean test error of every norm at every batch size.

    Args:
        results: trials from `load_results`.
        reference: norm that is listed first; None for the one that the sweep declares, else its
            first.

    Returns:
        One row per comparison, norm and batch size: `mean_error`, `half_width_95` and `sd` in
        percent, numbers of seeds and of diverged trials, the mean over trials that did not
        diverge, and `comparison`, the data set, network and variant.

    Raises:
        AnalysisError: `reference` is no norm of the results, or no trial has ended.

    Examples:
        >>> import pandas as pd
        >>> from analysis import load_results
        >>> rows = [("bn", 8, 0, 6.0), ("bn", 8, 1, 7.0), ("gn", 8, 0, 6.2), ("gn", 8, 1, 6.4)]
        >>> frame = pd.DataFrame(rows, columns=["norm", "batch_size", "seed", "test_error"])
        >>> tabulate_errors(load_results(frame))[["norm", "mean_error", "seeds_ended"]]
          norm  mean_error  seeds_ended
        0   bn         6.5            2
        1   gn         6.3            2
    """
    from analysis.reporting.tables import tabulate_cell_errors

    found = compute_results_findings(results, reference=reference)
    return _join_tables(found, lambda item: tabulate_cell_errors(item.comparison))


def tabulate_measures(
    results: Results, *, reference: str | None = None, margin: float | None = None
) -> pd.DataFrame:
    """Return the robustness measures of every norm.

    Args:
        results: trials from `load_results`.
        reference: norm that is listed first; None for the one that the sweep declares, else its
            first.
        margin: difference in error that counts as none, points, for the safe range; None for 0.5
            with up to ten classes and 1 with more.

    Returns:
        One row per comparison and norm, one column per measure, with `_low_95` and `_high_95` for
        the ends of intervals. The documentation of the measures defines them.

    Raises:
        AnalysisError: `reference` is no norm of the results, `margin` is not positive, or no trial
            has ended.

    Examples:
        >>> import pandas as pd
        >>> from analysis import load_results
        >>> rows = [("bn", 8, 0, 6.0), ("bn", 2, 0, 10.0), ("gn", 8, 0, 6.0), ("gn", 2, 0, 7.0)]
        >>> frame = pd.DataFrame(rows, columns=["norm", "batch_size", "seed", "test_error"])
        >>> tabulate_measures(load_results(frame))[["norm", "auec", "degradation", "slope"]]
          norm  auec  degradation  slope
        0   bn   8.0          4.0    2.0
        1   gn   6.5          1.0    0.5
    """
    from analysis.reporting.measure_table import tabulate_norm_measures

    found = compute_results_findings(results, reference=reference, margin=margin)
    return _join_tables(found, tabulate_norm_measures)


def compare(
    results: Results, *, reference: str | None = None, margin: float | None = None
) -> pd.DataFrame:
    """Return the difference in error of every norm from the reference.

    Args:
        results: trials from `load_results`.
        reference: norm that the others are compared with; None for the one that the sweep
            declares, else its first.
        margin: difference in error that counts as none, points, for the verdicts; None for 0.5
            with up to ten classes and 1 with more.

    Returns:
        One row per comparison, norm and measure: `auec` (level) and `degradation` (robustness),
        the declared family, with a missing `batch_size`, then `error` at each batch size
        (exploratory). `difference` and half-widths are in percentage points: `half_width_95` of a
        row by itself, `half_width_simultaneous` in agreement with `p_holm`, which is adjusted over
        the family. `verdict` is better, worse, equivalent or undecided. Welch's unpaired result is
        beside.

    Raises:
        AnalysisError: `reference` is no norm of the results, `margin` is not positive, or no trial
            has ended.

    Examples:
        >>> import pandas as pd
        >>> from analysis import load_results
        >>> errors = {"bn": [9.0, 9.2, 9.3], "gn": [7.0, 7.3, 7.2]}
        >>> rows = [(norm, 8, seed, error) for norm in errors
        ...         for seed, error in enumerate(errors[norm])]
        >>> frame = pd.DataFrame(rows, columns=["norm", "batch_size", "seed", "test_error"])
        >>> found = compare(load_results(frame), reference="bn")
        >>> found[["norm", "measure", "difference", "p_holm"]].round(3)
          norm measure  difference  p_holm
        0   gn    auec        -2.0   0.001
        1   gn   error        -2.0   0.001
    """
    from analysis.reporting.tables import tabulate_contrasts

    found = compute_results_findings(results, reference=reference, margin=margin)
    table = _join_tables(found, tabulate_contrasts)
    return _number_batch_sizes(table)


def compare_sweeps(before: Results, after: Results) -> pd.DataFrame:
    """Return the change of test error between two sweeps.

    Args:
        before: trials of the earlier sweep.
        after: trials of the later sweep.

    Returns:
        One row per comparison, norm and measure: `auec` with a missing `batch_size`, then `error`
        at each batch size. `difference` is after minus before, percentage points; `paired` is
        false for Welch's result, taken where fewer than three seeds are in common.

    Raises:
        AnalysisError: the sweeps have no comparison, or no cell, in common.

    Examples:
        >>> import pandas as pd
        >>> from analysis import load_results
        >>> rows = [("bn", 8, seed, error) for seed, error in enumerate([9.0, 9.2, 9.3])]
        >>> frame = pd.DataFrame(rows, columns=["norm", "batch_size", "seed", "test_error"])
        >>> later = frame.assign(test_error=[8.0, 8.3, 8.2])
        >>> changes = compare_sweeps(load_results(frame), load_results(later))
        >>> changes[["norm", "measure", "difference"]].round(3)
          norm measure  difference
        0   bn    auec        -1.0
        1   bn   error        -1.0
    """
    from analysis.reporting.sweep_comparison import tabulate_sweep_changes
    from analysis.statistics.comparison import build_comparisons
    from analysis.statistics.sweep_changes import compute_changes

    changes = compute_changes(build_comparisons(before), build_comparisons(after))
    return _number_batch_sizes(tabulate_sweep_changes(changes))


def write_report(
    source: Source | Sequence[Source],
    out: str | Path,
    *,
    reference: str | None = None,
    margin: float | None = None,
    threshold: float | None = None,
    settings_filter: Mapping[str, str] | None = None,
) -> WrittenReport:
    """Write the report on a source to a folder.

    The folder gets `report.html`, `report.md`, `report.json`, `tables/` (CSV and LaTeX) and
    `figures/` (SVG, PNG, PDF). Equal trials give equal bytes. A report in `out` that was made from
    an unchanged source with the same options is kept.

    Args:
        source: results, or anything that `load_results` takes; or a list of these, which
            `merge_results` makes one: sweeps of one protocol are pooled, others stay apart.
        out: folder, made if absent.
        reference: norm that the others are compared with; None for the one that the sweep
            declares, else its first.
        margin: difference in error that counts as none, points; None for 0.5 or 1.
        threshold: test error in percent; the time to it is measured.
        settings_filter: value that a setting must have, as text, by setting name; only for a
            source that is not loaded yet.

    Returns:
        The path of the page and the main sentences.

    Raises:
        AnalysisError: the source or an option cannot be used, `out` cannot be written to, or a
            file of other origin would be lost.
    """
    folder = Path(out)
    sources: list[Source] = (
        list(source) if isinstance(source, list | tuple) else [cast("Source", source)]
    )
    digest = None
    paths = [item for item in sources if isinstance(item, str | Path)]
    if len(paths) == len(sources):
        from analysis.reporting.manifest import read_unchanged_headline

        options = (reference, margin, threshold, dict(settings_filter or {}))
        digest = _compute_digest(
            [item for item in sources if isinstance(item, str | Path)], options
        )
        headline = read_unchanged_headline(folder, digest)
        if headline is not None:
            return WrittenReport(folder / "report.html", headline)

    from analysis.reporting.summary import summarize_findings
    from analysis.reporting.write_report import render_report, write_report_files
    from analysis.sources.merge_results import merge_results

    results = merge_results([_load(item, settings_filter) for item in sources])
    names = [item if isinstance(item, str | Path) else "memory" for item in sources]
    logger.info("read %d trials from %s", len(results.trials), ", ".join(map(str, names)))
    found = compute_results_findings(results, reference, margin, threshold)
    headline = [*_format_warnings(results), *summarize_findings(found)]
    files = render_report(results, found)
    page = write_report_files(folder, files, source_digest=digest or "", headline=headline)
    logger.info("wrote the report to %s", out)
    return WrittenReport(page, headline)


def write_comparison(
    before: Source,
    after: Source,
    out: str | Path,
    *,
    settings_filter: Mapping[str, str] | None = None,
) -> WrittenReport:
    """Write the comparison of two sweeps to a folder: a page, a table and a figure.

    Args:
        before: the earlier sweep: results, or anything that `load_results` takes.
        after: the later sweep.
        out: folder, made if absent.
        settings_filter: value that a setting must have in both sweeps, as text, by setting name;
            only for sources that are not loaded yet.

    Returns:
        The path of the page and the sentences on what changed.

    Raises:
        AnalysisError: a source cannot be used, both are the same one, the two have nothing in
            common, or `out` cannot be written to.
    """
    from analysis.reporting.sweep_comparison import write_comparison_files

    if isinstance(before, str | Path) and isinstance(after, str | Path):
        from analysis.sources.source_location import check_distinct_locations, locate_source

        check_distinct_locations(locate_source(before), locate_source(after))
    pair = (_load(before, settings_filter), _load(after, settings_filter))
    page, found = write_comparison_files(*pair, out, settings_filter)
    warnings = [line for results in pair for line in _format_warnings(results)]
    return WrittenReport(page, [*warnings, *found])


def compute_results_findings(
    results: Results,
    reference: str | None = None,
    margin: float | None = None,
    threshold: float | None = None,
) -> tuple[Findings, ...]:
    """Return the findings on `results` with these options."""
    from analysis.findings import compute_findings
    from analysis.options import ReportOptions

    return compute_findings(results, ReportOptions(reference, margin, threshold))


def _compute_digest(sources: Sequence[str | Path], options: tuple[object, ...]) -> str | None:
    """Return a digest of all sources and the options; None if expensive to compute.

    Raises:
        AnalysisError: a source is not found, or two of them are one.
    """
    from analysis.sources.source_digest import compute_source_digest
    from analysis.sources.source_location import check_distinct_locations, locate_source

    locations = [locate_source(item) for item in sources]
    for place, location in enumerate(locations):
        for earlier in locations[:place]:
            check_distinct_locations(earlier, location)
    digests = [compute_source_digest(item, (*options, item.grid)) for item in locations]
    known = [item for item in digests if item is not None]
    if len(known) < len(digests):
        return None
    return known[0] if len(known) == 1 else hashlib.sha256(" ".join(known).encode()).hexdigest()


def _load(source: Source, settings_filter: Mapping[str, str] | None) -> Results:
    """Return the results of a source; loaded results as given, without a filter."""
    from analysis.schema import Results
    from analysis.sources.load_results import load_results

    if not isinstance(source, Results):
        return load_results(source, settings_filter)
    if settings_filter:
        raise AnalysisError("loaded results take no settings_filter: give it to load_results")
    return source


def _format_warnings(results: Results) -> list[str]:
    """Return the warnings of loading as lines of a headline."""
    return [f"warning: {line}" for line in results.warnings]


def _join_tables(
    all_findings: Sequence[Findings], tabulate: Callable[[Findings], pd.DataFrame]
) -> pd.DataFrame:
    """Return one table over all comparisons, each row with the label of its comparison."""
    import pandas as pd

    parts = [tabulate(item).assign(comparison=item.comparison.label) for item in all_findings]
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def _number_batch_sizes(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` with whole numbers as batch sizes, missing for measures over several."""
    import pandas as pd

    return table.assign(batch_size=pd.to_numeric(table["batch_size"]).astype("Int64"))
