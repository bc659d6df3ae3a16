"""The algebra of Sorted-F and smallest volume first: hypotheses can be met, constants are tight.

That every step holds and needs what it uses is tested with all derivations in `test_derivations`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy

from kurtz.theory.derivations import (
    Derivation,
    Identity,
    Inequality,
    smallest_volume_first,
    sorted_f_chain,
)

DERIVATIONS = {
    derivation.title: derivation
    for module in (sorted_f_chain, smallest_volume_first)
    for derivation in module.chain()
}
# One point per derivation at which all its hypotheses hold with room.
POINTS = {
    # Three requests with outputs 1, 1, 2.
    "L1: the longest output of an F-minimal batch": {"n": 3, "S": 4, "T": 2},
    "L3: latency of the batches one after the other": {"n": 3, "S": 4, "T": 2, "R": 5},
    # Blocks of 6 under 10 tokens; weights as large as their hypotheses want, within the volumes.
    "L4: completions by blocks of ascending output": {
        "o_b": 1, "o_b'": 2, "P_b": 6, "P_b'": 6, "M": 10, "f": 5, "W": 7, "sum_o": 1, "tau": 2,
    },
    "L4: completions by blocks of descending output, large requests apart": {
        "s": 6, "o": 1, "P_b": 6, "M": 10, "f": 5, "W_small": 7, "W_large": 7, "sum_o": 1,
        "sum_large": 1, "tau": 2,
    },
    "L5: the price of the batches against the optimum": {
        "OPT": 4, "G": 4, "beta": 1, "c": 1, "sum_o": 1, "TEL": 4,
    },
    "approximate batches: dropping the longest request": {
        "beta": 2, "F_min": 1, "n": 2, "S": 7, "T": 6,
    },
    "Lemma A.2: waiting time under smallest volume first": {"A": 5, "r": 4},
    "Theorem 3.2: smallest volume first against any schedule": {
        "M": 10, "P": 4, "sum_V": 9, "sum_W": 2, "TEL_other": 5, "sum_o": 3,
    },
    "the lag between mean busy time and completion": {"o": 2},
    "smallest volume first against the mean busy time bound": {
        "M": 10, "r": 4, "sum_V": 9, "sum_W": 2, "TEL_other": 5, "sum_o": 4, "n": 2,
    },
}  # fmt: skip


def test_titles_tell_the_derivations_apart() -> None:
    chains = (*sorted_f_chain.chain(), *smallest_volume_first.chain())
    assert len(DERIVATIONS) == len(chains) == 10


@pytest.mark.parametrize("derivation", DERIVATIONS.values(), ids=DERIVATIONS)
def test_the_hypotheses_can_be_met_with_room(derivation: Derivation) -> None:
    point = POINTS[derivation.title]
    for name, expression in derivation.hypotheses:
        at = expression.subs({symbol: point[symbol.name] for symbol in expression.free_symbols})
        assert at > 0, name


def test_negative_control_no_constant_below_five_by_descending_blocks() -> None:
    step = next(
        step
        for step in sorted_f_chain.completions_by_descending_blocks().steps
        if step.name == "the first block, the closed blocks, the large requests"
    )
    assumed = [
        expression for _, expression in sorted_f_chain.completions_by_descending_blocks().hypotheses
    ]
    assert isinstance(step, Inequality)
    assert step.holds(assumed)
    assert not replace(step, larger=step.larger * sympy.Rational(49, 50)).holds(assumed)


def test_constants_tend_to_24_and_32_for_small_requests() -> None:
    limits = {
        sympy.limit(step.right, alpha, 0)
        for step in sorted_f_chain.price_against_optimum().steps
        if isinstance(step, Identity)
        for alpha in step.right.free_symbols
        if alpha.name == "alpha"
    }
    assert limits == {24, 32}
