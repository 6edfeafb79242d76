"""A grid file as a source: edited since the sweep was run, of another sweep, or as it was run."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_sweep import make_sweep, write_folder, write_mlflow
from typer.testing import CliRunner

from analysis.cli import app
from analysis.errors import AnalysisError
from analysis.sources.grid_file import read_grid
from analysis.sources.load_results import load_results

GRID = """\
name: small
factors: {norm: [batchnorm, assocnorm], batch_size: [4, 2], seed: 3}
data: {name: digits}
train: {epochs: 5, optimizer: {lr: 0.1}}
"""
RUN_FIRST = (
    r"g2.yaml is not the grid that the sweep small was last run with: `norm-sweep run g2.yaml` "
    r"first, or report the sweep as it was run: `norm-sweep report "
)


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A grid file in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    path = Path("grid.yaml")
    path.write_text(GRID)
    return path


def run_with(path: Path, changes: str = "") -> None:
    """Records of the sweep in runs/small, as a run of the grid file leaves them."""
    sweep = make_sweep(num_seeds=3)
    sweep["sweep"]["grid"] = {"digest": read_grid(path)[1].digest, "changes": changes}
    write_folder(sweep, Path("runs"), exist_ok=True)


EDITS = [
    ("lr: 0.1", "lr: 0.5"),
    ("seed: 3", "seed: 5"),
    ("[batchnorm, assocnorm]", "[batchnorm]"),
    ("[batchnorm, assocnorm]", "[assocnorm, batchnorm]"),
    ("{name: digits}", "{name: digits, augment: none}"),
    ("train:", "overrides: [{when: {seed: 1}, set: {train.epochs: 1}}]\ntrain:"),
]


@pytest.mark.parametrize("edit", EDITS, ids=[new.split("\n")[0] for _, new in EDITS])
def test_a_grid_edited_since_it_was_run_is_not_reported(grid: Path, edit: tuple[str, str]) -> None:
    run_with(grid)
    Path("g2.yaml").write_text(GRID.replace(*edit))
    with pytest.raises(AnalysisError, match=RUN_FIRST + "runs/small`$"):
        load_results("g2.yaml")
    done = CliRunner().invoke(app, ["report", "grid.yaml", "--out", "out"])
    assert done.exit_code == 0, done.output
    edited = CliRunner().invoke(app, ["report", "g2.yaml", "--out", "out"])
    assert edited.exit_code == 2
    assert "Report:" not in edited.output


def test_comments_order_and_how_trials_are_run_do_not_make_it_another_grid(grid: Path) -> None:
    run_with(grid)
    Path("g2.yaml").write_text(
        "# the same\ntrain:\n  optimizer: {lr: '0.1'}\n  epochs:   5\ndata: {name: digits}\n"
        "factors:\n  seed: 3\n  batch_size: [4, 2]\n  norm:\n  - batchnorm\n  - assocnorm\n"
        "name: small\nresources: {cpu: 2}\ncheckpoint_every_s: 5\n"
    )
    assert load_results("g2.yaml").warnings == ()


def test_what_was_set_beside_the_file_is_said(grid: Path) -> None:
    run_with(grid, "--set train.epochs=2")
    said = load_results(grid).warnings
    assert said == (
        "The sweep small was last run with --set train.epochs=2, which grid.yaml does not say.",
    )


def test_a_sweep_that_does_not_say_its_grid_is_reported_with_a_note(grid: Path) -> None:
    write_folder(make_sweep(), Path("runs"))
    done = CliRunner().invoke(app, ["report", "grid.yaml", "--out", "out"])
    assert done.exit_code == 0
    assert "so grid.yaml could not be compared with it" in done.output
    assert not load_results("runs/small").warnings


def test_an_edited_grid_is_held_against_the_experiment_too(grid: Path, store: Path) -> None:
    sweep = make_sweep()
    sweep["sweep"]["grid"] = {"digest": read_grid(grid)[1].digest, "changes": ""}
    write_mlflow(sweep, f"sqlite:///{store}", grid.absolute().parent / "artifacts")
    Path("mlflow.db").write_bytes(store.read_bytes())
    assert load_results(grid).warnings == ()
    Path("g2.yaml").write_text(GRID.replace("0.1", "0.2"))
    with pytest.raises(AnalysisError, match=RUN_FIRST + "small`$"):
        load_results("g2.yaml")
    Path("g3.yaml").write_text(GRID.replace("small", "g3") + "tracking: {experiment: small}\n")
    with pytest.raises(
        AnalysisError, match=r"small holds no sweep g3, which g3.yaml names: .*first"
    ):
        load_results("g3.yaml")


@pytest.mark.parametrize("text", ["", "a: &x [*x]\nname: n\nfactors: {}\n", "- 1\n", "{"])
def test_a_file_that_is_no_grid_is_one_line(grid: Path, text: str) -> None:
    grid.write_text(text)
    with pytest.raises(AnalysisError, match=r"grid.yaml (is no grid|cannot be read)") as refused:
        load_results(grid)
    assert "\n" not in str(refused.value)


def test_two_grid_files_of_one_name_are_not_compared(grid: Path) -> None:
    run_with(grid)
    Path("g2.yaml").write_text(GRID.replace("0.1", "0.2"))
    done = CliRunner().invoke(app, ["compare", "grid.yaml", "g2.yaml", "--out", "out"])
    assert done.exit_code == 2
    expected = "error: both name the sweep small (runs/small); give one of them another name\n"
    assert done.output == expected
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (("runs/small", "./runs/../runs/small/"), "both name the sweep runs/small; name two"),
        (("runs/small", "grid.yaml"), "both name the sweep runs/small; name two"),
        (("link", "runs/small"), "both name the sweep link; name two"),
        (("a.csv", "a.csv"), "both name the file a.csv; name two files"),
        (("small", "small"), "both name the MLflow experiment small; name two"),
    ],
)
def test_a_source_is_not_compared_with_itself(
    grid: Path, store: Path, pair: tuple[str, str], said: str
) -> None:
    run_with(grid)
    Path("link").symlink_to("runs/small")
    Path("a.csv").write_text("norm,batch_size,seed,test_error\na,4,0,6\n")
    Path("mlflow.db").write_bytes(store.read_bytes())
    done = CliRunner().invoke(app, ["compare", *pair, "--out", "out"])
    assert (done.exit_code, said in done.output) == (2, True), done.output
    assert not Path("out").exists()


def test_two_sweeps_in_two_folders_are_compared(grid: Path) -> None:
    run_with(grid)
    sweep = make_sweep(seed=1)
    sweep["sweep"]["name"] = "other"
    write_folder(sweep, Path("runs"))
    done = CliRunner().invoke(app, ["compare", "grid.yaml", "runs/other", "--out", "out"])
    assert done.exit_code == 0, done.output


def test_records_that_lie_here_are_named_where_mlflow_has_no_such_experiment(
    grid: Path, store: Path
) -> None:
    run_with(grid)
    with pytest.raises(AnalysisError, match=r"no MLflow database.*`norm-sweep report runs/small`$"):
        load_results("small")
    Path("mlflow.db").write_bytes(store.read_bytes())
    with pytest.raises(
        AnalysisError, match=r"no experiment 'small'.*`norm-sweep report runs/small`$"
    ):
        load_results("small")
    assert len(load_results("runs/small").trials)
