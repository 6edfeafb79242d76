"""Imports within the analysis lead one way, in the order that the architecture states."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = (
    *("errors", "logs", "schema", "options", "sources", "statistics", "formatting", "published"),
    *("findings", "figures", "reporting", "look_requests", "interface", "plots", "cli"),
)
"""Each may import those before it."""


def layer_of(module: str) -> str:
    return module.split(".")[1]


def imports_of(file: Path) -> set[str]:
    nodes = [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.ImportFrom)]
    return {n.module for n in nodes if n.module and n.module.startswith("analysis.")}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_those_before_it(layer: str) -> None:
    folder = ROOT / "analysis" / layer
    files = list(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    assert files
    later = set(LAYERS[LAYERS.index(layer) + 1 :])
    for file in files:
        assert not later & set(map(layer_of, imports_of(file))), file


def test_every_module_belongs_to_a_layer() -> None:
    found = {path.stem for path in (ROOT / "analysis").iterdir() if not path.name.startswith("__")}
    assert found - {"py"} == set(LAYERS)
