"""Made-up results as a CSV file, and what is found in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.findings import Findings, findings_of
from analysis.options import Options
from analysis.schema import Results
from analysis.sources.load_results import load_results

BASE = "norm,batch_size,seed,test_error,outcome,chance_error,dataset,model,num_test"


def trials_of(tmp_path: Path, rows: list[str], header: str = BASE) -> Results:
    path = tmp_path / "trials.csv"
    path.write_text("\n".join([header, *rows]))
    return load_results(path)


def rows_of(
    levels: dict[str, dict[int, float]], seeds: int = 3, sd: float = 0.05, seed: int = 0
) -> list[str]:
    rng = np.random.default_rng(seed)
    return [
        f"{norm},{size},{s},{level + rng.normal(0, sd):.4f},completed,90,digits,cnn,360"
        for norm, errors in levels.items()
        for size, level in errors.items()
        for s in range(seeds)
    ]


def only(trials: Results, options: Options | None = None) -> Findings:
    (found,) = findings_of(trials, options or Options())
    return found
