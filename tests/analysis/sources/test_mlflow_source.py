"""What MLflow holds beside the trials that a grid asks for, and what stands before its server."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_sweep import make_sweep, write_folder, write_mlflow

from analysis import AnalysisError, load_results


def test_of_two_trainings_of_a_cell_the_one_that_the_grid_asks_for_counts(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grid of one epoch, then of two: the experiment holds both, under the same labels."""
    before = make_sweep(norms=("batchnorm",), batch_sizes=(16, 2), num_epochs=1)
    now = make_sweep(norms=("batchnorm",), batch_sizes=(16, 2), num_epochs=2)
    records = before["records"] | now["records"]
    asked = {**now["sweep"], "asked_ids": list(now["records"])}
    every = {**asked, "trials": before["sweep"]["trials"] + now["sweep"]["trials"]}
    uri = f"sqlite:///{store}"
    write_mlflow({"sweep": every, "records": records}, uri, tmp_path / "artifacts")
    folder = write_folder({"sweep": now["sweep"], "records": records}, tmp_path / "runs")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    for found in (load_results("small"), load_results(folder)):
        assert sorted(found.trials["trial_id"]) == sorted(now["records"])
        assert set(found.settings["train.epochs"]) == {"2"}
        assert found.notes == (
            "6 trials are left out: their sweep's grid no longer asks for them.",
        )


@pytest.mark.parametrize("exempt", [False, True])
def test_a_proxy_that_stands_between_is_named(
    exempt: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    if exempt:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(AnalysisError, match="cannot be read") as caught:
        load_results("small")
    assert ("HTTP_PROXY sends this through a proxy" in str(caught.value)) is not exempt
    assert str(caught.value).endswith("export no_proxy=127.0.0.1") is not exempt


def test_records_that_lie_here_are_named_where_mlflow_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    write_folder(make_sweep(num_seeds=1), tmp_path / "runs")
    with pytest.raises(
        AnalysisError, match="records are here: `norm-sweep report runs/small`"
    ) as e:
        load_results("small")
    assert "at http://127.0.0.1:9 cannot be read: connection refused;" in str(e.value)
