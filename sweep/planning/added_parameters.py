"""How many parameters a norm adds to a model, counted without training."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.errors import RefusedError
from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from trainables.spec import ModelSpec


@dataclass(frozen=True)
class AddedParameters:
    """The parameters of a model with a norm, beside those with the reference norm."""

    model: str
    norm: str
    reference: str
    num_parameters: int
    num_reference: int

    @property
    def added(self) -> int:
        """How many parameters the norm adds, against the reference norm."""
        return self.num_parameters - self.num_reference

    @property
    def percent(self) -> float:
        """`added` in percent of the parameters with the reference norm."""
        return 100 * self.added / self.num_reference


def count_added_parameters(grid: Grid) -> tuple[AddedParameters, ...]:
    """Count the parameters of every model of the grid with every norm.

    The reference is the grid's own, else its first norm. Neither batch size nor seed matters:
    each model is built once per norm, without data. Raises `RefusedError` for a cell that cannot
    run, and where a model stands in the grid without the reference.
    """
    reference = grid.reference or grid.trials[0].norm
    cells: dict[tuple[str, str], GridTrial] = {}
    for trial in grid.trials:
        cells.setdefault((_format_model(trial.spec.model), trial.norm), trial)
    counts = {cell: _count_parameters(trial) for cell, trial in cells.items()}
    alone = sorted({model for model, _ in counts if (model, reference) not in counts})
    if alone:
        raise RefusedError(f"{grid.path}: {', '.join(alone)} stands there without {reference}")
    return tuple(
        AddedParameters(model, norm, reference, count, counts[model, reference])
        for (model, norm), count in counts.items()
    )


def _format_model(spec: ModelSpec) -> str:
    """Return a model's name with the options that its spec states."""
    sizes = {} if spec.width is None else {"width": spec.width}
    stated = ", ".join(f"{name} {value}" for name, value in {**sizes, **spec.options}.items())
    return f"{spec.name}, {stated}" if stated else spec.name


def _count_parameters(trial: GridTrial) -> int:
    """Return the number of parameters of the trial's model."""

    import trainables

    try:
        return trainables.check_feasibility(trial.spec).num_parameters
    except ValueError as error:
        raise RefusedError(f"{trial.norm} in {trial.spec.model.name}: {error}") from None
