"""The servers that stores of many hosts live on: a Redis, or a cluster of three.

Real ones, Debian's redis-server, on free ports of the loopback device, started, broken and mended
by the tests, which talk to them as the user ``admin``, whatever becomes of the applications' user.
"""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import redis
from host import PATIENCE

HOST = "127.0.0.1"
SLOTS = 16384


def wait_until(true: Callable[[], object], what: str) -> None:
    """Wait until something holds; what does not within a minute fails."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} seconds: {what}"
        time.sleep(0.02)


def free_ports() -> Iterator[int]:
    """Give ports that are free, outside the range the kernel takes for outgoing connections."""
    for port in random.sample(range(20_000, 30_000), 1_000):
        with closing(socket.socket()) as probe:
            free = probe.connect_ex((HOST, port)) != 0
        if free:
            yield port


FREE = free_ports()


class Redis:
    """A redis-server with a directory and a port, also while it does not run."""

    def __init__(self, directory: Path, *options: object) -> None:
        assert shutil.which("redis-server"), "these tests need redis-server, of Debian"
        directory.mkdir()
        self.directory = directory
        self.port = next(FREE)
        self._options = [str(option) for option in options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: object) -> None:
        """Start it with what its directory holds, and wait until it answers."""
        assert self._process is None
        fixed = ["--bind", HOST, "--port", str(self.port), "--dir", str(self.directory)]
        quiet = ["--save", "", "--logfile", "log", "--enable-debug-command", "yes"]
        admin = ["--user", "admin", "on", "nopass", "~*", "&*", "+@all"]
        self._process = subprocess.Popen(
            ["redis-server", *fixed, *quiet, *admin, *self._options, *map(str, options)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._answers, f"redis-server answers on port {self.port}")

    def _answers(self) -> bool:
        assert self._process and self._process.poll() is None, (self.directory / "log").read_text()
        try:
            return bool(self.ask("PING"))
        except redis.exceptions.ConnectionError:
            return False

    def ask(self, *words: object) -> Any:
        """Ask as ``admin``, on a connection of its own."""
        with closing(
            redis.Redis(
                HOST,
                self.port,
                username="admin",
                password="any",
                decode_responses=True,
                socket_timeout=PATIENCE,
            )
        ) as client:
            return client.execute_command(*words)

    def calls(self) -> dict[str, int]:
        """Give how often each command was called since the server started."""
        stats = self.ask("INFO", "commandstats")
        return {name.removeprefix("cmdstat_"): one["calls"] for name, one in stats.items()}

    def hang(self) -> None:
        """Let it answer nothing, and its kernel still take connections."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End that."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it as a lack of memory does; start it again with `start`."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


class Cluster:
    """Three masters without replicas, a third of the slots each."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.nodes = []
        self._buses = []
        for number in range(3):
            bus = next(FREE)
            options = ["--cluster-enabled", "yes", "--cluster-port", bus]
            # The others wait this long before they call a node that hangs failed.
            options += ["--cluster-node-timeout", 2000, "--cluster-require-full-coverage", "no"]
            self.nodes.append(Redis(directory / str(number), *options))
            self._buses.append(bus)

    def start(self, announced: list[int] | None = None) -> None:
        """Start the nodes, and make them a cluster.

        Args:
            announced: The ports at which the nodes say that clients find them, if not their own.
        """
        ports = announced or [node.port for node in self.nodes]
        for number, (node, port) in enumerate(zip(self.nodes, ports, strict=True)):
            node.start("--cluster-announce-ip", HOST, "--cluster-announce-port", port)
            first, last = SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1
            node.ask("CLUSTER ADDSLOTSRANGE", first, last)
        for node, bus in zip(self.nodes[1:], self._buses[1:], strict=True):
            self.nodes[0].ask("CLUSTER MEET", HOST, node.port, bus)
        wait_until(self.agrees, "three nodes are a cluster")

    def agrees(self) -> bool:
        """Whether all nodes know of all others, and of all slots."""
        infos = [node.ask("CLUSTER INFO") for node in self.nodes]
        return all(
            info["cluster_state"] == "ok"
            and info["cluster_slots_ok"] == str(SLOTS)
            and info["cluster_size"] == "3"
            for info in infos
        )

    def migrate(self, source: Redis, target: Redis) -> int:
        """Move all slots of a node in which there are keys to another; give how many."""
        slots = {source.ask("CLUSTER KEYSLOT", key) for key in source.ask("KEYS", "*")}
        ids = {node.port: node.ask("CLUSTER MYID") for node in self.nodes}
        for slot in slots:
            target.ask("CLUSTER SETSLOT", slot, "IMPORTING", ids[source.port])
            source.ask("CLUSTER SETSLOT", slot, "MIGRATING", ids[target.port])
            # One by one, so that for a while a slot is here and there.
            while keys := source.ask("CLUSTER GETKEYSINSLOT", slot, 1):
                source.ask("MIGRATE", HOST, target.port, "", 0, 10_000, "KEYS", *keys)
            for node in (target, source, *self.nodes):
                node.ask("CLUSTER SETSLOT", slot, "NODE", ids[target.port])
        return len(slots)

    def kill(self) -> None:
        """Kill all nodes."""
        for node in self.nodes:
            node.kill()
