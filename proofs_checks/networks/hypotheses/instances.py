"""Minimal networks on which one hypothesis at a time is dropped, in round numbers.

All share one invented GPU with iteration time tau = 0.1 s and chunk C = 100, so that per class
mu_p = 1000 / P, mu_m = 10 / D, mu_s = gamma / D, kappa = gamma / 10 and the decode work per unit of
prefill occupancy is mu_p / mu_m = 100 D / P.
"""

from __future__ import annotations

from dataclasses import replace

from ....theory import Gpu, IterationTime, Prices, RequestClass, ServingNetwork, instance

PROMPTS_PAY, OUTPUTS_PAY = Prices(prefill=1, decode=0), Prices(prefill=0, decode=1)


def network(
    *classes: RequestClass, kappa: float, batch: int = 2, prices: Prices = PROMPTS_PAY
) -> ServingNetwork:
    """The classes on the GPU of the module docstring with the given speed ratio."""
    time = IterationTime(alpha=0, beta=0.001, gamma=round(10 * kappa, 6))
    return ServingNetwork(Gpu("invented", time, batch=batch, chunk=100), prices, classes)


def one_class(
    *, arrival_rate: float = 5, patience_rate: float = 0, prices: Prices = PROMPTS_PAY
) -> ServingNetwork:
    """One class, kappa = 1: decode work 3 x against the decode capacity 2 - x of a share x.

    At 5 arrivals per second, all served, x = 1/2 and both decode rows are tight; with more the
    program has no solution unless requests abandon, and with fewer there is decode to spare.
    """
    only = RequestClass("only", 100, 3, arrival_rate, patience_rate)
    return network(only, kappa=1, prices=prices)


def valuable_and_filler(*, kappa: float, patience_rate: float = 1) -> ServingNetwork:
    """Long prompts that pay ten times as much per decode as the short ones, which abound.

    With kappa < 1/2 it pays to prefill short prompts beyond what can be decoded, because a GPU
    decodes faster while it prefills; with kappa = 1/2 that makes no difference to the program.
    """
    return network(
        RequestClass("valuable", 1000, 10, 0.6, patience_rate),
        RequestClass("filler", 100, 10, 20, patience_rate),
        kappa=kappa,
    )


def never_planned(*, valuable_arrival_rate: float = 2) -> ServingNetwork:
    """Decode-bound: the valuable class alone fills the decode slots, so that x* = (2/3, 0).

    With fewer valuable arrivals than its share of the prefill slots takes, both are planned.
    """
    return network(
        RequestClass("valuable", 500, 10, valuable_arrival_rate, 1),
        RequestClass("filler", 100, 10, 20, 1),
        kappa=1,
    )


def both_waiting() -> ServingNetwork:
    """Prefill and decode bind together: both classes are planned in part, so that both wait."""
    return network(
        RequestClass("long prompts", 200, 1, 10, 1),
        RequestClass("long outputs", 100, 3, 10, 1),
        kappa=1,
        prices=Prices(prefill=0.1, decode=1),
    )


def twins() -> ServingNetwork:
    """Two classes alike in all but name, more than can be served: the optimum is not unique."""
    twin = (100, 3, 4, 1)
    return network(RequestClass("first", *twin), RequestClass("second", *twin), kappa=1)


def patient_and_impatient(*, patience_rate: float = 0) -> ServingNetwork:
    """Prefill-bound, paid by output: a class with short outputs that may never abandon.

    The impatient class creates three times the decode work per prompt and could fill all slots.
    """
    return network(
        RequestClass("patient", 100, 1, 5, patience_rate),
        RequestClass("impatient", 100, 3, 10, 1),
        kappa=1,
        batch=4,
        prices=OUTPUTS_PAY,
    )


def rarely_prefilling(*, kappa: float = 0.1) -> ServingNetwork:
    """One class that keeps a fifth of the GPUs busy with prefill; decode dominates."""
    return network(RequestClass("only", 100, 10, 2, 1), kappa=kappa, prices=OUTPUTS_PAY)


def backlogged(*, prefill_price: float = 1) -> ServingNetwork:
    """All arrivals fit into 3/5 of the prefill slots, their decode work 9/5 not into 7/5.

    At a prefill price of a hundredth it is all one how much is prefilled beyond what is decoded.
    """
    return network(
        RequestClass("short outputs", 100, 2, 3, 1),
        RequestClass("long outputs", 100, 4, 3, 2),
        kappa=1,
        prices=Prices(prefill=prefill_price, decode=1),
    )


def backlogged_and_unplanned() -> ServingNetwork:
    """`backlogged` with a third class of little output, which an optimum may leave out."""
    two = backlogged(prefill_price=0.01)
    return replace(two, classes=(*two.classes, RequestClass("left out", 1000, 1, 1, 1)))


def common_and_rare(*, rare_arrival_rate: float = 0.5) -> ServingNetwork:
    """Equal solo occupancies of both classes leave solo slots empty, for one of them is rare."""
    return network(
        RequestClass("common", 100, 10, 2, 1),
        RequestClass("rare", 100, 10, rare_arrival_rate, 1),
        kappa=1,
    )


def rates_the_wrong_way_round() -> ServingNetwork:
    """The class served in full prefills 40 times as fast as the one that waits, and queues."""
    return network(
        RequestClass("served in full", 100, 5, 4, 0.2),
        RequestClass("waiting", 4000, 50, 5, 0.2),
        kappa=1,
        batch=8,
    )


def served_in_full(*, patience_rate: float = 0.1) -> ServingNetwork:
    """The paper's instance, whose plan serves prefill-heavy requests in full: q_p* = (0.317, 0)."""
    paper = instance("two-class")
    heavy = replace(paper.classes[1], patience_rate=patience_rate)
    return replace(paper, classes=(paper.classes[0], heavy))
