r"""What batch slots and speeds are worth to the steady-state program (Section 6.4).

R* rises with B and stands still once everybody is served, if prefill capacity lets that happen
(otherwise earlier, and below the revenue of all arrivals). With the total
:math:`\bar X = \sum_i \bar x_i` of the prefill occupancies at full load and the decode work
:math:`\bar W = \sum_i C (D_i/P_i)\, \bar x_i` that is the case from
:math:`B = (\bar W + \bar X) / (\bar X + \kappa (1 - \bar X))` on, if :math:`\bar X \le 1` and
kappa >= (B-1)/B there (`kurtz.theory.derivations.time_per_output_token`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import ceil

from ...fluid import plan
from ...theory import InvalidInput, IterationTime, ServingNetwork, exact_rates
from ...theory.claims import Grade
from ..verdict import Evidence, outcome_of

BATCHES = {"quick": (1, 2, 3, 4, 5, 6, 8, 12, *range(15, 21), 32, 64), "full": (*range(1, 65),)}
SPEED_FACTORS = (0.5, 0.75, 1.0, 1.5, 2.0)


def with_batch(network: ServingNetwork, batch: int) -> ServingNetwork:
    """The network with another number of batch slots."""
    return replace(network, gpu=replace(network.gpu, batch=batch))


def saturating_batch(network: ServingNetwork) -> int:
    """The smallest B at which everybody can be served.

    Raises
    ------
    InvalidInput
        The full-load prefill occupancy exceeds 1, so that no B serves everybody, or kappa is less
        than (B-1)/B at the B found.
    """
    _, share = _full_load(network)
    if share > 1:
        raise InvalidInput(
            "full-load prefill occupancy", float(share), "at most 1: more slots prefill no faster"
        )
    batch = saturating_batch_at_any_load(network)
    kappa = exact_rates(network).kappa
    if kappa * batch < batch - 1:
        raise InvalidInput("kappa", float(kappa), f"at least (B-1)/B at B = {batch}")
    return batch


def saturating_batch_at_any_load(network: ServingNetwork) -> int:
    """The formula of the module docstring without its hypotheses: wrong short of prefill."""
    work, share = _full_load(network)
    threshold: Fraction = (work + share) / (share + exact_rates(network).kappa * (1 - share))
    return ceil(threshold)


def saturating_batch_without_prefills(network: ServingNetwork) -> int:
    """The same as if all GPUs always decoded alone: wrong."""
    threshold: Fraction = _full_load(network)[0] / exact_rates(network).kappa
    return ceil(threshold)


def _full_load(network: ServingNetwork) -> tuple[Fraction, Fraction]:
    rate = exact_rates(network)
    occupancy = [a / p for a, p in zip(rate.arrival, rate.prefill, strict=True)]
    per_prefill = [p / m for p, m in zip(rate.prefill, rate.mixed_decode, strict=True)]
    work = sum((r * x for r, x in zip(per_prefill, occupancy, strict=True)), Fraction(0))
    return work, sum(occupancy, Fraction(0))


def saturates(
    name: str, network: ServingNetwork, values: Mapping[int, Fraction], threshold: int
) -> Evidence:
    """Whether R* is nondecreasing in B and reaches the revenue of all arrivals at ``threshold``."""
    rate = exact_rates(network)
    ceiling = sum((w * a for w, a in zip(rate.weight, rate.arrival, strict=True)), Fraction(0))
    rising = all(values[a] <= values[b] for a, b in pairwise(sorted(values)))
    reached = min((batch for batch, value in values.items() if value == ceiling), default=None)
    return Evidence(
        name=f"revenue rises with B until everybody is served: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(rising and reached == threshold),
        claimed=f"nondecreasing, constant from B = {threshold} on",
        computed=f"all arrivals pay from B = {reached} on; {float(values[16] / ceiling):.2%} of "
        "that at B = 16",
        detail=f"certified rational optima at {len(values)} values of B up to {max(values)}",
    )


def monotone_in_speed(name: str, network: ServingNetwork) -> Evidence:
    """Whether R* falls with beta and rises with gamma, from half to twice their values."""
    time = network.gpu.iteration_time
    by_beta = [
        _value_at(network, replace(time, beta=time.beta * factor)) for factor in SPEED_FACTORS
    ]
    by_gamma = [
        _value_at(network, replace(time, gamma=time.gamma * factor)) for factor in SPEED_FACTORS
    ]
    falls = all(a >= b for a, b in pairwise(by_beta))
    rises = all(a <= b for a, b in pairwise(by_gamma))
    return Evidence(
        name=f"revenue falls with beta and rises with gamma: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(falls and rises and by_beta[0] > by_beta[-1]),
        claimed="monotone",
        computed=f"{float(by_beta[0]):.1f} to {float(by_beta[-1]):.1f} from half to twice beta, "
        f"{float(by_gamma[0]):.1f} to {float(by_gamma[-1]):.1f} from half to twice gamma",
        detail=f"certified rational optima at {len(SPEED_FACTORS)} values of each",
    )


def _value_at(network: ServingNetwork, time: IterationTime) -> Fraction:
    return plan(replace(network, gpu=replace(network.gpu, iteration_time=time))).value
