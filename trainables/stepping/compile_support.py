"""Checks of whether steps can be compiled, made without torch."""

from __future__ import annotations

import os
import shlex
import shutil
import sys

from trainables.spec import TrainSpec


def reason_not_compilable(train: TrainSpec) -> str | None:
    """Return which field of a spec prevents compilation, in a few words; None if none does."""
    if train.watch is not None:
        return "`watch` reads a layer's output at every step"
    if "clipped_fraction" in train.extra_metrics:
        return "`clipped_fraction` is read from the layers at every step"
    return None


def missing_compiler(device: str = "cpu") -> str | None:
    """Return which compiler this machine lacks, in a few words; None if it has the one needed."""
    if device == "cpu":
        variable, usual = "CXX", "clang++" if sys.platform == "darwin" else "g++"
        chosen = os.environ.get(variable) or usual
        what = "C++"
    else:
        variable, usual = "CC", "gcc"
        chosen = os.environ.get(variable) or next(
            (name for name in ("gcc", "clang") if shutil.which(name)), usual
        )
        what = "C"
    words = shlex.split(chosen)
    if words and shutil.which(words[0]):
        return None
    return f"there is no {what} compiler ({chosen}; {variable} names another)"
