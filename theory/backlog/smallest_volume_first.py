r"""Smallest volume first (SVF) and what is proved of it, each with its slack on an instance.

SVF starts the waiting request of least volume :math:`s o + o (o + 1) / 2` as soon as memory admits
it; until then it blocks the others. With P the largest peak and :math:`i \prec j` the volume order:

* Lemma A.2: a request waits :math:`(M - P + 1) W_j \le \sum_{i \prec j} (s_i + o_i) o_i`.
* Proposition 3.1: the volume bound (`kurtz.theory.backlog.bounds`).
* Theorem 3.2: :math:`(M - P)\,\mathrm{TEL(SVF)} \le (3 M - P)\,\mathrm{TEL}(\sigma)` for every
  feasible schedule :math:`\sigma`.
* Sharper (ours), with :math:`b = 2 M / (M - P + 1)` and n requests:
  :math:`\mathrm{TEL(SVF)} \le b\,\mathrm{OPT} + \max(0, 1 - b/3) \sum_i o_i + \min(1, b/3)\,n`.

Source: Kong, Qi, Ye and Zhou, arXiv 2606.22327; the algebra is in
`kurtz.theory.derivations.smallest_volume_first`.
"""

from __future__ import annotations

from fractions import Fraction

from .listing import Admission, fits, list_schedule
from .model import Backlog, Schedule


def volume_order(backlog: Backlog) -> tuple[int, ...]:
    """Request numbers from 0 by volume, then by number."""
    volumes = [request.volume for request in backlog.requests]
    return tuple(sorted(range(len(backlog)), key=lambda i: (volumes[i], i)))


def smallest_volume_first(backlog: Backlog, admission: Admission = fits) -> Schedule:
    """SVF's schedule, by either admission test: `fits` or `peaks_fit`."""
    return list_schedule(backlog, volume_order(backlog), admission)


def waiting_slack(backlog: Backlog, schedule: Schedule) -> int:
    """Lemma A.2: least over j of sum of earlier peak_i o_i - (M - P + 1) W_j, in token-steps."""
    spare = backlog.memory - backlog.largest_peak + 1
    before = 0
    slack = []
    for j in volume_order(backlog):
        slack.append(before - spare * schedule.starts[j])
        before += backlog.requests[j].peak * backlog.requests[j].output_tokens
    return min(slack)


def composition_slack(backlog: Backlog, latency: int, other: int) -> int:
    """Theorem 3.2: (3 M - P) TEL(other) - (M - P) TEL(SVF), in token-steps."""
    memory, peak = backlog.memory, backlog.largest_peak
    return (3 * memory - peak) * other - (memory - peak) * latency


def sharper_slack(backlog: Backlog, latency: int, other: int) -> Fraction:
    """The sharper bound (ours) on TEL(SVF), minus TEL(SVF), in steps."""
    factor = Fraction(2 * backlog.memory, backlog.memory - backlog.largest_peak + 1)
    outputs = sum(request.output_tokens for request in backlog.requests)
    additive = max(Fraction(0), 1 - factor / 3) * outputs + min(Fraction(1), factor / 3) * len(
        backlog
    )
    return factor * other + additive - latency
