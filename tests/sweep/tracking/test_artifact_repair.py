"""A project's folder is moved, copied or emptied: MLflow's artifacts are with its store."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_grids import factors, load, record_of, save

from sweep.grid.model import Grid
from sweep.tracking.export import export_all
from trainables.spec import Outcome

GRID = factors(norm=["groupnorm"], batch_size=[8], seed=2)


@pytest.fixture
def first(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store, into which the record of one of two trials was shipped."""
    folder = tmp_path / "p1"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    enter(folder, monkeypatch)
    grid = load(**GRID)
    save(grid, record_of(grid.trials[0], 3, Outcome.COMPLETED))
    assert export_all(grid).num_exported == 1
    return folder


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go there as another process would: MLflow keeps connections, and places of artifacts."""
    from mlflow.tracking._tracking_service import utils

    utils._artifact_repos_cache.clear()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")


def opened(grid: Grid) -> list[str]:
    """Where MLflow itself finds the record of each run, which it must be able to read."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    experiment = client.get_experiment_by_name(grid.experiment)
    assert experiment is not None
    found = []
    for run in client.search_runs([experiment.experiment_id]):
        copy = Path(client.download_artifacts(run.info.run_id, "record.json"))
        assert run.data.tags["sweep.trial_id"] in copy.read_text()
        found.append(run.info.artifact_uri.removeprefix("file://"))
    return found


def go_on(second: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Grid, str | None]:
    """Train the other trial there, and ship."""
    enter(second, monkeypatch)
    grid = load(**GRID)
    save(grid, record_of(grid.trials[1], 3, Outcome.COMPLETED))
    shipped = export_all(grid)
    assert shipped.error is None
    return grid, shipped.note


def test_artifacts_follow_a_folder_that_was_moved(
    first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = first.rename(first.with_name("p2"))
    enter(second, monkeypatch)
    grid = load(**GRID)
    shipped = export_all(grid)
    assert shipped.note is not None
    assert f"artifacts are in {second}/mlruns, no more in {first}/mlruns" in shipped.note
    assert shipped.num_exported == 0  # they came along
    assert export_all(grid).note is None
    grid, remark = go_on(second, monkeypatch)
    assert remark is None
    places = opened(grid)
    assert len(places) == 2
    assert all(place.startswith(f"{second}/mlruns/") for place in places)
    assert not first.exists()


def test_artifacts_of_a_copy_are_the_copys(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = shutil.copytree(first, first.with_name("p2"))
    before = sorted(first.rglob("*"))
    grid, remark = go_on(second, monkeypatch)
    assert remark is not None
    assert all(place.startswith(f"{second}/mlruns/") for place in opened(grid))
    assert sorted(first.rglob("*")) == before


def test_artifacts_that_did_not_come_along_are_made_anew(
    first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = first.rename(first.with_name("p2"))
    shutil.rmtree(second / "mlruns")
    grid, remark = go_on(second, monkeypatch)
    assert remark is not None
    assert "1 run of them anew" in remark
    assert len(opened(grid)) == 2


def test_artifacts_that_somebody_wants_elsewhere_stay_there(
    first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store in one folder, used from another one, where the artifacts then are."""
    elsewhere = first.with_name("elsewhere")
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{first}/mlflow.db")
    grid = load(name="other", **GRID)
    save(grid, record_of(grid.trials[0], 3, Outcome.COMPLETED))
    for _ in range(2):
        shipped = export_all(grid)
        assert (shipped.error, shipped.note) == (None, None)
    assert len(list(elsewhere.glob("mlruns/*/artifacts/record.json"))) == 1


def test_artifacts_that_were_deleted_are_written_again(
    first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(first / "mlruns")
    enter(first, monkeypatch)
    grid = load(**GRID)
    shipped = export_all(grid)
    assert (shipped.error, shipped.num_exported) == (None, 1)
    assert shipped.note == "the artifacts of 1 run were deleted: written again"
    assert len(opened(grid)) == 1
    again = export_all(grid)
    assert (again.num_exported, again.note) == (0, None)
