"""Rules that promtool accepts, that record on a real Prometheus, and alert when they say."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from scraping import PATIENCE, Exposition, Prometheus, exposition, program

OWN = """\
# TYPE tallymark_store_up gauge
tallymark_store_up 1
# TYPE tallymark_backlog_series gauge
tallymark_backlog_series 0
# TYPE tallymark_lost_batches_total counter
tallymark_lost_batches_total 0
# TYPE tallymark_unshared_series gauge
tallymark_unshared_series 0
"""


def make(tallymark: str, text: str, *options: str) -> str:
    """The rules of a text."""
    made = subprocess.run(
        [tallymark, "rules", "-", *options], input=text, capture_output=True, text=True, timeout=60
    )

    assert (made.returncode, made.stderr) == (0, "")
    return made.stdout


def promtool(*arguments: object) -> str:
    """What promtool says; an error fails."""
    said = subprocess.run(
        [program("promtool"), *map(str, arguments)], capture_output=True, text=True, timeout=60
    )

    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout


@pytest.fixture(scope="module")
def rules(tallymark: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules of a family of every type, as a file."""
    path = tmp_path_factory.mktemp("rules") / "app.rules.yml"
    path.write_text(make(tallymark, exposition(1) + OWN, "--job", "app", "--job-age", "1h"))
    return path


def test_promtool_accepts_them(rules: Path, tallymark: str, tmp_path: Path) -> None:
    """As YAML and as JSON, and of nothing at all."""
    assert "SUCCESS" in promtool("check", "rules", rules)
    for name, text, *options in [
        ("json", exposition(1), "--json"),
        ("nothing", ""),
        ("interval", exposition(1), "--interval", "30s"),
        ("braces", "", "--job", "a{{b"),
    ]:
        path = tmp_path / f"{name}.yml"
        path.write_text(make(tallymark, text, *options))
        promtool("check", "rules", path)


def test_yaml_and_json_say_the_same(tallymark: str) -> None:
    """Whatever the names are, and however the lines are broken."""
    text = exposition(1) + OWN
    job = 'my  "app": a name # with   spaces, ' + "long  enough " * 9 + "to be broken"
    in_yaml = yaml.safe_load(make(tallymark, text, "--job", job))

    assert in_yaml == json.loads(make(tallymark, text, "--job", job, "--json"))
    assert in_yaml["groups"][1]["rules"][0]["alert"] == "TargetDown"


def test_every_rule_is_evaluated_and_every_recording_rule_records(
    rules: Path,
    serve_text: Callable[[Callable[[int], str]], Exposition],
    prometheus: Callable[..., Prometheus],
) -> None:
    """On a Prometheus that scrapes what they were made of."""
    server = prometheus(serve_text(lambda scrape: exposition(scrape) + OWN).address, rules)
    recorded = {
        rule["record"]
        for group in yaml.safe_load(rules.read_text())["groups"]
        for rule in group["rules"]
        if "record" in rule
    }

    assert len(recorded) >= 10
    for name in recorded:
        server.wait_for(name)
    quantiles = server.query("job_quantile:http_wait_seconds:histogram_quantile5m")
    assert {one["metric"]["quantile"] for one in quantiles} == {"0.5", "0.9", "0.99"}
    deadline = time.monotonic() + PATIENCE
    while {rule["health"] for rule in evaluated(server)} != {"ok"}:
        assert time.monotonic() < deadline, evaluated(server)
        time.sleep(0.25)


def evaluated(server: Prometheus) -> list[dict[str, Any]]:
    """The rules as the server sees them."""
    return [rule for group in server.ask("rules")["groups"] for rule in group["rules"]]


def alert(name: str, at: str, meaning: str | None, **labels: str) -> dict[str, Any]:
    """A case of promtool's: the alert fires with the meaning, or does not."""
    severity = "critical" if name in CRITICAL else "warning"
    fires = {
        "exp_labels": {"severity": severity, **labels},
        "exp_annotations": {"summary": meaning},
    }
    return {"eval_time": at, "alertname": name, "exp_alerts": [fires] if meaning else []}


CRITICAL = {"TargetDown", "JobNotSucceeding", "TallymarkStoreDown"}
SEEN = {"instance": "a", "job": "app"}
UP = {"series": 'up{job="app",instance="a"}', "values": "1x600"}
THERE = {"series": "app_info", "values": "1x600"}
NEVER = "Prometheus cannot scrape app, or has no such target."
DOWN = (
    "The store cannot be read. Programs go on and keep what they count; nobody sees it until the"
    " store is back."
)
ABSENT = "app_info is not there any more: its store is empty, another one, or is not scraped."


