"""Trains one trial again, in this process and without Ray, and compares it with its record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from sweep.errors import RefusedError, suggest_nearest
from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.planning.trial_states import TrialStates
from sweep.records.epoch_record import EpochRecord
from sweep.records.provenance import collect_provenance
from sweep.records.record import Record
from sweep.wording import format_step_ranges
from trainables.spec import EpochMetrics, Outcome

if TYPE_CHECKING:
    from trainables import Trial

TIME_METRICS = ("train_s", "eval_s", "seconds_to_threshold")

MAX_FIRST_EPOCH_DIFFERENCE, MAX_MEAN_DIFFERENCE = 0.1, 0.3
"""Side by side a trial differs by rounding, which training magnifies: by how much of the record's
the mean loss of the first epoch may differ, and that of all epochs. AssocNorm's over a first epoch
of 718 steps was seen to differ by 1.3 percent, GroupNorm's over a third by 15; what single late
epochs have left of a loss may differ by any factor."""


def find_trial(grid: Grid, wanted: str) -> GridTrial:
    """Return the trial of the grid with this id, beginning of an id, or name.

    Raises:
        RefusedError: no trial, or more than one, fits `wanted`.
    """
    found = [t for t in grid.trials if wanted == t.name or t.trial_id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f"{trial.name} ({trial.trial_id})" for trial in found[:5])
        raise RefusedError(f"{wanted!r} names {len(found)} trials: {names}")
    hint = suggest_nearest(wanted, [trial.name for trial in grid.trials][:20])
    raise RefusedError(f"{grid.path} has no trial {wanted!r}{hint}")


def compare_with_record(metrics: EpochMetrics, recorded: EpochRecord) -> list[str]:
    """Return `train_loss 0.71 (recorded 0.72)` for each metric with other bits than recorded."""
    return [
        f"{name} {value!r} (recorded {recorded.values.get(name)!r})"
        for name, value in metrics.values().items()
        if name not in TIME_METRICS and value != recorded.values.get(name)
    ]


def list_environment_differences(record: Record, device: str) -> Iterator[str]:
    """Yield a line for each package version or device that differs from the record's."""
    here = collect_provenance(device)
    for name in ("code_version", "python", "platform", "device"):
        now, before = getattr(here, name), getattr(record.provenance, name)
        if now != before:
            yield f"{name} was {before}, is {now}"
    packages = record.provenance.packages or {}
    for name, version in (here.packages or {}).items():
        if version != packages.get(name):
            yield f"{name} was {packages.get(name)}, is {version}"


def reproduce(
    states: TrialStates,
    trial: GridTrial,
    report: Callable[[str], None],
    num_epochs: int | None = None,
) -> bool:
    """Train the trial again, report a line per epoch, and compare it with its record.

    Args:
        states: the grid's trials and their records.
        trial: the trial to train.
        report: called with each line.
        num_epochs: how many epochs to train; None: all.

    Returns:
        Whether every bit was the record's, or there is no record. Of a trial that was trained side
        by side with others only the losses have to be alike.
    """
    from trainables import Diverged

    try:
        return _train_again(states, trial, report, num_epochs)
    except Diverged as end:
        record = states.records.get(trial.trial_id)
        expected = record is None or record.outcome is Outcome.DIVERGED
        report(f"it diverges: {end}{', as its record says' if record and expected else ''}")
        return expected


def train_steps(
    states: TrialStates, trial: GridTrial, report: Callable[[str], None], num_steps: int
) -> bool:
    """Train the trial's first steps and report their mean loss; return False if it diverged.

    No record holds single steps, so nothing is compared.
    """
    import torch

    from trainables import Diverged, Trial

    torch.set_num_threads(max(1, int(states.grid.resources.cpu)))
    training = Trial(trial.spec, data_root=states.grid.data_root)
    epoch = training.current_epoch()
    while epoch.num_steps < min(num_steps, epoch.examples.num_batches):
        training.chunk_sizer.num_steps = min(
            training.chunk_sizer.num_steps, num_steps - epoch.num_steps
        )
        try:
            epoch.train_chunk(training.chunk_sizer)
        except Diverged as end:
            report(f"it diverges: {end}")
            return False
        speed = epoch.num_steps / epoch.train_s
        report(f"step {epoch.num_steps}: mean loss {epoch.train_loss:.4f}, {speed:.0f} steps/s")
    return True


