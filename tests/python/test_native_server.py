"""The native HTTP server: what it answers, and that it leaves Python alone."""

from __future__ import annotations

import errno
import gc
import logging
import os
import socket
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request

import pytest
from tallymark import Counter, Gauge
from tallymark._tallymark import RegistryCore, Server, serve
from tallymark.metrics_core import GaugeMetricFamily


@pytest.fixture
def core():
    return RegistryCore()


@pytest.fixture
def start(core):
    servers = []

    def start(*args, **kwargs) -> Server:
        servers.append(serve(0, "127.0.0.1", core, *args, **kwargs))
        return servers[-1]

    yield start
    for server in servers:
        server.server_close()


def get(server: Server, query: str = "", **headers: str) -> str:
    host, port = server.server_address
    request = urllib.request.Request(f"http://{host}:{port}/metrics{query}", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def run(script: str) -> subprocess.CompletedProcess[str]:
    script = "from tallymark import *\nfrom tallymark._tallymark import *\n" + textwrap.dedent(
        script
    )
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )


def test_native_metrics_custom_collectors_and_functions_are_served(core, start):
    class Custom:
        def collect(self):
            yield GaugeMetricFamily("custom", "C.", value=1)

    counter = Counter("hits", "H.", registry=None)
    gauge = Gauge("size", "S.", registry=None)
    gauge.set_function(lambda: 5)
    for collector in (counter, Custom(), gauge):
        core.add(collector)
    server = start()
    counter.inc(2)

    answer = get(server)

    assert "\nhits_total 2.0\n" in answer
    assert "\ncustom 1.0\n" in answer
    assert answer.endswith("size 5.0\n")


def test_names_in_the_query_restrict_the_answer(core, start):
    core.add(Counter("a", "A.", registry=None))
    core.add(Counter("b", "B.", registry=None))

    answer = get(start(), "?name[]=b_total")

    assert ["b_total 0.0"] == [line for line in answer.splitlines() if not line.startswith("#")]


def test_a_failing_collector_is_a_500_and_logged_with_its_traceback(core, start, caplog):
    class Broken:
        def collect(self):
            raise LookupError("down")

    core.add(Broken())
    with (
        pytest.raises(urllib.error.HTTPError) as answer,
        caplog.at_level(logging.ERROR, "tallymark"),
    ):
        get(start())

    with answer.value as response:
        assert (500, "LookupError: down\n") == (response.code, response.read().decode())
    assert LookupError is caplog.records[0].exc_info[0]


def test_a_port_that_is_taken_is_an_os_error(core):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError) as caught:
            serve(taken.getsockname()[1], "127.0.0.1", core)

    assert errno.EADDRINUSE == caught.value.errno


def test_a_port_can_be_shared_by_servers(core, start):
    first = start()
    second = serve(first.server_address[1], "127.0.0.1", core)
    second.server_close()

    assert "" == get(first)


def test_a_closed_server_is_gone(core):
    server = serve(0, "127.0.0.1", core)
    assert server.is_alive()

    server.server_close()
    server.join()

    assert not server.is_alive()
    with pytest.raises(urllib.error.URLError):
        get(server)


def test_join_waits_no_longer_than_it_is_told(start):
    server = start()
    server.join(0)
    server.join(timeout=0.01)

    assert server.is_alive()


def test_a_server_that_nobody_holds_goes_on(core):
    address = serve(0, "127.0.0.1", core).server_address
    gc.collect()

    with urllib.request.urlopen("http://{}:{}/metrics".format(*address)) as answer:
        assert 200 == answer.status


def test_notices_of_the_server_reach_logging(start, caplog):
    with caplog.at_level(logging.WARNING, "tallymark"):
        server = start()
        clients = [socket.create_connection(server.server_address) for _ in range(140)]
        try:
            with pytest.raises((OSError, urllib.error.URLError)):
                get(server)
        finally:
            [client.close() for client in clients]

    assert ["tallymark"] == [record.name for record in caplog.records]
    assert "was turned away" in caplog.text


def test_native_metrics_are_served_while_python_is_busy():
    """The answer arrives while another thread holds the GIL and does not let it go."""
    result = run(
        """
        import ctypes, subprocess, sys, time
        core = RegistryCore()
        counter = Counter("hits", "H.", registry=None)
        core.add(counter)
        counter.inc()
        server = serve(0, "127.0.0.1", core)
        client = subprocess.Popen(
            [sys.executable, "-c", '''
        import sys, time, urllib.request
        print("ready", flush=True)
        sys.stdin.readline()
        body = urllib.request.urlopen(sys.argv[1]).read()
        print(time.monotonic(), b"hits_total 1.0" in body, flush=True)
        ''', "http://%s:%s/" % server.server_address],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        client.stdout.readline()
        client.stdin.write("go\\n")
        client.stdin.flush()
        ctypes.PyDLL(None).usleep(3_000_000)
        free = time.monotonic()
        arrived, found = client.stdout.readline().split()
        print(float(arrived) < free, found)
        client.wait()
        """
    )

    assert ("True True\n", "") == (result.stdout, result.stderr)


def test_a_process_ends_with_its_servers_whatever_they_are_doing():
    result = run(
        """
        import threading, time, urllib.request
        class Slow:
            def collect(self):
                while True:
                    time.sleep(0.001)
        core = RegistryCore()
        core.add(Slow())
        server = serve(0, "127.0.0.1", core)
        def scrape():
            try:
                urllib.request.urlopen("http://%s:%s/" % server.server_address)
            except Exception:
                pass
        for _ in range(3):
            threading.Thread(target=scrape, daemon=True).start()
        time.sleep(0.3)
        print("end")
        """
    )

    assert (0, "end\n", "") == (result.returncode, result.stdout, result.stderr)


def test_a_forked_child_has_no_server(core, start):
    server = start()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        server.shutdown()
        server.join()
        os.write(writer, b"alive" if server.is_alive() else b"inert")
        os._exit(0)
    os.waitpid(child, 0)

    assert b"inert" == os.read(reader, 10)
    assert "" == get(server)


def test_the_child_does_not_keep_the_port():
    result = run(
        """
        import os, signal, socket, warnings
        warnings.simplefilter("ignore")
        server = serve(0, "127.0.0.1", RegistryCore())
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writer, b"here")
            signal.pause()
        os.read(reader, 4)
        server.server_close()
        try:
            socket.create_connection(server.server_address, timeout=5)
        except ConnectionRefusedError:
            print("refused")
        os.kill(child, signal.SIGKILL)
        """
    )

    assert ("refused\n", "") == (result.stdout, result.stderr)
