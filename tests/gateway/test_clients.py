"""Clients as they are, pushing and scraping: the fifty jobs of which a Pushgateway shows one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import prometheus_client
import pytest
from gateways import HOST, PATIENCE, Gateway
from servers import FREE, wait_until

Serve = Callable[..., Gateway]

JOBS = 50


@pytest.mark.parametrize("how", ["push_to_gateway", "pushadd_to_gateway"])
def test_fifty_jobs_with_the_official_client_are_fifty(serve: Serve, how: str) -> None:
    """Counters, and histograms, of jobs that live for one push each."""
    server = serve("--push.aggregate")
    for number in range(JOBS):
        registry = prometheus_client.CollectorRegistry()
        prometheus_client.Counter("jobs", "Jobs.", registry=registry).inc()
        seconds = prometheus_client.Histogram("took_seconds", "Time.", registry=registry)
        seconds.observe(number / 10)
        getattr(prometheus_client, how)(server.address, job="batch", registry=registry)

    found = server.metrics()

    assert found["jobs_total{instance=,job=batch}"] == JOBS
    assert found["took_seconds_count{instance=,job=batch}"] == JOBS
    assert found["took_seconds_sum{instance=,job=batch}"] == pytest.approx(122.5)


def test_a_job_that_pushes_its_running_total_again_and_again_counts_once(serve: Serve) -> None:
    """The official client's, which says when it began."""
    server = serve("--push.aggregate")
    registry = prometheus_client.CollectorRegistry()
    jobs = prometheus_client.Counter("jobs", "Jobs.", registry=registry)
    for _ in range(JOBS):
        jobs.inc()
        prometheus_client.push_to_gateway(server.address, job="batch", registry=registry)

    assert server.metrics()["jobs_total{instance=,job=batch}"] == JOBS


def test_without_aggregation_the_last_push_wins(serve: Serve) -> None:
    """As with the Pushgateway."""
    server = serve()
    for number in range(3):
        server.push(f"jobs_total {number}\n", "job/batch", "PUT")

    assert server.metrics() == {"jobs_total{instance=,job=batch}": 2}


def test_fifty_jobs_with_curl_are_fifty(serve: Serve) -> None:
    """The line that is in every manual."""
    server = serve("--push.aggregate")
    script = f"""for job in $(seq {JOBS}); do
        echo "jobs_total 1" | curl -sS -f --data-binary @- {server.url}/metrics/job/batch || exit 1
    done"""
    subprocess.run(["sh", "-c", script], check=True, timeout=PATIENCE)

    assert server.metrics() == {"jobs_total{instance=,job=batch}": JOBS}


GO = """package main

import (
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
)

func main() {
	for job := 0; job < 50; job++ {
		jobs := prometheus.NewCounter(prometheus.CounterOpts{Name: "jobs_total", Help: "Jobs."})
		jobs.Inc()
		pusher := push.New(os.Args[1], "batch").Collector(jobs)
		if job%2 == 0 {
			if err := pusher.Push(); err != nil {
				panic(err)
			}
		} else if err := pusher.Add(); err != nil {
			panic(err)
		}
	}
}
"""


def test_fifty_jobs_with_gos_client_are_fifty(serve: Serve, tmp_path: Path) -> None:
    """Debian's, which pushes protobuf."""
    assert shutil.which("go"), "this test needs go and its client library: scripts/debian go"
    server = serve("--push.aggregate")
    (tmp_path / "main.go").write_text(GO)
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": "/usr/share/gocode",
        "GOCACHE": str(tmp_path / "cache"),
        "GOFLAGS": "-p=2",
    }
    program = tmp_path / "pusher"
    build = ["go", "build", "-o", str(program), str(tmp_path / "main.go")]
    subprocess.run(build, check=True, env=environment, timeout=20 * PATIENCE)

    subprocess.run([str(program), server.url], check=True, timeout=PATIENCE)

    assert server.metrics() == {"jobs_total{instance=,job=batch}": JOBS}


def test_a_prometheus_that_scrapes_it_has_the_same_totals(serve: Serve, tmp_path: Path) -> None:
    """Through its HTTP API, with the labels of the pushes."""
    assert shutil.which("prometheus"), "this test needs prometheus: scripts/debian prometheus"
    server = serve("--push.aggregate")
    for number in range(JOBS):
        server.push("jobs_total 1\n", f"job/batch/shift/{number % 3}")
    port = next(FREE)
    (tmp_path / "prometheus.yml").write_text(
        "scrape_configs: [{job_name: gateway, honor_labels: true, scrape_interval: 1s,"
        f" static_configs: [{{targets: ['{server.address}']}}]}}]\n"
    )
    prometheus = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address={HOST}:{port}",
        ],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def ask(query: str) -> dict[str, float]:
        query = urllib.parse.urlencode({"query": query})
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/api/v1/query?{query}") as answer:
                found = json.load(answer)["data"]["result"]
        except OSError:
            return {}
        return {one["metric"].get("shift", ""): float(one["value"][1]) for one in found}

    try:
        wait_until(lambda: ask('jobs_total{job="batch"}'), "Prometheus has scraped")

        assert ask('jobs_total{job="batch"}') == {"0": 17, "1": 17, "2": 16}
        assert ask("sum(jobs_total)") == {"": JOBS}
        assert ask('up{job="gateway"}') == {"": 1}
    finally:
        prometheus.kill()
        prometheus.wait()
