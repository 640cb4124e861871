"""
Timers, exception counters and trackers work on blocks, functions and coroutine functions alike.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest
from tallymark import CollectorRegistry, Counter, Gauge, Histogram, Summary, context_managers
from tallymark.context_managers import ExceptionCounter, InprogressTracker, Timer


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Time passes only when the test says so."""
    now = [100.0]
    monkeypatch.setattr(context_managers, "default_timer", lambda: now[0])

    def pass_time(seconds: float) -> None:
        now[0] += seconds

    return pass_time


@pytest.fixture
def latency(registry: CollectorRegistry) -> Summary:
    """What is timed."""
    return Summary("latency", "h", registry=registry)


@pytest.fixture
def observed(registry: CollectorRegistry) -> Callable[[], tuple[float | None, float | None]]:
    """Give the count and the sum of what was timed so far."""
    value = registry.get_sample_value
    return lambda: (value("latency_count"), value("latency_sum"))


def test_a_block_is_timed(latency: Summary, ticks: Any, observed: Any) -> None:
    """And its duration can be read afterwards."""
    with latency.time() as timer:
        assert timer.duration is None
        ticks(0.5)

    assert 0.5 == timer.duration
    assert (1, 0.5) == observed()


def test_a_block_that_raises_is_timed_too(latency: Summary, ticks: Any, observed: Any) -> None:
    """The exception goes on."""
    with pytest.raises(KeyError), latency.time():
        ticks(0.5)
        raise KeyError

    assert (1, 0.5) == observed()


def test_a_clock_that_goes_back_counts_as_nothing(
    latency: Summary, ticks: Any, observed: Any
) -> None:
    """A negative duration would break the sum."""
    with latency.time():
        ticks(-1)

    assert (1, 0) == observed()


def test_an_async_block_is_timed(latency: Summary, ticks: Any, observed: Any) -> None:
    """With `async with`, over its awaits."""

    async def main() -> float | None:
        async with latency.time() as timer:
            await asyncio.sleep(0)
            ticks(0.5)
        return timer.duration

    assert 0.5 == asyncio.run(main())
    assert (1, 0.5) == observed()


def test_every_call_of_a_function_is_timed(latency: Summary, ticks: Any, observed: Any) -> None:
    """By a timer of its own, so that calls may nest."""

    @latency.time()
    def work(depth: int) -> str:
        ticks(1)
        return work(depth - 1) if depth else "done"

    assert "done" == work(2)
    assert (3, 1 + 2 + 3) == observed()


def test_calls_in_several_threads_do_not_mix_up(latency: Summary, observed: Any) -> None:
    """Each counts once."""
    together = threading.Barrier(4, timeout=30)

    @latency.time()
    def work() -> None:
        together.wait()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 4 == observed()[0]


def test_a_coroutine_function_is_timed_until_it_has_finished(
    latency: Summary, ticks: Any, observed: Any
) -> None:
    """Not only until the coroutine is made, and overlapping calls apart."""

    @latency.time()
    async def work(seconds: float) -> float:
        await asyncio.sleep(0)
        ticks(seconds)
        return seconds

    async def main() -> list[float]:
        coroutine = work(1)
        ticks(100)
        return [await coroutine, *await asyncio.gather(work(2), work(3))]

    assert inspect.iscoroutinefunction(work)
    assert [1, 2, 3] == asyncio.run(main())
    assert (3, 1 + 2 + 5) == observed()


def test_a_cancelled_coroutine_is_timed_and_no_failure(registry: CollectorRegistry) -> None:
    """Cancelling is not an Exception."""
    latency = Summary("latency", "h", registry=registry)
    failures = Counter("failures", "h", registry=registry)
    running = Gauge("running", "h", registry=registry)

    @latency.time()
    @failures.count_exceptions()
    @running.track_inprogress()
    async def work() -> None:
        await asyncio.Event().wait()

    async def main() -> float | None:
        task = asyncio.ensure_future(work())
        await asyncio.sleep(0)
        seen = registry.get_sample_value("running")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return seen

    assert 1 == asyncio.run(main())
    assert 0 == registry.get_sample_value("running")
    assert 0 == registry.get_sample_value("failures_total")
    assert 1 == registry.get_sample_value("latency_count")


