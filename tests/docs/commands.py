"""Every command that the documentation shows, and how it is tested."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pages import ROOT, blocks

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "clusters").rglob("*.md")),
]
PROGRAMS = ("norm-sweep", "python -m sweep", "python -m analysis", "make", "mlflow", "ray")
NOT_RUN = {
    "make": "installs everything, or runs these tests",
    "ray": "needs a cluster",
    "mlflow ui": "serves until it is stopped",
    "mlflow server": "serves until it is stopped",
    "norm-sweep run grids/": "trains for hours",
    "norm-sweep --install-completion": "changes the shell of whoever runs the tests",
}
"""What begins so has its options looked up in its help (`make`: its target in the Makefile)."""

OF_THE_SYSTEM = {"mkdir", "openssl", "chmod", "export", "echo", "sudo", "nvidia-cuda-mps-control"}
OF_THE_PROJECT_APART = {
    "python -m benchmarks.scale --trials 300 --epochs 5",
    "python benchmarks/norms.py --compile",
    "python -m build --no-isolation",
    "python -m pdb -m sweep reproduce grid.yaml groupnorm-bs008-s2",
}
"""Programs that measure, or that wait for somebody: not the command line."""


@dataclass(frozen=True)
class Command:
    """A command as a page shows it, without prompt, comment, folder and environment."""

    text: str
    page: str

    @property
    def program(self) -> str:
        """The program of ours, or of those we rely on, that it calls."""
        return next(p for p in PROGRAMS if f"{self.text} ".startswith(f"{p} "))

    @property
    def words(self) -> list[str]:
        """What follows the program."""
        return re.split(" && | [|] ", self.text.removeprefix(self.program))[0].split()

    @property
    def is_run(self) -> bool:
        """Whether a test types it; else its options are looked up."""
        return not any(self.text.startswith(start) for start in NOT_RUN)

    @property
    def is_mention(self) -> bool:
        """Whether it is a name in a sentence, such as `ray exec`, and nothing to be typed."""
        return len(self.words) <= 1


def shown() -> list[Command]:
    """Each of our commands once; asserts that the lines of shells hold nothing unknown."""
    found: dict[str, Command] = {}
    for page in PAGES:
        for line in shell_lines(page):
            text = bare(line)
            assert is_ours(text) or is_known(text), f"{page.name}: unknown command {text!r}"
            if is_ours(text):
                found.setdefault(text, Command(text, page.name))
        for text in map(bare, inline(page)):
            if is_ours(text):
                found.setdefault(text, Command(text, page.name))
    return list(found.values())


def shell_lines(page: Path) -> list[str]:
    """Lines of shells, and what is nested in their quotes; not those that the tutorial types."""
    lines = []
    for block in blocks(page):
        if block.language == "sh":
            text = block.text.replace("\\\n", " ")
            lines += [re.sub(r"\s+#.*", "", line) for line in text.splitlines() if line.strip()]
    elsewhere = [line for line in lines if not is_ours(bare(line)) or bare(line)[:4] == "ray "]
    nested = [
        part for line in elsewhere for part in re.findall(r"(?<=bin/)norm-sweep [^'\"]+", line)
    ]
    return lines + nested


def inline(page: Path) -> list[str]:
    """Code within sentences and tables, and blocks made by indenting."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    indented = [re.sub(r"\s+#.*", "", line) for line in re.findall(r"^ {4}(\S.*)", text, re.M)]
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)] + indented


def bare(line: str) -> str:
    """The command without prompt, environment, and the folder of the virtual environment."""
    line = re.sub(r"^(?:\$ )?(?:[A-Z_]+=\S+ +)*", "", line.strip())
    return re.sub(r"^\.venv/bin/", "", " ".join(line.split()))


def is_ours(text: str) -> bool:
    return any(re.match(rf"{program}(?: [\w-]|$)", text) for program in PROGRAMS)


def is_known(text: str) -> bool:
    return text in OF_THE_PROJECT_APART or text.split()[0] in OF_THE_SYSTEM
