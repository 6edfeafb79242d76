"""The notes (Markdown) that MLflow shows on a sweep's experiment and on each of its runs."""

from __future__ import annotations

import re
import shlex

from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.planning.cost import cell_of
from sweep.tracking.cells import CellResults, Spread, TrialResult
from sweep.tracking.experiment_link import ExperimentLink
from sweep.tracking.runs import Runs
from sweep.tracking.view import FETCHED_AT_ONCE, means_key, seeds_key
from sweep.wording import count_noun
from trainables.spec import Outcome

NOTE = "mlflow.note.content"
MAX_NOTE_LENGTH = 4900
"""Characters, a little below the limit of older versions and stores."""
MOST_LEVELS, MOST_SIBLINGS, LONGEST_ERROR = 12, 20, 300


def replace_section(note: str, name: str, section: str) -> str:
    """Return a note with its section of this name replaced, or appended where it has none.

    What a person wrote beside the section is kept. A note that would become longer than
    `MAX_NOTE_LENGTH` is returned unchanged.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    framed = f"{begin}\n{section}\n{end}"
    before, found, rest = note.partition(begin)
    if found and end in rest:
        after = rest.partition(end)[2]
    else:
        before, after = (f"{note.rstrip()}\n\n" if note.strip() else ""), ""
    changed = f"{before}{framed}{after}"
    return changed if len(changed) <= MAX_NOTE_LENGTH else note


def format_experiment_note(grid: Grid, link: ExperimentLink) -> str:
    """Return the note of a sweep's experiment: the grid in short, links, and commands to type."""
    first = grid.trials[0].spec
    norms = list(dict.fromkeys(trial.norm for trial in grid.trials))
    sizes = sorted({trial.spec.batch_size for trial in grid.trials}, reverse=True)
    seeds = {trial.spec.seed for trial in grid.trials}
    num_seeds = count_noun(len(seeds), "seed")
    further = f", crossed with {_join_names(grid.extra_factors)}" if grid.extra_factors else ""
    reference = f", held against {_as_code(grid.reference)}" if grid.reference else ""
    first_ones = ""
    if len(grid.trials) > FETCHED_AT_ONCE:
        first_ones = (
            f"\n\n**This page reads {FETCHED_AT_ONCE} runs at a time:** of the {len(grid.trials)} "
            f"trials the charts show the first ones, until you choose *Load more* below the list."
        )
    return f"""\
### {_as_code(grid.name)}: how do {count_noun(len(norms), "norm")} hold up as the batch gets small?

- **Norms:** {_join_names(norms)}{reference}
- **Batch sizes:** {", ".join(str(size) for size in sizes)}{further}
- **Trials:** {len(grid.trials)}, of {num_seeds}; {_as_code(first.model.name)} on \
{_as_code(first.data.name)}
{_format_preset(grid)}{_format_links(grid, link)}

Grouped by seeds, a line or dot is a cell, that is a norm at a batch size: the mean over its seeds,
with a band from the lowest to the highest. Whether a difference is real is the report's to \
say.{first_ones}

```sh
norm-sweep status {grid.arguments}
norm-sweep report {shlex.quote(grid.experiment)} --out report/{grid.name}
{_reproduce_command(grid, grid.trials[0])}
```"""


def format_run_note(
    grid: Grid,
    link: ExperimentLink,
    runs: Runs,
    cells: CellResults,
    trial: GridTrial,
    spread: Spread | None,
) -> str:
    """Return the note of a trial's run.

    Args:
        grid: the grid of the trial.
        link: where the experiment is.
        runs: the runs to which the note links.
        cells: the results of the trial and of the other seeds of its cell.
        trial: the trial of the run.
        spread: mean and standard deviation of the cell; None while it has no result.
    """
    spec = trial.spec
    variant = f", {_as_code(str(trial.variant))}" if trial.variant else ""
    return f"""\
**{_as_code(trial.norm)} at batch size {spec.batch_size}{variant}, seed {spec.seed}**

{_format_results(runs, link, cells, trial, spread)}
- **Trained:** {_as_code(spec.model.name)} on {_as_code(spec.data.name)}, \
{count_noun(spec.train.epochs, "epoch")}, in sweep {_as_code(grid.name)}
{_format_links(grid, link)}

Train it again and hold it against its record, bit by bit:

```sh
{_reproduce_command(grid, trial)}
```"""


