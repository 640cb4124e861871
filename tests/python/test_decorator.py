"""Coroutine functions and repeated calls, on which the official client's decorators fail."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from tallymark.decorator import contextmanager, decorate, decorator, getargspec


async def fetch(url: str, retries: int = 3) -> str:
    """Fetch it."""
    await asyncio.sleep(0)
    return f"{url} {retries}"


def test_a_decorated_coroutine_function_is_one() -> None:
    """And looks like the one that it was; the caller sees its coroutine."""
    seen: list[Any] = []

    def watching(function: Any, *args: Any) -> Any:
        seen.append(args)
        return function(*args)

    decorated = decorate(fetch, watching)

    assert inspect.iscoroutinefunction(decorated)
    assert (["url", "retries"], None, None, (3,)) == getargspec(decorated)
    assert [] == seen
    assert "a 3" == asyncio.run(decorated("a"))
    assert [("a", 3)] == seen


def test_a_caller_may_be_a_coroutine_function_itself() -> None:
    """Or answer by itself, without a coroutine."""

    @decorator
    async def loud(function: Any, *args: Any) -> str:
        result = await function(*args)
        return str(result).upper()

    assert "A 3" == asyncio.run(loud(fetch)("a"))
    assert "cached" == asyncio.run(decorate(fetch, lambda *_: "cached")("a"))


def test_a_context_manager_is_entered_anew_at_every_call() -> None:
    """Of a function, or of a coroutine function, around all of it."""
    events: list[str] = []

    @contextmanager
    def watch(name: str) -> Iterator[None]:
        events.append(f"enter {name}")
        yield
        events.append(f"exit {name}")

    @watch("f")
    def function() -> None:
        events.append("f")

    @watch("g")
    async def coroutine_function() -> None:
        await asyncio.sleep(0)
        events.append("g")

    for _ in range(2):
        function()
        asyncio.run(coroutine_function())

    assert ["enter f", "f", "exit f", "enter g", "g", "exit g"] * 2 == events
    assert inspect.iscoroutinefunction(coroutine_function)


def test_a_function_that_does_not_tell_its_arguments_is_refused() -> None:
    """By name."""

    class Silent:
        __signature__ = 1

        def __call__(self) -> None: ...

        def __repr__(self) -> str:
            return "silent"

    with pytest.raises(TypeError, match="cannot decorate silent: it does not tell its signature"):
        decorate(Silent(), lambda function, *args: function(*args))


def test_wrong_arguments_are_refused_before_the_caller_is_asked() -> None:
    """As the function itself would."""
    decorated = decorate(lambda a: a, lambda *_: pytest.fail("asked"))

    with pytest.raises(TypeError, match="missing a required argument: 'a'"):
        decorated()
