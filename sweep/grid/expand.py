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
from sweep.grid.factors import Combination, Factors
from sweep.grid.field_names import SECTIONS, TRIAL_FIELDS
from sweep.grid.norm_levels import NormLevel, override_options
from sweep.grid.rules import Rule, RuleReader, describe_norm_overrides
from sweep.grid.sections import read_section, read_strictly, read_valid_part
from sweep.grid.validation_messages import first_repeated, format_value, validation_problems
from sweep.grid.variant import Variant, format_level, level_key
from sweep.grid.yaml_source import Loc, Source, format_location
from trainables.data import catalog as datasets
from trainables.data.lookup import complete_data_spec
from trainables.models import catalog as models
from trainables.spec import TrialSpec, is_custom
from trainables.spec_class import Seeding

Fields = dict[str, Any]
KNOWN_NAMES: dict[str, Collection[str]] = {"data": datasets.DATASETS, "model": models.MODELS}
MAX_TRIALS = 200_000
UNORDERED_LISTS = ("eval_statistics", "extra_metrics")
"""Fields of `train` that hold a list whose order means nothing."""


@dataclass(frozen=True)
class GridTrial:
    """A trial of a grid: its spec, and the labels of its levels.

    Attributes:
        spec: what decides the trial's result.
        norm: label of the norm in this grid.
        variant: the level of each extra factor of this grid.
    """

    spec: TrialSpec
    norm: str
    variant: Variant

    @cached_property
    def trial_id(self) -> str:
        """The spec's identity."""
        return self.spec.trial_id

    @property
    def name(self) -> str:
        """The trial's name in MLflow and the live view: `groupnorm-bs008-s2`."""
        return self._format_name(f"-s{self.spec.seed}")

    @property
    def cell_name(self) -> str:
        """The name without the seed: `groupnorm-bs008`."""
        return self._format_name("")

    def _format_name(self, seed: str) -> str:
        """Return the trial's name with `seed` as its seed part."""
        name = f"{self.norm}-bs{self.spec.batch_size:03d}{seed}"
        return f"{name}-{self.variant}" if self.variant else name


