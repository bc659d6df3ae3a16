"""Numbers on the command line: what does not parse is refused by option, value and kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..theory import InvalidInput

Number = TypeVar("Number", int, float)


def integer(option: str) -> Callable[[str], int]:
    """A parser of integers for ``option``."""
    return _parser(option, int, "an integer")


def real(option: str) -> Callable[[str], float]:
    """A parser of real numbers for ``option``."""
    return _parser(option, float, "a number")


def _parser(option: str, convert: Callable[[str], Number], allowed: str) -> Callable[[str], Number]:
    def parse(text: str) -> Number:
        try:
            return convert(text)
        except ValueError:
            raise InvalidInput(option, text, allowed) from None

    return parse
