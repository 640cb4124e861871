"""An application that a test writes the metrics of, and a real Prometheus that scrapes it."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from servers import FREE, HOST

PATIENCE = 90.0


def program(name: str) -> str:
    """The path of a program of Debian's."""
    path = shutil.which(name)
    assert path, f"no {name} on PATH: run scripts/debian {name}"
    return path


class Exposition:
    """An application: `/metrics` on a free port, with numbers that grow from scrape to scrape."""

    def __init__(self, text: Callable[[int], str]) -> None:
        scrapes = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                nonlocal scrapes
                scrapes += 1
                body = text(scrapes).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.address = f"{HOST}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


class Prometheus:
    """A prometheus with a directory of its own, that scrapes a target twice a second."""

    def __init__(self, directory: Path, target: str, rules: Path | None = None) -> None:
        config: dict[str, Any] = {
            "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
            "scrape_configs": [
                {
                    "job_name": "app",
                    "honor_labels": True,
                    "static_configs": [{"targets": [target]}],
                }
            ],
            "rule_files": [str(rules)] if rules else [],
        }
        directory.mkdir()
        (directory / "prometheus.json").write_text(json.dumps(config))
        self.url = f"http://{HOST}:{next(FREE)}"
        self._log = (directory / "log").open("w")
        self._process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={directory / 'prometheus.json'}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def ask(self, path: str, **parameters: str) -> Any:
        """What the API has to say, once it answers; an answer that tells of an error fails."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with opener.open(url, timeout=PATIENCE) as answer:
                    return json.load(answer)["data"]
            except urllib.error.HTTPError as error:
                with error:
                    said = error.read().decode()
                if error.code != 503:  # it starts
                    raise AssertionError(f"{parameters}: {said}") from None
            except OSError:
                pass
            assert self._process.poll() is None and time.monotonic() < deadline, url
            time.sleep(0.1)

    def query(self, promql: str) -> list[Any]:
        """The series that a query gives now."""
        found: list[Any] = self.ask("query", query=promql)["result"]
        return found

    def wait_for(self, promql: str) -> list[Any]:
        """The series of a query, as soon as it gives numbers."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self.query(promql)
            if any(not math.isnan(float(one["value"][1])) for one in found):
                return found
            assert time.monotonic() < deadline, f"no number, but {found}, for {promql}"
            time.sleep(0.25)


def exposition(scrape: int) -> str:
    """A family of every type, of the official client's text format, after so many scrapes."""
    n = scrape
    return f"""\
# HELP shop_orders_total Orders: "all" of them.
# TYPE shop_orders_total counter
shop_orders_total{{kind="a"}} {n}
shop_orders_total{{kind="b \\"quoted\\" \\\\"}} {2 * n}
# TYPE shop_orders_created gauge
shop_orders_created{{kind="a"}} 1.7e9
# TYPE http_requests_total counter
http_requests_total{{code="200",method="get"}} {10 * n}
http_requests_total{{code="503",method="get"}} {5 * n}
# TYPE http_sent_bytes_total counter
http_sent_bytes_total {1024 * n}
# TYPE calls_total counter
calls_total{{status="200"}} {n}
# TYPE http_wait_seconds histogram
http_wait_seconds_bucket{{le="0.1"}} {5 * n}
http_wait_seconds_bucket{{le="1"}} {9 * n}
http_wait_seconds_bucket{{le="+Inf"}} {10 * n}
http_wait_seconds_count {10 * n}
http_wait_seconds_sum {3 * n}
# TYPE http_size_bytes summary
http_size_bytes{{zone="x",quantile="0.5"}} 5
http_size_bytes_count{{zone="x"}} {5 * n}
http_size_bytes_sum{{zone="x"}} {50 * n}
# TYPE queue_items gauge
queue_items{{queue="a"}} 5
# TYPE queue_items_limit gauge
queue_items_limit{{queue="a"}} 50
# TYPE app_info gauge
app_info{{version="1"}} 1
# TYPE mode gauge
mode{{mode="on"}} 1
mode{{mode="off"}} 0
# TYPE mail_errors_total counter
mail_errors_total {n}
# TYPE mail_calls_total counter
mail_calls_total {4 * n}
# TYPE job_runs_total counter
job_runs_total{{job="nightly"}} {n}
# TYPE job_last_run_timestamp_seconds gauge
job_last_run_timestamp_seconds{{job="nightly"}} 1.7e9
job_last_run_timestamp_seconds{{job="never"}} 1.7e9
# TYPE job_last_success_timestamp_seconds gauge
job_last_success_timestamp_seconds{{job="nightly"}} 1.6e9
# TYPE push_time_seconds gauge
push_time_seconds{{job="nightly"}} 1.6e9
# TYPE push_failure_time_seconds gauge
push_failure_time_seconds{{job="nightly"}} 1.7e9
# TYPE process_open_fds gauge
process_open_fds 9
# TYPE process_max_fds gauge
process_max_fds 1024
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.7e9
# TYPE many gauge
""" + "".join(f'many{{user="{user}"}} {user}\n' for user in range(30))
