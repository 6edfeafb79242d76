"""The notebook under docs/ runs from its first cell to its figure, and is kept without outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from pages import ROOT

NOTEBOOK = ROOT / "docs/notebooks/from_grid_to_figure.ipynb"


def outputs(notebook: Any, cell_id: str) -> list[Any]:
    (cell,) = (cell for cell in notebook.cells if cell.id == cell_id)
    found: list[Any] = cell.outputs
    return found


def text(notebook: Any, cell_id: str) -> str:
    parts = [o.get("text") or o["data"]["text/plain"] for o in outputs(notebook, cell_id)]
    return "".join(parts)


def test_the_notebook_goes_from_a_grid_to_a_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    client = NotebookClient(
        notebook, timeout=500, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    assert "batchnorm-bs032-s0" in text(notebook, "grid")
    assert "8 of 8 trials are missing" in text(notebook, "plan")
    progress = text(notebook, "run")
    assert "[8/8] " in progress
    assert "completed: test error" in progress
    assert "\x1b" not in progress
    assert {o.name for o in outputs(notebook, "run") if "name" in o} == {"stdout"}
    assert f"8 trials trained, 0 missing; records in {tmp_path}/runs/notebook" in progress
    assert "groupnorm" in text(notebook, "errors")
    assert [kind for o in outputs(notebook, "figure") for kind in o["data"] if "image" in kind]
