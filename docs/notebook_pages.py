"""Hook of MkDocs: a page of the site for each notebook, its cells as text and code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

NOTEBOOKS = Path(__file__).parent / "notebooks"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add `notebooks/NAME.md` for each `notebooks/NAME.ipynb`."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        text = markdown_of(json.loads(path.read_text(encoding="utf-8")), path.name)
        name = f"{NOTEBOOKS.name}/{path.stem}.md"
        files.append(File.generated(config, name, content=text))
    return files


def markdown_of(notebook: dict[str, Any], name: str) -> str:
    """Return the notebook's cells as Markdown, with a link to the notebook after its title."""
    first, *others = (format_cell(cell) for cell in notebook["cells"])
    return "\n\n".join([first, f"[The notebook itself]({name}).", *others]) + "\n"


def format_cell(cell: dict[str, Any]) -> str:
    """Return one cell as Markdown: text as it is, code in a block."""
    source = "".join(cell["source"])
    return source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```"
