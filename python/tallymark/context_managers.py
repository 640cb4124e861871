"""What `time()`, `count_exceptions()` and `track_inprogress()` give: a block or a function under
watch.

Each is a context manager, an async context manager and a decorator. A coroutine function is watched
until it has finished, anything else until it returns: a generator function only until its generator
is made. Decorated functions keep their name and signature. Numbers are not kept here: whatever has
``inc``, ``dec`` or the named method will do.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from timeit import default_timer
from types import TracebackType
from typing import Any, Literal, Protocol, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])
_T = TypeVar("_T", bound="Timer")
_Exceptions = type[BaseException] | tuple[type[BaseException], ...]


class _Incremented(Protocol):
    def inc(self) -> object: ...


class _UpAndDown(Protocol):
    def inc(self) -> object: ...

    def dec(self) -> object: ...


class ExceptionCounter:
    """
    Count the exceptions that leave a block or a function; they are raised all the same.

    Args:
        counter: What to increment.

        exception: The class to count, or a tuple of classes.

    Example:
        >>> from tallymark import CollectorRegistry, Counter
        >>> registry = CollectorRegistry()
        >>> failures = Counter("failures", "Failures.", registry=registry)
        >>> @failures.count_exceptions(KeyError)
        ... def look_up(key):
        ...     return {}[key]
        >>> look_up("a")
        Traceback (most recent call last):
        KeyError: 'a'
        >>> registry.get_sample_value("failures_total")
        1.0
    """

    def __init__(self, counter: _Incremented, exception: _Exceptions) -> None:
        self._counter = counter
        self._exception = exception

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        if isinstance(value, self._exception):
            self._counter.inc()
        return False

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        return self.__exit__(typ, value, traceback)

    def __call__(self, f: F) -> F:
        return _watched(f, lambda: self)


class InprogressTracker:
    """
    Count the blocks or calls that are running.

    Args:
        gauge: What to increment at the beginning and to decrement at the end.

    Example:
        >>> from tallymark import CollectorRegistry, Gauge
        >>> registry = CollectorRegistry()
        >>> running = Gauge("running", "Running.", registry=registry)
        >>> with running.track_inprogress():
        ...     registry.get_sample_value("running")
        1.0
        >>> registry.get_sample_value("running")
        0.0
    """

    def __init__(self, gauge: _UpAndDown) -> None:
        self._gauge = gauge

    def __enter__(self) -> None:
        self._gauge.inc()

    def __exit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._gauge.dec()

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(typ, value, traceback)

    def __call__(self, f: F) -> F:
        return _watched(f, lambda: self)


class Timer:
    """
    Hand the duration of a block or a call, in seconds, to a method of a metric.

    As a decorator it makes a new timer for every call, so that calls may overlap and nest. One
    object in several ``with`` statements at once would mix their beginnings up.

    Args:
        metric: The metric; while the block runs it may still be a parent that lacks its labels.

        callback_name: The name of the method, such as ``observe``.

    Attributes:
        duration: How long the block took, None until it has ended; never negative.

    Example:
        >>> from tallymark import CollectorRegistry, Summary
        >>> registry = CollectorRegistry()
        >>> latency = Summary("latency", "Latency.", ["status"], registry=registry)
        >>> with latency.time() as timer:
        ...     timer.labels("ok")
        >>> registry.get_sample_value("latency_count", {"status": "ok"})
        1.0
        >>> timer.duration >= 0
        True
    """

    def __init__(self, metric: Any, callback_name: str) -> None:
        self._metric = metric
        self._callback_name = callback_name
        self.duration: float | None = None

    def _new_timer(self: _T) -> _T:
        return self.__class__(self._metric, self._callback_name)

    def __enter__(self: _T) -> _T:
        self._start = default_timer()
        return self

    def __exit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Not every platform's clock only goes forward.
        self.duration = max(default_timer() - self._start, 0)
        getattr(self._metric, self._callback_name)(self.duration)

    async def __aenter__(self: _T) -> _T:
        return self.__enter__()

    async def __aexit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(typ, value, traceback)

    def labels(self, *args: object, **kw: object) -> None:
        """
        Choose the child, inside the block, when its labels are known at last.

        Args:
            args: Label values, as the metric's own ``labels()`` takes them.

            kw: The same by name.
        """
        self._metric = self._metric.labels(*args, **kw)

    def __call__(self, f: F) -> F:
        return _watched(f, self._new_timer)


def _watched(f: F, watch: Callable[[], AbstractContextManager[object]]) -> F:
    """Give a function that does as *f* does, under a watch of its own at every call."""
    wrapper: Callable[..., Any]
    if _is_coroutine_function(f):

        @functools.wraps(f)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            with watch():
                return await f(*args, **kwargs)

    else:

        @functools.wraps(f)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with watch():
                return f(*args, **kwargs)

    # inspect.signature() follows __wrapped__ by itself, getfullargspec() does not and asks for
    # this.
    signature = _signature(f)
    if signature is not None:
        wrapper.__signature__ = signature  # type: ignore[attr-defined]
    return cast("F", wrapper)


def _is_coroutine_function(f: Callable[..., Any]) -> bool:
    if inspect.iscoroutinefunction(f):
        return True
    # An object whose class has an async __call__; calling a class itself only makes such an object.
    return not isinstance(f, type) and inspect.iscoroutinefunction(type(f).__call__)


def _signature(f: Callable[..., Any]) -> inspect.Signature | None:
    try:
        if sys.version_info >= (3, 14):
            from annotationlib import Format

            # Annotations may name what is defined further down the module: they are not evaluated
            # for this.
            return inspect.signature(f, annotation_format=Format.FORWARDREF)
        return inspect.signature(f)
    except (TypeError, ValueError):
        # Some functions written in C do not tell.
        return None
