"""`norm-sweep decide`: a look at a sweep, asked for and answered in JSON.

The process that trains a sweep starts this command after each seed. A request holds the declared
rule, the looks that were taken before, and the outcome of each trial:

    {"version": 1, "num_seeds": 4,
     "rule": {"first": 3, "last": 12, "reference": "batchnorm", "seeding": "per_seed",
              "contrasts": [{"variant": "", "norm": "groupnorm", "measure": "level",
                             "batch_sizes": [64, 16, 4, 2]}, …],
              "margins": {"": 0.5} or null, "boundaries": […] or null},
     "looks": [{"num_seeds": 3, "contrasts": […]}],
     "trials": [{"variant": "", "norm": "groupnorm", "batch_size": 64, "seed": 0,
                 "outcome": "completed", "test_error": 6.5, "chance_error": 90.0}, …]}

The answer holds the rule, complete with margins and boundaries, for the caller to keep; the new
look; and the earlier looks, taken again from the trials with the stored boundaries.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analysis.errors import AnalysisError
from analysis.statistics.inference.intervals import ALPHA
from analysis.statistics.inference.sequential_looks import SPENDING_EXPONENT, Decision
from analysis.statistics.norm_measures import DEFAULT_MARGIN, DEFAULT_MARGIN_MANY_CLASSES
from analysis.statistics.sweep_looks import (
    DecidedContrast,
    DeclaredContrast,
    Errors,
    LookRule,
    Measure,
    Seeding,
    take_look,
)

REQUEST_VERSION = 1

Json = dict[str, Any]


def answer_request(text: str) -> str:
    """Return the answer to a request for a look, as JSON.

    Args:
        text: the request, as JSON.

    Raises:
        AnalysisError: the request is not JSON, lacks a field, or has a rule that cannot hold.
    """
    try:
        request = json.loads(text)
        version = request["version"]
        if version != REQUEST_VERSION:
            raise AnalysisError(
                f"expected a request of version {REQUEST_VERSION}, but got {version}"
            )
        answer = _answer(request)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        said = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise AnalysisError(f"the request for a look cannot be read: {said}") from error
    return json.dumps(answer, indent=1, allow_nan=False)


def _answer(request: Json) -> Json:
    """Return the answer to a parsed request."""
    errors = _score_trials(request["trials"])
    rule = _parse_rule(request["rule"], request["trials"])
    earlier = [_parse_decisions(look, rule) for look in request["looks"]]
    retaken = [
        _format_look(look["num_seeds"], take_look(rule, look["num_seeds"], errors, earlier[:place]))
        for place, look in enumerate(request["looks"])
    ]
    num_seeds = request["num_seeds"]
    return {
        "version": REQUEST_VERSION,
        "rule": _format_rule(rule),
        "retaken": retaken,
        "look": _format_look(num_seeds, take_look(rule, num_seeds, errors, earlier)),
    }


def _score_trials(trials: Iterable[Json]) -> Errors:
    """Return the error of each trial with a result: that of chance where the trial diverged."""
    column = {"completed": "test_error", "diverged": "chance_error"}
    found = {}
    for trial in trials:
        value = trial[column[trial["outcome"]]] if trial["outcome"] in column else None
        if value is not None:
            key = (trial["variant"], trial["norm"], trial["batch_size"], trial["seed"])
            found[key] = float(value)
    return found


def _parse_rule(rule: Json, trials: Sequence[Json]) -> LookRule:
    """Return the rule with margins and boundaries; those that are not stored are computed."""
    contrasts = tuple(map(_parse_contrast, rule["contrasts"]))
    variants = dict.fromkeys(item.variant for item in contrasts)
    parsed = LookRule(
        first=rule["first"],
        last=rule["last"],
        reference=rule["reference"],
        seeding=Seeding(rule["seeding"]),
        contrasts=contrasts,
        margins=rule["margins"] or {name: _default_margin(trials, name) for name in variants},
        boundaries=tuple(map(tuple, rule["boundaries"] or ())),
    )
    boundaries = parsed.stopping.all_boundaries()
    return LookRule(**{**vars(parsed), "boundaries": boundaries})


def _default_margin(trials: Iterable[Json], variant: str) -> float:
    """Return the margin in points for a variant, by the error of guessing among its classes."""
    chance = [t["chance_error"] for t in trials if t["variant"] == variant]
    has_many_classes = max((value for value in chance if value is not None), default=0.0) > 90
    return DEFAULT_MARGIN_MANY_CLASSES if has_many_classes else DEFAULT_MARGIN


def _parse_contrast(item: Json) -> DeclaredContrast:
    sizes = tuple(sorted(item["batch_sizes"], reverse=True))
    return DeclaredContrast(item["variant"], item["norm"], Measure(item["measure"]), sizes)


def _parse_decisions(look: Json, rule: LookRule) -> dict[DeclaredContrast, Decision]:
    """Return what a stored look has decided, by contrast of the rule."""
    by_name = {(item.variant, item.norm, item.measure.value): item for item in rule.contrasts}
    return {
        by_name[item["variant"], item["norm"], item["measure"]]: Decision(item["decision"])
        for item in look["contrasts"]
    }


def _format_rule(rule: LookRule) -> Json:
    """Return the rule as JSON, with the batch sizes that each contrast needs further seeds of."""
    return {
        "first": rule.first,
        "last": rule.last,
        "reference": rule.reference,
        "seeding": rule.seeding.value,
        "alpha": ALPHA,
        "spending_exponent": SPENDING_EXPONENT,
        "margins": dict(rule.margins),
        "contrasts": [
            {
                "variant": item.variant,
                "norm": item.norm,
                "measure": item.measure.value,
                "batch_sizes": item.batch_sizes,
                "needed_batch_sizes": item.needed_batch_sizes,
            }
            for item in rule.contrasts
        ],
        "boundaries": rule.boundaries,
    }


def _format_look(num_seeds: int, contrasts: Iterable[DecidedContrast]) -> Json:
    """Return a look as JSON; a number that there is not is null."""
    return {"num_seeds": num_seeds, "contrasts": [_format_contrast(item) for item in contrasts]}


def _format_contrast(item: DecidedContrast) -> Mapping[str, object]:
    """Return a contrast at a look: points; the half width is that at the boundary's level."""
    estimate = item.look.estimate
    return {
        "variant": item.contrast.variant,
        "norm": item.contrast.norm,
        "measure": item.contrast.measure.value,
        "decision": item.look.decision.value,
        "is_complete": item.is_complete,
        "estimate": _finite(estimate.value),
        "standard_error": _finite(estimate.standard_error),
        "df": _finite(estimate.df),
        "p": _finite(estimate.p),
        "boundary": item.look.boundary,
        "half_width": _finite(estimate.half_width(item.look.boundary)),
    }


def _finite(value: float) -> float | None:
    """Return the number, or None for one that is missing."""
    return value if math.isfinite(value) else None
