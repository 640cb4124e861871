"""The finder that answers ``import prometheus_client`` with tallymark.

It is a module of its own, beside the package, because a ``.pth`` file imports it at the start of
every process that wants it: it must cost nothing until somebody asks for the official client. So it
imports nothing but ``sys`` at first. Which modules tallymark has is not known here, nor what the
environment says.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as mypy reads it: typing takes longer to import than all this file
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_OFFICIAL = "prometheus_client"


def install() -> None:
    """
    Put the finder before all others, once.

    Raises:
        RuntimeError: The official client is loaded already. No ImportError: that is what programs
            catch that can do without metrics, and they would go on with two clients.
    """
    # Two threads here at once would both add it, and only the first one would ever be asked.
    if _FINDER in sys.meta_path:
        return
    loaded = sys.modules.get(_OFFICIAL)
    if loaded is not None and loaded is not sys.modules.get("tallymark"):
        raise RuntimeError(
            f"cannot stand in for {_OFFICIAL}: it is loaded already, from"
            f" {getattr(loaded, '__file__', None)}; call install_as_prometheus_client() before"
            " anything imports it, or start the process with TALLYMARK_AS_PROMETHEUS_CLIENT=1"
        )
    sys.meta_path.insert(0, _FINDER)


class _Finder:
    """Finds every module of the official client's name in tallymark."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, dot, rest = fullname.partition(".")
        if package != _OFFICIAL:
            return None

        from importlib.util import find_spec, spec_from_loader

        name = "tallymark" + dot + rest
        ours = find_spec(name)
        if ours is None:
            # The finders behind this one would look in tallymark's folder too, and say less.
            raise ModuleNotFoundError(
                f"No module named {fullname!r}: tallymark stands in for {_OFFICIAL}, and has no"
                f" {name}",
                name=fullname,
            )
        # A real Loader, as the types want it, would mean to import importlib.abc at every start.
        loader: Any = _Loader(name)
        inside = ours.submodule_search_locations
        spec = spec_from_loader(fullname, loader, origin=ours.origin, is_package=inside is not None)
        if spec:
            spec.submodule_search_locations = inside
        return spec


class _Loader:
    """Gives a module of tallymark's under the other name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Give our module, complete: another thread may see it as soon as this returns."""
        from importlib import import_module

        ours = import_module(self._name)
        if self._name == "tallymark":
            _rename_metrics()
        self._spec = ours.__spec__
        return ours

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back: the import system has replaced it meanwhile."""
        module.__spec__ = self._spec


def _rename_metrics() -> None:
    # Programs look at where a metric's class comes from, and its repr begins with it.
    from tallymark import metrics

    for thing in vars(metrics).values():
        if isinstance(thing, type) and thing.__module__ == metrics.__name__:
            thing.__module__ = _OFFICIAL + ".metrics"


_FINDER = _Finder()