def _format_results(
    runs: Runs, link: ExperimentLink, cells: CellResults, trial: GridTrial, spread: Spread | None
) -> str:
    """Return list items with the trial's test error, its outcome and the other seeds' errors."""
    result, its_cell = cells.result(trial), cells.trials(cell_of(trial))
    lines = []
    if result.test_error is not None:
        lines.append(f"- **Test error:** {_compare_with_cell(result.test_error, spread)}")
    lines.append(f"- **Outcome:** {_format_outcome(result)}")
    others = [other for other in its_cell[: MOST_SIBLINGS + 1] if other is not trial]
    links = [
        f"[{other.spec.seed}]({link.run_page(runs.states[other.trial_id].run_id)})"
        f"{_format_error(cells.result(other))}"
        for other in others[:MOST_SIBLINGS]
        if other.trial_id in runs
    ]
    if links:
        left = len(its_cell) - 1 - len(links)
        more = f" and {left} more" if left else ""
        lines.append(f"- **Other seeds:** {' · '.join(links)}{more}")
    return "\n".join(lines)


def _format_outcome(result: TrialResult) -> str:
    """Return `failed: RuntimeError: …` for an outcome and its error."""
    if result.outcome is None:
        return "none yet"
    text = result.outcome.value.replace("_", " ")
    if result.outcome is Outcome.DIVERGED:
        text += ", and so counted at chance"
    if not result.error:
        return text
    error = " ".join(result.error.split())
    shown = error if len(error) < LONGEST_ERROR else error[:LONGEST_ERROR] + "…"
    return f"{text}: {_as_code(shown)}"


def _compare_with_cell(error: float, spread: Spread | None) -> str:
    """Return `20.00 %, 1.33 points below the mean of its cell's seeds 21.33 % (SD 1.15, n = 3)`."""
    if spread is None or spread.num == 1:
        return f"**{error:.2f} %**, its cell's only one so far"
    away = error - spread.mean
    where = f"{abs(away):.2f} points {'above' if away > 0 else 'below'}"
    beside = f"mean of its cell's seeds {spread.mean:.2f} % (SD {spread.sd:.2f}, n = {spread.num})"
    return f"**{error:.2f} %**, {where if round(abs(away), 2) else 'at'} the {beside}"


def _format_error(result: TrialResult) -> str:
    """Return the test error as ` 20.00 %`, or the outcome of a trial without a test error."""
    if result.test_error is not None:
        return f" {result.test_error:.2f} %"
    return f" {result.outcome.value.replace('_', ' ')}" if result.outcome else ""


def _format_links(grid: Grid, link: ExperimentLink) -> str:
    """Return the Markdown links to the experiment's charts, or to all runs."""
    if not link.view:
        return f"- [All runs]({link.page(None)})"
    means, seeds = link.page(means_key(grid.name)), link.page(seeds_key(grid.name))
    return f"- **Charts:** [mean over seeds]({means}) · [every seed]({seeds})"


def _reproduce_command(grid: Grid, trial: GridTrial) -> str:
    """Return the command that trains the trial again and compares it with its record."""
    return f"norm-sweep reproduce {grid.arguments} {shlex.quote(trial.name)}"


def _format_preset(grid: Grid) -> str:
    """Return the Markdown line on the preset; empty for the full grid."""
    return f"- **Edition:** {_as_code(str(grid.preset))}\n" if grid.preset else ""


def _join_names(names: list[str] | tuple[str, ...]) -> str:
    """Return the first `MOST_LEVELS` names, and how many more there are."""
    more = f" and {len(names) - MOST_LEVELS} more" if len(names) > MOST_LEVELS else ""
    return ", ".join(_as_code(name) for name in names[:MOST_LEVELS]) + more


def _as_code(text: str) -> str:
    """Return the text as Markdown code, in which nothing is markup."""
    plain = re.sub(r"[`\s]+", " ", text)
    return f"`{plain}`"
