"""Read a backlog from a table of requests."""

from __future__ import annotations

import csv
from pathlib import Path

from ..errors import InvalidInput
from .model import Backlog, Request

COLUMNS = ("prompt_tokens", "output_tokens")


def read_backlog(path: str | Path, memory: int) -> Backlog:
    """The backlog in a CSV file with the columns prompt_tokens, output_tokens; others are ignored.

    Raises
    ------
    InvalidInput
        No such file, a missing column, or a value that is not allowed; the field names the line.
    """
    requests = []
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            header = tuple(table.fieldnames or ())
            if not set(COLUMNS) <= set(header):
                raise InvalidInput("columns", ",".join(header), f"{','.join(COLUMNS)} among them")
            requests = [_request(row, table.line_num) for row in table]
    except OSError as error:
        raise InvalidInput("requests file", str(path), f"a readable file ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput("requests file", str(path), f"a CSV file in UTF-8 ({error})") from None
    return Backlog(tuple(requests), memory)


def _request(row: dict[str, str | None], line: int) -> Request:
    prompt, output = (_integer(row[name], f"line {line}: {name}") for name in COLUMNS)
    try:
        return Request(prompt, output)
    except InvalidInput as error:
        raise InvalidInput(f"line {line}: {error.field}", error.value, error.allowed) from None


def _integer(text: str | None, field: str) -> int:
    try:
        return int(text or "")
    except ValueError:
        raise InvalidInput(field, text, "an integer (tokens)") from None
