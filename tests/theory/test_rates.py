"""Equations (3), (4) and (21): one definition for symbols, fractions and floats."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given

from kurtz.theory import ServingNetwork, exact_rates, instance, rates
from kurtz.theory.rates import (
    bundled_weight,
    mixed_decode_rate,
    mixed_iteration_time,
    prefill_rate,
    solo_decode_rate,
    speed_ratio,
)
from strategies import networks

PER_CLASS = ("arrival", "patience", "prefill", "mixed_decode", "solo_decode", "weight")
REVENUES = ("prompt_revenue", "output_revenue")


def test_known_rates_of_the_two_class_instance() -> None:
    # tau = 0.0174 + 6.2e-5 * 256 = 0.033272 s, kappa = 45.45 tau; class 0 has P = 300 and
    # D = 1000, class 1 has P = 3000 and D = 400; c_p = 0.1 and c_d = 0.2.
    exactly = exact_rates(instance("two-class"))
    assert exactly.mixed_time == Fraction("0.033272")
    assert exactly.kappa == Fraction("1.5122124")
    assert exactly.solo_decode == (Fraction("0.04545"), Fraction("0.113625"))
    assert exactly.weight == (230, 380)
    assert exactly.prompt_revenue == (30, 300)
    assert exactly.output_revenue == (200, 80)
    assert exactly.batch == 16
    # Section 2.9 prints six digits.
    assert np.array(exactly.prefill, float) == pytest.approx((25.6472, 2.56472), rel=3e-6)
    assert np.array(exactly.mixed_decode, float) == pytest.approx((0.0300553, 0.0751383), rel=3e-6)


@given(networks())
def test_floats_are_the_rounded_fractions(network: ServingNetwork) -> None:
    in_floats, exactly = rates(network), exact_rates(network)
    for name in PER_CLASS + REVENUES:
        assert all(isinstance(value, Fraction) for value in getattr(exactly, name))
        expected = [float(value) for value in getattr(exactly, name)]
        assert getattr(in_floats, name) == pytest.approx(expected, rel=1e-14)
    assert in_floats.kappa == pytest.approx(float(exactly.kappa), rel=1e-14)


@given(networks(classes=(1, 1)))
def test_symbols_give_the_same_rates(network: ServingNetwork) -> None:
    alpha, beta, gamma, chunk, prompt, output, c_p, c_d = sympy.symbols(
        "alpha beta gamma C P D c_p c_d", positive=True
    )
    tau = mixed_iteration_time(alpha, beta, chunk)
    symbolic = {
        "prefill": prefill_rate(chunk, prompt, tau),
        "mixed_decode": mixed_decode_rate(output, tau),
        "solo_decode": solo_decode_rate(output, gamma),
        "weight": bundled_weight(c_p, prompt, c_d, output),
    }
    (request,) = network.classes
    time, prices = network.gpu.iteration_time, network.prices
    values = {
        alpha: time.alpha,
        beta: time.beta,
        gamma: time.gamma,
        chunk: network.gpu.chunk,
        prompt: request.prompt_tokens,
        output: request.output_tokens,
        c_p: prices.prefill,
        c_d: prices.decode,
    }
    at = {symbol: sympy.Rational(str(value)) for symbol, value in values.items()}
    exactly = exact_rates(network)
    for name, formula in symbolic.items():
        assert Fraction(str(formula.subs(at))) == getattr(exactly, name)[0]
    assert Fraction(str(speed_ratio(gamma, tau).subs(at))) == exactly.kappa


@given(networks())
def test_solo_decode_is_kappa_times_as_fast_as_mixed_decode(network: ServingNetwork) -> None:
    exactly = exact_rates(network)
    assert exactly.solo_decode == tuple(exactly.kappa * rate for rate in exactly.mixed_decode)


def test_a_numpy_integer_counts_as_an_integer() -> None:
    network = instance("two-class")
    gpu = replace(network.gpu, batch=np.int64(16), chunk=np.int64(256))
    assert exact_rates(replace(network, gpu=gpu)) == exact_rates(network)
