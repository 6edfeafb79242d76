"""Factors crossed into trials: overrides applied in order, exclusions taken out, specs checked."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sweep.errors import nearest
from sweep.grid.complaints import problems, show
from sweep.grid.contradictions import contradictions, not_dividing
from sweep.grid.factors import REQUIRED, SECTIONS, Factors, Norm, is_settable, settable
from sweep.grid.source import Loc, Source
from trainables.data import catalog as datasets
from trainables.models import catalog as models
from trainables.spec import TrialSpec, is_own

Fields = dict[str, Any]
KNOWN: dict[str, Collection[str]] = {"data": datasets.DATASETS, "model": models.MODELS}


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


@dataclass(frozen=True)
class _Rule:
    """An override or an exclusion: which levels it concerns, and the fields it sets."""

    loc: Loc
    when: Fields
    set: Fields

    def matches(self, norm: Norm, levels: Fields) -> bool:
        for name, wanted in self.when.items():
            found = {norm.label, norm.spec.name} if name == "norm" else {_key(levels.get(name))}
            wanted_levels = wanted if isinstance(wanted, list) else [wanted]
            if not found & {_key(level) for level in wanted_levels}:
                return False
        return True


MAX_TRIALS = 200_000


def expand(source: Source, factors: Factors) -> tuple[GridTrial, ...]:
    """The grid's trials, seed by seed; what is wrong is added to the source's problems."""
    expander = _Expander(source, factors)
    if factors.num_trials > MAX_TRIALS:
        what = f"expected at most {MAX_TRIALS:,} trials, found {factors.num_trials:,}"
        expander.complain(("factors",), what)
        return ()
    expander.check_rules()
    expander.check_template()
    expander.check_values()
    return expander.trials()


class _Expander:
    def __init__(self, source: Source, factors: Factors) -> None:
        self.source = source
        self.factors = factors
        self.template: Fields = {name: source.data.get(name) for name in SECTIONS}
        self.overrides = list(self.rules("overrides"))
        self.exclusions = list(self.rules("exclude"))
        self.checked: dict[str, dict[str, Any]] = {}
        self.said: set[tuple[Loc, str]] = set()

    def complain(self, loc: Loc, what: str) -> None:
        self.source.problems.append(self.source.problem(loc, what))

    def rules(self, section: str) -> Iterator[_Rule]:
        """The well-formed rules of a section; a mistyped name in one is a problem."""
        given = self.source.data.get(section)
        for i, item in enumerate(given if isinstance(given, list) else []):
            loc: Loc = (section, i)
            when = item.get("when") if section == "overrides" and isinstance(item, dict) else item
            fields = (
                item.get("set", {}) if section == "overrides" and isinstance(item, dict) else {}
            )
            if not isinstance(when, dict) or not isinstance(fields, dict):
                continue  # the layout's own complaint
            when_loc = (*loc, "when") if section == "overrides" else loc
            factor_names = [*REQUIRED, *(name for name, _ in self.factors.further)]
            unknown = [(when_loc, name, factor_names) for name in when if name not in factor_names]
            unknown += [((*loc, "set"), n, settable()) for n in fields if not is_settable(n)]
            for place, name, known in unknown:
                self.complain((*place, name), f"unknown name{nearest(name, known)}")
            if not unknown:
                yield _Rule(loc, when, fields)

    def check_template(self) -> None:
        """Complain of what is wrong in `data`, `model` and `train`, overrides aside."""
        further = dict.fromkeys((name for name, _ in self.factors.further), None)
        for name, spec in SECTIONS.items():
            if not isinstance(self.template[name], dict):
                return  # the layout's own complaint
            section = copy.deepcopy(self.template)
            for field, levels in self.factors.further:
                if levels:
                    _put(section, field, levels[0])
            try:
                _validate(spec, section[name])
            except ValidationError as error:
                found = problems(error, self.source, spec, (name,))
                self.source.problems.extend(p for p in found if p.where not in further)
        self.check_names(self.template)

    def check_names(self, fields: Fields, loc: Loc | None = None) -> None:
        """Complain of a data set or a model that there is not."""
        for section, known in KNOWN.items():
            name = fields[section].get("name") if isinstance(fields[section], dict) else None
            if isinstance(name, str) and not _is_there(section, name):
                kind = {"data": "data set"}.get(section, section)
                where = loc or (section, "name")
                self.complain(where, f"unknown {kind} {show(name)}{nearest(name, list(known))}")

    def check_values(self) -> None:
        """Complain of each value that a factor or an override sets and that is wrong there."""
        for name, levels in self.factors.further:
            for i, value in enumerate(levels):
                self.check_value(name, value, ("factors", name, i))
        for rule in self.overrides:
            for name, value in rule.set.items():
                self.check_value(name, value, (*rule.loc, "set", name))

    def check_value(self, name: str, value: Any, loc: Loc) -> None:
        fields = copy.deepcopy(self.template)
        _put(fields, name, value)
        section = name.split(".")[0]
        try:
            _validate(SECTIONS[section], fields[section])
        except ValidationError as error:
            for problem in problems(error, self.source, SECTIONS[section], (section,)):
                if problem.where.startswith(name):
                    self.complain(loc, problem.what)
        if name in ("data.name", "model.name"):
            self.check_names(fields, loc)

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
            if rule.loc not in used:
                when = ", ".join(f"{name}: {written(value)}" for name, value in rule.when.items())
                self.complain(rule.loc, f"matches no trial of the grid ({when})")
        if not num_left:
            self.complain(("exclude",), "leaves no trial")

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
            for rule in self.overrides:
                if rule.matches(norm, levels):
                    for name, value in rule.set.items():
                        _put(fields, name, value)
            variant = ", ".join(f"{name}={written(value)}" for name, value in further.items())
            spec = self.spec(norm, levels["batch_size"], levels["seed"], fields)
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
            sections = {name: _read(spec, fields[name]) for name, spec in SECTIONS.items()}
            found = list(contradictions(sections))
            self.complain_once(found)
            is_whole = None not in sections.values() and not found
            if is_whole and all(_is_there(part, sections[part].name) for part in KNOWN):
                sections["model"] = models.in_new_trials(sections["model"])
                sections["data"] = datasets.with_defaults(sections["data"])
            self.checked[key] = sections
        sections = self.checked[key]
        if sections["train"] is not None:
            self.complain_once(not_dividing(sections["train"], batch_size))
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
    return name in KNOWN[section] or is_own(name)


def _read(spec: type, data: Any) -> Any:
    try:
        return _validate(spec, data)
    except ValidationError:
        return None  # what is wrong with it has been said


def _validate(spec: type, data: Any) -> Any:
    """A spec from plain data, in JSON's strict mode: no text for a number, lists for tuples."""
    return _adapter(spec).validate_json(json.dumps(data), strict=True)


@lru_cache
def _adapter(spec: type) -> TypeAdapter[Any]:
    return TypeAdapter(spec)


def _put(fields: Fields, name: str, value: Any) -> None:
    """Set the field with this dotted name, making the mappings on the way."""
    *parents, last = name.split(".")
    for parent in parents:
        child = fields.get(parent)
        if not isinstance(child, dict):
            child = fields[parent] = {}
        fields = child
    fields[last] = list(value) if isinstance(value, tuple) else value


def _key(value: Any) -> Any:
    """Something hashable that equals another value's exactly if the values are equal."""
    if isinstance(value, dict):
        return frozenset((key, _key(item)) for key, item in value.items())
    return tuple(_key(item) for item in value) if isinstance(value, list | tuple) else value


def written(value: Any) -> str:
    """A level as labels show it: `0.1`, `null`, `150/250`."""
    if isinstance(value, list | tuple):
        return "/".join(written(item) for item in value)
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
