"""The folder in which a command was typed, to which relative paths in custom code refer.

Ray starts its workers in folders of their own.
"""

from __future__ import annotations

import os


def enter_folder(folder: str) -> None:
    """Make `folder` this process's working folder, if this machine has the folder.

    Where nodes do not share the folder, each needs the files at the same relative path below the
    folder in which Ray was started, or at an absolute path.
    """
    if folder and os.path.isdir(folder):
        os.chdir(folder)
