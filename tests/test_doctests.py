"""Every doctest of the rooms runs, under the name that users import."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

ROOMS = ("cli", "fluid", "proofs_checks", "stochastic", "theory")


def _modules() -> list[str]:
    names = []
    for room in ROOMS:
        package = importlib.import_module(f"kurtz.{room}")
        below = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        names += [package.__name__, *(module.name for module in below)]
    return [name for name in names if not name.endswith(".__main__")]


@pytest.mark.parametrize("name", _modules())
def test_documentation_examples_hold(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
