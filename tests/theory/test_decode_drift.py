"""Lemma 10.10: the drift of the decode workload, with kappa the wrong way round."""

from __future__ import annotations

from kurtz.theory.derivations import decode_drift
from kurtz.theory.derivations import symbols as s


def test_kappa_the_wrong_way_round_breaks_the_drift_identity() -> None:
    wrong = decode_drift.derivation(solo_rate=s.MIXED_RATE / s.KAPPA)
    assert wrong.failing_steps() == ("the drift (61)",)