@pytest.mark.parametrize(
    ("series", "alerts"),
    [
        pytest.param(
            [
                UP,
                THERE,
                {"series": 'job_last_success_timestamp_seconds{job="x"}', "values": "0x80"},
            ],
            [
                alert("JobNotSucceeding", "60m", None),
                alert("JobNotSucceeding", "61m", "job x has not succeeded for 1h 1m 0s.", job="x"),
                alert("TargetDown", "61m", None),
                alert("MetricsAbsent", "61m", None),
            ],
            id="a job that has not succeeded for longer than --job-age",
        ),
        pytest.param(
            [
                {"series": 'job_last_run_timestamp_seconds{job="ok"}', "values": "60x20"},
                {"series": 'job_last_success_timestamp_seconds{job="ok"}', "values": "61x20"},
                {"series": 'job_last_run_timestamp_seconds{job="bad"}', "values": "60x20"},
                {"series": 'job_last_success_timestamp_seconds{job="bad"}', "values": "10x20"},
            ],
            [
                alert(
                    "JobLastRunFailed", "9m", "The last run of job bad did not succeed.", job="bad"
                )
            ],
            id="a job that has succeeded before, but not last",
        ),
        pytest.param(
            [{"series": 'job_last_run_timestamp_seconds{job="new"}', "values": "60x20"}],
            [
                alert(
                    "JobLastRunFailed", "9m", "The last run of job new did not succeed.", job="new"
                )
            ],
            id="a job that has never succeeded",
        ),
        pytest.param(
            [{"series": 'up{job="app",instance="a"}', "values": "1x4 0x20"}],
            [
                alert("TargetDown", "9m", None),
                alert("TargetDown", "11m", NEVER, **SEEN),
                alert("MetricsAbsent", "16m", ABSENT),
            ],
            id="a target that does not answer",
        ),
        pytest.param(
            [],
            [alert("TargetDown", "6m", NEVER, job="app")],
            id="a target that nobody knows",
        ),
        pytest.param(
            [
                {"series": 'http_requests_total{code="200",job="app"}', "values": "0+90x40"},
                {"series": 'http_requests_total{code="503",job="app"}', "values": "0+10x40"},
                {"series": 'http_requests_total{code="200",job="fine"}', "values": "0+90x40"},
                {"series": 'http_requests_total{code="404",job="fine"}', "values": "0+90x40"},
                {"series": 'http_requests_total{code="200",job="idle"}', "values": "5x40"},
            ],
            [
                alert("HttpRequestsFailing", "5m", None),
                alert("HttpRequestsFailing", "20m", "10% of http_requests fail.", job="app"),
            ],
            id="requests that fail by HTTP's status",
        ),
        pytest.param(
            [
                {"series": 'push_time_seconds{job="x"}', "values": "100x20"},
                {"series": 'push_failure_time_seconds{job="x"}', "values": "50x4 200x16"},
            ],
            [
                alert("PushFailing", "4m", None),
                alert(
                    "PushFailing",
                    "15m",
                    "The last push of job x was refused; the gateway's log says why.",
                    job="x",
                ),
            ],
            id="a push that was refused",
        ),
        pytest.param(
            [{"series": "tallymark_store_up", "values": "1x4 0x20"}],
            [
                alert("TallymarkStoreDown", "4m", None),
                alert("TallymarkStoreDown", "15m", DOWN),
            ],
            id="a store that cannot be read",
        ),
    ],
)
def test_an_alert_fires_when_it_should(
    rules: Path, tmp_path: Path, series: list[dict[str, str]], alerts: list[dict[str, Any]]
) -> None:
    """And not before, nor about others: promtool plays the series to the rules."""
    case = {"interval": "1m", "input_series": series, "alert_rule_test": alerts}
    path = tmp_path / "test.json"
    path.write_text(json.dumps({"rule_files": [str(rules)], "tests": [case]}))

    assert "SUCCESS" in promtool("test", "rules", path)


def test_wrong_durations_are_refused(tallymark: str) -> None:
    """With what would be right."""
    for option in ("--job-age", "--interval"):
        refused = subprocess.run(
            [tallymark, "rules", "-", option, "soon"], input="", capture_output=True, text=True
        )

        assert refused.returncode == 2
        assert "not a duration such as 30s, 90m, 26h or 8d" in refused.stderr
