r"""The requests of a run: when they come, of which class, how long, how patient.

One value serves every policy, so that policies are compared on the same requests (common random
numbers). Sources are independent Poisson arrivals with lengths by a `Lengths` rule, and any other
arrivals put into `Requests` by hand. Patience is exponential at the class's rate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...theory.errors import InvalidInput, require_integer, require_number
from ...theory.network import ServingNetwork

Lengths = Callable[
    [ServingNetwork, NDArray[np.int64], np.random.Generator],
    tuple[NDArray[np.float64], NDArray[np.float64]],
]
"""(network, class of each request, generator) -> prompt tokens, output tokens of each."""


@dataclass(frozen=True)
class Requests:
    """Requests in order of arrival; one entry each.

    Attributes
    ----------
    arrival
        Seconds, not decreasing, at least 0.
    class_index
        Class of each request.
    prompt_tokens, output_tokens
        Lengths, positive; whole numbers if work comes in iterations.
    patience
        Seconds of waiting, for prefill and for decode together, after which a request leaves;
        infinite for one that never does.
    """

    arrival: NDArray[np.float64]
    class_index: NDArray[np.int64]
    prompt_tokens: NDArray[np.float64]
    output_tokens: NDArray[np.float64]
    patience: NDArray[np.float64]

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, name)) for name in self.__dataclass_fields__}
        if len(lengths) > 1:
            raise InvalidInput("requests", sorted(lengths), "as many entries of each attribute")
        if np.any(np.diff(self.arrival, prepend=0.0) < 0):
            raise InvalidInput("requests.arrival", "decreasing", "times in order, at least 0")
        for name in ("prompt_tokens", "output_tokens", "patience"):
            if not np.all(getattr(self, name) > 0):
                raise InvalidInput(f"requests.{name}", "an entry <= 0 or NaN", "positive numbers")

    def whole(self) -> Requests:
        """The same requests with lengths rounded to whole tokens, at least 1."""
        return Requests(
            self.arrival,
            self.class_index,
            np.maximum(np.rint(self.prompt_tokens), 1.0),
            np.maximum(np.rint(self.output_tokens), 1.0),
            self.patience,
        )


def exponential_lengths(
    network: ServingNetwork, class_index: NDArray[np.int64], generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Independent exponential lengths with the means of the classes: the paper's model."""
    prompts, outputs = fixed_lengths(network, class_index, generator)
    return (
        prompts * _positive_exponentials(generator, len(prompts)),
        outputs * _positive_exponentials(generator, len(outputs)),
    )


def fixed_lengths(
    network: ServingNetwork,
    class_index: NDArray[np.int64],
    generator: np.random.Generator,  # noqa: ARG001
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Every request as long as its class's mean."""
    prompts = np.array(network.per_class("prompt_tokens"))[class_index]
    outputs = np.array(network.per_class("output_tokens"))[class_index]
    return prompts, outputs


def poisson_requests(
    network: ServingNetwork,
    gpus: int,
    horizon: float,
    generator: np.random.Generator,
    lengths: Lengths = exponential_lengths,
) -> Requests:
    """Poisson arrivals of every class at n times its rate until ``horizon`` (seconds)."""
    require_integer("gpus", gpus, "GPUs", at_least=1)
    require_number("horizon", horizon, "seconds", above=0)
    arrivals = np.array(network.per_class("arrival_rate")) * gpus
    number = generator.poisson(arrivals.sum() * horizon)
    class_index = generator.choice(len(arrivals), size=number, p=arrivals / arrivals.sum())
    times = np.sort(generator.random(number) * horizon)
    return requests_at(network, times, class_index, generator, lengths)


def requests_at(
    network: ServingNetwork,
    arrival: NDArray[np.float64],
    class_index: NDArray[np.int64],
    generator: np.random.Generator,
    lengths: Lengths,
) -> Requests:
    """Requests of given classes at given times, with lengths and patience drawn."""
    prompts, outputs = lengths(network, class_index, generator)
    rates = np.array(network.per_class("patience_rate"))[class_index]
    with np.errstate(divide="ignore"):
        patience = _positive_exponentials(generator, len(rates)) / rates
    return Requests(arrival, class_index, prompts, outputs, patience)


def _positive_exponentials(generator: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Standard exponentials; a zero, which has no place among lengths, becomes the least float."""
    drawn = generator.standard_exponential(size)
    return np.maximum(drawn, np.finfo(np.float64).tiny)
