r"""Steady-state programs: the best fluid occupancies per GPU.

Bundled program, equation (40) of arXiv 2602.02987 v1, over occupancies per GPU of prefill
:math:`x`, mixed decode :math:`y_m`, solo decode :math:`y_s` and the queues :math:`q_p, q_d`:

.. math::

   \max \sum_i w_i (\mu_{m,i} y_{m,i} + \mu_{s,i} y_{s,i}) \quad\text{s.t.}\quad
   & \textstyle\sum_i x_i \le 1, \quad \sum_i y_{m,i} \le (B-1) \sum_i x_i, \quad
     \sum_i y_{s,i} \le B (1 - \sum_i x_i), \\
   & \lambda_i - \theta_i q_{p,i} = \mu_{p,i} x_i, \quad
     \mu_{p,i} x_i - \theta_i q_{d,i} = \mu_{m,i} y_{m,i} + \mu_{s,i} y_{s,i}.

Every solver reads the program from here. Its knapsack form (derived; proved in
`kurtz.theory.derivations`) is

.. math::

   \max_{0 \le x \le \bar x} \sum_i w_i \mu_{p,i} x_i \quad\text{s.t.}\quad
   \sum_i x_i \le 1, \quad
   \sum_i \Big(\frac{\mu_{p,i}}{\mu_{m,i}} + \kappa B - B + 1\Big) x_i \le \kappa B,
   \qquad \bar x_i = \lambda_i / \mu_{p,i},

with :math:`x_i = \bar x_i` forced where :math:`\theta_i = 0`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

import sympy

from .linear_program import Constraint, LinearProgram, StandardForm
from .network import ServingNetwork
from .rates import Rates, rate_symbols

OCCUPANCIES = ("prefill", "mixed_decode", "solo_decode", "prefill_queue", "decode_queue")
"""Names of the variable blocks of every steady-state program, in order."""

_LETTERS = dict(zip(OCCUPANCIES, ("x", "y_m", "y_s", "q_p", "q_d"), strict=True))
_PARAMETER_BLOCKS = ("arrival", "patience", "prefill", "mixed_decode", "solo_decode", "weight")


class OccupancyTargets(Protocol):
    """What a policy needs of a plan: target occupancies per GPU, one number per class."""

    @property
    def network(self) -> ServingNetwork:
        """The network that was planned."""

    @property
    def prefill(self) -> Sequence[Any]:
        """Prefill occupancies x*."""

    @property
    def mixed_decode(self) -> Sequence[Any]:
        """Mixed decode occupancies y_m*."""

    @property
    def solo_decode(self) -> Sequence[Any]:
        """Solo decode occupancies y_s*."""

    @property
    def prefill_queue(self) -> Sequence[Any]:
        """Prefill queues q_p*."""


@lru_cache(maxsize=32)
def bundled_program(class_count: int) -> LinearProgram:
    """Program (40) for ``class_count`` classes, in symbols."""
    rate = rate_symbols(class_count)
    classes = range(class_count)
    x, y_m, y_s, q_p, q_d = (
        tuple(sympy.Symbol(f"{_LETTERS[name]}_{i}", nonnegative=True) for i in classes)
        for name in OCCUPANCIES
    )
    completions = [rate.mixed_decode[i] * y_m[i] + rate.solo_decode[i] * y_s[i] for i in classes]
    total_prefill = sum(x)
    capacities = (
        Constraint("prefill capacity", total_prefill, sympy.Integer(1)),
        Constraint("mixed decode capacity", sum(y_m), (rate.batch - 1) * total_prefill),
        Constraint("solo decode capacity", sum(y_s), rate.batch * (1 - total_prefill)),
    )
    prefill_balances = tuple(
        Constraint(
            prefill_balance(f"class {i}"),
            rate.prefill[i] * x[i] + rate.patience[i] * q_p[i],
            rate.arrival[i],
            equality=True,
        )
        for i in classes
    )
    decode_balances = tuple(
        Constraint(
            decode_balance(f"class {i}"),
            completions[i] + rate.patience[i] * q_d[i] - rate.prefill[i] * x[i],
            sympy.Integer(0),
            equality=True,
        )
        for i in classes
    )
    return LinearProgram(
        name="the bundled steady-state program",
        parameters=_parameters(rate),
        variables=(*x, *y_m, *y_s, *q_p, *q_d),
        objective=sum(rate.weight[i] * completions[i] for i in classes),
        constraints=(*capacities, *prefill_balances, *decode_balances),
    )


def bundled_form(rates: Rates, class_names: Sequence[str] | None = None) -> StandardForm:
    """Program (40) at the numbers in ``rates``: floats, or fractions from `exact_rates`.

    With ``class_names`` the flow balances are called by the names of their classes.
    """
    form = bundled_program(len(rates.arrival)).standard_form(_parameters(rates))
    if class_names is None:
        return form
    capacities = form.constraints[: -2 * len(class_names)]
    balances = (*map(prefill_balance, class_names), *map(decode_balance, class_names))
    return replace(form, constraints=(*capacities, *balances))


def prefill_balance(class_name: object) -> str:
    """Name of the prefill flow balance of a class; its shadow price is that of arrivals."""
    return f"prefill flow balance of {class_name}"


def decode_balance(class_name: object) -> str:
    """Name of the decode flow balance of a class."""
    return f"decode flow balance of {class_name}"


def block(name: str, class_count: int) -> slice:
    """Where the variables of one block (a name in `OCCUPANCIES`) stand in the program."""
    start = OCCUPANCIES.index(name) * class_count
    return slice(start, start + class_count)


@dataclass(frozen=True)
class Knapsack:
    """The two-row knapsack of the module docstring; one entry per class in each tuple.

    Maximise ``profit . x`` over ``0 <= x <= upper`` with ``sum(x) <= 1`` and
    ``decode_work . x <= decode_capacity``; ``forced`` classes stand at their upper bound.
    """

    profit: tuple[Any, ...]
    decode_work: tuple[Any, ...]
    decode_capacity: Any
    upper: tuple[Any, ...]
    forced: tuple[bool, ...]


def knapsack(rates: Rates) -> Knapsack:
    """The knapsack form of the bundled program, in the arithmetic of ``rates``.

    Valid when kappa >= (B-1)/B (`decode_buffer_condition`).
    """
    spare = rates.kappa * rates.batch - rates.batch + 1
    pairs = tuple(zip(rates.prefill, rates.mixed_decode, strict=True))
    return Knapsack(
        profit=tuple(w * p for w, p in zip(rates.weight, rates.prefill, strict=True)),
        decode_work=tuple(p / m + spare for p, m in pairs),
        decode_capacity=rates.kappa * rates.batch,
        upper=tuple(a / p for a, p in zip(rates.arrival, rates.prefill, strict=True)),
        forced=tuple(theta == 0 for theta in rates.patience),
    )


def decode_buffer_condition(rates: Rates) -> bool:
    """Hypothesis of Proposition 3.2: kappa >= (B-1)/B."""
    return bool(rates.kappa * rates.batch >= rates.batch - 1)


def _parameters(rates: Rates) -> tuple[Any, ...]:
    return (*(value for name in _PARAMETER_BLOCKS for value in getattr(rates, name)), rates.batch)
