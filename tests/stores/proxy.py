"""A network that can be told to be bad: a proxy for TCP, in a process of its own.

A test makes a `Proxy` of a port and gives its port to what it tests. The proxy passes bytes on, or
swallows them, or is not there, or is in *chaos*: by a seed it delays, cuts before, within and after
a request, swallows replies, delivers a request twice, and delivers one late, when its sender has
given up long ago. It counts what it did, so that a test can say that something happened. It knows
nothing of what the bytes mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import subprocess
import sys
from collections import Counter
from typing import Any

MOST = 1 << 20


class Proxy:
    """A proxy, as a test sees it."""

    def __init__(self, target: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(target)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port: int = self._read()

    def pass_on(self) -> None:
        """Be a good network."""
        self._tell(mode="pass")

    def chaos(self, seed: int) -> None:
        """Be a bad one."""
        self._tell(mode="chaos", seed=seed)

    def blackhole(self) -> None:
        """Accept everything, deliver nothing, also of the connections there are."""
        self._tell(mode="blackhole")

    def refuse(self) -> None:
        """Cut all connections, and be not there."""
        self._tell(mode="refuse")

    def lead_to(self, target: int) -> None:
        """Cut all connections, and lead those to come to another port."""
        self._tell(target=target)

    def settle(self) -> None:
        """Wait until what was to be delivered late was delivered."""
        self._tell(settle=True)

    def counts(self) -> Counter[str]:
        """Give how often chaos did what."""
        return Counter(self._tell())

    def close(self) -> None:
        """End it, and all of its connections."""
        self._process.kill()
        self._process.communicate()

    def _tell(self, **what: object) -> Any:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, f"the proxy ended with {self._process.wait()}"
        return json.loads(line)


# What becomes of a request, and of a reply, and how often.
REQUEST = {
    "pass": 76,
    "delayed request": 6,
    "cut before a request": 3,
    "cut within a request": 3,
    "request twice": 6,
    "request late": 6,
}
REPLY = {
    "pass": 82,
    "delayed reply": 6,
    "swallowed reply": 8,
    "cut within a reply": 4,
}


class Relay:
    """The proxy, in its process."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.mode = "pass"
        self.random = random.Random(0)
        self.counts: Counter[str] = Counter()
        self.port = 0
        self.listener: asyncio.Server | None = None
        self.writers: set[asyncio.StreamWriter] = set()
        self.replays: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """Listen, always on the same port."""
        self.listener = await asyncio.start_server(self.accept, "127.0.0.1", self.port, limit=MOST)
        self.port = self.listener.sockets[0].getsockname()[1]

    async def obey(self, order: dict[str, Any]) -> None:
        """Change what it does."""
        before = self.mode
        self.mode = order.get("mode", before)
        if "seed" in order:
            self.random.seed(order["seed"])
        if "settle" in order:
            await asyncio.gather(*self.replays)
        if "target" in order:
            self.target = order["target"]
        if "target" in order or self.mode == "refuse":
            for writer in self.writers:
                writer.transport.abort()
        if self.mode == "refuse" and self.listener:
            self.listener.close()
            self.listener = None
        if self.mode != "refuse" and not self.listener:
            await self.listen()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, until either side ends it."""
        self.writers.add(writer)
        try:
            up_reader, up_writer = await self.connect()
        except OSError:
            self.abort(writer)
            return
        ways = [
            asyncio.ensure_future(self.requests(reader, up_writer)),
            asyncio.ensure_future(self.replies(up_reader, writer)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        self.abort(writer)
        self.abort(up_writer)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the target."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target, limit=MOST)
        self.writers.add(writer)
        return reader, writer

    def abort(self, writer: asyncio.StreamWriter) -> None:
        """Cut a connection."""
        writer.transport.abort()
        self.writers.discard(writer)

    async def requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass requests on, until the end or a cut."""
        while request := await reader.read(MOST):
            match self.fate(REQUEST):
                case "blackhole":
                    continue
                case "delayed request":
                    await asyncio.sleep(self.random.uniform(0, 0.05))
                case "cut before a request":
                    return
                case "cut within a request":
                    writer.write(request[: self.random.randrange(len(request))])
                    await writer.drain()
                    return
                case "request twice":
                    self.deliver_later(request, self.random.uniform(0, 0.2))
                case "request late":
                    self.deliver_later(request, self.random.uniform(0.1, 1.0))
                    return
            writer.write(request)
            await writer.drain()

    async def replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass replies on, until the end or a cut."""
        while reply := await reader.read(MOST):
            match self.fate(REPLY):
                case "blackhole":
                    continue
                case "delayed reply":
                    await asyncio.sleep(self.random.uniform(0, 0.05))
                case "swallowed reply":
                    return
                case "cut within a reply":
                    writer.write(reply[: self.random.randrange(len(reply))])
                    await writer.drain()
                    return
            writer.write(reply)
            await writer.drain()

    def fate(self, fates: dict[str, int]) -> str:
        """Draw what is done to some bytes."""
        if self.mode != "chaos":
            return self.mode
        [fate] = self.random.choices(list(fates), list(fates.values()))
        self.counts[fate] += 1
        return fate

    def deliver_later(self, request: bytes, seconds: float) -> None:
        """Deliver a request on a connection of its own, and nobody the reply."""

        async def deliver() -> None:
            await asyncio.sleep(seconds)
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                reader, writer = await self.connect()
                writer.write(request)
                await asyncio.wait_for(reader.read(MOST), 5)
                self.abort(writer)

        task = asyncio.ensure_future(deliver())
        self.replays.add(task)
        task.add_done_callback(self.replays.discard)


async def main(target: int) -> None:
    """Relay, and obey a line of JSON after the other until there are no more."""
    relay = Relay(target)
    await relay.listen()
    print(relay.port, flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await relay.obey(json.loads(line))
        print(json.dumps(relay.counts), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
