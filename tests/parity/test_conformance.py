"""What a reader of expositions must accept and refuse: the official client's answers, and ours.

The cases are in ``tests/conformance``. Both packages answer each alike; where that is not what the
case demands, the case is listed here with the reason.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

CONFORMANCE = Path(__file__).parent.parent / "conformance"
CASES: dict[str, dict[str, Any]] = {
    case["id"]: {"format": path.stem, **case}
    for path in sorted(CONFORMANCE.glob("*.jsonl"))
    for case in map(json.loads, path.read_text(encoding="utf-8").rstrip("\n").split("\n"))
}

LAX = "the official parser takes it"
OTHER_2_0 = "the official parser reads the draft of 2.0 alone, with native histograms of deltas"
OTHERWISE: dict[str, str] = {
    "exp-parse-err-01": LAX,
    "exp-parse-err-12": LAX,
    "exp-parse-err-19": LAX,
    "exp-parse-err-32": LAX,
    "exp-parse-err-36": LAX,
    "exp-parse-err-44": LAX,
    "own-om1-dup-series": "of two samples of a series the official parser keeps the first",
    "own-om1-space-before-brace": "a space is a part of the name there",
    "own-om1-type-double-space": LAX,
    "own-prom-help-twice": LAX,
    "own-prom-labels-colon-name": LAX,
    "own-prom-ts-exp": "a time may be any number",
    "own-prom-ts-overflow": "a time may be any number",
    "own-prom-type-info": "it knows the types of OpenMetrics",
    "own-prom-value-overflow": "Python reads it as infinity",
    "exp-om2-create-05": OTHER_2_0,
    "own-om2-counter-plain": OTHER_2_0,
    "own-om2-counter-st": OTHER_2_0,
    "own-om2-hist-native-deltas": OTHER_2_0,
    "own-om2-hist-native-span-len": OTHER_2_0,
    "own-om2-summary": OTHER_2_0,
    "own-om2-utf8": OTHER_2_0,
    "spec-om2-00": OTHER_2_0,
    "spec-om2-01": OTHER_2_0,
    "spec-om2-07": OTHER_2_0,
    "spec-om2-12": OTHER_2_0,
    "spec-om2-24": OTHER_2_0,
    "spec-om2-30": OTHER_2_0,
    "spec-om2-32": OTHER_2_0,
    "spec-om2-34": OTHER_2_0,
    "spec-om2-42": OTHER_2_0,
}
# Where ours is not like the official one either, but as the case demands.
OURS: dict[str, str] = {"own-om1-value-bad-unicode-digits": "digits are ASCII's"}


def _read(c: Any, case: dict[str, Any]) -> list[str]:
    """
    Give the families, and how it ended; what the official parser raises is an error, whatever its
    type.
    """
    parser = c.parser if case["format"] == "text" else c.openmetrics_parser
    found = []
    try:
        found.extend(map(repr, parser.text_string_to_metric_families(case["text"])))
    except ValueError:
        found.append("refused")
    except (AttributeError, IndexError, KeyError, TypeError):
        if c.package.__name__ == "tallymark":
            raise
        found.append("refused")
    return found


def _shown(c: Any, case: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Give families and samples as the cases have them."""
    parser = c.parser if case["format"] == "text" else c.openmetrics_parser
    families, samples = [], []
    for family in parser.text_string_to_metric_families(case["text"]):
        families.append([family.name, family.type, family.documentation, family.unit])
        for sample in family.samples:
            exemplar = sample.exemplar and [
                sorted(map(list, sample.exemplar.labels.items())),
                repr(float(sample.exemplar.value)),
                _micros(sample.exemplar.timestamp),
            ]
            labels = sorted(map(list, sample.labels.items()))
            value, time = repr(float(sample.value)), _micros(sample.timestamp)
            samples.append([sample.name, labels, value, time, exemplar, None])
    return families, samples


def _micros(time: Any) -> int | None:
    return None if time is None else round(float(time) * 1_000_000)


def _expected(case: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Give the same as the case demands it, with numbers written as Python writes them."""
    for sample in case["samples"]:
        sample[2] = repr(float(sample[2]))
        if sample[4]:
            sample[4][1] = repr(float(sample[4][1]))
    return case["families"], case["samples"]


@pytest.mark.parametrize("name", [name for name in CASES if name not in OURS])
def test_both_packages_read_a_case_alike(name: str, same: Any) -> None:
    """The same families with the same samples, up to the line that is refused."""
    same(_read, CASES[name])


@pytest.mark.parametrize("name", [name for name in CASES if name not in OTHERWISE])
def test_a_case_is_accepted_or_refused_as_it_demands(name: str, ours: Any) -> None:
    """And what is accepted has the content that is expected."""
    case = CASES[name]
    refused = "refused" in _read(ours, case)

    if case["outcome"] != "either":
        assert (case["outcome"] == "reject") == refused
    if "samples" in case:
        assert _expected(case) == _shown(ours, case)


@pytest.mark.parametrize("name", OTHERWISE)
def test_a_case_that_is_listed_is_not_read_as_it_demands(name: str, ours: Any) -> None:
    """When the official client changes its mind, and we do, the list is to be shortened."""
    case = CASES[name]
    refused = "refused" in _read(ours, case)

    assert (case["outcome"] == "accept") == refused
