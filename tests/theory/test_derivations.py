"""Derivations hold, need what they assume, and the kernel refuses what is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy

from kurtz.theory.derivations import (
    ClassSum,
    Derivation,
    Identity,
    Inequality,
    bundled_knapsack,
    decode_buffer_elimination,
    decode_drift,
    pool_mixing,
    price_ratio,
    rate_conservation,
    separate_concave,
    smallest_volume_first,
    sorted_f_chain,
    time_per_output_token,
)

OF_NETWORKS = {
    module.__name__.rpartition(".")[2]: module.derivation()
    for module in (bundled_knapsack, decode_buffer_elimination, rate_conservation)
}
OF_PRICES = {
    module.__name__.rpartition(".")[2]: module.derivation()
    for module in (price_ratio, separate_concave, time_per_output_token)
}
OF_DYNAMICS = {
    module.__name__.rpartition(".")[2]: module.derivation()
    for module in (decode_drift, pool_mixing)
}
OF_BACKLOGS = {
    derivation.title: derivation
    for module in (sorted_f_chain, smallest_volume_first)
    for derivation in module.chain()
}
DERIVATIONS = OF_NETWORKS | OF_PRICES | OF_DYNAMICS | OF_BACKLOGS
STEPS = [
    pytest.param(derivation, step, id=f"{name}: {step.name}")
    for name, derivation in DERIVATIONS.items()
    for step in derivation.steps
]
HYPOTHESES = [
    pytest.param(derivation, name, id=f"{title}: {name}")
    for title, derivation in DERIVATIONS.items()
    for name, _ in derivation.hypotheses
]
X, Y = sympy.symbols("x y", nonnegative=True)
A, B = sympy.symbols("a b")
SURPLUS = sympy.Symbol("surplus", positive=True)


@pytest.mark.parametrize("derivation", DERIVATIONS.values(), ids=DERIVATIONS)
def test_every_step_holds(derivation: Derivation) -> None:
    assert derivation.failing_steps() == ()


@pytest.mark.parametrize(("derivation", "hypothesis"), HYPOTHESES)
def test_every_hypothesis_is_needed(derivation: Derivation, hypothesis: str) -> None:
    assert derivation.failing_steps(without=hypothesis)


@pytest.mark.parametrize(("derivation", "step"), STEPS)
def test_a_step_that_is_off_fails(derivation: Derivation, step: Identity | Inequality) -> None:
    assumed = [expression for _, expression in derivation.hypotheses]
    if isinstance(step, Identity):
        wrong: Identity | Inequality = replace(step, left=step.left + SURPLUS)
    else:
        wrong = replace(step, larger=step.larger - SURPLUS)
    assert step.holds(assumed)
    assert not wrong.holds(assumed)


# Per group one point at which all hypotheses hold with room; what is not listed is 1/8.
POINTS = [
    # B = 2, kappa = 1, a quarter of the GPUs in prefill, half of them mixed, an eighth of a slot
    # in mixed and in solo decode, work to match, one class at mu_p = lambda = 1 and x = 1/4.
    (
        OF_NETWORKS,
        {
            "B": 2,
            "kappa": 1,
            "Σ[x]": "1/4",
            "s": "1/2",
            "W": "1/4",
            "lambda": 1,
            "mu_p": 1,
            "x": "1/4",
        },
    ),
    (
        OF_PRICES,
        {
            "B": 2,
            "kappa": 1,
            "Σ[x]": "1/4",
            "W": "1/4",
            "lambda": 1,
            "mu_p": 1,
            "p": 1,
            "A": "1/4",
            "A'": "1/4",
            "M": 1,
            "h": 1,
            "X": "1/16",
        },
    ),
]


@pytest.mark.parametrize(
    ("derivation", "point"),
    [
        pytest.param(derivation, point, id=name)
        for group, point in POINTS
        for name, derivation in group.items()
    ],
)
def test_the_hypotheses_can_be_met_with_room(
    derivation: Derivation, point: dict[str, int | str]
) -> None:
    for name, expression in derivation.hypotheses:
        symbols = expression.free_symbols
        at = expression.subs({s: sympy.Rational(point.get(s.name, "1/8")) for s in symbols})
        assert at > 0, name


def test_an_unknown_hypothesis_cannot_be_dropped() -> None:
    with pytest.raises(ValueError, match="no hypothesis 'kapa'"):
        DERIVATIONS["bundled_knapsack"].failing_steps(without="kapa")


def test_negative_control_a_wrong_identity_fails() -> None:
    assert Identity("binomial", (A + B) ** 2, A**2 + 2 * A * B + B**2).holds(())
    assert not Identity("freshman", (A + B) ** 2, A**2 + B**2).holds(())


def test_negative_control_a_wrong_inequality_fails() -> None:
    assert Inequality("sum", X, X + Y, ((Y,),)).holds(())
    # The right difference by the wrong reasons, and nonnegative reasons for another difference.
    assert not Inequality("sign", X + A, X, ((-A,),)).holds(())
    assert not Inequality("difference", X, X + Y, ((X,),)).holds(())
    assert not Inequality("reverse", X + Y, X, ((Y,),)).holds(())


def test_hypotheses_are_matched_up_to_expansion_and_not_up_to_sign() -> None:
    step = Inequality("square", 2 * A * B, A**2 + B**2, ((A - B, A - B),))
    assert step.holds([A - B])
    assert not step.holds([B - A])
    assert not step.holds([])
    assert Inequality("product", X, A * X, ((A - 1, X),)).holds([sympy.S(2) * A / 2 - 1])


def test_class_sum_is_linear() -> None:
    total = ClassSum((X, Y))
    assert total(A * X + B * Y) == A * total(X) + B * total(Y)
    assert total((A + 2) * (X + Y)) == sympy.expand((A + 2) * (total(X) + total(Y)))
    assert total(sympy.S.Zero) == 0
    assert total(X).is_nonnegative


def test_class_sum_does_not_confuse_a_sum_of_products_with_a_product_of_sums() -> None:
    total = ClassSum((X, Y))
    assert not Identity("product", total(X * Y), total(X) * total(Y)).holds(())
    assert not Identity("square", total(X**2), total(X) ** 2).holds(())
    assert not Identity("ratio", total(X / Y), total(X) / total(Y)).holds(())


@pytest.mark.parametrize("expression", [A, A + X, sympy.S.One])
def test_class_sum_refuses_what_does_not_depend_on_the_class(expression: sympy.Expr) -> None:
    with pytest.raises(ValueError, match="does not depend on the class"):
        ClassSum((X, Y))(expression)


def test_class_sum_claims_a_sign_only_where_every_summand_has_it() -> None:
    signed = sympy.Symbol("z", real=True)
    assert ClassSum((signed,))(signed).is_nonnegative is None
