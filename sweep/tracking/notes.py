"""What a sweep says of itself in MLflow's notes (Markdown), on its experiment and on each run."""

from __future__ import annotations

import re
import shlex

from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.planning.cost import cell_of
from sweep.tracking.cells import CellResults, Result, Spread
from sweep.tracking.experiment_link import ExperimentLink
from sweep.tracking.runs import Runs
from sweep.tracking.view import FETCHED_AT_ONCE, means_key, seeds_key
from sweep.wording import count_noun
from trainables.spec import Outcome

NOTE = "mlflow.note.content"
MAX_NOTE_LENGTH = 4900
"""Characters, a little below the limit of older versions and stores."""
MOST_LEVELS, MOST_SIBLINGS, LONGEST_ERROR = 12, 20, 300


def merge_note(there: str, name: str, section: str) -> str:
    """A note with its section of this name written anew; what a person wrote beside it stays.

    A note that would become too long stays as it is.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    framed = f"{begin}\n{section}\n{end}"
    before, found, rest = there.partition(begin)
    if found and end in rest:
        after = rest.partition(end)[2]
    else:
        before, after = (f"{there.rstrip()}\n\n" if there.strip() else ""), ""
    note = f"{before}{framed}{after}"
    return note if len(note) <= MAX_NOTE_LENGTH else there


def experiment_note(grid: Grid, place: ExperimentLink) -> str:
    """The question, the grid in short, where to look, how to read it, what to type."""
    first = grid.trials[0].spec
    norms = list(dict.fromkeys(trial.norm for trial in grid.trials))
    sizes = sorted({trial.spec.batch_size for trial in grid.trials}, reverse=True)
    seeds = {trial.spec.seed for trial in grid.trials}
    num_seeds = count_noun(len(seeds), "seed")
    further = f", crossed with {_listed(grid.extra_factors)}" if grid.extra_factors else ""
    reference = f", held against {_code(grid.reference)}" if grid.reference else ""
    first_ones = ""
    if len(grid.trials) > FETCHED_AT_ONCE:
        first_ones = (
            f"\n\n**This page reads {FETCHED_AT_ONCE} runs at a time:** of the {len(grid.trials)} "
            f"trials the charts show the first ones, until you choose *Load more* below the list."
        )
    return f"""\
### {_code(grid.name)}: how do {count_noun(len(norms), "norm")} hold up as the batch gets small?

- **Norms:** {_listed(norms)}{reference}
- **Batch sizes:** {", ".join(str(size) for size in sizes)}{further}
- **Trials:** {len(grid.trials)}, of {num_seeds}; {_code(first.model.name)} on \
{_code(first.data.name)}
{_preset(grid)}{_links(grid, place)}

Grouped by seeds, a line or dot is a cell, that is a norm at a batch size: the mean over its seeds,
with a band from the lowest to the highest. Whether a difference is real is the report's to \
say.{first_ones}

```sh
norm-sweep status {grid.arguments}
norm-sweep report {shlex.quote(grid.experiment)} --out report/{grid.name}
{_reproduce(grid, grid.trials[0])}
```"""


def run_note(
    grid: Grid,
    place: ExperimentLink,
    runs: Runs,
    cells: CellResults,
    trial: GridTrial,
    spread: Spread | None,
) -> str:
    """The cell, the result beside its cell's mean, the other seeds, how to train it again."""
    spec = trial.spec
    variant = f", {_code(str(trial.variant))}" if trial.variant else ""
    return f"""\
**{_code(trial.norm)} at batch size {spec.batch_size}{variant}, seed {spec.seed}**

{_findings(runs, place, cells, trial, spread)}
- **Trained:** {_code(spec.model.name)} on {_code(spec.data.name)}, \
{count_noun(spec.train.epochs, "epoch")}, in sweep {_code(grid.name)}
{_links(grid, place)}

Train it again and hold it against its record, bit by bit:

```sh
{_reproduce(grid, trial)}
```"""


def _findings(
    runs: Runs, place: ExperimentLink, cells: CellResults, trial: GridTrial, spread: Spread | None
) -> str:
    result, its_cell = cells.result(trial), cells.trials(cell_of(trial))
    found = (
        [f"- **Test error:** {_beside(result.test_error, spread)}"]
        if result.test_error is not None
        else []
    )
    found.append(f"- **Outcome:** {_outcome(result)}")
    others = [other for other in its_cell[: MOST_SIBLINGS + 1] if other is not trial]
    links = [
        f"[{other.spec.seed}]({place.run_page(runs.shown[other.trial_id].run_id)})"
        f"{_error(cells.result(other))}"
        for other in others[:MOST_SIBLINGS]
        if other.trial_id in runs
    ]
    if links:
        left = len(its_cell) - 1 - len(links)
        more = f" and {left} more" if left else ""
        found.append(f"- **Other seeds:** {' · '.join(links)}{more}")
    return "\n".join(found)


def _outcome(result: Result) -> str:
    if result.outcome is None:
        return "none yet"
    said = result.outcome.value.replace("_", " ")
    if result.outcome is Outcome.DIVERGED:
        said += ", and so counted at chance"
    if not result.error:
        return said
    shown = " ".join(result.error.split())
    return f"{said}: {_code(shown if len(shown) < LONGEST_ERROR else shown[:LONGEST_ERROR] + '…')}"


def _beside(error: float, spread: Spread | None) -> str:
    """`20.00 %; its cell's mean 21.33 % (SD 1.15, n = 3), 1.33 points above`."""
    if spread is None or spread.num == 1:
        return f"**{error:.2f} %**, its cell's only one so far"
    away = error - spread.mean
    where = f"{abs(away):.2f} points {'above' if away > 0 else 'below'}"
    beside = f"mean of its cell's seeds {spread.mean:.2f} % (SD {spread.sd:.2f}, n = {spread.num})"
    return f"**{error:.2f} %**, {where if round(abs(away), 2) else 'at'} the {beside}"


def _error(result: Result) -> str:
    if result.test_error is not None:
        return f" {result.test_error:.2f} %"
    return f" {result.outcome.value.replace('_', ' ')}" if result.outcome else ""


def _links(grid: Grid, place: ExperimentLink) -> str:
    if not place.view:
        return f"- [All runs]({place.page(None)})"
    means, seeds = place.page(means_key(grid.name)), place.page(seeds_key(grid.name))
    return f"- **Charts:** [mean over seeds]({means}) · [every seed]({seeds})"


def _reproduce(grid: Grid, trial: GridTrial) -> str:
    return f"norm-sweep reproduce {grid.arguments} {shlex.quote(trial.name)}"


def _preset(grid: Grid) -> str:
    return f"- **Edition:** {_code(str(grid.preset))}\n" if grid.preset else ""


def _listed(names: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(names) - MOST_LEVELS} more" if len(names) > MOST_LEVELS else ""
    return ", ".join(_code(name) for name in names[:MOST_LEVELS]) + more


def _code(text: str) -> str:
    """As code, so that nothing in it is Markdown."""
    plain = re.sub(r"[`\s]+", " ", text)
    return f"`{plain}`"
