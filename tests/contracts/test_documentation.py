"""What the documentation names is there, and what is there is named."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

import normmods
import trainables
from trainables.spec import DataSpec, ModelSpec, NormSpec, TrainSpec, TrialSpec

ROOT = Path(__file__).parents[2]


def test_every_norm_is_listed_with_its_options() -> None:
    table = (ROOT / "docs/norms.md").read_text().split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", table, re.M)
    listed = {name: re.findall(r"`(\w+): ([^`]+)`", options) for name, options in rows}
    assert list(listed) == list(normmods.names())
    for name, options in listed.items():
        expected = [(key, str(value)) for key, value in normmods.options(name).items()]
        found = [(key, {"true": "True", "false": "False"}.get(v, v)) for key, v in options]
        assert found == expected


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"


def test_the_readmes_own_model_and_data_can_be_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (ROOT / "README.md").read_text()
    (code,) = (b for b in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "def cells" in b)
    (section,) = (
        b for b in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL) if "my_task:Net" in b
    )
    images, labels = np.arange(1920, dtype=np.uint8).reshape(10, 3, 8, 8), np.arange(10) % 5
    np.savez(tmp_path / "cells.npz", x=images, y=labels, x_test=images, y_test=labels)
    (tmp_path / "my_task.py").write_text(
        code.replace("/data/cells.npz", str(tmp_path / "cells.npz"))
    )
    monkeypatch.syspath_prepend(tmp_path)
    fields = yaml.safe_load(section)
    spec = TrialSpec(
        norm=NormSpec(name="batchnorm"),
        batch_size=4,
        seed=0,
        data=DataSpec(**fields["data"]),
        model=ModelSpec(**fields["model"]),
        train=TrainSpec(epochs=1),
    )
    (metrics,) = trainables.train(spec, device="cpu")
    assert metrics.num_updates == 2
    sizes = trainables.check(spec)
    assert sizes.num_parameters == 3 * 32 * 9 + 2 * 32 + 32 * 5 + 5
