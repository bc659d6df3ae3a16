"""The primitives of a serving network: what is measured, what arrives, what is paid.

Source: gate-and-route (arXiv 2602.02987 v1), Sections 2.1-2.4. Every value is frozen and
validates itself; a violation raises `InvalidInput` naming field, value and allowed range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .errors import InvalidInput, require_integer, require_number, require_text


def exact(value: Any) -> Fraction:
    """The rational number that ``value`` prints as.

    A float stands for the shortest decimal that reads back as the same float, so that
    ``exact(0.1) == Fraction(1, 10)``: certificates speak of the numbers the user wrote.

    >>> exact(6.2e-5)
    Fraction(31, 500000)
    """
    return Fraction(str(value))


@dataclass(frozen=True)
class IterationTime:
    """Duration of one batch iteration, equations (1)-(3).

    Mixed iterations (a prefill chunk of C tokens beside decodes) take alpha + beta C seconds;
    solo iterations (decodes only) take 1 / gamma seconds.

    Parameters
    ----------
    alpha
        Fixed part of a mixed iteration, seconds.
    beta
        Seconds per token of the prefill chunk.
    gamma
        Tokens per second of one solo decode stream.
    """

    alpha: float
    beta: float
    gamma: float

    def __post_init__(self) -> None:
        require_number("gpu.alpha", self.alpha, "seconds", at_least=0)
        require_number("gpu.beta", self.beta, "seconds per token", above=0)
        require_number("gpu.gamma", self.gamma, "tokens per second", above=0)


@dataclass(frozen=True)
class Gpu:
    """One GPU: its iteration times, its batch slots B and its prefill chunk C (tokens)."""

    name: str
    iteration_time: IterationTime
    batch: int
    chunk: int

    def __post_init__(self) -> None:
        require_text("gpu.name", self.name)
        require_integer("gpu.batch", self.batch, "slots", at_least=1)
        require_integer("gpu.chunk", self.chunk, "tokens", at_least=1)


@dataclass(frozen=True)
class Prices:
    """Revenue per prompt token (``prefill``) and per output token (``decode``)."""

    prefill: float
    decode: float

    def __post_init__(self) -> None:
        require_number("prices.prefill", self.prefill, "revenue per prompt token", at_least=0)
        require_number("prices.decode", self.decode, "revenue per output token", at_least=0)


@dataclass(frozen=True)
class RequestClass:
    """A request class: representative lengths, Poisson arrivals, exponential patience.

    Parameters
    ----------
    prompt_tokens, output_tokens
        Mean prompt length P and mean output length D, tokens.
    arrival_rate
        Requests per second per GPU.
    patience_rate
        Rate of abandonment of a waiting request, 1/s. Zero means that nobody abandons: then
        the class must be served in full, and the steady-state program may be infeasible.
    """

    name: str
    prompt_tokens: float
    output_tokens: float
    arrival_rate: float
    patience_rate: float

    def __post_init__(self) -> None:
        require_text("classes.name", self.name)
        label = f"classes[{self.name}]"
        require_number(f"{label}.prompt_tokens", self.prompt_tokens, "tokens", above=0)
        require_number(f"{label}.output_tokens", self.output_tokens, "tokens", above=0)
        require_number(
            f"{label}.arrival_rate", self.arrival_rate, "requests per second per GPU", above=0
        )
        require_number(f"{label}.patience_rate", self.patience_rate, "1/s", at_least=0)


@dataclass(frozen=True)
class ServingNetwork:
    """A GPU type, prices and request classes: all that the steady-state program needs."""

    gpu: Gpu
    prices: Prices
    classes: tuple[RequestClass, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        if not self.classes:
            raise InvalidInput("classes", [], "at least one request class")
        names = self.class_names
        for name in names:
            if names.count(name) > 1:
                raise InvalidInput("classes.name", name, "a different name for each class")

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        return tuple(c.name for c in self.classes)

    def per_class(self, field: str, number: Callable[[Any], Any] = float) -> tuple[Any, ...]:
        """One field of every class, each converted by ``number`` (`float` or `exact`)."""
        return tuple(number(getattr(c, field)) for c in self.classes)
