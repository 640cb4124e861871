"""Standing in for the official client, which is installed beside: each program in a new Python."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from importlib.machinery import PathFinder

import pytest

VARIABLE = "TALLYMARK_AS_PROMETHEUS_CLIENT"
INSTALL = "import tallymark\ntallymark.install_as_prometheus_client()\n"


def run(program: str, *arguments: str, **environment: str) -> str:
    """Run a program in a Python of its own; give what it prints."""
    others = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        env={**others, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (0, "") == (done.returncode, done.stderr), done.stderr

    return done.stdout


def official_modules() -> list[str]:
    """Give the names of all modules of the official client, from its files."""
    official = PathFinder.find_spec("prometheus_client")
    assert official and official.submodule_search_locations
    folders = list(official.submodule_search_locations)
    found = [one.name for one in pkgutil.iter_modules(folders)]
    for name in found.copy():
        inside = [os.path.join(folder, name) for folder in folders]
        found += [f"{name}.{one.name}" for one in pkgutil.iter_modules(inside)]
    return sorted(found)


SAME = """
import importlib, sys
for name in sys.argv[2:]:
    first, second = ("tallymark", "prometheus_client")[:: int(sys.argv[1])]
    one, other = (importlib.import_module(package + name) for package in (first, second))
    assert one is other, name
    assert "tallymark" + name == one.__name__ == one.__spec__.name, one.__spec__
    assert one is sys.modules["prometheus_client" + name] is sys.modules["tallymark" + name]
"""


@pytest.mark.parametrize("order", ["1", "-1"])
@pytest.mark.parametrize("by_variable", [True, False])
def test_every_module_is_one_under_both_names(order: str, by_variable: bool) -> None:
    """All that the official client has, whichever name is imported first."""
    names = official_modules()

    assert "openmetrics.exposition" in names

    arguments = [order, "", *("." + name for name in names)]
    if by_variable:
        run(SAME, *arguments, **{VARIABLE: "1"})
    else:
        run(INSTALL + SAME, *arguments)


def test_a_module_can_be_loaded_again() -> None:
    """It stays one module, and keeps both names."""
    run(
        INSTALL
        + """
import importlib
from prometheus_client import exposition
assert exposition is importlib.reload(exposition)
import prometheus_client.exposition, tallymark.exposition
assert exposition is prometheus_client.exposition is tallymark.exposition
"""
    )


def test_what_is_assigned_and_patched_takes_effect() -> None:
    """There is one module, so it does not matter by which name it is reached."""
    run(
        INSTALL
        + """
from unittest import mock
import prometheus_client, tallymark.exposition
from prometheus_client import Counter, metrics
from prometheus_client.registry import CollectorRegistry

registry = prometheus_client.REGISTRY = CollectorRegistry()
assert tallymark.REGISTRY is registry
Counter("hits", "Hits.", registry=registry)
metrics._use_created = False
assert b"_created" not in tallymark.generate_latest(registry)
with mock.patch("prometheus_client.exposition._bake_output") as patched:
    assert tallymark.exposition._bake_output is patched
with mock.patch("prometheus_client.metrics._use_created", True):
    assert b"hits_created" in tallymark.generate_latest(registry)
"""
    )


def test_a_purge_of_the_modules_finds_the_same_ones_again() -> None:
    """Test suites do that between tests; what was counted is still there."""
    run(
        INSTALL
        + """
import sys
import prometheus_client.openmetrics.exposition as before
from prometheus_client import REGISTRY, Counter
Counter("hits", "Hits.").inc()
for name in [name for name in sys.modules if name.partition(".")[0] == "prometheus_client"]:
    del sys.modules[name]
import prometheus_client.openmetrics.exposition as after
import prometheus_client
assert before is after and REGISTRY is prometheus_client.REGISTRY
assert 1 == REGISTRY.get_sample_value("hits_total")
"""
    )


def test_metric_classes_say_that_they_are_the_official_ones() -> None:
    """Programs look at a class's module, and people at the repr; pickles work by both names."""
    run(
        INSTALL
        + """
import pickle
import prometheus_client as p
from prometheus_client.metrics import MetricWrapperBase
for kind in (p.Counter, p.Gauge, p.Histogram, p.Summary, p.Info, p.Enum, MetricWrapperBase):
    assert "prometheus_client.metrics" == kind.__module__
    assert kind is pickle.loads(pickle.dumps(kind))
    assert kind is pickle.loads(f"ctallymark.metrics\\n{kind.__name__}\\n.".encode())
assert "prometheus_client.metrics.Counter(c)" == repr(p.Counter("c", "h"))

from prometheus_client.samples import Sample
sample = Sample("c_total", {}, 1.0)
assert sample == pickle.loads(pickle.dumps(sample))
for package in ("tallymark", "prometheus_client"):
    assert Sample is pickle.loads(f"c{package}.samples\\nSample\\n.".encode())
"""
    )