@dataclass(frozen=True)
class Expansion:
    """The trials that a grid's factors make.

    Attributes:
        trials: the trials, all of one seed before the next seed's.
        warnings: a line for each rule that names a level which its factor does not have, and for
            each level that exclusions leave without a trial.
        notes: a line for each rule whose meaning the author may not expect.
    """

    trials: tuple[GridTrial, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def expand(source: Source, factors: Factors, seeding: Seeding) -> Expansion:
    """Return the grid's trials and warnings; errors are added to the problems of `source`."""
    expander = _Expander(source, factors, seeding)
    expander.check_template()
    expander.check_values()
    if factors.num_trials > MAX_TRIALS:
        what = f"expected at most {MAX_TRIALS:,} trials, found {factors.num_trials:,}"
        source.add_problem(("factors",), what)
        return Expansion()
    expander.check_rules()
    trials = expander.make_trials()
    notes = (*expander.reader.notes, *describe_norm_overrides(expander.overrides, factors.norms))
    warnings = (*expander.reader.warnings, *expander.find_levels_without_trials())
    return Expansion(trials, warnings, notes)


class _Expander:
    """Checks a grid's sections and rules, and makes a spec for each combination of levels."""

    def __init__(self, source: Source, factors: Factors, seeding: Seeding) -> None:
        self.source = source
        self.factors = factors
        self.seeding = seeding
        self.template: Fields = {name: source.data.get(name) for name in SECTIONS}
        self.reader = RuleReader(source, factors)
        self.overrides = list(self.reader.read_rules("overrides"))
        self.exclusions = list(self.reader.read_rules("exclude"))
        self.sections_by_fields: dict[str, dict[str, Any]] = {}
        self.added: set[tuple[Loc, str]] = set()

    def check_template(self) -> None:
        """Add a problem for what is wrong in `data`, `model` and `train` before overrides."""
        extra_names = {name for name, _ in self.factors.extra_factors}
        readable: dict[str, Any] = {}
        for name, spec_class in SECTIONS.items():
            if not isinstance(self.template[name], dict):
                readable[name] = None
                continue  # pydantic's finding, which has been added
            section = copy.deepcopy(self.template)
            for field, levels in self.factors.extra_factors:
                if levels:
                    _set_field(section, field, levels[0])
            try:
                readable[name] = read_strictly(spec_class, section[name])
            except ValidationError as error:
                found = validation_problems(error, self.source, spec_class, (name,), TRIAL_FIELDS)
                self.source.problems.extend(p for p in found if p.where not in extra_names)
                readable[name] = read_valid_part(spec_class, section[name], error)
        train = self.template["train"]
        for field in UNORDERED_LISTS if isinstance(train, dict) else ():
            self.check_repeated_items(f"train.{field}", train.get(field), ("train", field))
        self.check_names(self.template)
        if self.source.problems:  # else contradictions are found in the trials
            # A section of which an override sets fields may be right in every trial.
            set_in = {name.split(".")[0] for rule in self.overrides for name in rule.fields}
            self.add_problems_once(
                (loc, what) for loc, what in find_contradictions(readable) if loc[0] not in set_in
            )

    def check_names(self, fields: Fields, loc: Loc | None = None) -> None:
        """Add a problem for an unknown data set or model, at `loc` or at the field of the name."""
        for section, known in KNOWN_NAMES.items():
            name = fields[section].get("name") if isinstance(fields[section], dict) else None
            if isinstance(name, str) and not _is_known_name(section, name):
                kind = {"data": "data set"}.get(section, section)
                offered = datasets.TRAINABLE if section == "data" else tuple(known)
                what = f"unknown {kind} {format_value(name)}{suggest_nearest(name, offered)}"
                self.source.add_problem(loc or (section, "name"), what)

    def check_values(self) -> None:
        """Add a problem for each wrong value that an extra factor or an override sets."""
        for name, levels in self.factors.extra_factors:
            for i, value in enumerate(levels):
                self.check_value(name, value, ("factors", name, i))
        for rule in self.overrides:
            for name, value in rule.fields.items():
                self.check_value(name, value, (*rule.loc, "set", name))

    def check_value(self, name: str, value: Any, loc: Loc) -> None:
        """Add a problem, at `loc`, for a value that the field of this dotted name cannot have."""
        fields = copy.deepcopy(self.template)
        _set_field(fields, name, value)
        section = name.split(".")[0]
        try:
            read_strictly(SECTIONS[section], fields[section])
        except ValidationError as error:
            for problem in validation_problems(
                error, self.source, SECTIONS[section], (section,), TRIAL_FIELDS
            ):
                if problem.where.startswith(name):
                    self.source.add_problem(loc, problem.what)
        if name in ("data.name", "model.name"):
            self.check_names(fields, loc)
        self.check_repeated_items(name, value, loc)

    def check_repeated_items(self, name: str, value: Any, loc: Loc) -> None:
        """Add a problem for an item that occurs twice in a list whose order has no meaning."""
        is_unordered = name.removeprefix("train.") in UNORDERED_LISTS
        if is_unordered and (item := first_repeated(value)) is not None:
            self.source.add_problem(loc, f"listed twice: {format_value(item)}")

    def check_rules(self) -> None:
        """Add a problem for each rule that concerns no trial, and for exclusions of all trials."""
        factors = self.factors
        extra = (levels for _, levels in factors.extra_factors)
        if not all((factors.norms, factors.batch_sizes, factors.seeds, *extra)):
            return  # a factor without levels, for which a problem has been added
        used: set[Loc] = set()
        num_left = 0
        for combination in self.factors.cross():
            excluding = {rule.loc for rule in self.exclusions if rule.matches(combination)}
            used |= excluding
            if not excluding:
                num_left += 1
                used |= {rule.loc for rule in self.overrides if rule.matches(combination)}
        for rule in [*self.overrides, *self.exclusions]:
            if rule.loc not in used and not self.is_explained(rule):
                when = ", ".join(
                    f"{name}: {format_level(value)}" for name, value in rule.when.items()
                )
                self.source.add_problem(rule.loc, f"matches no trial of the grid ({when})")
        if not num_left:
            self.source.add_problem(("exclude",), "leaves no trial")

    def is_explained(self, rule: Rule) -> bool:
        """Return whether a rule without trials needs no further problem.

        Such a rule has a problem already, or names levels that the command has replaced.
        """
        place = format_location(rule.loc)
        has_problem = any(problem.where.startswith(place) for problem in self.source.problems)
        return has_problem or not all(map(self.reader.is_complete, rule.when))

    def find_levels_without_trials(self) -> Iterator[str]:
        """Yield a warning for each factor with levels of which exclusions leave no trial."""
        factors = self.factors
        listed: dict[str, dict[Any, str]] = {
            "norm": {level_key(norm.label): norm.label for norm in factors.norms},
            "batch_size": {size: str(size) for size in factors.batch_sizes},
            "seed": {seed: str(seed) for seed in factors.seeds},
            **{
                name: {level_key(v): format_level(v) for v in levels}
                for name, levels in factors.extra_factors
            },
        }
        left: dict[str, set[Any]] = {name: set() for name in listed}
        for combination in factors.cross():
            if not any(rule.matches(combination) for rule in self.exclusions):
                for name, keys in left.items():
                    keys.add(level_key(combination.level(name)))
        for name, labels in listed.items():
            gone = [text for key, text in labels.items() if key not in left[name]]
            if gone:
                yield f"factors.{name}: `exclude` leaves no trial of {', '.join(gone)}"

    def make_trials(self) -> tuple[GridTrial, ...]:
        """Return the trials: each combination with its overrides, but for excluded ones.

        A problem is added for a trial that two combinations make.
        """
        trials: dict[str, GridTrial] = {}
        had_problems = bool(self.source.problems)
        for combination in self.factors.cross():
            if any(rule.matches(combination) for rule in self.exclusions):
                continue
            spec = self._make_spec(combination)
            if spec is None:
                continue
            trial = GridTrial(spec, combination.norm.label, combination.variant)
            first = trials.setdefault(trial.trial_id, trial)
            if first is not trial and not had_problems:
                what = f"makes {trial.name} the same trial as {first.name}; exclude one of them"
                self.source.add_problem(("overrides",), what)
        return tuple(trials.values())

    def _make_spec(self, combination: Combination) -> TrialSpec | None:
        """Return a combination's spec, or None where a section cannot be read."""
        fields = copy.deepcopy(self.template)
        for name, value in combination.variant.items():
            _set_field(fields, name, value)
        options: Fields = {}
        for rule in self.overrides:
            if rule.matches(combination):
                options |= rule.norm_options
                for name, value in rule.fields.items():
                    _set_field(fields, name, value)
        norm: NormLevel = combination.norm
        norm = override_options(norm, options) if options else norm
        sections = self._read_sections(fields)
        if sections["train"] is not None:
            self.add_problems_once(find_uneven_steps(sections["train"], combination.batch_size))
        if None in sections.values():
            return None
        return TrialSpec(
            norm=norm.spec,
            batch_size=combination.batch_size,
            seed=combination.seed,
            seeding=self.seeding,
            **sections,
        )

    def _read_sections(self, fields: Fields) -> dict[str, Any]:
        """Return the specs of `data`, `model` and `train`, read once for all that share them.

        A spec is None where its section cannot be read. Defaults of the data set and the model are
        filled in.
        """
        key = json.dumps(fields, sort_keys=True)
        if key not in self.sections_by_fields:
            sections = {name: read_section(spec, fields[name]) for name, spec in SECTIONS.items()}
            found = list(find_contradictions(sections))
            self.add_problems_once(found)
            is_whole = None not in sections.values() and not found
            if is_whole and all(_is_known_name(part, sections[part].name) for part in KNOWN_NAMES):
                sections["model"] = models.complete_new_model_spec(sections["model"])
                sections["data"] = complete_data_spec(sections["data"])
            self.sections_by_fields[key] = sections
        return self.sections_by_fields[key]

    def add_problems_once(self, found: Iterable[tuple[Loc, str]]) -> None:
        """Add problems that many trials may share, each once."""
        for loc, what in found:
            if (loc, what) not in self.added:
                self.added.add((loc, what))
                self.source.add_problem(loc, what)


def _is_known_name(section: str, name: str) -> bool:
    """Return whether a data set or model is registered, or is a user's own (`module:attr`)."""
    return name in KNOWN_NAMES[section] or is_custom(name)


def _set_field(fields: Fields, name: str, value: Any) -> None:
    """Set the field with this dotted name, making the mappings on the way."""
    *parents, last = name.split(".")
    for parent in parents:
        child = fields.get(parent)
        if not isinstance(child, dict):
            child = fields[parent] = {}
        fields = child
    fields[last] = list(value) if isinstance(value, tuple) else value
