r"""Steady-state programs: the best fluid occupancies per GPU.

Bundled program, equation (40) of arXiv 2602.02987 v1, over occupancies per GPU of prefill
:math:`x`, mixed decode :math:`y_m`, solo decode :math:`y_s` and the queues :math:`q_p, q_d`:

.. math::

   \max \sum_i w_i (\mu_{m,i} y_{m,i} + \mu_{s,i} y_{s,i}) \quad\text{s.t.}\quad
   & \textstyle\sum_i x_i \le 1, \quad \sum_i y_{m,i} \le (B-1) \sum_i x_i, \quad
     \sum_i y_{s,i} \le B (1 - \sum_i x_i), \\
   & \lambda_i - \theta_i q_{p,i} = \mu_{p,i} x_i, \quad
     \mu_{p,i} x_i - \theta_i q_{d,i} = \mu_{m,i} y_{m,i} + \mu_{s,i} y_{s,i}.

The separate program, equation (42), has the same constraints and earns from prefills as well:
:math:`\sum_i c_p P_i \mu_{p,i} x_i + c_d D_i (\mu_{m,i} y_{m,i} + \mu_{s,i} y_{s,i})`.

Every solver reads the programs from here. The knapsack form of the bundled one (derived; proved in
`kurtz.theory.derivations`) is

.. math::

   \max_{0 \le x \le \bar x} \sum_i w_i \mu_{p,i} x_i \quad\text{s.t.}\quad
   \sum_i x_i \le 1, \quad
   \sum_i \Big(\frac{\mu_{p,i}}{\mu_{m,i}} + \kappa B - B + 1\Big) x_i \le \kappa B,
   \qquad \bar x_i = \lambda_i / \mu_{p,i},

with :math:`x_i = \bar x_i` forced where :math:`\theta_i = 0`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

import sympy

from .errors import InvalidInput
from .linear_program import Constraint, LinearProgram, StandardForm
from .network import ServingNetwork
from .rates import Rates, rate_symbols

OCCUPANCIES = ("prefill", "mixed_decode", "solo_decode", "prefill_queue", "decode_queue")
"""Names of the variable blocks of every steady-state program, in order."""

_LETTERS = dict(zip(OCCUPANCIES, ("x", "y_m", "y_s", "q_p", "q_d"), strict=True))
_PARAMETER_BLOCKS = (
    "arrival",
    "patience",
    "prefill",
    "mixed_decode",
    "solo_decode",
    "weight",
    "prompt_revenue",
    "output_revenue",
)


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
    rate, variables = rate_symbols(class_count), _variables(class_count)
    return LinearProgram(
        name="the bundled steady-state program",
        parameters=_parameters(rate),
        variables=_flat(variables),
        objective=sum(
            rate.weight[i] * _completions(rate, variables, i) for i in range(class_count)
        ),
        constraints=_constraints(rate, variables),
    )


@lru_cache(maxsize=32)
def separate_program(class_count: int) -> LinearProgram:
    """Program (42) for ``class_count`` classes, in symbols."""
    rate, variables = rate_symbols(class_count), _variables(class_count)
    return LinearProgram(
        name="the separate steady-state program",
        parameters=_parameters(rate),
        variables=_flat(variables),
        objective=sum(
            rate.prompt_revenue[i] * rate.prefill[i] * variables["prefill"][i]
            + rate.output_revenue[i] * _completions(rate, variables, i)
            for i in range(class_count)
        ),
        constraints=_constraints(rate, variables),
    )


PROGRAMS: Mapping[str, Callable[[int], LinearProgram]] = {
    "bundled": bundled_program,
    "separate": separate_program,
}
"""The steady-state program of every pricing, by the number of classes."""


def steady_state_form(
    rates: Rates, pricing: str = "bundled", class_names: Sequence[str] | None = None
) -> StandardForm:
    """Program (40) or (42) at the numbers in ``rates``: floats, or fractions from `exact_rates`.

    With ``class_names`` the flow balances are called by the names of their classes.

    Raises
    ------
    InvalidInput
        ``pricing`` is not a key of `PROGRAMS`.
    """
    if pricing not in PROGRAMS:
        raise InvalidInput("pricing", pricing, " or ".join(map(repr, PROGRAMS)))
    form = PROGRAMS[pricing](len(rates.arrival)).standard_form(_parameters(rates))
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


_Variables = Mapping[str, tuple[sympy.Symbol, ...]]


def _variables(class_count: int) -> _Variables:
    return {
        name: tuple(sympy.Symbol(f"{letter}_{i}", nonnegative=True) for i in range(class_count))
        for name, letter in _LETTERS.items()
    }


def _flat(variables: _Variables) -> tuple[sympy.Symbol, ...]:
    return tuple(symbol for name in OCCUPANCIES for symbol in variables[name])


def _completions(rate: Rates, variables: _Variables, i: int) -> sympy.Expr:
    mixed, solo = variables["mixed_decode"][i], variables["solo_decode"][i]
    return rate.mixed_decode[i] * mixed + rate.solo_decode[i] * solo


def _constraints(rate: Rates, variables: _Variables) -> tuple[Constraint, ...]:
    x, q_p, q_d = (variables[name] for name in ("prefill", "prefill_queue", "decode_queue"))
    classes, total_prefill = range(len(x)), sum(x)
    return (
        Constraint("prefill capacity", total_prefill, sympy.Integer(1)),
        Constraint(
            "mixed decode capacity",
            sum(variables["mixed_decode"]),
            (rate.batch - 1) * total_prefill,
        ),
        Constraint(
            "solo decode capacity", sum(variables["solo_decode"]), rate.batch * (1 - total_prefill)
        ),
        *(
            Constraint(
                prefill_balance(f"class {i}"),
                rate.prefill[i] * x[i] + rate.patience[i] * q_p[i],
                rate.arrival[i],
                equality=True,
            )
            for i in classes
        ),
        *(
            Constraint(
                decode_balance(f"class {i}"),
                _completions(rate, variables, i)
                + rate.patience[i] * q_d[i]
                - rate.prefill[i] * x[i],
                sympy.Integer(0),
                equality=True,
            )
            for i in classes
        ),
    )


def _parameters(rates: Rates) -> tuple[Any, ...]:
    return (*(value for name in _PARAMETER_BLOCKS for value in getattr(rates, name)), rates.batch)