def test_objects_with_an_async_call_are_timed_until_they_have_finished(
    latency: Summary, ticks: Any, observed: Any
) -> None:
    """And so are partial coroutine functions."""

    class Handler:
        async def __call__(self, seconds: float) -> None:
            await asyncio.sleep(0)
            ticks(seconds)

    async def main() -> None:
        await latency.time()(Handler())(1)
        await latency.time()(partial(Handler().__call__, 2))()

    asyncio.run(main())

    assert (2, 3) == observed()


def test_a_class_is_timed_while_it_makes_an_object(latency: Summary, observed: Any) -> None:
    """Even if its objects are coroutine functions."""

    class Handler:
        async def __call__(self) -> None: ...

    assert isinstance(latency.time()(Handler)(), Handler)
    assert 1 == observed()[0]


def test_generators_are_timed_until_they_are_made(
    latency: Summary, ticks: Any, observed: Any
) -> None:
    """What runs later belongs to whoever iterates."""

    @latency.time()
    def numbers() -> Iterator[int]:
        ticks(1)
        yield 1

    @latency.time()
    async def async_numbers() -> AsyncIterator[int]:
        ticks(1)
        yield 2

    async def main() -> list[int]:
        return [number async for number in async_numbers()]

    assert [1] == list(numbers())
    assert [2] == asyncio.run(main())
    assert (2, 0) == observed()


def test_methods_are_timed(latency: Summary, observed: Any) -> None:
    """Bound, static and of the class."""

    class Service:
        @latency.time()
        def bound(self, a: int) -> int:
            return a

        @staticmethod
        @latency.time()
        def static(a: int) -> int:
            return a

        @classmethod
        @latency.time()
        def of_class(cls, a: int) -> int:
            return a

    service = Service()

    assert [1, 2, 3] == [service.bound(1), service.static(2), service.of_class(3)]
    assert "(a: 'int') -> 'int'" == str(inspect.signature(service.bound))
    assert 3 == observed()[0]


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    "make",
    [
        lambda r: Histogram("m", "h", registry=r).time(),
        lambda r: Gauge("m", "h", registry=r).time(),
        lambda r: Gauge("m", "h", registry=r).track_inprogress(),
        lambda r: Counter("m", "h", registry=r).count_exceptions(),
    ],
)
def test_a_decorated_function_keeps_its_name_and_signature(
    make: Any, kind: str, registry: CollectorRegistry
) -> None:
    """Frameworks read both."""

    def work(a: int, /, b: str = "x", *args: int, c: bool, d: float = 1.5, **kwargs: str) -> None:
        """Does nothing."""

    async def async_work(
        a: int, /, b: str = "x", *args: int, c: bool, d: float = 1.5, **kwargs: str
    ) -> None:
        """Does nothing."""

    function = async_work if kind == "async" else work
    decorated = make(registry)(function)

    assert inspect.signature(function) == inspect.signature(decorated)
    assert inspect.getfullargspec(function) == inspect.getfullargspec(decorated)
    assert (function.__name__, function.__doc__) == (decorated.__name__, decorated.__doc__)
    assert function is decorated.__wrapped__


def test_functions_that_hide_their_signature_can_be_timed(latency: Summary) -> None:
    """Some are written in C."""
    assert 3 == latency.time()(max)(1, 3)


def test_a_gauge_is_set_to_the_duration(registry: CollectorRegistry, ticks: Any) -> None:
    """The last one."""
    with Gauge("last", "h", registry=registry).time():
        ticks(0.5)

    assert 0.5 == registry.get_sample_value("last")


def test_labels_may_be_chosen_inside_the_block(registry: CollectorRegistry, ticks: Any) -> None:
    """When the outcome is known."""
    latency = Histogram("latency", "h", ["method", "status"], registry=registry)

    with latency.time() as timer:
        ticks(0.5)
        timer.labels("get", status="never") if False else timer.labels("get", "ok")

    assert 0.5 == registry.get_sample_value("latency_sum", {"method": "get", "status": "ok"})


