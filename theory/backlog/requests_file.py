"""Read a backlog from a table of requests."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from .model import Backlog, Request

COLUMNS = ("prompt_tokens", "output_tokens")

INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
"""Python itself would also read 1_000."""


def read_backlog(path: str | Path, memory: int) -> Backlog:
    """The backlog in a CSV file with the columns prompt_tokens, output_tokens; others are ignored.

    Raises
    ------
    InvalidInput
        No such file, a column that is missing or there twice, or a value that is not allowed; the
        field names the line.
    """
    requests = []
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            header = tuple(table.fieldnames or ())
            if not set(COLUMNS) <= set(header):
                raise InvalidInput("columns", ",".join(header), f"{','.join(COLUMNS)} among them")
            if any(header.count(name) > 1 for name in COLUMNS):
                raise InvalidInput("columns", ",".join(header), "each column once")
            requests = [_request(row, table.line_num) for row in table]
    except OSError as error:
        allowed = f"a readable file ({error.strerror})"
        raise InvalidInput("requests file", str(path), allowed) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput("requests file", str(path), f"a CSV file in UTF-8 ({error})") from None
    return Backlog(tuple(requests), memory)


def _request(row: dict[str | None, Any], line: int) -> Request:
    if None in row:  # where csv puts what is beyond the last column
        text = ",".join([*(row[name] for name in row if name), *row[None]])
        raise InvalidInput(f"line {line}", text, f"{len(row) - 1} values, one per column")
    prompt, output = (_integer(row[name], f"line {line}: {name}") for name in COLUMNS)
    try:
        return Request(prompt, output)
    except InvalidInput as error:
        raise InvalidInput(f"line {line}: {error.field}", error.value, error.allowed) from None


def _integer(text: str | None, field: str) -> int:
    if not INTEGER.fullmatch((text or "").strip()):
        raise InvalidInput(field, text, "an integer (tokens)")
    return int(text or "")
