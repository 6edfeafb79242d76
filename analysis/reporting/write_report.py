"""`report`: what there is to say of some trials, written to a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from analysis.errors import AnalysisError
from analysis.figures.rendering import Format, rendered
from analysis.findings import Findings, findings_of
from analysis.options import Options
from analysis.reporting.html import html
from analysis.reporting.latex import latex
from analysis.reporting.manifest import MANIFEST, files_in, manifest
from analysis.reporting.markdown import markdown
from analysis.reporting.measure_table import measure_frame
from analysis.reporting.page import page
from analysis.reporting.published_table import published_frame
from analysis.reporting.recorded_table import recorded_frame
from analysis.reporting.report_json import numbers
from analysis.reporting.statistics_or_sgd_section import unconfounded_frame
from analysis.reporting.statistics_table import statistics_frame
from analysis.reporting.summary import summary
from analysis.reporting.tables import error_frame, gap_frame, top5_frame
from analysis.reporting.test_set_table import test_set_frame
from analysis.reporting.time_table import time_frame
from analysis.schema import Results
from analysis.statistics.statistics_or_sgd import separate_harm

FORMATS: tuple[Format, ...] = ("svg", "png", "pdf")


def report(
    trials: Results,
    out: str | Path,
    *,
    reference: str | None = None,
    margin: float | None = None,
    threshold: float | None = None,
) -> Path:
    """Write the report on `trials` to the folder `out` and return the path of its HTML page.

    The folder gets `report.html`, `report.md`, `report.json`, `tables/` (CSV and LaTeX) and
    `figures/` (SVG, PNG, PDF). The same trials give the same bytes. `reference`, `margin` and
    `threshold` are explained by `analysis.options.Options`. Raises `InputError` where
    nothing can be compared or written, or where a file is in the way that is no report's.
    """
    found = findings_of(trials, Options(reference, margin, threshold))
    return write(Path(out), files_of(trials, found), headline=summary(found))


def files_of(trials: Results, found: Sequence[Findings]) -> dict[str, bytes]:
    """Every file of the report by its path in the folder."""
    content = page(trials, found)
    figures = [drawn for section in content.sections for drawn in section.figures]
    files = {
        f"figures/{drawn.stem}.{form}": rendered(drawn.figure, form)
        for drawn in figures
        for form in FORMATS
    }
    svg = {drawn.stem: files[f"figures/{drawn.stem}.svg"] for drawn in figures}
    compared = [item.comparison for item in found]
    texts = {
        "report.html": html(content, svg),
        "report.md": markdown(content),
        "report.json": numbers(trials, found),
        "tables/errors.csv": _csv(found, lambda item: error_frame(item.comparison)),
        "tables/gaps.csv": _csv(found, lambda item: gap_frame(item.comparison)),
        "tables/measures.csv": _csv(found, measure_frame),
        "tables/trials.csv": trials.trials.to_csv(index=False, lineterminator="\n"),
        "tables/errors.tex": latex(compared),
    }
    texts |= _where_recorded(found)
    apart = unconfounded_frame(separate_harm(compared))
    if len(apart):
        texts["tables/statistics_or_sgd.csv"] = _plain_csv(apart)
    return files | {name: text.encode() for name, text in texts.items()}


def _where_recorded(found: Sequence[Findings]) -> dict[str, str]:
    """Tables that only trials with further metrics, a threshold, kept examples or a paper have."""
    frames: dict[str, Callable[[Findings], pd.DataFrame]] = {
        "times": time_frame,
        "statistics": statistics_frame,
        "test_set": test_set_frame,
        "published": published_frame,
        "recorded": recorded_frame,
        "top5_errors": top5_frame,
    }
    texts: dict[str, str] = {}
    for name, frame in frames.items():
        having = [item for item in found if len(frame(item))]
        if having:
            texts[f"tables/{name}.csv"] = _csv(having, frame)
    by_top5 = [item.by_top5 for item in found if item.by_top5]
    if by_top5:
        texts["tables/top5_errors.tex"] = latex(by_top5)
    return texts


def _csv(found: Sequence[Findings], frame: Callable[[Findings], pd.DataFrame]) -> str:
    """One table over all comparisons, each row with its comparison's label."""
    parts = [frame(item).assign(comparison=item.comparison.label) for item in found]
    table = pd.concat([part for part in parts if len(part)] or parts[:1])
    return _plain_csv(table)


def _plain_csv(table: pd.DataFrame) -> str:
    text: str = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text


def write(
    out: Path, files: dict[str, bytes], *, made_from: str = "", headline: Sequence[str] = ()
) -> Path:
    """Write `files` under `out` in place of the report there; returns the page's path.

    `made_from` and `headline` are for its manifest. Other people's files are neither replaced nor
    removed: raises `InputError` where one is in the way.
    """
    before = files_in(out)
    others = [n for n in (*files, MANIFEST) if n not in before and (out / n).exists()]
    if others:
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        raise AnalysisError(
            f"{out / others[0]}{more} was not written by a report and would be lost; choose "
            "another --out"
        )
    try:
        # Begun with a manifest of everything, so that what is cut short is known to be a report's.
        _write(out / MANIFEST, manifest("", [], {**dict.fromkeys(before, b""), **files}))
        for name, content in files.items():
            _write(out / name, content)
        for name in set(before) - {*files, MANIFEST}:
            (out / name).unlink(missing_ok=True)
        _write(out / MANIFEST, manifest(made_from, headline, files))
    except OSError as error:
        raise AnalysisError(f"cannot write the report to {out}: {error.strerror}") from error
    return out / "report.html"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
