"""Small tables derived from public measurements and traces; README.md says from which.

`derive` writes them anew from the raw files.
"""

from __future__ import annotations

from importlib import resources

import pandas as pd

from ...theory import InvalidInput


def table_names() -> tuple[str, ...]:
    """Names of the tables that ship with kurtz."""
    files = (entry.name for entry in resources.files(__package__).iterdir())
    return tuple(sorted(name.removesuffix(".csv") for name in files if name.endswith(".csv")))


def table(name: str) -> pd.DataFrame:
    """One shipped table; raises `InvalidInput` unless `table_names` lists ``name``."""
    if name not in table_names():
        raise InvalidInput("table", name, f"one of {', '.join(table_names())}")
    with (resources.files(__package__) / f"{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)
