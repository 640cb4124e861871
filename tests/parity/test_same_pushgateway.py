"""A real Pushgateway has the same from both packages, whatever group it is pushed to."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

PATIENCE = 30.0
State = list[dict[str, Any]]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A Pushgateway on a free port, which forgets everything when the tests are done."""
    program = shutil.which("prometheus-pushgateway")
    assert program, "no prometheus-pushgateway on PATH: run scripts/debian prometheus-pushgateway"
    options = ["--web.listen-address=127.0.0.1:0", "--persistence.file=", "--web.enable-admin-api"]
    with subprocess.Popen([program, *options], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        deadline = threading.Timer(PATIENCE, process.kill)
        deadline.start()
        told = ""
        for line in process.stderr:
            told += line
            listening = re.search(r'msg="Listening on" address=(\S+)', line)
            if listening:
                break
        else:
            raise AssertionError(f"the Pushgateway ended:\n{told}")
        deadline.cancel()
        yield listening[1]
        process.kill()


@pytest.fixture
def left(address: str, same: Any) -> Callable[[Callable[[Any, str], object]], State]:
    """Run a program of pushes with each package, and give what the Pushgateway then has."""

    def left_by(program: Callable[[Any, str], object]) -> State:
        def run(c: Any) -> State:
            wipe = Request(f"http://{address}/api/v1/admin/wipe", method="PUT")
            urlopen(wipe, timeout=PATIENCE).close()
            program(c, address)
            settle(address)
            return groups(address)

        found = same(run)

        assert isinstance(found, list), found
        return found

    return left_by


def settle(address: str) -> None:
    """Wait until it has done all it was asked: in turn, and deletions after it has answered."""
    url = f"http://{address}/metrics/job/settled"
    urlopen(Request(url, b"settled 1\n", method="PUT"), timeout=PATIENCE).close()


def groups(address: str) -> State:
    """Give the groups that a Pushgateway has, but for when they came."""
    with urlopen(f"http://{address}/api/v1/metrics", timeout=PATIENCE) as response:
        found: State = json.load(response)["data"]
    found = [group for group in found if group["labels"] != {"job": "settled"}]
    for group in found:
        for name, family in list(group.items()):
            if name.startswith("push_"):
                del group[name]
            elif isinstance(family, dict):
                family.pop("time_stamp", None)
    return sorted(found, key=str)


def _registry(c: Any, value: float = 1) -> Any:
    registry = c.core.CollectorRegistry()
    c.core.Counter("orders", "Orders.", ["path"], registry=registry).labels("/ü").inc(value)
    c.core.Gauge("queue", "Queue.", registry=registry).set(value)
    c.core.Histogram("seconds", "Seconds.", buckets=[1], registry=registry).observe(0.5)
    c.core.Summary("size", "Size.", registry=registry).observe(value)
    c.core.Info("build", "Build.", registry=registry).info({"version": "1"})
    c.core.Enum("state", "State.", states=["open", "shut"], registry=registry).state("shut")
    return registry


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_all_types_arrive(compression: Any, left: Any) -> None:
    """Compressed or not."""

    def push(c: Any, address: str) -> None:
        c.exposition.push_to_gateway(address, "job", _registry(c), compression=compression)

    [group] = left(push)

    assert {"orders_total", "queue", "seconds", "size", "build_info", "state"} <= set(group)


@pytest.mark.parametrize(
    "labels",
    [
        {"instance": "a"},
        {"path": "/srv/a b/"},
        {"empty": "", "instance": "a"},
        {"city": "Zürich", "sign": "🦀"},
        {"mixed": "ü/ü", "spaces": "  ", "alphabet": "/??/>>"},
        {"odd": "a%b?c#d&e=f+g;h", "line": "a\nb"},
        {"number": 7, "truth": True, "nothing": None},
    ],
    ids=str,
)
def test_the_labels_of_a_group_arrive(labels: dict[str, Any], left: Any) -> None:
    """Exactly as they were given, as text; and the group can be deleted by them."""

    def push(c: Any, address: str) -> None:
        c.exposition.push_to_gateway(address, "my/job", _registry(c), labels)

    def push_and_delete(c: Any, address: str) -> None:
        push(c, address)
        c.exposition.push_to_gateway(address, "other", _registry(c))
        c.exposition.delete_from_gateway(address, "my/job", labels)

    [group] = left(push)

    assert {"job": "my/job", **{k: str(v) for k, v in labels.items()}} == group["labels"]

    [group] = left(push_and_delete)

    assert {"job": "other"} == group["labels"]


def test_a_push_replaces_the_group_and_an_addition_its_names_only(left: Any) -> None:
    """PUT and POST."""

    def one(c: Any, name: str, value: float) -> Any:
        registry = c.core.CollectorRegistry()
        c.core.Gauge(name, "h", registry=registry).set(value)
        return registry

    def put(c: Any, address: str) -> None:
        c.exposition.push_to_gateway(address, "job", _registry(c))
        c.exposition.push_to_gateway(address, "job", one(c, "queue", 2))

    def post(c: Any, address: str) -> None:
        c.exposition.push_to_gateway(address, "job", _registry(c))
        c.exposition.pushadd_to_gateway(address, "job", one(c, "queue", 2))
        c.exposition.pushadd_to_gateway(address, "job", one(c, "new", 3))

    [group] = left(put)

    assert "2" == group["queue"]["metrics"][0]["value"]
    assert "size" not in group

    [group] = left(post)

    assert "2" == group["queue"]["metrics"][0]["value"]
    assert {"size", "new"} <= set(group)


def test_a_refused_push_raises_and_leaves_what_was_there(left: Any) -> None:
    """Here of a family that another group has with another type."""
    codes: list[int] = []
    told: list[bytes] = []

    def push(c: Any, address: str) -> None:
        c.exposition.push_to_gateway(address, "first", _registry(c))
        registry = c.core.CollectorRegistry()
        c.core.Gauge("orders_total", "h", ["path"], registry=registry).labels("/ü").set(1)
        with pytest.raises(HTTPError) as refused:
            c.exposition.push_to_gateway(address, "second", registry)
        with refused.value as answer:
            codes.append(answer.code)
            told.append(answer.read())

    [first, second] = left(push)

    assert ("first", "second") == (first["labels"]["job"], second["labels"]["job"])
    assert {"labels", "last_push_successful"} == set(second)
    assert [400, 400] == codes
    assert all(b"orders_total" in reason for reason in told), "the answer can still be read"