def test_without_the_stand_in_classes_keep_their_own_names() -> None:
    """Only who asks for the official client gets its names."""
    program = "from tallymark import Counter; print(repr(Counter('c', 'h')))"

    assert "tallymark.metrics.Counter(c)\n" == run(program)


def test_a_module_that_tallymark_lacks_is_not_the_official_one() -> None:
    """The error says who was asked; an unknown name of the package is an ImportError, as ever."""
    run(
        INSTALL
        + """
try:
    import prometheus_client.nonsense
except ModuleNotFoundError as error:
    assert "prometheus_client.nonsense" == error.name
    assert "tallymark stands in" in str(error) and "tallymark.nonsense" in str(error), error
else:
    raise AssertionError
try:
    from prometheus_client import nonsense
except ImportError as error:
    assert "nonsense" in str(error)
else:
    raise AssertionError
"""
    )


def test_finding_a_module_does_not_load_it() -> None:
    """And the version that the package index knows is that of what is installed."""
    run(
        """
import sys
from importlib.metadata import version
from importlib.util import find_spec
found = find_spec("prometheus_client")
assert "prometheus_client" == found.name and found.origin.endswith("tallymark/__init__.py")
assert "tallymark" not in sys.modules
assert find_spec("prometheus_client.exposition").origin.endswith("tallymark/exposition.py")
assert "tallymark.exposition" == __import__("prometheus_client.exposition").exposition.__name__
assert "0.26.0" == version("prometheus_client") == version("prometheus-client")
""",
        **{VARIABLE: "1"},
    )


def test_a_loaded_official_client_is_left_alone() -> None:
    """And the error is no ImportError: programs go on after that, and there would be two."""
    run(
        """
import sys
import prometheus_client, tallymark
before = sys.meta_path.copy()
try:
    tallymark.install_as_prometheus_client()
except RuntimeError as error:
    assert prometheus_client.__file__ in str(error) and "before" in str(error), error
else:
    raise AssertionError
import prometheus_client.exposition
assert prometheus_client.exposition is not tallymark.exposition
assert before == sys.meta_path
"""
    )


def test_installing_twice_is_installing_once() -> None:
    """Also when it is loaded already, and when the environment has done it."""
    program = """
import sys
first = sys.meta_path.copy()
import prometheus_client
tallymark.install_as_prometheus_client()
assert first == sys.meta_path
assert 1 == sum(type(one).__module__ == "_tallymark_stand_in" for one in sys.meta_path)
"""
    run(INSTALL + program)
    run(INSTALL + program, **{VARIABLE: "1"})


def test_threads_that_import_at_once_get_the_same() -> None:
    """Nobody sees a module that is half there."""
    for _ in range(5):
        run(
            """
import threading
names = ["", ".metrics", ".exposition", ".openmetrics.exposition", ".registry"] * 4
found, barrier = [], threading.Barrier(len(names))

def load(name):
    barrier.wait()
    module = __import__("prometheus_client" + name, fromlist=["exposition"])
    from prometheus_client import Counter
    from prometheus_client.core import REGISTRY
    found.append((module.__name__, module.__spec__.name, Counter, REGISTRY))

threads = [threading.Thread(target=load, args=[name]) for name in names]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert {"tallymark" + name for name in names} == {one[0] for one in found}
assert {"tallymark" + name for name in names} == {one[1] for one in found}
assert 1 == len({one[2:] for one in found})
""",
            **{VARIABLE: "1"},
        )


def test_children_have_it_too() -> None:
    """Forked before the first import or after it, and started anew."""
    run(
        """
import os, subprocess, sys
CHECK = "import prometheus_client; assert 'tallymark' == prometheus_client.__name__"

def fork():
    child = os.fork()
    if child == 0:
        exec(CHECK)
        os._exit(0)
    assert 0 == os.waitpid(child, 0)[1]

fork()
assert "tallymark" not in sys.modules
exec(CHECK)
fork()
subprocess.run([sys.executable, "-c", CHECK], check=True)
""",
        **{VARIABLE: "1"},
    )


@pytest.mark.parametrize("value", [None, "", "0", "true"])
def test_nothing_happens_unless_the_variable_is_one(value: str | None) -> None:
    """No finder, no import: the official client is what it was."""
    environment = {} if value is None else {VARIABLE: value}
    run(
        """
import sys
assert not [name for name in sys.modules if "tallymark" in name]
import prometheus_client
assert "prometheus_client" == prometheus_client.__name__
assert not [name for name in sys.modules if "tallymark" in name]
""",
        **environment,
    )


def test_the_variable_costs_one_small_module() -> None:
    """Everything else waits for the first import of the official client's name."""
    program = "import sys; print(*sorted(sys.modules))"
    without, with_it = run(program), run(program, **{VARIABLE: "1"})

    assert {"_tallymark_stand_in"} == set(with_it.split()) - {*without.split(), "__future__"}
