"""A dashboard is one that Grafana imports, and a real Prometheus has an answer for every query."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scraping import Exposition, Prometheus, exposition

Serve = Callable[[Callable[[int], str]], Exposition]

# What Grafana puts in place of its variables, if All is chosen.
VARIABLES = {"$job": ".*", "$instance": ".*", "$__rate_interval": "1m"}


def make(tallymark: str, text: str, *options: str) -> dict[str, Any]:
    """The dashboard of a text."""
    made = subprocess.run(
        [tallymark, "dashboard", "-", *options],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (made.returncode, made.stderr) == (0, "")
    dashboard: dict[str, Any] = json.loads(made.stdout)
    return dashboard


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels but the rows."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


@pytest.fixture(scope="module")
def dashboard(tallymark: str) -> dict[str, Any]:
    """The dashboard of a family of every type."""
    return make(tallymark, exposition(1))


@pytest.fixture(scope="module")
def server(serve_text: Serve, prometheus: Callable[..., Prometheus]) -> Prometheus:
    """A Prometheus that scrapes what the dashboard was made of."""
    return prometheus(serve_text(exposition).address)


def filled(query: str) -> str:
    """The query as Grafana sends it."""
    for name, value in VARIABLES.items():
        query = query.replace(name, value)

    assert "$" not in query
    return query


def test_every_query_has_an_answer(dashboard: dict[str, Any], server: Prometheus) -> None:
    """No error and no empty panel."""
    queries = [target["expr"] for panel in panels(dashboard) for target in panel["targets"]]

    assert len(queries) > 25
    for query in queries:
        server.wait_for(filled(query))


def test_the_numbers_are_those_that_the_panel_says(
    dashboard: dict[str, Any], server: Prometheus
) -> None:
    """Of those that do not depend on when Prometheus scraped."""
    queries = {panel["title"]: panel["targets"][0]["expr"] for panel in panels(dashboard)}
    for title, expected in {
        "queue_items: share of its limit": 0.1,
        "process_open_fds: share of its limit": 9 / 1024,
        "http_requests: share that failed": 1 / 3,
        "mail_calls: share that failed": 1 / 4,
        "calls: share that failed": 0,
        "http_size_bytes: mean": 10,
        "http_wait_seconds: quantiles": 0.1,
    }.items():
        (found,) = server.wait_for(filled(queries[title]))

        assert float(found["value"][1]) == pytest.approx(expected), title
    (age,) = server.wait_for(filled(queries["process_start_time_seconds: how long ago"]))
    assert float(age["value"][1]) == pytest.approx(time.time() - 1.7e9, rel=1e-3)


def test_the_variables_have_values(dashboard: dict[str, Any], server: Prometheus) -> None:
    """The jobs and instances that can be chosen are those of the families that are shown."""
    server.wait_for("mode")
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    for label, expected in {"job": "nightly", "instance": "127.0.0.1"}.items():
        query = variables[label]["query"]["query"]
        selector = query.removeprefix("label_values(").removesuffix(f", {label})")
        found = server.ask(f"label/{label}/values", **{"match[]": selector.replace("$job", ".*")})

        assert any(value.startswith(expected) for value in found), (selector, found)


def test_every_family_is_shown_by_what_suits_it(dashboard: dict[str, Any]) -> None:
    """One panel at least for each family; a limit and a time of creation stand with their own."""
    shown = {panel["title"]: (panel["type"], unit(panel)) for panel in panels(dashboard)}
    rate = ("timeseries", "cps")

    assert shown == {
        "app_info": ("table", "short"),
        "calls: per second": rate,
        "calls: share that failed": ("timeseries", "percentunit"),
        "http_requests: per second": rate,
        "http_requests: share that failed": ("timeseries", "percentunit"),
        "http_sent_bytes: per second": ("timeseries", "binBps"),
        "http_size_bytes: mean": ("timeseries", "bytes"),
        "http_size_bytes: per second": rate,
        "http_size_bytes: quantiles": ("timeseries", "bytes"),
        "http_wait_seconds: heatmap": ("heatmap", "s"),
        "http_wait_seconds: per second": rate,
        "http_wait_seconds: quantiles": ("timeseries", "s"),
        "job_last_run_timestamp_seconds: how long ago": ("bargauge", "s"),
        "job_last_success_timestamp_seconds: how long ago": ("bargauge", "s"),
        "job_runs: per second": rate,
        "mail_calls: per second": rate,
        "mail_calls: share that failed": ("timeseries", "percentunit"),
        "mail_errors: per second": rate,
        "many: the highest": ("timeseries", "short"),
        "mode": ("state-timeline", "short"),
        "process_open_fds": ("timeseries", "short"),
        "process_open_fds: share of its limit": ("timeseries", "percentunit"),
        "process_start_time_seconds: how long ago": ("bargauge", "s"),
        "push_failure_time_seconds: how long ago": ("bargauge", "s"),
        "push_time_seconds: how long ago": ("bargauge", "s"),
        "queue_items": ("timeseries", "short"),
        "queue_items: share of its limit": ("timeseries", "percentunit"),
        "shop_orders: per second": rate,
    }


def unit(panel: dict[str, Any]) -> str:
    """What Grafana writes behind the panel's numbers."""
    found: str = panel["fieldConfig"]["defaults"]["unit"]
    return found


