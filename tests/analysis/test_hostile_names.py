"""What a name brings along is shown, never obeyed: by a browser, by LaTeX or by matplotlib."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis.cli import app
from analysis.figures.norm_labels import drawn_names
from analysis.reporting.html import breakable

NAMES = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "$\\frac{1$ \\input{/etc/passwd}~^%#&_",
    "[x](javascript:alert(1))|`",
    "a" * 90 + "(num_groups=8)",
    "a" * 90 + "(num_groups=16)",
    "群归一化",
    "שלום \u202e±†",
)


class Elements(HTMLParser):
    """Names of the elements and attributes of a page, as a browser would find them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    lines = ["norm,batch_size,seed,test_error"]
    for i, name in enumerate(NAMES):
        for size in (16, 8):
            lines += [f'"{name}",{size},{s},{10 + i + 8 / size + s * s / 9}' for s in range(3)]
    (folder / "results.csv").write_text("\n".join(lines) + "\n")
    out = folder / "report"
    command = [sys.executable, "-m", "analysis", "report", "results.csv", "--out", str(out)]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    return out


def test_the_page_holds_no_element_that_a_name_brought(report: Path) -> None:
    page = (report / "report.html").read_text()
    found = Elements(page)
    assert not found.tags & {"script", "iframe", "object"}
    assert not {name for name in found.attributes if name.startswith("on")}
    assert "&lt;script&gt;" in page


def test_a_long_name_can_be_broken_between_its_words() -> None:
    assert breakable("renorm_debias") == "renorm_debias"
    assert breakable("mine:Norm(num_groups=4)") == "mine:<wbr>Norm<wbr>(num_<wbr>groups=4)"
    assert breakable("<" + "a" * 20) == "&lt;" + "a" * 15 + "<wbr>" + "a" * 5


def test_markdown_holds_neither_html_nor_foreign_links(report: Path) -> None:
    text = (report / "report.md").read_text()
    assert re.findall(r"<[a-z/!]", text) == []
    assert {link.split("/")[0] for link in re.findall(r"(?<!\\)\]\(([^)]*)", text)} == {"figures"}
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert any("javascript" in row for row in rows)
    assert {name for name in ("script>", "img src") if name in text} == {"script>", "img src"}


def test_latex_reads_no_file(report: Path) -> None:
    text = "".join(file.read_text() for file in (report / "tables").glob("*.tex"))
    assert r"\input" not in text
    assert r"\textbackslash{}input\{/etc/passwd\}\textasciitilde{}" in text
    assert r"\textless{}script\textgreater{}" in text
    rows = [line for line in text.splitlines() if not line.startswith("%")]
    assert not any(re.search(r"(?<!\\)[<>|~^#]|[±†]", row) for row in rows)
    assert not any(row.startswith(("[", "*")) for row in rows)


def test_the_terminal_obeys_no_name(tmp_path: Path) -> None:
    path = tmp_path / "red.csv"
    path.write_text("norm,batch_size,seed,test_error\n\x1b[31mred,4,0,9\n")
    result = CliRunner().invoke(app, ["report", str(path), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert r"\x1b[31mred is alone" in result.output


def test_names_are_drawn_short_apart_and_with_the_glyphs_there_are() -> None:
    long = [f"{'a' * 90}(num_groups={count}){'b' * 90}" for count in (8, 16)]
    drawn = drawn_names([*NAMES, *long])
    assert len(set(drawn)) == len(drawn)
    assert max(map(len, drawn)) < 35
    assert drawn[4].endswith("(num_groups=8)")
    assert drawn[6] == r"\u7fa4\u5f52\u4e00\u5316"
    assert drawn[7] == r"שלום \u202e±†"


def test_figures_hold_no_script(report: Path) -> None:
    figures = list((report / "figures").glob("*.svg"))
    assert figures
    for figure in figures:
        assert "script" not in Elements(figure.read_text()).tags
