from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sweep.errors import RefusedError
from sweep.records.custom_source import source_digest
from sweep.resources import custom_modules as own_modules
from sweep.resources.custom_modules import stage_modules

FOUND = """
import sys
sys.path.insert(0, {folder!r})
import layers, deep.inner.more, names.only
import sweep, normmods, yaml
from sweep.resources.custom_modules import find_custom_modules
print(*find_custom_modules([{folder!r}]), sep="\\n")
"""


def write(*files: str) -> None:
    for file in files:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text("# code\n")


def test_what_has_been_imported_from_the_users_folders_is_found() -> None:
    write("deep/__init__.py", "deep/inner/__init__.py", "deep/inner/more.py", "names/only.py")
    write("neighbour.py", "idle.py", "sweep_of_mine.py")
    Path("layers.py").write_text("import neighbour\n")
    folder = str(Path.cwd())
    done = subprocess.run(
        [sys.executable, "-c", FOUND.format(folder=folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = {Path(line).name for line in done.stdout.split()}
    assert found == {"layers.py", "neighbour.py", "deep", "names"}


def test_only_python_files_are_shipped_and_no_hidden_or_made_ones() -> None:
    write("pack/__init__.py", "pack/a.py", "pack/sub/b.py", "single.py")
    write("pack/.env", "pack/id.pem", "pack/big.npz", "pack/.git/hook.py", "pack/.hidden.py")
    write("pack/runs/c.py", "pack/mlruns/d.py", "pack/env/pyvenv.cfg", "pack/env/lib/e.py")
    there = Path("staged")
    staged = stage_modules([Path("pack"), Path("single.py")], there)
    assert staged == [str(there / "pack"), str(there / "single.py")]
    files = {f.relative_to(there).as_posix() for f in there.rglob("*") if f.is_file()}
    assert files == {"pack/__init__.py", "pack/a.py", "pack/sub/b.py", "single.py"}


def test_a_folder_of_much_code_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_modules, "MAX_BYTES", 10)
    write("pack/__init__.py", "pack/a.py")
    with pytest.raises(RefusedError, match=r"pack: more than .* MB of Python files"):
        stage_modules([Path("pack")], Path("staged"))


def test_a_digest_names_the_source_of_a_layer_and_of_nothing_else() -> None:
    write("layers.py", "deep/__init__.py", "deep/inner.py", "deep/notes.txt")
    here = [str(Path.cwd())]
    module, package = (source_digest([name], here) for name in ("layers:Mine", "deep.inner:Mine"))
    both = source_digest(["layers:Mine", "deep.inner:Net", "layers:data"], here)
    assert both == f"{module}+{package}"
    Path("deep/notes.txt").write_text("other")
    assert source_digest(["deep.inner:Mine"], here) == package
    Path("deep/inner.py").write_text("# other code\n")
    assert source_digest(["deep.inner:Mine"], here) != package
    assert source_digest(["layers:Mine"], here) == module
    assert source_digest([], here) == source_digest(["nowhere:Mine"], here) == ""
