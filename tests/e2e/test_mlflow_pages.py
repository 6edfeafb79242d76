"""The pages of a real sweep in MLflow, drawn by a real browser."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

import chromium
import pytest
from chromium import Page
from mlflow_server import mlflow_server
from user_folder import Folder

NO_BROWSER = chromium.why_not()
pytestmark = pytest.mark.skipif(bool(NO_BROWSER), reason=NO_BROWSER or "")

LINES = "document.querySelectorAll('.scatterlayer .trace path.js-line').length"
ROWS = "document.querySelectorAll('.ag-center-cols-container .ag-row').length"
BARS = "document.querySelectorAll('.barlayer .trace .point path').length"
SYSTEM_METRICS = "document.body.innerText.split('system/process_memory').length - 1"
CELLS = {f"{norm}-bs0{size}" for norm in ("batchnorm", "groupnorm") for size in ("16", "08")}
NO_ASSISTANT = [("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true")]
WIDTH, HEIGHT = 1800, 1700  # what lies below the window is not drawn
NUM_SEEDS = 2


@dataclass(frozen=True)
class Seen:
    """What a page held once everything expected of it was drawn."""

    text: str
    rows: int
    links: list[str]


def test_the_pages_of_a_sweep(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The cells, as the link that `run` prints opens them; every seed; a run."""
    factors = {"norm": ["batchnorm", "groupnorm"], "batch_size": [16, 8], "seed": NUM_SEEDS}
    folder.grid(factors=factors)
    done = folder.sweep("run", "grid.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    printed = re.search(r"http://127\.0\.0\.1:5000(/#\S+)", done.stdout)
    assert printed, done.stdout
    ids = dict(folder.mlflow_rows("select name, run_uuid from runs"))

    async def visit(uri: str) -> None:
        async with chromium.chromium(tmp_path_factory.mktemp("profile"), WIDTH, HEIGHT) as page:
            of_cells = uri + printed[1]
            check_cells(await look(page, of_cells, LINES, 2 * len(CELLS), BARS, len(CELLS)))
            of_seeds = of_cells.replace("means-", "seeds-")
            check_seeds(await look(page, of_seeds, LINES, len(ids), BARS, len(ids)))
            of_run = f"{uri}/#/experiments/1/runs/{ids['groupnorm-bs008-s1']}"
            check_run(await look(page, of_run, SYSTEM_METRICS, 1), ids["groupnorm-bs008-s0"])

    with mlflow_server(folder.path, f"sqlite:///{folder.path / 'mlflow.db'}") as server:
        asyncio.run(visit(server.uri))


async def look(page: Page, at: str, *expected: str | int) -> Seen:
    """Open a page and wait until it has so many of each, or more."""
    await page.show(at, NO_ASSISTANT)
    for what, num in zip(expected[::2], expected[1::2], strict=True):
        await page.until(f"{what} >= {num}")
    text = await page.value("document.body.innerText")
    links = "[...document.querySelectorAll('a')].map(a => a.getAttribute('href') || '')"
    return Seen(" ".join(text.split()), await page.value(ROWS), await page.value(links))


def check_cells(seen: Seen) -> None:
    assert set(re.findall(r"Group: (\S+)", seen.text)) == CELLS
    assert seen.rows == len(CELLS)  # the seeds are folded away
    assert "Error (%) by batch size, last epoch (3)" in seen.text
    assert "Learning curves, mean over seeds (4)" in seen.text
    assert "batch_size vs. test_error" in seen.text
    assert "how do 2 norms hold up as the batch gets small?" in seen.text
    assert "Error loading shared view" not in seen.text


def check_seeds(seen: Seen) -> None:
    names = {f"{cell}-s{seed}" for cell in CELLS for seed in range(NUM_SEEDS)}
    assert names <= set(seen.text.split())
    assert seen.rows == len(names)
    assert "Learning curves, every seed (4)" in seen.text


def check_run(seen: Seen, sibling: str) -> None:
    said = r"Test error: [\d.]+ %, ([\d.]+ points (above|below)|at) the mean of its cell's seeds"
    assert re.search(said, seen.text)
    assert "n = 2" in seen.text
    assert re.search(r"digits \(\w{8}\)", seen.text)
    assert any(link.startswith(f"#/experiments/1/runs/{sibling}") for link in seen.links)
