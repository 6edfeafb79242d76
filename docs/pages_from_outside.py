"""Hooks of MkDocs: pages from outside docs/, and links between the two as the repository has them.

A page of the repository links to another by its relative path, so that the link works where the
repository is browsed. The site has the pages of `PAGES` under the names given here, and every other
file that a page links to (a grid, a cluster's file) as a copy under `files/`.
"""

from __future__ import annotations

import os.path
import re
from pathlib import Path
from posixpath import relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DOCS = "docs/"
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "clusters/tracking.md": "tracking-server.md",
}
SOURCES = {name: path for path, name in PAGES.items()}
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of `PAGES`, and the files that any page links to."""
    for path, name in PAGES.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    for page in files.documentation_pages():
        for target in linked(page.src_uri, Path(str(page.abs_src_path)).read_text("utf-8")):
            name = name_in_site(target)
            if name.startswith("files/") and files.get_file_from_path(name) is None:
                files.append(File.generated(config, name, abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at the names that their targets have in the site."""
    here = page.file.src_uri

    def in_site(link: re.Match[str]) -> str:
        target = in_repository(here, link[0])
        if not (ROOT / target).is_file():
            return link[0]  # MkDocs reports it
        return relpath(name_in_site(target), os.path.dirname(here) or ".")

    return LINK.sub(in_site, markdown)


def linked(page: str, markdown: str) -> list[str]:
    """The files of the repository that a page of the site links to, as paths from its root."""
    targets = [in_repository(page, link) for link in LINK.findall(markdown)]
    return [target for target in targets if (ROOT / target).is_file()]


def in_repository(page: str, link: str) -> str:
    """What a link on a page of the site means in the repository, as a path from its root."""
    source = SOURCES.get(page, DOCS + page)
    return os.path.normpath(os.path.join(os.path.dirname(source), link)).replace(os.sep, "/")


def name_in_site(path: str) -> str:
    """Where the site has a file of the repository."""
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix(DOCS) if path.startswith(DOCS) else f"files/{path}"
