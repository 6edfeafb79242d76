"""Requests for a look in JSON, as the process that trains a sweep makes them."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product
from typing import Any

import pytest

from analysis.errors import AnalysisError
from analysis.look_requests import answer_request
from analysis.statistics.inference.sequential_looks import boundaries

ERRORS = {"bn": (10.0, 10.1, 10.3, 10.2), "gn": (8.0, 8.2, 8.1, 8.3)}


def make_request(num_seeds: int = 3, **changes: Any) -> dict[str, Any]:
    """Two norms at two batch sizes; both contrasts are of `gn`."""
    names = {"variant": "", "norm": "gn"}
    contrasts = [
        {**names, "measure": measure, "batch_sizes": [8, 16]} for measure in ("level", "robustness")
    ]
    trials = [
        {
            "variant": "",
            "norm": norm,
            "batch_size": size,
            "seed": seed,
            "outcome": "completed",
            "test_error": ERRORS[norm][seed] + seed * (size == 8) / 10,
            "chance_error": 90.0,
        }
        for norm, size, seed in product(ERRORS, (16, 8), range(4))
    ]
    rule = {"first": 3, "last": 4, "reference": "bn", "seeding": "per_seed", "margins": None}
    return {
        "version": 1,
        "num_seeds": num_seeds,
        "rule": {**rule, "boundaries": None, "contrasts": contrasts},
        "looks": [],
        "trials": trials,
        **changes,
    }


def answer(request: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer_request(json.dumps(request)))
    return found


def test_the_answer_completes_the_rule() -> None:
    rule = answer(make_request())["rule"]
    assert rule["margins"] == {"": 0.5}
    assert rule["boundaries"] == [list(boundaries(3, 4, 1)), list(boundaries(3, 4, 2))]
    assert [item["batch_sizes"] for item in rule["contrasts"]] == [[16, 8]] * 2
    assert (rule["alpha"], rule["spending_exponent"]) == (0.05, 1.5)


def test_many_classes_have_the_wider_margin() -> None:
    request = make_request()
    for trial in request["trials"]:
        trial["chance_error"] = 99.0
    assert answer(request)["rule"]["margins"] == {"": 1.0}


def test_a_look_has_its_numbers_and_null_for_those_that_there_are_not() -> None:
    level, robustness = answer(make_request())["look"]["contrasts"]
    assert level["decision"] == "different"
    assert level["estimate"] == pytest.approx(-2.0 - 1 / 30)
    assert level["p"] <= level["boundary"]
    assert robustness["estimate"] == 0.0
    assert (robustness["p"], robustness["half_width"]) == (None, None)
    assert (robustness["decision"], robustness["is_complete"]) == ("open", True)


def test_a_diverged_trial_counts_at_the_error_of_guessing_and_a_failed_one_not_at_all() -> None:
    request = make_request()
    first = request["trials"][0]
    first |= {"outcome": "diverged", "test_error": None}
    level, _ = answer(request)["look"]["contrasts"]
    assert level["is_complete"]
    assert level["estimate"] == pytest.approx(-2.0 - 1 / 30 - 80 / 2 / 3)
    first["outcome"] = "failed"
    for contrast in answer(request)["look"]["contrasts"]:
        assert (contrast["decision"], contrast["is_complete"]) == ("open", False)


def test_earlier_looks_are_taken_again_and_their_decisions_hold() -> None:
    first = answer(make_request())
    stored = {**first["look"]}
    request = make_request(4, rule=first["rule"], looks=[stored])
    found = answer(request)
    assert found["retaken"] == [stored]
    assert found["rule"] == first["rule"]
    assert [item["measure"] for item in found["look"]["contrasts"]] == ["robustness"]

    for trial in request["trials"]:
        trial["test_error"] = 10.0 + trial["seed"]  # the records have been changed
    found = answer(request)
    assert found["retaken"][0]["contrasts"][0]["decision"] == "open"
    assert [item["measure"] for item in found["look"]["contrasts"]] == ["robustness"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": 2}, "expected a request of version 1, but got 2"),
        ({"trials": None}, "cannot be read"),
        ({"rule": {}}, "it lacks 'contrasts'"),
        ({"rule": {**make_request()["rule"], "first": 2}}, "`first >= 3` must hold"),
        ({"rule": {**make_request()["rule"], "seeding": "x"}}, "'x' is not a valid Seeding"),
    ],
)
def test_a_wrong_request_is_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(AnalysisError, match=said) as caught:
        answer(make_request(**changes))
    assert "\n" not in str(caught.value)


def test_the_command_reads_standard_input_and_prints_json_alone() -> None:
    command = [sys.executable, "-m", "analysis", "decide"]
    request = json.dumps(make_request())
    done = subprocess.run(command, input=request, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == answer(make_request())
    failed = subprocess.run(command, input="{", capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("error: the request for a look cannot be read")
    assert len(failed.stderr.splitlines()) == 1
