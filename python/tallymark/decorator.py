"""Decorators whose functions keep their signature, for programs that use the official client's.

The metrics' own decorators do not come from here: see ``context_managers``. Nothing here makes
source code and compiles it, as the official client's module does.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Generator
from inspect import getfullargspec
from typing import Any, NamedTuple, TypeVar, cast

from .context_managers import _is_coroutine_function, _signature

__all__ = (
    "ArgSpec",
    "ContextManager",
    "append",
    "contextmanager",
    "decorate",
    "decorator",
    "get_init",
    "getargspec",
    "getfullargspec",
    "init",
)

_Function = Callable[..., Any]
_F = TypeVar("_F", bound=_Function)


class ArgSpec(NamedTuple):
    """The arguments of a function that can be given by position, as `getargspec` gives them."""

    args: list[str]
    varargs: str | None
    varkw: str | None
    defaults: tuple[Any, ...] | None


def getargspec(f: _Function) -> ArgSpec:
    """
    Tell the arguments of a function that can be given by position.

    Args:
        f: The function.

    Raises:
        TypeError: It does not tell.

    Example:
        >>> getargspec(lambda a, b=1, *rest, c=2: None)
        ArgSpec(args=['a', 'b'], varargs='rest', varkw=None, defaults=(1,))
    """
    spec = getfullargspec(f)
    return ArgSpec(spec.args, spec.varargs, spec.varkw, spec.defaults)


def get_init(cls: type) -> _Function:
    """
    Give the function that initializes objects of a class.

    Args:
        cls: The class.

    Example:
        >>> class Point:
        ...     def __init__(self, x, y): ...
        >>> getargspec(get_init(Point)).args
        ['self', 'x', 'y']
    """
    initializer: _Function = cls.__init__  # type: ignore[misc]
    return initializer


def decorate(func: _F, caller: _Function) -> _F:
    """
    Give a function with the name, the documentation and the signature of another, which hands every
    call to a third.

    What could be given by position is given by position, defaults included. Where *func* is a
    coroutine function the new one is, too, and *caller* is called when it is awaited.

    Args:
        func: The function to imitate.

        caller: Called with *func* and the arguments; what it gives, or gives when it is awaited, is
            the result.

    Raises:
        TypeError: *func* does not tell its signature.

    Example:
        >>> def twice(function, *args, **kwargs):
        ...     return function(*args, **kwargs), function(*args, **kwargs)
        >>> def add(a, b=1):
        ...     return a + b
        >>> decorate(add, twice)(2)
        (3, 3)
    """
    signature = _signature(func)
    if signature is None:
        raise TypeError(f"cannot decorate {func!r}: it does not tell its signature")

    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return caller(func, *bound.args, **bound.kwargs)

    if _is_coroutine_function(func):

        async def decorated(*args: Any, **kwargs: Any) -> Any:
            result = call(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

    else:
        decorated = call
    decorated = functools.update_wrapper(decorated, func)
    # inspect.signature() follows __wrapped__ by itself, getfullargspec() does not and asks for
    # this.
    decorated.__signature__ = signature  # type: ignore[attr-defined]
    return cast("_F", decorated)


def decorator(caller: _Function, _func: _Function | None = None) -> _Function:
    """
    Make a decorator of a function that is called in the place of others.

    Args:
        caller: What `decorate` takes.

        _func: A function to decorate at once.

    Example:
        >>> @decorator
        ... def loud(function, *args, **kwargs):
        ...     return function(*args, **kwargs).upper()
        >>> @loud
        ... def greet(name):
        ...     return f"hello {name}"
        >>> greet("you")
        'HELLO YOU'
    """
    if _func is not None:
        return decorate(_func, caller)

    def decorating(func: _F) -> _F:
        return decorate(func, caller)

    return functools.update_wrapper(decorating, caller)


class ContextManager(contextlib._GeneratorContextManager[Any]):
    """
    What functions made by `contextmanager` give: a context manager, and a decorator that enters a
    new one at every call.

    Args:
        g: A generator function that yields once.

        a: Its arguments.

        k: The same by name.
    """

    def __init__(self, g: Callable[..., Generator[Any, None, None]], *a: Any, **k: Any) -> None:
        super().__init__(g, a, k)
        self._again = functools.partial(ContextManager, g, *a, **k)

    def __call__(self, func: _F) -> _F:
        def within(func: _Function, *args: Any, **kwargs: Any) -> Any:
            with self._again():
                return func(*args, **kwargs)

        async def within_async(func: _Function, *args: Any, **kwargs: Any) -> Any:
            with self._again():
                return await func(*args, **kwargs)

        return decorate(func, within_async if _is_coroutine_function(func) else within)


def contextmanager(func: _Function) -> Callable[..., ContextManager]:
    """
    Make context managers of a generator function, as `contextlib.contextmanager` does.

    What they decorate keeps its signature.

    Args:
        func: A generator function that yields once.

    Example:
        >>> @contextmanager
        ... def tag(name):
        ...     print(f"<{name}>")
        ...     yield
        ...     print(f"</{name}>")
        >>> with tag("b"):
        ...     print("bold")
        <b>
        bold
        </b>
    """
    return decorate(func, ContextManager)


def append(a: type, vancestors: list[type]) -> None:
    """
    Put a class into a list of classes of which none is derived from another.

    It takes the place of its bases; if a class derived from it is there already, it is left out.

    Args:
        a: The class.

        vancestors: The list.

    Example:
        >>> classes = [int, str]
        >>> append(bool, classes)
        >>> append(object, classes)
        >>> classes
        [<class 'bool'>, <class 'str'>]
    """
    if not any(issubclass(one, a) for one in vancestors):
        replaced = [a if issubclass(a, one) else one for one in vancestors]
        vancestors[:] = replaced if a in replaced else [*vancestors, a]


init = getfullargspec(get_init(contextlib._GeneratorContextManager))
"""The arguments of `contextlib`'s own context managers."""
