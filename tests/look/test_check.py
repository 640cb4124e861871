"""`tallymark check` finds what promtool finds, and more."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from looking import Looker, Program

# What promtool says, and the rule that says the same.
SAME = {
    "no help text": "no-help",
    'counter metrics should have "_total" suffix': "no-total",
    'non-counter metrics should not have "_total" suffix': "total",
    'non-histogram metrics should not have "_bucket" suffix': "reserved-suffix",
    'non-histogram and non-summary metrics should not have "_count" suffix': "reserved-suffix",
    'non-histogram and non-summary metrics should not have "_sum" suffix': "reserved-suffix",
    'non-histogram metrics should not have "le" label': "reserved-label",
    'non-summary metrics should not have "quantile" label': "reserved-label",
    "metric name should not include type": "type-in-name",
    "metric names should not contain ':'": "colon",
    "metric names should be written in 'snake_case' not 'camelCase'": "camel-case",
    "label names should be written in 'snake_case' not 'camelCase'": "camel-case",
    "metric names should not contain abbreviated units": "abbreviated-unit",
    "use base unit": "base-unit",
}

# Rules that promtool has not.
OURS = {"label-in-name", "target-label", "many-series", "collision", "clash", "duplicate"}

EXPOSITIONS = [
    "# TYPE a gauge\na 1\n",
    "# HELP jobs Jobs.\n# TYPE jobs counter\njobs 1\n",
    "# HELP jobs_total Jobs.\n# TYPE jobs_total gauge\njobs_total 1\n",
    "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total 1\n",
    "# HELP a_count A.\n# TYPE a_count gauge\na_count 1\n",
    "# HELP a_sum A.\n# TYPE a_sum counter\na_sum 1\n",
    '# HELP a_bucket A.\n# TYPE a_bucket gauge\na_bucket{le="1"} 1\n',
    '# HELP a A.\n# TYPE a gauge\na{quantile="1",le="2"} 1\n',
    "# HELP load_gauge A.\n# TYPE load_gauge gauge\nload_gauge 1\n",
    "# HELP a_counter_total A.\n# TYPE a_counter_total counter\na_counter_total 1\n",
    "# HELP job:load A.\n# TYPE job:load gauge\njob:load 1\n",
    '# HELP queueLength A.\n# TYPE queueLength gauge\nqueueLength{queueName="a"} 1\n',
    "# HELP wait_ms A.\n# TYPE wait_ms gauge\nwait_ms 1\n",
    "# HELP wait_milliseconds A.\n# TYPE wait_milliseconds gauge\nwait_milliseconds 1\n",
    "# HELP sent_kilobytes_total A.\n# TYPE sent_kilobytes_total counter\nsent_kilobytes_total 1\n",
    "# HELP up_hours A.\n# TYPE up_hours gauge\nup_hours 1\n",
    '# HELP by_code A.\n# TYPE by_code gauge\nby_code{code="1",job="a"} 1\n',
    "# HELP a_seconds A.\n# TYPE a_seconds summary\na_seconds_count 1\na_seconds_sum 2\n",
    '# HELP a_seconds A.\n# TYPE a_seconds histogram\na_seconds_bucket{le="+Inf"} 1\n'
    "a_seconds_count 1\na_seconds_sum 2\n",
]


def promtool(exposition: str) -> set[tuple[str, str]]:
    """Give families and the rules that promtool has for what it says of them."""
    program = shutil.which("promtool")
    assert program, "no promtool on PATH: run scripts/debian prometheus"
    ended = subprocess.run(
        [program, "check", "metrics"], input=exposition, capture_output=True, text=True, timeout=60
    )
    found = set()
    for line in ended.stderr.splitlines():
        family, said = line.split(" ", 1)
        (rule,) = {rule for words, rule in SAME.items() if said.startswith(words)}
        found.add((family, rule))
    return found


@pytest.mark.parametrize("exposition", EXPOSITIONS)
def test_what_promtool_finds_is_found(look: Looker, exposition: str) -> None:
    """And nothing else, but by rules that promtool has not."""
    found = {(one["family"], one["rule"]) for one in look.json("check", "-", stdin=exposition)}

    assert {one for one in found if one[1] not in OURS} == promtool(exposition)


@pytest.mark.parametrize(
    ("exposition", "words"),
    [
        ("a 1\nb\n", "line 2: "),
        ("a 1\na{ 2\n", "line 2: "),
        ("# TYPE a gauge\n# TYPE a gauge\na 1\n", "line 2: "),
        ("a 1", "line 1: "),
        ("# TYPE a counter\na_total 1\na_total -1\n# EOF\n", "line 3: "),
    ],
)
def test_a_text_that_cannot_be_read_is_a_finding_with_its_line(
    look: Looker, exposition: str, words: str
) -> None:
    """And the exit code is that of findings."""
    run = look("check", "-", stdin=exposition)

    assert (run.code, run.err) == (1, "error: 1 finding\n")
    assert run.out.startswith(words) and run.out.endswith("[syntax]\n"), run


def test_what_was_found_is_told_before_a_source_that_cannot_be_read(
    look: Looker, tmp_path: Path
) -> None:
    """Of a source before it; of a first one that cannot be read there is nothing to tell."""
    (tmp_path / "metrics.txt").write_text("a 1\n")

    for options in ([], ["--json"]):
        run = look("check", str(tmp_path / "metrics.txt"), str(tmp_path / "none"), *options)

        assert (run.code, "no-help" in run.out, "none" in run.err) == (1, True, True), run
        run = look("check", str(tmp_path / "none"), str(tmp_path / "metrics.txt"), *options)
        assert (run.code, run.out) == (1, ""), run


def test_two_families_that_clash_are_found(look: Looker) -> None:
    """Promtool passes over them."""
    both = '# HELP a_sum A.\na_sum 1\n# HELP a A.\n# TYPE a summary\na{quantile="1"} 1\n'
    found = look.json("check", "-", stdin=both)

    assert [one["rule"] for one in found] == ["clash"]
    assert promtool(both) == set()


def test_a_store_s_own_metrics_are_as_they_should_be(
    look: Looker, program: Callable[..., Program]
) -> None:
    """A store in which a program has counted well has nothing to find; 0 is the exit code."""
    program(look.url, "Counter('jobs', 'Jobs done.', ['queue']).labels('mail').inc()").end()

    assert look.ok("check", look.url) == ""


def test_a_rule_can_be_left_out_and_many_series_be_allowed(look: Looker) -> None:
    """One by its name, the other by a number."""
    many = "# TYPE a gauge\n" + "".join(f'a{{n="{n}"}} 1\n' for n in range(1500))

    assert [one["rule"] for one in look.json("check", "-", stdin=many)] == [
        "no-help",
        "many-series",
    ]
    look.ok("check", "-", "--ignore", "no-help", "--max-series", "2000", stdin=many)
