"""The figures that the documentation shows: a file each in `benchmarks/measured`, with the machine.

A benchmark that is called with `--publish` writes its file; `python -m benchmarks.page` makes the
documentation's tables of them.
"""

from __future__ import annotations

import json
import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "measured"
PACKAGES = ("torch", "ray", "mlflow")


def publish(name: str, figures: Any) -> None:
    """Keep what was measured, in place of what was measured before."""
    FOLDER.mkdir(exist_ok=True)
    whole = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "figures": figures}
    (FOLDER / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def published(name: str) -> Any:
    """The figures of one benchmark."""
    return _read(name)["figures"]


def machines() -> list[dict[str, Any]]:
    """Each machine on which something was measured, and on which day last."""
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(FOLDER.glob("*.json")):
        whole = _read(file.stem)
        key = json.dumps(whole["machine"])
        last = max(whole["date"], found.get(key, {}).get("date", ""))
        found[key] = {**whole["machine"], "date": last}
    return list(found.values())


def machine() -> dict[str, Any]:
    """What this machine is, as far as speed depends on it."""
    import torch

    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        **{name: version(name).partition("+")[0] for name in PACKAGES},
    }


def cpu() -> str:
    """The processor's name, where the system tells it."""
    try:
        told = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        told = None
    return told[1].strip() if told else platform.processor() or platform.machine()


def _read(name: str) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return whole
