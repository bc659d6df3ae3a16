"""A serving network validates itself: one line names the field, its value and what is allowed."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurtz.theory import (
    Gpu,
    InvalidInput,
    IterationTime,
    Prices,
    RequestClass,
    ServingNetwork,
    exact,
    instance,
)
from strategies import networks

TIME = IterationTime(0.0174, 6.2e-5, 45.45)
VALID: dict[type, dict[str, Any]] = {
    IterationTime: {"alpha": 0.0174, "beta": 6.2e-5, "gamma": 45.45},
    Gpu: {"name": "A100", "iteration_time": TIME, "batch": 16, "chunk": 256},
    Prices: {"prefill": 0.1, "decode": 0.2},
    RequestClass: {
        "name": "chat",
        "prompt_tokens": 300,
        "output_tokens": 1000,
        "arrival_rate": 0.5,
        "patience_rate": 0.1,
    },
}
NUMBERS = [
    (IterationTime, "alpha", "gpu.alpha", "a finite number >= 0 (seconds)"),
    (IterationTime, "beta", "gpu.beta", "a finite number > 0 (seconds per token)"),
    (IterationTime, "gamma", "gpu.gamma", "a finite number > 0 (tokens per second)"),
    (Gpu, "batch", "gpu.batch", "an integer >= 1 (slots)"),
    (Gpu, "chunk", "gpu.chunk", "an integer >= 1 (tokens)"),
    (Prices, "prefill", "prices.prefill", "a finite number >= 0 (revenue per prompt token)"),
    (Prices, "decode", "prices.decode", "a finite number >= 0 (revenue per output token)"),
    (RequestClass, "prompt_tokens", "classes[chat].prompt_tokens", "a finite number > 0 (tokens)"),
    (RequestClass, "output_tokens", "classes[chat].output_tokens", "a finite number > 0 (tokens)"),
    (
        RequestClass,
        "arrival_rate",
        "classes[chat].arrival_rate",
        "a finite number > 0 (requests per second per GPU)",
    ),
    (RequestClass, "patience_rate", "classes[chat].patience_rate", "a finite number >= 0 (1/s)"),
]
NOT_NUMBERS = [-1, -0.5, float("nan"), float("inf"), -float("inf"), True, "1", None, [1], 1j]


@pytest.mark.parametrize(("kind", "field", "name", "allowed"), NUMBERS)
@pytest.mark.parametrize("value", NOT_NUMBERS, ids=repr)
def test_a_value_outside_its_domain_is_named(
    kind: type, field: str, name: str, allowed: str, value: Any
) -> None:
    with pytest.raises(InvalidInput) as caught:
        kind(**{**VALID[kind], field: value})
    assert str(caught.value) == f"{name} = {value!r} is not allowed: expected {allowed}"
    assert (caught.value.field, caught.value.allowed) == (name, allowed)


@pytest.mark.parametrize(("kind", "field", "name", "allowed"), NUMBERS)
def test_zero_is_allowed_exactly_where_the_message_says_so(
    kind: type, field: str, name: str, allowed: str
) -> None:
    if ">= 0" in allowed:
        assert getattr(kind(**{**VALID[kind], field: 0}), field) == 0
    else:
        with pytest.raises(InvalidInput):
            kind(**{**VALID[kind], field: 0})


@pytest.mark.parametrize("field", ["batch", "chunk"])
def test_slots_and_tokens_of_a_gpu_are_whole(field: str) -> None:
    with pytest.raises(InvalidInput, match=rf"gpu\.{field} = 15\.5 .* an integer >= 1"):
        Gpu(**{**VALID[Gpu], field: 15.5})


def test_an_integer_beyond_every_float_is_not_a_finite_number() -> None:
    with pytest.raises(InvalidInput, match=r"gpu\.alpha = 10+ is not allowed: expected a finite"):
        replace(TIME, alpha=10**400)


@pytest.mark.parametrize("name", ["", " ", "two\nlines", 7, None])
@pytest.mark.parametrize(("kind", "field"), [(Gpu, "gpu.name"), (RequestClass, "classes.name")])
def test_names_are_texts_on_one_line(kind: type, field: str, name: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        kind(**{**VALID[kind], "name": name})
    assert str(caught.value).startswith(f"{field} = {name!r} is not allowed: expected a non-empty")
    assert "\n" not in str(caught.value)


def test_a_network_has_at_least_one_class() -> None:
    with pytest.raises(InvalidInput, match=r"classes = \[\] .* at least one request class"):
        replace(instance("two-class"), classes=())


def test_class_names_are_distinct() -> None:
    twice = (RequestClass(**VALID[RequestClass]),) * 2
    with pytest.raises(InvalidInput, match=r"classes\.name = 'chat' .* a different name for each"):
        replace(instance("two-class"), classes=twice)


def test_a_network_is_frozen_and_its_classes_are_a_tuple() -> None:
    network = ServingNetwork(
        Gpu(**VALID[Gpu]),
        Prices(**VALID[Prices]),
        [RequestClass(**VALID[RequestClass])],  # type: ignore[arg-type]
    )
    assert network.classes == (RequestClass(**VALID[RequestClass]),)
    assert hash(network) == hash(replace(network))
    with pytest.raises(FrozenInstanceError):
        network.classes = ()  # type: ignore[misc]


@given(st.integers(-(10**6), 10**6), st.integers(0, 9))
def test_exact_reads_the_decimal_that_was_written(digits: int, places: int) -> None:
    written = f"{digits}e-{places}"
    assert exact(float(written)) == Fraction(written)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_exact_rounds_back_to_the_same_float(value: float) -> None:
    assert float(exact(value)) == value
    assert exact(np.float64(value)) == exact(value)


@given(networks())
def test_fields_per_class_in_order(network: ServingNetwork) -> None:
    prompts = tuple(c.prompt_tokens for c in network.classes)
    assert (
        network.per_class("prompt_tokens", exact) == network.per_class("prompt_tokens") == prompts
    )
