"""Factors crossed into trials: overrides applied in order, exclusions taken out, specs checked."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from sweep.errors import suggest_nearest
from sweep.grid.consistency import find_contradictions, find_uneven_steps
from sweep.grid.factors import PLACES, REQUIRED, SECTIONS, Factors
from sweep.grid.norm_levels import Norm, with_options_set
from sweep.grid.rules import Rule, RuleReader, format_level, key_of, norm_option_notes
from sweep.grid.sections import read_section, read_the_rest, validated
from sweep.grid.validation_messages import format_value, twice, validation_problems
from sweep.grid.yaml_source import Loc, Source, format_location
from trainables.data import catalog as datasets
from trainables.data.lookup import with_defaults
from trainables.models import catalog as models
from trainables.spec import TrialSpec, is_custom

Fields = dict[str, Any]
KNOWN_NAMES: dict[str, Collection[str]] = {"data": datasets.DATASETS, "model": models.MODELS}


@dataclass(frozen=True)
class GridTrial:
    """A trial of a grid: its spec, and what it is called in this grid."""

    spec: TrialSpec
    norm: str
    variant: str

    @cached_property
    def trial_id(self) -> str:
        """The spec's identity."""
        return self.spec.trial_id

    @property
    def name(self) -> str:
        """`groupnorm-bs008-s2`, as MLflow and the live view call it."""
        return self._named(f"-s{self.spec.seed}")

    @property
    def cell_name(self) -> str:
        """`groupnorm-bs008`: the name without the seed."""
        return self._named("")

    def _named(self, seed: str) -> str:
        name = f"{self.norm}-bs{self.spec.batch_size:03d}{seed}"
        return f"{name}-{self.variant}" if self.variant else name


MAX_TRIALS = 200_000
SETS = ("eval_statistics", "extra_metrics")
"""Lists of `train` whose order means nothing."""


