"""Which store a process counts into, and what moving to another one keeps."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


def run(script: str, **environment: str) -> str:
    """Run a script in a process of its own; give what it prints, errors included."""
    script = "from tallymark import *\nfrom tallymark._tallymark import *\n" + textwrap.dedent(
        script
    )
    names = ("TALLYMARK_STORE", "PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**inherited, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
    )
    return result.stdout


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.tally"


def test_the_default_is_memory():
    assert "memory: auto\n" == run(
        "print(store_url(), Gauge('g', 'G.', registry=None)._multiprocess_mode)"
    )


def test_tallymark_store_chooses_the_store(path, tmp_path):
    output = run(
        "print(store_url(), Gauge('g', 'G.', registry=None)._multiprocess_mode)",
        TALLYMARK_STORE=f"file:{path}",
        PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "other"),
    )

    assert f"file:{path} auto\n" == output


@pytest.mark.parametrize("variable", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
def test_the_official_variable_chooses_a_file_in_its_directory(path, variable):
    output = run(
        "print(store_url(), Gauge('g', 'G.', registry=None)._multiprocess_mode)",
        **{variable: str(path.parent)},
    )

    assert f"file:{path} all\n" == output


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("PROMETHEUS_MULTIPROC_DIR", "/no/such/directory", "/no/such/directory: not a directory"),
        ("TALLYMARK_STORE", "file:/no/such/directory/m.tally", "/no/such/directory/m.tally: "),
        ("TALLYMARK_STORE", "pigeon:coop", "pigeon:coop: an unknown kind of store"),
    ],
)
def test_a_store_that_cannot_be_opened_is_logged_once_and_memory_counts(variable, value, complaint):
    output = run(
        """
        counter = Counter("c", "C.", registry=None)
        Counter("d", "D.", registry=None)
        counter.inc()
        print(store_url(), counter._value.get())
        """,
        **{variable: value},
    )

    log, *rest = output.splitlines()
    assert log.startswith(complaint) and log.endswith("; counting in this process's memory")
    assert ["memory: 1.0"] == rest


@pytest.mark.parametrize(
    ("url", "error"),
    [("pigeon:coop", "ValueError"), ("", "ValueError"), ("file:/no/such/directory/m", "OSError")],
)
def test_a_store_that_cannot_be_opened_by_code_raises_and_changes_nothing(url, error):
    output = run(
        f"""
        counter = Counter("c", "C.", registry=None)
        try:
            use_store({url!r})
        except {error} as error:
            print(type(error).__name__, bool(str(error)))
        print(store_url())
        """
    )

    assert f"{error} True\nmemory:\n" == output.replace("FileNotFoundError", "OSError")


def test_moving_to_a_file_takes_along_what_was_counted(path):
    output = run(
        f"""
        registered = Counter("a", "A.", ["l"])
        unregistered = Counter("b", "B.", registry=None)
        histogram = Histogram("h", "H.", buckets=[1])
        info = Info("i", "I.")
        registered.labels("x").inc(2)
        unregistered.inc(3)
        histogram.observe(0.5, {{"t": "1"}})
        info.info({{"v": "1"}})
        use_store("file:{path}")
        registered.labels("x").inc()
        unregistered.inc()
        print(registered.collect()[0].samples[0].value, unregistered.collect()[0].samples[0].value)
        print(histogram.collect()[0].samples[0].exemplar.labels)
        print(info.collect()[0].samples[0].labels)
        """
    )

    assert "3.0 4.0\n{'t': '1'}\n{'v': '1'}\n" == output


def test_processes_of_one_file_are_one(path):
    script = """
        counter = Counter("c", "C.", ["l"])
        counter.labels("x").inc(2)
        print(counter.collect()[0].samples[0].value)
        """
    environment = {"TALLYMARK_STORE": f"file:{path}"}

    assert ["2.0\n", "4.0\n"] == [run(script, **environment), run(script, **environment)]


def test_undeclared_families_are_shown_where_they_are_asked_for(path):
    environment = {"TALLYMARK_STORE": f"file:{path}"}
    run("Counter('theirs', 'T.').inc()", **environment)

    output = run(
        """
        import os
        mine = CollectorRegistry()
        Counter("mine", "M.", registry=mine)
        hidden = Counter("hidden", "H.", registry=None)
        directory = SharedDirectory(os.path.dirname(store_url()[5:]), False)
        for what in ({}, {"others": True}, {"directory": directory}):
            mine._core.show(**what)
            names = [family.name for family in mine._core.collect()]
            print([name for name in names if not name.startswith("tallymark")])
        print(b"tallymark_live_processes 1.0" in mine._core.render_text())
        """,
        **environment,
    )

    assert "['mine']\n['mine', 'theirs']\n['mine', 'theirs', 'hidden']\nTrue\n" == output


def test_a_refused_duplicate_leaves_no_series_in_the_store(path):
    output = run(
        """
        first = Counter("c", "C.", ["l"])
        first.labels("x").inc()
        try:
            Counter("c", "C.")
        except ValueError:
            pass
        everything = RegistryCore()
        everything.show(others=True)
        print(b"c_total" in everything.render_text())
        print(len([s for s in first.collect()[0].samples if s.name == "c_total"]))
        """,
        TALLYMARK_STORE=f"file:{path}",
    )

    assert "False\n1\n" == output


def test_what_a_child_adds_after_a_fork_is_in_the_total(path):
    output = run(
        """
        import os
        counter = Counter("c", "C.", ["l"])
        gauge = Gauge("g", "G.", multiprocess_mode="all")
        gauge.set(1)
        counter.labels("x").inc()
        child = os.fork()
        if child == 0:
            counter.labels("x").inc(2)
            counter.labels("y").inc(3)
            gauge.set(5)
            leave()
            os._exit(0)
        os.waitpid(child, 0)
        print(sorted((s.labels["l"], s.value) for s in counter.collect()[0].samples[::2]))
        print(sorted((s.labels["pid"] == str(child), s.value) for s in gauge.collect()[0].samples))
        """,
        TALLYMARK_STORE=f"file:{path}",
    )

    assert "[('x', 3.0), ('y', 3.0)]\n[(False, 1.0), (True, 5.0)]\n" == output


def test_removing_works_for_every_process(path):
    environment = {"TALLYMARK_STORE": f"file:{path}"}
    run("Counter('c', 'C.', ['l']).labels('theirs').inc()", **environment)

    output = run(
        """
        counter = Counter("c", "C.", ["l"])
        counter.labels("mine").inc()
        counter.remove("theirs")
        print([s.labels for s in counter.collect()[0].samples[::2]])
        counter.clear()
        print(counter.collect()[0].samples)
        """,
        **environment,
    )

    assert "[{'l': 'mine'}]\n[]\n" == output


def test_a_gauge_of_mode_all_has_no_pid_in_memory():
    output = run(
        """
        gauge = Gauge("g", "G.", multiprocess_mode="all")
        print(gauge.collect()[0].samples[0].labels)
        """
    )

    assert "{}\n" == output


def test_what_is_counted_after_leaving_is_not_lost(path):
    environment = {"TALLYMARK_STORE": f"file:{path}"}
    output = run(
        """
        counter = Counter("c", "C.")
        counter.inc()
        leave()
        counter.inc()
        leave()
        print(counter.collect()[0].samples[0].value)
        """,
        **environment,
    )

    assert "2.0\n" == output
    assert "2.0\n" == run("print(Counter('c', 'C.').collect()[0].samples[0].value)", **environment)


def test_a_logging_handler_may_use_metrics_while_the_store_is_chosen(path):
    output = run(
        """
        import logging
        class Counting(logging.Handler):
            def emit(self, record):
                Counter("records", "R.", registry=None).inc()
                print("logged")
        logging.getLogger("tallymark").addHandler(Counting())
        logging.getLogger("tallymark").propagate = False
        Counter("c", "C.", registry=None)
        """,
        TALLYMARK_STORE="pigeon:coop",
    )

    assert "logged\n" == output
