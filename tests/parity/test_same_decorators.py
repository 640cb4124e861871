"""Functions decorated with either package look like the functions they were."""

from __future__ import annotations

import inspect
from typing import Any

import pytest


def _plain() -> str:
    """Say so."""
    return "plain"


def _all_kinds(a: int, b: Any = 2, *c: Any, d: Any, e: Any = 5, **f: Any) -> Any:
    return a, b, c, d, e, f


def _defaults(a: Any = 1, b: Any = None) -> Any:
    return a, b


FUNCTIONS = [_plain, _all_kinds, _defaults]
CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    ((1,), {"d": 4}),
    ((1, 3, 5, 7), {"d": 4, "e": 6, "g": 8}),
    ((), {"b": 3, "a": 1, "d": 4}),
    ((), {"b": 3}),
    ((1, 2, 3), {}),
]


def _look(function: Any) -> tuple[Any, ...]:
    """Give what can be seen of a function without calling it."""
    return (
        function.__name__,
        function.__qualname__,
        function.__module__,
        function.__doc__,
        str(inspect.signature(function)),
        tuple(inspect.getfullargspec(function))[:6],
        function.__wrapped__.__name__,
    )


def _told(function: Any, *arguments: Any, **named: Any) -> Any:
    """Call a function for another, and tell what it is called with."""
    try:
        return function.__name__, arguments, named, function(*arguments, **named)
    except TypeError:
        return function.__name__, arguments, named


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_decorated_function_looks_the_same(function: Any, same: Any) -> None:
    """Name, documentation, module, signature, argspec."""
    found = same(lambda c: _look(c.decorator.decorate(function, _told)))

    assert function.__name__ == found[0]
    same(lambda c: _look(c.decorator.decorator(_told)(function)))
    same(lambda c: tuple(c.decorator.getargspec(c.decorator.decorate(function, _told))))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_decorated_function_is_called_the_same(function: Any, call: Any, same: Any) -> None:
    """What may come by position does, with its default; what does not fit is a TypeError."""

    def run(c: Any) -> Any:
        arguments, named = call
        try:
            return c.decorator.decorate(function, _told)(*arguments, **named)
        except TypeError:
            return "TypeError"

    same(run)


def test_a_decorator_looks_the_same(same: Any) -> None:
    """It has the name and the documentation of the function it was made of; an object will do."""

    class Caller:
        def __call__(self, function: Any) -> Any:
            return "called", function()

    def run(c: Any) -> Any:
        of_function = c.decorator.decorator(_told)
        at_once = c.decorator.decorator(_told, _plain)
        return (
            of_function.__name__,
            of_function.__doc__,
            of_function(_plain)(),
            at_once(),
            c.decorator.decorator(Caller())(_plain)(),
        )

    same(run)


@pytest.mark.parametrize(
    "decorate",
    [
        lambda c, registry: c.core.Counter("c", "h", registry=registry).count_exceptions(),
        lambda c, registry: c.core.Gauge("g", "h", registry=registry).track_inprogress(),
        lambda c, registry: c.core.Gauge("g", "h", registry=registry).time(),
        lambda c, registry: c.core.Summary("s", "h", registry=registry).time(),
        lambda c, registry: c.core.Histogram("h", "h", registry=registry).time(),
    ],
)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_metrics_decorate_alike(decorate: Any, function: Any, same: Any) -> None:
    """What was there to be seen is still there."""
    same(lambda c: _look(decorate(c, c.core.CollectorRegistry())(function)))


def test_context_managers_are_made_alike(same: Any) -> None:
    """For blocks and for functions; what leaves the block goes through the generator."""

    def run(c: Any) -> Any:
        events: list[Any] = []

        @c.decorator.contextmanager
        def watch(name: str, loud: bool = False) -> Any:
            """Watch."""
            events.append(("enter", name, loud))
            try:
                yield name.upper()
            except KeyError:
                events.append("swallowed")
            finally:
                events.append("exit")

        with watch("a") as name:
            events.append(name)
        with watch("b", loud=True):
            raise KeyError
        events.append(_look(watch("c")(_all_kinds)))
        events.append(watch("d")(_all_kinds)(1, d=4))
        return watch.__name__, watch.__doc__, str(inspect.signature(watch)), events

    assert "swallowed" in same(run)[3]


def test_virtual_ancestors_are_kept_alike(same: Any) -> None:
    """For those who sort classes with it."""

    def run(c: Any) -> Any:
        found = []
        for start in ([], [int], [bool], [str, int], [object]):
            for one in (int, bool, str, object):
                classes = list(start)
                c.decorator.append(one, classes)
                found.append(classes)
        return found

    same(run)


def test_the_initializer_of_a_class_is_told_alike(same: Any) -> None:
    """As a function."""
    same(lambda c: c.decorator.get_init(inspect.Parameter))
    same(lambda c: c.decorator.init)
