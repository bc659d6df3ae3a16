"""Serving networks as TOML files.

A file has the tables ``[gpu]`` and ``[prices]`` and one ``[[classes]]`` table per request class;
README.md shows one. Keys are exactly the fields of `Gpu`, `IterationTime`, `Prices` and
`RequestClass`: a missing or an unknown one is refused by name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

from .errors import InvalidInput
from .network import Gpu, IterationTime, Prices, RequestClass, ServingNetwork

_TIME_FIELDS = tuple(f.name for f in fields(IterationTime))
_GPU_FIELDS = ("name", *_TIME_FIELDS, "batch", "chunk")


def read_network(path: str | Path) -> ServingNetwork:
    """Read a serving network from a TOML file.

    Raises
    ------
    InvalidInput
        The file is unreadable or not TOML, a key is missing or unknown, or a value is outside
        its range; one line names field, value and what is allowed.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InvalidInput("network file", str(path), f"a readable TOML file ({reason})") from error
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput("network file", str(path), f"valid TOML ({error})") from error
    return network_from_tables(tables)


def instance(name: str) -> ServingNetwork:
    """A network that ships with kurtz; `instance_names` lists them."""
    if name not in instance_names():
        raise InvalidInput("instance", name, f"one of {', '.join(instance_names())}")
    with resources.as_file(_instances() / f"{name}.toml") as path:
        return read_network(path)


def instance_names() -> tuple[str, ...]:
    """Names of the networks that ship with kurtz."""
    files = (Path(str(entry.name)) for entry in _instances().iterdir())
    return tuple(sorted(file.stem for file in files if file.suffix == ".toml"))


def network_from_tables(tables: Mapping[str, Any]) -> ServingNetwork:
    """Build a network from parsed TOML tables; raises `InvalidInput` like `read_network`."""
    _require_keys("the network file", tables, ("gpu", "prices", "classes"))
    gpu = _table("gpu", tables["gpu"], _GPU_FIELDS)
    prices = _table("prices", tables["prices"], tuple(f.name for f in fields(Prices)))
    if not isinstance(tables["classes"], list):
        raise InvalidInput("classes", tables["classes"], "[[classes]] tables, one per class")
    class_fields = tuple(f.name for f in fields(RequestClass))
    classes = [
        _table(f"classes[{i}]", table, class_fields) for i, table in enumerate(tables["classes"])
    ]
    return ServingNetwork(
        gpu=Gpu(
            name=gpu["name"],
            iteration_time=IterationTime(**{key: gpu[key] for key in _TIME_FIELDS}),
            batch=gpu["batch"],
            chunk=gpu["chunk"],
        ),
        prices=Prices(**prices),
        classes=tuple(RequestClass(**table) for table in classes),
    )


def _instances() -> Any:
    return resources.files(__package__) / "instances"


def _table(where: str, value: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(where, value, f"a table with the keys {', '.join(keys)}")
    _require_keys(where, value, keys)
    return value


def _require_keys(where: str, table: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in table:
        if key not in keys:
            raise InvalidInput(f"unknown key in {where}", key, f"one of {', '.join(keys)}")
    for key in keys:
        if key not in table:
            raise InvalidInput(f"missing key in {where}", key, f"all of {', '.join(keys)}")