def test_a_parent_without_labels_fails_when_the_block_ends(registry: CollectorRegistry) -> None:
    """Not before: there was still time to choose them."""
    latency = Summary("latency", "h", ["status"], registry=registry)

    with pytest.raises(ValueError, match="missing label values"), latency.time():
        pass


def test_a_subclass_of_the_timer_times_calls(registry: CollectorRegistry, ticks: Any) -> None:
    """Every call gets an object of the subclass."""
    made = []

    class Noting(Timer):
        def __enter__(self) -> Noting:
            made.append(self)
            return super().__enter__()

    @Noting(Summary("latency", "h", registry=registry), "observe")
    def work() -> None:
        ticks(1)

    work()
    work()

    assert [1, 1] == [timer.duration for timer in made]


@pytest.mark.parametrize(
    ("counted", "raised", "expected"),
    [
        (Exception, KeyError, 1),
        (LookupError, KeyError, 1),
        (ValueError, KeyError, 0),
        ((ValueError, KeyError), KeyError, 1),
        (Exception, KeyboardInterrupt, 0),
        (BaseException, KeyboardInterrupt, 1),
    ],
)
def test_exceptions_of_the_given_classes_are_counted(
    counted: Any, raised: type[BaseException], expected: int, registry: CollectorRegistry
) -> None:
    """In blocks and functions, sync and async; all are raised."""
    counter = Counter("failures", "h", registry=registry)

    @counter.count_exceptions(counted)
    def fail() -> None:
        raise raised

    @counter.count_exceptions(counted)
    async def fail_later() -> None:
        await asyncio.sleep(0)
        raise raised

    async def block() -> None:
        async with counter.count_exceptions(counted):
            raise raised

    def run(coroutine: Any) -> None:
        # Not asyncio.run(): it has its own way with KeyboardInterrupt.
        with pytest.raises(StopIteration):
            while True:
                coroutine.send(None)

    with pytest.raises(raised):
        fail()
    with pytest.raises(raised), counter.count_exceptions(counted):
        raise raised
    for coroutine in (fail_later(), block()):
        with pytest.raises(raised):
            run(coroutine)

    assert 4 * expected == registry.get_sample_value("failures_total")


def test_what_ends_well_is_not_counted(registry: CollectorRegistry) -> None:
    """And its result comes through."""
    counter = Counter("failures", "h", registry=registry)

    assert 7 == counter.count_exceptions()(lambda: 7)()
    with counter.count_exceptions() as nothing:
        assert nothing is None
    assert 0 == registry.get_sample_value("failures_total")


def test_calls_in_progress_are_counted(registry: CollectorRegistry) -> None:
    """While they run, sync and async, also if they raise."""
    running = Gauge("running", "h", registry=registry)
    seen: list[float | None] = []

    @running.track_inprogress()
    def work() -> None:
        seen.append(registry.get_sample_value("running"))
        raise KeyError

    @running.track_inprogress()
    async def work_later() -> None:
        await asyncio.sleep(0)
        seen.append(registry.get_sample_value("running"))

    async def main() -> None:
        await asyncio.gather(work_later(), work_later())
        async with running.track_inprogress():
            seen.append(registry.get_sample_value("running"))

    with pytest.raises(KeyError):
        work()
    asyncio.run(main())

    assert [1, 2, 1, 1] == seen
    assert 0 == registry.get_sample_value("running")


def test_anything_with_the_methods_will_do() -> None:
    """No metric is needed."""

    class Recorder:
        def __init__(self) -> None:
            self.calls: list[Any] = []

        def inc(self) -> None:
            self.calls.append("inc")

        def dec(self) -> None:
            self.calls.append("dec")

        def observe(self, duration: float) -> None:
            self.calls.append(duration >= 0)

    recorder = Recorder()
    with Timer(recorder, "observe"), InprogressTracker(recorder):
        with pytest.raises(KeyError), ExceptionCounter(recorder, KeyError):
            raise KeyError

    assert ["inc", "inc", "dec", True] == recorder.calls
