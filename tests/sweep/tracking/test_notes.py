from __future__ import annotations

import statistics

from hypothesis import given
from hypothesis import strategies as st
from small_grids import change_epoch, factors, load, record_of

from sweep.planning.cost import cell_of
from sweep.records.record import Record
from sweep.tracking.cells import CellResults, TrialResult
from sweep.tracking.experiment_link import ExperimentLink
from sweep.tracking.notes import MAX_NOTE_LENGTH, format_experiment_note, replace_section
from trainables.spec import Outcome

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200).filter(
    lambda text: "<!--" not in text
)


@given(before=texts, after=texts, first=texts, second=texts)
def test_what_a_person_wrote_around_a_section_stays(
    before: str, after: str, first: str, second: str
) -> None:
    note = before + replace_section("", "sweep a", first) + after
    written = replace_section(note, "sweep a", second)
    assert written == before + replace_section("", "sweep a", second) + after
    assert replace_section(written, "sweep a", second) == written
    other = replace_section(written, "sweep b", first)
    assert other.startswith(written.rstrip())
    assert replace_section(other, "sweep a", second) == other


def test_a_note_without_room_stays_as_it_is() -> None:
    of_a_person = "x" * (MAX_NOTE_LENGTH - 10)
    assert replace_section(of_a_person, "sweep", "a section") == of_a_person
    assert len(replace_section(of_a_person[:-100], "sweep", "a section")) <= MAX_NOTE_LENGTH


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6))
def test_a_cells_spread_is_over_the_seeds_that_have_a_result(errors: list[float]) -> None:
    grid = load(**factors(norm=["groupnorm"], batch_size=[8], seed=len(errors) + 1))
    cells = CellResults(grid.trials)
    for trial, error in zip(grid.trials, errors, strict=False):
        record = record_of(trial, 3, Outcome.COMPLETED)
        change_epoch(record, 3, test_error=error)
        assert cells.set_result(trial, record)
        assert not cells.set_result(trial, record)  # nothing new
        assert not cells.is_finished(cell_of(trial))
    spread = cells.spread(cell_of(grid.trials[0]))
    assert spread is not None
    assert spread.num == len(errors)
    assert (
        spread.mean == statistics.fmean(errors)
        or abs(spread.mean - sum(errors) / len(errors)) < 1e-9
    )
    if len(errors) == 1:
        assert spread.sd is None
    else:
        mean = sum(errors) / len(errors)
        variance = sum((error - mean) ** 2 for error in errors) / (len(errors) - 1)
        assert spread.sd is not None
        assert abs(spread.sd - variance**0.5) < 1e-6
    last = grid.trials[-1]
    assert cells.set_result(last, record_of(last, 1, Outcome.FAILED))
    assert cells.is_finished(cell_of(last))
    assert cells.spread(cell_of(last)) == spread


def test_a_diverged_trial_counts_at_chance_and_an_accident_not_at_all() -> None:
    trial = load().trials[0]

    def result(outcome: Outcome | None) -> TrialResult:
        return TrialResult.of(record_of(trial, 3, outcome))

    assert result(Outcome.COMPLETED).test_error == 20.0
    assert result(Outcome.DIVERGED).test_error == 90.0
    assert result(Outcome.OUT_OF_MEMORY) == TrialResult(
        Outcome.OUT_OF_MEMORY, None, "RuntimeError: a bug"
    )
    assert result(None) == TrialResult()
    assert TrialResult.of(Record.of(trial.spec)) == TrialResult()


def test_an_experiments_note_is_short_whatever_the_grid() -> None:
    norms = [{"name": "groupnorm", "num_groups": 8, "eps": 1e-5 * i} for i in range(1, 91)]
    grid = load(
        factors={
            "norm": norms,
            "batch_size": [16, 8],
            "seed": 10,
            "train.optimizer.lr": [0.1, 0.2],
        }
    )
    note = format_experiment_note(grid, ExperimentLink("7", "http://127.0.0.1:1", "means-small"))
    assert len(note) < MAX_NOTE_LENGTH / 2
    assert "how do 90 norms hold up" in note
    assert "crossed with `train.optimizer.lr`" in note
    assert "**Trials:** 3600, of 10 seeds" in note
    assert "(#/experiments/7/runs?viewStateShareKey=means-small&" in note


def test_a_large_sweeps_note_says_that_the_page_shows_the_first_runs_alone() -> None:
    place = ExperimentLink("7", "http://tracking:5000")
    of_100 = load(**factors(norm=["groupnorm"], batch_size=[8], seed=100))
    of_101 = load(**factors(norm=["groupnorm"], batch_size=[8], seed=101))
    assert "Load more" not in format_experiment_note(of_100, place)
    note = format_experiment_note(of_101, place)
    assert "of the 101 trials the charts show the first ones" in note
    assert "reads 100 runs at a time" in note
