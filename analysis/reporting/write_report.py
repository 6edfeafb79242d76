"""Writing of a report to a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from analysis.errors import AnalysisError
from analysis.figures.rendering import Format, render_figure
from analysis.findings import Findings
from analysis.reporting.block_section import tabulate_over_blocks
from analysis.reporting.failure_rate_table import tabulate_failure_rates
from analysis.reporting.html import render_html
from analysis.reporting.latex import format_latex
from analysis.reporting.manifest import MANIFEST_FILE, format_manifest, list_report_files
from analysis.reporting.markdown import render_markdown
from analysis.reporting.measure_table import tabulate_norm_measures
from analysis.reporting.page import build_page
from analysis.reporting.published_table import tabulate_published
from analysis.reporting.recorded_table import tabulate_recorded
from analysis.reporting.report_json import format_report_json
from analysis.reporting.statistics_or_sgd_section import tabulate_harm
from analysis.reporting.statistics_table import tabulate_test_statistics
from analysis.reporting.tables import tabulate_cell_errors, tabulate_contrasts, tabulate_top5_errors
from analysis.reporting.test_set_table import tabulate_test_set_contrasts
from analysis.reporting.time_table import tabulate_times
from analysis.schema import Results
from analysis.statistics.norms_over_blocks import compare_over_blocks
from analysis.statistics.statistics_or_sgd import separate_harm

REPORT_PAGE = "report.html"
FORMATS: tuple[Format, ...] = ("svg", "png", "pdf")


def render_report(results: Results, all_findings: Sequence[Findings]) -> dict[str, bytes]:
    """Return every file of the report by its path in the folder."""
    content = build_page(results, all_findings)
    figures = [drawn for section in content.sections for drawn in section.figures]
    files = {
        f"figures/{drawn.stem}.{form}": render_figure(drawn.figure, form)
        for drawn in figures
        for form in FORMATS
    }
    svg = {drawn.stem: files[f"figures/{drawn.stem}.svg"] for drawn in figures}
    compared = [item.comparison for item in all_findings]
    texts = {
        REPORT_PAGE: render_html(content, svg),
        "report.md": render_markdown(content),
        "report.json": format_report_json(results, all_findings),
        "tables/errors.csv": _format_joined_csv(
            all_findings, lambda item: tabulate_cell_errors(item.comparison)
        ),
        "tables/gaps.csv": _format_joined_csv(all_findings, tabulate_contrasts),
        "tables/measures.csv": _format_joined_csv(all_findings, tabulate_norm_measures),
        "tables/trials.csv": results.trials.to_csv(index=False, lineterminator="\n"),
        "tables/errors.tex": format_latex(compared),
    }
    texts |= _render_recorded_tables(all_findings)
    apart = tabulate_harm(separate_harm(compared))
    if len(apart):
        texts["tables/statistics_or_sgd.csv"] = format_csv(apart)
    over_blocks = compare_over_blocks(compared)
    if over_blocks:
        texts["tables/over_blocks.csv"] = format_csv(tabulate_over_blocks(over_blocks))
    return files | {name: text.encode() for name, text in texts.items()}


def _render_recorded_tables(all_findings: Sequence[Findings]) -> dict[str, str]:
    """Return the CSV tables that only some sweeps have, by path.

    They need requested metrics, a threshold, stored examples or a paper's values.
    """
    frames: dict[str, Callable[[Findings], pd.DataFrame]] = {
        "failure_rates": tabulate_failure_rates,
        "times": tabulate_times,
        "statistics": tabulate_test_statistics,
        "test_set": tabulate_test_set_contrasts,
        "published": tabulate_published,
        "recorded": tabulate_recorded,
        "top5_errors": tabulate_top5_errors,
    }
    texts: dict[str, str] = {}
    for name, frame in frames.items():
        having = [item for item in all_findings if len(frame(item))]
        if having:
            texts[f"tables/{name}.csv"] = _format_joined_csv(having, frame)
    by_top5 = [item.by_top5 for item in all_findings if item.by_top5]
    if by_top5:
        texts["tables/top5_errors.tex"] = format_latex(by_top5)
    return texts


def _format_joined_csv(
    all_findings: Sequence[Findings], tabulate: Callable[[Findings], pd.DataFrame]
) -> str:
    """Return one CSV over all comparisons, each row with its comparison's label."""
    parts = [tabulate(item).assign(comparison=item.comparison.label) for item in all_findings]
    table = pd.concat([part for part in parts if len(part)] or parts[:1])
    return format_csv(table)


def format_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV."""
    text: str = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text


def write_report_files(
    out: Path, files: dict[str, bytes], *, source_digest: str = "", headline: Sequence[str] = ()
) -> Path:
    """Write `files` under `out` in place of the report there; return the page's path.

    Args:
        out: folder, made if absent.
        files: content by path.
        source_digest: digest of the source, for the manifest.
        headline: lines of the summary, for the manifest.

    Raises:
        AnalysisError: a file that is not a report's would be lost, or `out` cannot be written to.
    """
    before = list_report_files(out)
    others = [n for n in (*files, MANIFEST_FILE) if n not in before and (out / n).exists()]
    if others:
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        raise AnalysisError(
            f"{out / others[0]}{more} was not written by a report and would be lost; choose "
            "another --out"
        )
    try:
        # Begun with a manifest of everything, so that what is cut short is known to be a report's.
        _write_file(
            out / MANIFEST_FILE, format_manifest("", [], {**dict.fromkeys(before, b""), **files})
        )
        for name, content in files.items():
            _write_file(out / name, content)
        for name in set(before) - {*files, MANIFEST_FILE}:
            (out / name).unlink(missing_ok=True)
        _write_file(out / MANIFEST_FILE, format_manifest(source_digest, headline, files))
    except OSError as error:
        raise AnalysisError(f"cannot write the report to {out}: {error.strerror}") from error
    return out / REPORT_PAGE


def _write_file(path: Path, content: bytes) -> None:
    """Write a file and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
