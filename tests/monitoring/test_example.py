"""`examples/monitoring`: what runs there belongs together, and what was generated is not stale."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from scraping import program

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "monitoring"
HINT = "make it again, as its README says"

SELL = """
import shop
shop.app.test_client().get("/view/tea")
assert shop.app.test_client().get("/buy/tea").status_code == 200
"""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """What the compose file says."""
    found: dict[str, Any] = yaml.safe_load((EXAMPLE / "compose.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def store(tallymark: str, compose: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The store, after a sale, a job as compose.yaml has it, and one that fails."""
    directory = tmp_path_factory.mktemp("shop")
    url = f"file:{directory / 'metrics.tally'}"
    paths = [str(Path(tallymark).parent), str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = {
        **{k: v for k, v in os.environ.items() if k.upper() != "PROMETHEUS_MULTIPROC_DIR"},
        "PATH": os.pathsep.join(paths),
        "TALLYMARK_STORE": url,
        "SHOP_DB": str(directory / "shop.db"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    (job,) = re.findall("do (.*); done", compose["services"]["jobs"]["command"][2])
    for command, status in [
        ([sys.executable, "-c", SELL], 0),
        (job.split(), 0),
        ([part.replace("tea", "no-such-thing") for part in job.split()], 1),
    ]:
        done = subprocess.run(
            command,
            cwd=ROOT / "examples" / "python",
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

        assert done.returncode == status, done.stderr
    return url


def generated(tallymark: str, store: str, command: str) -> str:
    """What the command in the README makes of the store."""
    (line,) = re.findall(f"^tallymark {command} .* > ", (EXAMPLE / "README.md").read_text(), re.M)
    arguments = [store if word.startswith("file:") else word for word in line.split()[1:-1]]
    made = subprocess.run([tallymark, *arguments], capture_output=True, text=True, timeout=60)

    assert made.returncode == 0, made.stderr
    return made.stdout


def test_the_dashboard_is_what_the_command_makes(tallymark: str, store: str) -> None:
    """It fails when the shop counts something else, or the command has changed."""
    kept = json.loads((EXAMPLE / "grafana" / "dashboards" / "shop.json").read_text())

    assert json.loads(generated(tallymark, store, "dashboard")) == kept, HINT


def test_the_rules_are_what_the_command_makes(tallymark: str, store: str) -> None:
    """The same for them."""
    kept = (EXAMPLE / "shop.rules.yml").read_text()

    assert generated(tallymark, store, "rules") == kept, HINT


def test_prometheus_accepts_its_configuration() -> None:
    """With the rules that it names."""
    checked = subprocess.run(
        [program("promtool"), "check", "config", EXAMPLE / "prometheus.yml"],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "shop.rules.yml" in checked.stdout


def test_every_file_and_volume_that_is_named_is_there(compose: dict[str, Any]) -> None:
    """On this side of a mount, and in what is provisioned."""
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            there = (EXAMPLE / source).exists() if "/" in source else source in compose["volumes"]

            assert there, volume
    build = compose["services"]["shop"]["build"]
    assert (EXAMPLE / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    copied = re.findall(r"^COPY (\w\S*) ", (ROOT / build["dockerfile"]).read_text(), re.M)
    assert copied and all((ROOT / path).exists() for path in copied)


def test_what_refers_to_each_other_agrees(compose: dict[str, Any]) -> None:
    """Prometheus scrapes what is served; Grafana asks that Prometheus and has the dashboard."""
    services = compose["services"]
    prometheus = yaml.safe_load((EXAMPLE / "prometheus.yml").read_text())
    provisioning = EXAMPLE / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "tallymark.yaml").read_text())[
        "providers"
    ]
    dashboard = json.loads((EXAMPLE / "grafana" / "dashboards" / "shop.json").read_text())

    (scrape,) = prometheus["scrape_configs"]
    (target,) = scrape["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert services[host]["command"][-1] == f"0.0.0.0:{port}"
    assert source["url"] == "http://prometheus:9090" and "prometheus" in services
    assert dashboard["templating"]["list"][0]["current"]["value"] == source["uid"]
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    watched = re.findall(r'up\{job="(\w+)"', (EXAMPLE / "shop.rules.yml").read_text())
    assert set(watched) == {scrape["job_name"]}


def test_the_server_starts_as_it_is_started_there(
    tallymark: str, store: str, compose: dict[str, Any]
) -> None:
    """With the store and the port of this test in the place of the container's."""
    replaced = {"file:/var/lib/shop/metrics.tally": store, "0.0.0.0:9099": "127.0.0.1:0"}
    command = [replaced.get(word, word) for word in compose["services"]["metrics"]["command"]]

    assert store in command and command[0] == "tallymark"
    with ended(subprocess.Popen([tallymark, *command[1:]], stderr=subprocess.PIPE)) as server:
        assert server.stderr
        assert b"http://127.0.0.1:" in server.stderr.readline()


@contextmanager
def ended(server: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Ends it, also if it says nothing for a minute."""
    watchdog = threading.Timer(60, server.kill)
    watchdog.start()
    try:
        yield server
    finally:
        watchdog.cancel()
        server.terminate()
        server.communicate()