def test_it_has_what_grafana_asks_of_a_dashboard(dashboard: dict[str, Any]) -> None:
    """The model of Grafana 11: a uid, a schema it knows, numbered panels, one data source."""
    every = [*dashboard["panels"], *panels(dashboard)]
    numbers = {panel["id"]: panel["title"] for panel in every}

    assert dashboard["uid"] == "tallymark"
    assert dashboard["schemaVersion"] == 39
    assert "id" not in dashboard  # it would overwrite another one
    assert len(numbers) == len({(panel["id"], panel["title"]) for panel in every})
    assert all(0 < number < 2**31 for number in numbers)
    for panel in panels(dashboard):
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            assert target["instant"] is not target["range"]
    assert [one["name"] for one in dashboard["templating"]["list"]] == [
        "datasource",
        "job",
        "instance",
    ]


def test_help_texts_are_descriptions(dashboard: dict[str, Any]) -> None:
    """What a program says of a metric is told where it is shown."""
    described = {panel["title"]: panel["description"] for panel in panels(dashboard)}

    assert described["shop_orders: per second"] == 'Orders: "all" of them.'


def test_the_same_families_give_the_same_dashboard(tallymark: str) -> None:
    """Whatever the numbers are, and in whatever order the families come."""
    head, *families = exposition(7).split("# TYPE ")
    turned = "".join("# TYPE " + family for family in reversed(families))

    one, other = make(tallymark, exposition(1)), make(tallymark, turned + "\n" + head)
    for panel in [*panels(one), *panels(other)]:
        panel["description"] = ""  # the one help text belongs to no family any more

    assert one == other


def test_title_and_datasource_can_be_chosen(tallymark: str) -> None:
    """The title makes the address; the data source is the variable's first value."""
    made = make(tallymark, "up 1\n", "--title", "Shop in Köln", "--datasource", "eu-1")

    assert made["title"] == "Shop in Köln"
    assert made["uid"].startswith("shop-in-k-ln-")
    assert made["templating"]["list"][0]["current"]["value"] == "eu-1"


def test_what_cannot_be_read_is_said(tallymark: str, tmp_path: Any) -> None:
    """No half dashboard on stdout."""
    missing = subprocess.run(
        [tallymark, "dashboard", str(tmp_path / "none")], capture_output=True, text=True
    )

    assert (missing.returncode, missing.stdout) == (1, "")
    assert str(tmp_path / "none") in missing.stderr