def _train_again(
    states: TrialStates, trial: GridTrial, report: Callable[[str], None], num_epochs: int | None
) -> bool:
    """Train the trial for `num_epochs` and return whether each epoch has the bits of the record."""

    import torch

    from trainables import Trial

    record = states.records.get(trial.trial_id)
    last_attempt = record.last_attempt if record else None
    device = (last_attempt and last_attempt.device) or "cpu"
    torch.set_num_threads(max(1, int(states.grid.resources.cpu)))
    compiled = record.compiled if record and not record.fused else []
    training = Trial(
        trial.spec, data_root=states.grid.data_root, device=device, compilation=compiled
    )
    if compiled:
        report(f"compiled as its record says: {format_step_ranges(compiled)}")
    last = min(num_epochs or trial.spec.train.epochs, trial.spec.train.epochs)
    if record is None:
        report("it has no record: there is nothing to compare with")
    if record and record.fused:
        return _compare_losses(training, record, report, last)
    verdicts = [_compare_next_epoch(training, record, report) for _ in range(last)]
    same = all(verdicts)
    if record and record.weights_digest and training.finished:
        weights_are_same = record.weights_digest == training.weights_digest
        report(f"final weights: {'same bits' if weights_are_same else 'other bits'}")
        same = same and weights_are_same
    for line in training.steps.warnings:
        report(f"{line}: its bits are not those of a record whose steps were")
    if record and not same:
        for line in list_environment_differences(record, device):
            report(line)
    return same


def _compare_next_epoch(
    training: Trial, record: Record | None, report: Callable[[str], None]
) -> bool:
    """Train one epoch, report a line, and return whether its metrics have the record's bits."""
    metrics = training.run_epoch()
    begin = f"epoch {metrics.epoch}: test error {metrics.test_error:.2f} %"
    if record is None or metrics.epoch > len(record.epochs):
        report(f"{begin}: not in the record")
        return True
    found = compare_with_record(metrics, record.epochs[metrics.epoch - 1])
    report(f"{begin}: {'; '.join(found) or 'same bits'}")
    return not found


def _compare_losses(
    training: Trial, record: Record, report: Callable[[str], None], num_epochs: int
) -> bool:
    """Train alone a trial that was recorded side by side; return whether the losses are close."""
    report(
        f"its record is of {record.fused} seeds side by side; alone it comes to other bits, and to "
        f"losses alike"
    )
    pairs = []
    for _ in range(num_epochs):
        metrics = training.run_epoch()
        begin = f"epoch {metrics.epoch}: test error {metrics.test_error:.2f} %"
        if metrics.epoch > len(record.epochs):
            report(f"{begin}: not in the record")
            continue
        recorded = record.epochs[metrics.epoch - 1].metrics
        pairs.append((metrics.train_loss, recorded.train_loss))
        report(
            f"{begin} (recorded {recorded.test_error:.2f} %), train loss "
            f"{metrics.train_loss:.4f} (recorded {recorded.train_loss:.4f})"
        )
    checks = {
        "first epoch": (pairs[:1], MAX_FIRST_EPOCH_DIFFERENCE),
        "all epochs": (pairs, MAX_MEAN_DIFFERENCE),
    }
    far = [
        f"over the {name} the mean loss differs by {100 * off:.0f} %, more than {100 * bound:.0f} %"
        for name, (some, bound) in checks.items()
        if some and (off := _relative_difference(some)) > bound
    ]
    for line in far or (["alike"] if pairs else []):
        report(line)
    return not far


def _relative_difference(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the difference of the mean losses, relative to the recorded one."""
    found, recorded = (sum(pair[place] for pair in pairs) for place in (0, 1))
    return abs(found - recorded) / recorded