@dataclass(frozen=True)
class Expansion:
    """What a grid's factors make: its trials, and what its author should know of its rules."""

    trials: tuple[GridTrial, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def expand(source: Source, factors: Factors) -> Expansion:
    """The grid's trials, seed by seed; what is wrong is added to the source's problems."""
    expander = _Expander(source, factors)
    expander.check_template()
    expander.check_values()
    if factors.num_trials > MAX_TRIALS:
        what = f"expected at most {MAX_TRIALS:,} trials, found {factors.num_trials:,}"
        expander.complain(("factors",), what)
        return Expansion()
    expander.check_rules()
    trials = expander.trials()
    notes = (*expander.reader.notes, *norm_option_notes(expander.overrides, factors))
    warnings = (*expander.reader.warnings, *expander.levels_without_trials())
    return Expansion(trials, warnings, notes)


class _Expander:
    def __init__(self, source: Source, factors: Factors) -> None:
        self.source = source
        self.factors = factors
        self.template: Fields = {name: source.data.get(name) for name in SECTIONS}
        self.reader = RuleReader(source, factors)
        self.overrides = list(self.reader.rules("overrides"))
        self.exclusions = list(self.reader.rules("exclude"))
        self.checked: dict[str, dict[str, Any]] = {}
        self.said: set[tuple[Loc, str]] = set()

    def complain(self, loc: Loc, what: str) -> None:
        self.source.problems.append(self.source.problem(loc, what))

    def check_template(self) -> None:
        """Complain of what is wrong in `data`, `model` and `train`, overrides aside."""
        further = dict.fromkeys((name for name, _ in self.factors.further), None)
        readable: dict[str, Any] = {}
        for name, spec in SECTIONS.items():
            if not isinstance(self.template[name], dict):
                readable[name] = None
                continue  # the layout's own complaint
            section = copy.deepcopy(self.template)
            for field, levels in self.factors.further:
                if levels:
                    _put(section, field, levels[0])
            try:
                readable[name] = validated(spec, section[name])
            except ValidationError as error:
                found = validation_problems(error, self.source, spec, (name,), PLACES)
                self.source.problems.extend(p for p in found if p.where not in further)
                readable[name] = read_the_rest(spec, section[name], error)
        train = self.template["train"]
        for field in SETS if isinstance(train, dict) else ():
            self.check_set(f"train.{field}", train.get(field), ("train", field))
        self.check_names(self.template)
        if self.source.problems:  # no trial may come to be, whose contradictions would be found
            # A section of which an override sets fields may be right in every trial.
            set_in = {name.split(".")[0] for rule in self.overrides for name in rule.fields}
            self.complain_once(
                (loc, what) for loc, what in find_contradictions(readable) if loc[0] not in set_in
            )

    def check_names(self, fields: Fields, loc: Loc | None = None) -> None:
        """Complain of a data set or a model that there is not."""
        for section, known in KNOWN_NAMES.items():
            name = fields[section].get("name") if isinstance(fields[section], dict) else None
            if isinstance(name, str) and not _is_there(section, name):
                kind = {"data": "data set"}.get(section, section)
                where = loc or (section, "name")
                offered = datasets.TRAINABLE if section == "data" else tuple(known)
                self.complain(
                    where, f"unknown {kind} {format_value(name)}{suggest_nearest(name, offered)}"
                )

    def check_values(self) -> None:
        """Complain of each value that a factor or an override sets and that is wrong there."""
        for name, levels in self.factors.further:
            for i, value in enumerate(levels):
                self.check_value(name, value, ("factors", name, i))
        for rule in self.overrides:
            for name, value in rule.fields.items():
                self.check_value(name, value, (*rule.loc, "set", name))

    def check_value(self, name: str, value: Any, loc: Loc) -> None:
        fields = copy.deepcopy(self.template)
        _put(fields, name, value)
        section = name.split(".")[0]
        try:
            validated(SECTIONS[section], fields[section])
        except ValidationError as error:
            for problem in validation_problems(
                error, self.source, SECTIONS[section], (section,), PLACES
            ):
                if problem.where.startswith(name):
                    self.complain(loc, problem.what)
        if name in ("data.name", "model.name"):
            self.check_names(fields, loc)
        self.check_set(name, value, loc)

    def check_set(self, name: str, value: Any, loc: Loc) -> None:
        """Complain of what a list holds twice, where the order of its items means nothing."""
        if name.removeprefix("train.") in SETS and (item := twice(value)) is not None:
            self.complain(loc, f"listed twice: {format_value(item)}")

    def check_rules(self) -> None:
        """Complain of a rule that concerns no trial, and of exclusions that leave none."""
        factors = self.factors
        further = (levels for _, levels in factors.further)
        if not all((factors.norms, factors.batch_sizes, factors.seeds, *further)):
            return  # nothing is crossed, and that has been said
        used: set[Loc] = set()
        num_left = 0
        for norm, levels in self.factors.cells():
            excluding = {rule.loc for rule in self.exclusions if rule.matches(norm, levels)}
            used |= excluding
            if not excluding:
                num_left += 1
                used |= {rule.loc for rule in self.overrides if rule.matches(norm, levels)}
        for rule in [*self.overrides, *self.exclusions]:
            if rule.loc not in used and not self.is_explained(rule):
                when = ", ".join(
                    f"{name}: {format_level(value)}" for name, value in rule.when.items()
                )
                self.complain(rule.loc, f"matches no trial of the grid ({when})")
        if not num_left:
            self.complain(("exclude",), "leaves no trial")

    def is_explained(self, rule: Rule) -> bool:
        """Whether it is clear why a rule matches nothing: its levels are wrong, or replaced."""
        place = format_location(rule.loc)
        said = any(problem.where.startswith(place) for problem in self.source.problems)
        return said or not all(map(self.reader.is_complete, rule.when))

    def levels_without_trials(self) -> Iterator[str]:
        """A warning for each listed level of which exclusions have left no trial."""
        factors = self.factors
        listed: dict[str, dict[Any, str]] = {
            "norm": {norm.label: norm.label for norm in factors.norms},
            "batch_size": {size: str(size) for size in factors.batch_sizes},
            "seed": {seed: str(seed) for seed in factors.seeds},
            **{
                name: {key_of(v): format_level(v) for v in levels}
                for name, levels in factors.further
            },
        }
        left: dict[str, set[Any]] = {name: set() for name in listed}
        for norm, levels in factors.cells():
            if not any(rule.matches(norm, levels) for rule in self.exclusions):
                left["norm"].add(norm.label)
                for name, level in levels.items():
                    left[name].add(key_of(level))
        for name, of in listed.items():
            gone = [text for key, text in of.items() if key not in left[name]]
            if gone:
                yield f"factors.{name}: `exclude` leaves no trial of {', '.join(gone)}"

    def trials(self) -> tuple[GridTrial, ...]:
        """Cross, exclude, override; a trial that comes out twice is a problem."""
        trials: dict[str, GridTrial] = {}
        wrong_before = bool(self.source.problems)
        for norm, levels in self.factors.cells():
            if any(rule.matches(norm, levels) for rule in self.exclusions):
                continue
            further = {k: v for k, v in levels.items() if k not in REQUIRED}
            fields = copy.deepcopy(self.template)
            for name, value in further.items():
                _put(fields, name, value)
            options: Fields = {}
            for rule in self.overrides:
                if rule.matches(norm, levels):
                    options |= rule.norm_options
                    for name, value in rule.fields.items():
                        _put(fields, name, value)
            level = with_options_set(norm, options) if options else norm
            variant = ", ".join(f"{name}={format_level(value)}" for name, value in further.items())
            spec = self.spec(level, levels["batch_size"], levels["seed"], fields)
            if spec is None:
                continue
            trial = GridTrial(spec, norm.label, variant)
            first = trials.setdefault(trial.trial_id, trial)
            if first is not trial and not wrong_before:
                what = f"makes {trial.name} the same trial as {first.name}; exclude one of them"
                self.complain(("overrides",), what)
        return tuple(trials.values())

    def spec(self, norm: Norm, batch_size: int, seed: int, fields: Fields) -> TrialSpec | None:
        """The trial's spec, or None where one of its sections cannot be read."""
        key = json.dumps(fields, sort_keys=True)
        if key not in self.checked:
            sections = {name: read_section(spec, fields[name]) for name, spec in SECTIONS.items()}
            found = list(find_contradictions(sections))
            self.complain_once(found)
            is_whole = None not in sections.values() and not found
            if is_whole and all(_is_there(part, sections[part].name) for part in KNOWN_NAMES):
                sections["model"] = models.in_new_trials(sections["model"])
                sections["data"] = with_defaults(sections["data"])
            self.checked[key] = sections
        sections = self.checked[key]
        if sections["train"] is not None:
            self.complain_once(find_uneven_steps(sections["train"], batch_size))
        if None in sections.values():
            return None
        return TrialSpec(norm=norm.spec, batch_size=batch_size, seed=seed, **sections)

    def complain_once(self, found: Iterable[tuple[Loc, str]]) -> None:
        """Complain of what many trials may share."""
        for loc, what in found:
            if (loc, what) not in self.said:
                self.said.add((loc, what))
                self.complain(loc, what)


def _is_there(section: str, name: str) -> bool:
    """Whether a data set or model has this name, or may have it as a user's own."""
    return name in KNOWN_NAMES[section] or is_custom(name)


def _put(fields: Fields, name: str, value: Any) -> None:
    """Set the field with this dotted name, making the mappings on the way."""
    *parents, last = name.split(".")
    for parent in parents:
        child = fields.get(parent)
        if not isinstance(child, dict):
            child = fields[parent] = {}
        fields = child
    fields[last] = list(value) if isinstance(value, tuple) else value
