"""Every public name of the official client is there, in the same module, called the same way."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType
from typing import Any, TypeVar

import prometheus_client
import pytest

MODULES = [
    "",
    *(
        module.name.removeprefix("prometheus_client")
        for module in pkgutil.walk_packages(prometheus_client.__path__, "prometheus_client.")
    ),
]

ABSENT = {
    ".context_managers": {
        "TYPE_CHECKING": "a constant of the standard library",
        "decorate": "not what decorates there",
    },
    ".decorator": {
        "DEF": "part of what makes source code and compiles it",
        "FunctionMaker": "makes source code and compiles it",
        "dispatch_on": "generic functions, which no metric needs",
        "n_args": "tells Python 2 from Python 3",
    },
    ".exposition": {
        "SNAPPY_AVAILABLE": "python-snappy is imported by the push that asks for it",
    },
    ".multiprocess": {
        "Gauge": "an import of its own, of which ours has no need",
        "MmapedDict": "the same",
        "floatToGoString": "the same",
    },
    ".openmetrics.exposition": {
        "floatToGoString": "numbers are written by the native core",
        "maxunicode": "a constant of the standard library",
    },
    ".openmetrics.parser": {
        **dict.fromkeys(("ESCAPE_SEQUENCES", "ESCAPING_RE"), "ours reads without expressions"),
        **dict.fromkeys(
            ("BucketSpan", "Exemplar", "NativeHistogram", "Sample", "Timestamp"),
            "an import of its own; ours are made by the native core",
        ),
        "floatToGoString": "numbers are compared by the native core",
        "parse_labels": "it is in parser",
    },
    ".parser": {
        **dict.fromkeys(
            ("ESCAPE_SEQUENCES", "ESCAPING_RE", "HELP_ESCAPING_RE", "replace_escape_sequence"),
            "ours reads without expressions",
        ),
    },
    ".values": {
        "MmapedDict": "an import of its own, of which ours has no need",
        "mmap_key": "the same",
    },
}
"""What is not there, and why not."""

OTHERWISE = {
    "": {"Gauge": "its mode is that of the store, unless it is given"},
    ".core": {"Gauge": "as above"},
    ".decorator": {"contextmanager": "the official one tells the arguments of the class it makes"},
    ".metrics": {
        "Gauge": "as above",
        "MetricWrapperBase": "there to derive from; only its classes are called",
    },
}
"""What is called otherwise, and why."""

# Names that a module only imports, and that programs import from it all the same.
TAKEN_ALONG = {
    ".exposition": ["_SilentHandler", "_bake_output", "build_opener", "make_server", "parse_qs"],
    ".metrics": ["MetricWrapperBase", "_get_use_created"],
}


def modules(name: str) -> tuple[ModuleType, ModuleType]:
    """Give the official module and ours."""
    return (
        importlib.import_module(f"prometheus_client{name}"),
        importlib.import_module(f"tallymark{name}"),
    )


def public_names(module: ModuleType) -> set[str]:
    """
    Give what a module says it exports, and what it has of its own package under a public name.

    Values of the language's own types count as its own; modules are for the last test here.
    """
    return set(getattr(module, "__all__", ())) | {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, (TypeVar, ModuleType))
        if home(value).split(".")[0] in ("prometheus_client", "builtins", "re")
    }


def home(value: object) -> str:
    """Give the name of the module where it was made."""
    # Of an object its class: Django's settings, for one, cannot be asked for attributes.
    made = value if callable(value) else type(value)
    return getattr(made, "__module__", None) or type(made).__module__


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_there(name: str) -> None:
    """But for those of which we say why they are not."""
    official, ours = modules(name)
    missing = {public for public in public_names(official) if not hasattr(ours, public)}

    assert set(ABSENT.get(name, ())) == missing


@pytest.mark.parametrize("name", TAKEN_ALONG)
def test_names_that_programs_take_from_another_module_are_there(name: str) -> None:
    """In both packages, so this list cannot grow old unseen."""
    for module in modules(name):
        assert [] == [taken for taken in TAKEN_ALONG[name] if not hasattr(module, taken)]


def signatures(module: ModuleType, names: set[str]) -> dict[str, Any]:
    """Give what each function, class and public method of these takes, annotations aside."""
    found = {}
    for name in names:
        value = getattr(module, name)
        if inspect.isclass(value):
            for method, function in inspect.getmembers(value, inspect.isroutine):
                if not method.startswith("_"):
                    found[f"{name}.{method}"] = parameters(function)
        if callable(value):
            found[name] = parameters(value)
    return found


def parameters(function: Any) -> list[tuple[str, str, str]] | None:
    """Give names, kinds and defaults; None where Python does not tell."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return None
    return [
        (p.name, p.kind.name, default(p.default))
        for p in signature.parameters.values()
        # Native methods take it by position only, which nobody can tell.
        if p.name != "self"
    ]


def default(value: object) -> str:
    """Write a default so that those of both packages can be compared."""
    if value is inspect.Parameter.empty:
        return "required"
    if inspect.isroutine(value) or inspect.isclass(value):
        return value.__name__
    return repr(value) if home(value) == "builtins" else type(value).__name__


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_is_called_the_same_way(name: str) -> None:
    """But for what we say is called otherwise."""
    official, ours = modules(name)
    names = {one for one in public_names(official) if hasattr(ours, one)}
    theirs, our_own = signatures(official, names), signatures(ours, names)
    different = {
        key: (theirs[key], our_own.get(key))
        for key in theirs
        if not alike(theirs[key], our_own.get(key))
    }

    assert {} == {k: both for k, both in different.items() if k not in OTHERWISE.get(name, ())}
    assert set(OTHERWISE.get(name, ())) == set(different)


def alike(theirs: Any, ours: Any) -> bool:
    """Tell whether parameters are the same, where a native one may not tell its default."""
    if theirs is None or ours is None or len(theirs) != len(ours):
        return bool(theirs == ours)
    return all(
        their == our or (their[:2] == our[:2] and their[2] != "required" and our[2] == "Ellipsis")
        for their, our in zip(theirs, ours, strict=True)
    )


def test_submodules_are_there_as_soon_as_the_package_is() -> None:
    """Programs say ``import prometheus_client`` and use ``prometheus_client.values``."""
    program = "import sys, {0}; print(*[n for n in sys.modules if n.startswith('{0}.')])"
    theirs, ours = (
        {
            module.removeprefix(package)
            for module in subprocess.check_output(
                [sys.executable, "-c", program.format(package)], text=True
            ).split()
        }
        for package in ("prometheus_client", "tallymark")
    )

    assert set() == theirs - ours
