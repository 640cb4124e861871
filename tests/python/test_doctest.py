"""Every example in the package's documentation runs and shows what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest
import tallymark

MODULES = ["tallymark"] + [
    module.name for module in pkgutil.walk_packages(tallymark.__path__, "tallymark.")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    """In a namespace of their own, each with what it imports and defines."""
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)

    assert 0 == failed


@pytest.mark.parametrize("name", [name for name in MODULES if name.count(".") == 1])
def test_public_names_are_documented(name: str) -> None:
    """Each function and class that a module defines says what it is for."""
    module = importlib.import_module(name)
    undocumented = [
        key
        for key, value in vars(module).items()
        if getattr(value, "__module__", "") == name
        if callable(value) and not key.startswith("_") and key not in ("F",)
        if not value.__doc__
    ]

    assert [] == undocumented
