"""L, computed along fluid paths: it falls, as fast as the proof says, and only with its memory."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from kurtz.proofs_checks.networks import decode_line_evidence as line
from kurtz.proofs_checks.verdict import Outcome
from kurtz.theory import rates
from kurtz.theory.decode_modes import decode_modes


@pytest.fixture(scope="module")
def paths() -> list[line.LinePath]:
    generator = random.Random(3)
    return line.line_paths(line.line_plans(generator, 6), generator)


def test_the_wait_rises_and_with_the_memory_it_does_not(paths: list[line.LinePath]) -> None:
    assert line.falling_evidence(paths).outcome is Outcome.HOLDS
    assert line.falling_evidence(paths, with_memory=False).outcome is Outcome.REFUTED


def test_while_requests_wait_l_falls_at_the_rate_of_the_proof(paths: list[line.LinePath]) -> None:
    compared = 0
    for each in paths:
        modes, value = decode_modes(each.best), each.wait + each.memory
        epochs = np.diff(each.path.times) - np.diff(each.wait)  # the integral of 1 - w'
        bracket = modes.bracket(each.wait)
        waits = (each.wait[1:] > 0) & (each.wait[:-1] > 0)
        # Between two points the wait, and with it the bracket, may dip below both ends a little.
        promised = 0.98 * np.minimum(bracket[1:], bracket[:-1]) * epochs
        assert np.all(np.diff(value)[waits] <= -promised[waits] + 1e-9)
        compared += int(waits.sum())
    assert compared > 500


def test_the_wait_is_read_off_the_line(paths: list[line.LinePath]) -> None:
    modes = decode_modes(paths[0].best)
    waits = np.array([0.0, 0.3, 2.0, 11.0])
    assert line.waits_of(modes, modes.line(waits)) == pytest.approx(waits, abs=1e-9)


def test_at_rest_memory_costs_the_line_nothing(paths: list[line.LinePath]) -> None:
    for each in paths:
        modes, rate = decode_modes(each.best), rates(each.best.network)
        _, mixed, solo = each.path.model.capacities
        rest = mixed / (mixed + rate.kappa * solo) * modes.flow * modes.shares / modes.decode_rates
        memory = modes.memory(rest - rest, mixed - rest.sum())
        assert np.all(memory >= -1e-9)  # spare slots are remembered, to the good


def test_where_the_bracket_is_negative_l_rises() -> None:
    # Pool 1 and 2 (kappa = 1.5) from a state at which F feeds a mode that is below zero already:
    # by the formula L' = -u * bracket > 0 there. One explicit step of the line, written anew.
    modes = line.mixture_without_order()
    assert line.bracket_evidence("no order", [modes]).outcome is Outcome.REFUTED
    flows, rates_, wait, step = modes.flow * modes.shares, modes.decode_rates, 2.0, 0.01
    speeds = np.array([1.0, 1.5])
    pools = np.array([[504.29, 49.54, 496.17], [1000 / 3, 100 / 3, 1000 / 3]])
    slots = pools.sum(axis=1)
    parts = slots * speeds / (slots @ speeds)

    def potential(pools: np.ndarray, wait: float) -> float:
        value = wait
        for pool, speed, part, size in zip(pools, speeds, parts, slots, strict=True):
            rest = part * flows / (speed * rates_)
            below = np.maximum(-modes.memory(pool - rest, size - rest.sum()), 0)
            value += below @ (modes.strengths / modes.modes) / modes.flow
        return float(value)

    start = potential(pools, wait)
    for _ in range(1_000):
        done = step * speeds[:, None] * rates_ * pools
        line_mix = flows * np.exp(-modes.patience_rates * wait)
        epochs = done.sum(axis=1) / line_mix.sum()
        pools = pools - done + epochs[:, None] * line_mix
        wait += step - epochs.sum()
    assert wait > 0
    assert potential(pools, wait) > start + 0.1


def test_modes_are_certified_and_a_wrong_strength_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert line.modes_evidence(random.Random(1), 20).outcome is Outcome.HOLDS
    right = line.interlacing

    def wrong(
        decode_rates: list[Fraction], modes: list[Fraction]
    ) -> tuple[list[Fraction], list[Fraction]]:
        shares, strengths = right(decode_rates, modes)
        return shares, [strength * Fraction(101, 100) for strength in strengths]

    monkeypatch.setattr(line, "interlacing", wrong)
    assert line.modes_evidence(random.Random(1), 20).outcome is Outcome.REFUTED
