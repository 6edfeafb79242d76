"""`report`: the comparisons of some trials, written to a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from analysis.comparison import Comparison, comparisons
from analysis.errors import InputError
from analysis.figures.save import Format, rendered
from analysis.reporting.html import html
from analysis.reporting.markdown import markdown
from analysis.reporting.page import page
from analysis.reporting.tables import error_frame, gap_frame
from analysis.schema import Trials

FORMATS: tuple[Format, ...] = ("svg", "png")


def report(trials: Trials, out: str | Path, reference: str | None = None) -> Path:
    """Write the report on `trials` to the folder `out` and return the path of its HTML page.

    The folder gets `report.html`, `report.md`, `tables/*.csv` and `figures/*`. The same trials
    give the same bytes. Raises `InputError` where nothing can be compared or written.
    """
    found = comparisons(trials, reference)
    content = page(trials, found)
    files: dict[str, bytes] = {}
    svg: dict[str, bytes] = {}
    for drawn in (drawn for section in content.sections for drawn in section.figures):
        for form in FORMATS:
            files[f"figures/{drawn.stem}.{form}"] = rendered(drawn.figure, form)
        svg[drawn.stem] = files[f"figures/{drawn.stem}.svg"]
    files["report.html"] = html(content, svg).encode()
    files["report.md"] = markdown(content).encode()
    files["tables/errors.csv"] = _csv(found, error_frame)
    files["tables/gaps.csv"] = _csv(found, gap_frame)
    files["tables/trials.csv"] = trials.trials.to_csv(index=False, lineterminator="\n").encode()
    return _write(Path(out), files)


def _csv(found: Sequence[Comparison], frame: Callable[[Comparison], pd.DataFrame]) -> bytes:
    """One table over all comparisons, each row with its comparison's label."""
    parts = [frame(item).assign(comparison=item.label) for item in found]
    table = pd.concat([part for part in parts if len(part)] or parts[:1])
    text: str = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text.encode()


def _write(out: Path, files: dict[str, bytes]) -> Path:
    try:
        for name, content in files.items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot write the report to {out}: {error.strerror}") from error
    return out / "report.html"
