r"""Optimal control of small systems: what any admissible policy could earn at best.

The average-reward Markov decision problem of n GPUs over the admissible policies of arXiv
2602.02987 v1, Section 2.3: which waiting class an idle prefill slot admits, or none; which class a
free decode slot takes, solo or mixed, or none; every time something happens. Waiting rooms are
unlimited in the problem and finite in the computation, which brackets the optimum exactly: the
cut system in which requests without room are lost earns no more, and one in which they are paid
off earns no less (`optimal_control_certificate`).

Steps:

1. solve the cut system with overflows that pay nothing (`optimal_control_iteration`);
2. let overflows pay a little more than one more waiting request is worth there, solve again, and
   raise the pay until the values extend beyond the box;
3. compute both bounds exactly, and widen the rooms that overflow most until the bounds are close.

States multiply fast: one class with 3 GPUs or two classes with 2 take a second or two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ...theory.errors import InvalidInput, require_integer, require_number
from ...theory.network import ServingNetwork
from ...theory.rates import exact_rates
from .certificate import (
    exact_lower_bound,
    exact_upper_bound,
    needed_overflow_pay,
)
from .iteration import Solution, solve, stationary_probabilities
from .process import Decision, DecisionProcess, Values
from .servers import dedicated_servers, undedicated_servers

FIRST_ROOM = 2
"""Waiting requests per class and queue that the first cut has room for."""

PAY_STEPS = 4096
"""Overflow pay is a whole multiple of the price of a request divided by this."""

PAY_MARGIN = Fraction(11, 10)
"""Overflow pay to try first, over what the last values would need: they rise with the pay."""


@dataclass(frozen=True)
class OptimalControl:
    """The optimal gain of a small system, bracketed, and a policy that earns the lower bound.

    Attributes
    ----------
    mixed_gpus
        Mixed GPUs of the layout; None if no GPU is dedicated.
    lower, upper
        Exact bounds of the optimal revenue per GPU-second, over all admissible policies.
    overflow_pay
        Pay of overflowing requests behind ``upper``: per class before prefill, before decode.
    process
        The cut system, with the states that ``decision`` and ``probabilities`` refer to.
    decision
        For every state the state in which the optimal controller stays.
    probabilities
        Stationary law of that decision.
    """

    gpus: int
    mixed_gpus: int | None
    lower: Fraction
    upper: Fraction
    overflow_pay: tuple[Fraction, ...]
    process: DecisionProcess = field(repr=False)
    decision: Decision = field(repr=False)
    probabilities: Values = field(repr=False)


def optimal_control(
    network: ServingNetwork,
    gpus: int,
    mixed_gpus: int | None = None,
    *,
    gate_may_idle: bool = True,
    router_may_wait: bool = True,
    tolerance: float = 1e-3,
    max_states: int = 300_000,
) -> OptimalControl:
    """The best average revenue of ``gpus`` GPUs of ``network``.

    Parameters
    ----------
    mixed_gpus
        GPUs that are mixed for good, as a static planning has it; by default none is dedicated
        and the mode of a GPU follows the presence of a prefill.
    gate_may_idle
        Whether a prefill slot may idle while someone waits for it. If not, ``lower`` is only
        what the cut system earns: its policy may idle in front of requests that it ignores.
    router_may_wait
        Whether a decode slot may idle while someone waits for it, and whether a request may take
        a mixed slot while a solo slot is free. The remark on ``lower`` applies.
    tolerance
        Largest accepted distance of the bounds, relative to the upper one.
    max_states
        Number of states beyond which the system is refused.

    Raises
    ------
    InvalidInput
        An argument is outside its range, some class never abandons, or there are too many states.

    Examples
    --------
    >>> from kurtz.theory import instance
    >>> best = optimal_control(instance("small-one-class"), gpus=2, mixed_gpus=1)
    >>> round(float(best.lower), 1), round(float(best.upper), 1)
    (9.3, 9.3)
    """
    require_integer("gpus", gpus, "GPUs", at_least=1)
    require_number("tolerance", tolerance, "relative distance of the bounds", above=0)
    require_integer("max_states", max_states, "states", at_least=1)
    rates = exact_rates(network)
    if min(rates.patience) <= 0:
        raise InvalidInput("classes.patience_rate", 0.0, "more than 0 for every class")
    if mixed_gpus is None:
        servers = undedicated_servers(rates, gpus)
    else:
        require_integer("mixed_gpus", mixed_gpus, "GPUs", at_least=1)
        if mixed_gpus > gpus:
            raise InvalidInput("mixed_gpus", mixed_gpus, f"at most {gpus} GPUs")
        servers = dedicated_servers(rates, gpus, mixed_gpus, solo_first=not router_may_wait)
    rooms = (FIRST_ROOM,) * (2 * len(rates.arrival))
    process: DecisionProcess | None = None
    values: Values | None = None
    while True:
        states = len(servers.configurations) * math.prod(room + 1 for room in rooms)
        if states > max_states:
            allowed = f"at least {states}, for waiting rooms {rooms}; or take fewer GPUs"
            raise InvalidInput("max_states", max_states, allowed)
        narrow, process = process, DecisionProcess(servers, rates, gpus, rooms)
        if narrow is not None and values is not None:
            values = _widened(narrow, process, values)
        forbidden = process.must_move(gate=not gate_may_idle, router=not router_may_wait)
        accuracy = tolerance / 100
        nothing = (Fraction(0),) * len(rooms)
        lossy = solve(process, nothing, tolerance=accuracy, guess=values, forbidden=forbidden)
        lower = exact_lower_bound(process, lossy.decision, lossy.values)
        upper, pay, paying = _upper_bound(process, lossy, accuracy, forbidden)
        if upper - lower <= tolerance * upper:
            return OptimalControl(
                gpus=gpus,
                mixed_gpus=mixed_gpus,
                lower=lower / gpus,
                upper=upper / gpus,
                overflow_pay=pay,
                process=process,
                decision=lossy.decision,
                probabilities=stationary_probabilities(process, lossy.decision),
            )
        values = paying.values
        overflows = process.overflow @ stationary_probabilities(process, paying.decision)
        worth = overflows * np.array([float(paid) for paid in pay])
        rooms = tuple(
            room + max(1, room // 2) if share >= worth.max() / 10 else room
            for room, share in zip(rooms, worth, strict=True)
        )


def _upper_bound(
    process: DecisionProcess,
    lossy: Solution,
    accuracy: float,
    forbidden: NDArray[np.bool_],
) -> tuple[Fraction, tuple[Fraction, ...], Solution]:
    """Upper bound of the gain, the overflow pay behind it, and the solution behind that."""
    steps = [weight / PAY_STEPS for weight in process.rates.weight] * 2
    upper, pay, paying = None, (Fraction(0),) * len(steps), lossy
    while upper is None:
        needed = needed_overflow_pay(process, paying.values[paying.decision])
        pay = tuple(
            max(paid, step * math.ceil(PAY_MARGIN * need / step)) + step
            for paid, need, step in zip(pay, needed, steps, strict=True)
        )
        guess = paying.values
        paying = solve(process, pay, tolerance=accuracy, guess=guess, forbidden=forbidden)
        upper = exact_upper_bound(process, paying.values, pay, forbidden)
    return upper, pay, paying


def _widened(narrow: DecisionProcess, wide: DecisionProcess, values: Values) -> Values:
    """Values of a process with wider rooms: those of the nearest state of the narrow one."""
    nearest = np.minimum(wide.waiting, np.array(narrow.rooms)[:, None])
    place = np.array(narrow.strides) @ nearest
    return np.asarray(values.reshape(-1, narrow.waits)[:, place].ravel())
