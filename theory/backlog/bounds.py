r"""Lower bounds on the total latency of every schedule, in closed form and exact.

*Volume bound* (Proposition 3.1 of arXiv 2606.22327). Until its k-th completion a schedule has held
at least the k smallest volumes, at most M per step:

.. math:: M \cdot \mathrm{TEL} \ge \sum_{k} \sum_{j \le k} \mathrm{vol}_{(j)}.

*Mean busy time bound* (derived; Eastman, Even and Isaacs' idea for machines in parallel). Let
:math:`\mu_i` be the mean of the step numbers in which request i holds memory, each weighted with
what it holds. A request that started at p has :math:`\mu_i = p + \sum_u u (s_i + u) /
\mathrm{vol}_i`, so that :math:`c_i = \mu_i + d_i` with a *lag*
:math:`d_i = o_i - \sum_{u=1}^{o_i} u (s_i + u) / \mathrm{vol}_i` that no schedule can change. Give
up the shapes of the requests and keep their volumes and the budget: :math:`\sum_i \mu_i` is then
least when the volumes are poured into the steps in ascending order, M per step. Hence

.. math:: \mathrm{TEL} \ge \sum_i d_i + \sum_j \frac{H(V_j) - H(V_{j-1})}{\mathrm{vol}_{(j)}},
          \qquad H(V) = \sum_{u=1}^{V} \lceil u / M \rceil,\quad V_j = \sum_{i \le j}
          \mathrm{vol}_{(i)}.

Neither needs more than a sort.
"""

from __future__ import annotations

from fractions import Fraction

from .model import Backlog, Request


def volume_bound(backlog: Backlog) -> Fraction:
    """Sum of the prefix sums of the ascending volumes, over M; in steps."""
    total = prefix = 0
    for volume in sorted(request.volume for request in backlog.requests):
        prefix += volume
        total += prefix
    return Fraction(total, backlog.memory)


def lag(request: Request) -> Fraction:
    """Completion minus mean busy time, in steps: the same in every schedule."""
    prompt, output = request.prompt_tokens, request.output_tokens
    first_moment = (
        prompt * output * (output + 1) // 2 + output * (output + 1) * (2 * output + 1) // 6
    )
    return output - Fraction(first_moment, request.volume)


def mean_busy_time_bound(backlog: Backlog) -> Fraction:
    """The mean busy time bound of the module docstring, in steps.

    Each request's term is rounded down to a multiple of 2^-32 so that numbers stay short: what
    is returned is a lower bound, at most n / 2^32 below the exact sum.
    """
    scale = 2**32
    poured = scaled = 0
    for request in sorted(backlog.requests, key=lambda request: request.volume):
        after = poured + request.volume
        steps = _sum_of_steps(after, backlog.memory) - _sum_of_steps(poured, backlog.memory)
        term = Fraction(steps, request.volume) + lag(request)
        scaled += term.numerator * scale // term.denominator
        poured = after
    return Fraction(scaled, scale)


def _sum_of_steps(units: int, memory: int) -> int:
    """Sum over the first ``units`` memory units of the step into which each is poured."""
    full, rest = divmod(units, memory)
    return memory * full * (full + 1) // 2 + rest * (full + 1)
