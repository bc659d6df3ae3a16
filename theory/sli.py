r"""Service-level indicators (SLIs) as constraints on the steady-state program.

Of arXiv 2602.02987 v1, Section 5, with occupancies per GPU and :math:`X = \sum_i x_i`:

* prefill fairness (43): :math:`\max_{i,j} (x_i - x_j) \le \eta_1`;
* decode fairness (45): :math:`\max_{i,j} (y_{s,i} - y_{s,j}) \le \eta_2`;
* average time per output token, TPOT (47): with all slots taken as full,

  .. math::

     \frac{\tau (B-1) X + \frac1\gamma B (1-X)}{(B-1) X + B (1-X)} \le \eta_3
     \iff \Big(\tau (B-1) - \frac B\gamma + \eta_3\Big) X \le B \Big(\eta_3 - \frac1\gamma\Big).

Ours, not in the paper: two SLIs on the wait before the first token, and Jain's index.

* waiting time: by Little's law :math:`q_{p,i} / \lambda_i` is the mean time that a request of
  class i, whether it is served or gives up, waits for prefill; at most so many seconds;
* abandonment: the share :math:`\theta_i q_{p,i} / \lambda_i` of the requests of class i that give
  up before prefill; in a first-come-first-served fluid every served request waits
  :math:`-\ln(1 - \text{share}) / \theta_i` seconds;
* Jain's index of the served shares :math:`s_i = \mu_{p,i} x_i / \lambda_i`,
  :math:`(\sum_i s_i)^2 \ge \text{index} \cdot I \sum_i s_i^2`, a second-order cone.

All but the last are linear and stay exact. The paper's standing assumption is q_d = 0 (waiting
decodes hold KV memory); `with_slis` imposes it unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations
from typing import Any, ClassVar, Protocol

from .errors import InvalidInput, require_number
from .linear_program import StandardForm
from .network import exact
from .rates import Rates
from .steady_state import OCCUPANCIES, block

NO_DECODE_QUEUE = "no decode queue"
"""Name of the constraint q_d = 0."""


@dataclass(frozen=True)
class LinearRow:
    """The constraint ``coefficients . variables <= bound`` of a steady-state program."""

    name: str
    coefficients: tuple[Any, ...]
    bound: Any


class LinearSli(Protocol):
    """An SLI that is a set of linear constraints."""

    name: ClassVar[str]

    @property
    def limit(self) -> float:
        """The largest value allowed."""

    def rows(self, rates: Rates, class_names: Sequence[str]) -> tuple[LinearRow, ...]:
        """The constraints, in fractions if ``rates`` are."""


@dataclass(frozen=True)
class PrefillFairness:
    """Prefill occupancies of any two classes differ by at most ``limit``, (43)."""

    name: ClassVar[str] = "prefill-fairness"
    limit: float

    def __post_init__(self) -> None:
        require_number(self.name, self.limit, "prefills per GPU", at_least=0)

    def rows(self, rates: Rates, class_names: Sequence[str]) -> tuple[LinearRow, ...]:
        """One row for every ordered pair of classes."""
        return _pairwise_rows("prefill fairness", "prefill", self.limit, class_names)


@dataclass(frozen=True)
class DecodeFairness:
    """Solo decode occupancies of any two classes differ by at most ``limit``, (45)."""

    name: ClassVar[str] = "decode-fairness"
    limit: float

    def __post_init__(self) -> None:
        require_number(self.name, self.limit, "solo decodes per GPU", at_least=0)

    def rows(self, rates: Rates, class_names: Sequence[str]) -> tuple[LinearRow, ...]:
        """One row for every ordered pair of classes."""
        return _pairwise_rows("decode fairness", "solo_decode", self.limit, class_names)


@dataclass(frozen=True)
class TimePerOutputToken:
    """The average TPOT of full slots is at most ``limit`` seconds, (47)."""

    name: ClassVar[str] = "tpot"
    limit: float

    def __post_init__(self) -> None:
        require_number(self.name, self.limit, "seconds per output token", above=0)

    def rows(self, rates: Rates, class_names: Sequence[str]) -> tuple[LinearRow, ...]:
        """The one row of the module docstring."""
        limit, solo_time = exact(self.limit), rates.mixed_time / rates.kappa
        per_prefill = rates.mixed_time * (rates.batch - 1) - rates.batch * solo_time + limit
        row = _row(len(class_names), "prefill", [per_prefill] * len(class_names))
        return (LinearRow("average TPOT", row, rates.batch * (limit - solo_time)),)


@dataclass(frozen=True)
class WaitingTime:
    """Requests of every class wait at most ``limit`` seconds for prefill on average (ours)."""

    name: ClassVar[str] = "waiting-time"
    limit: float

    def __post_init__(self) -> None:
        require_number(self.name, self.limit, "seconds", at_least=0)

    def rows(self, rates: Rates, class_names: Sequence[str]) -> tuple[LinearRow, ...]:
        """One row per class."""
        return _queue_rows(
            "waiting time", [1] * len(class_names), self.limit, rates.arrival, class_names
        )


@dataclass(frozen=True)
class Abandonment:
    """At most the share ``limit`` of every class gives up before prefill (ours)."""

    name: ClassVar[str] = "abandonment"
    limit: float

    def __post_init__(self) -> None:
        require_number(self.name, self.limit, "share of the arrivals", at_least=0)
        if self.limit > 1:
            raise InvalidInput(self.name, self.limit, "a share between 0 and 1")

    def rows(self, rates: Rates, class_names: Sequence[str]) -> tuple[LinearRow, ...]:
        """One row per class."""
        return _queue_rows("abandonment", rates.patience, self.limit, rates.arrival, class_names)


@dataclass(frozen=True)
class JainFairness:
    """Jain's index of the served shares is at least ``limit`` (ours); not linear."""

    name: ClassVar[str] = "jain"
    limit: float

    def __post_init__(self) -> None:
        require_number(self.name, self.limit, "Jain's index", above=0)
        if self.limit > 1:
            raise InvalidInput(self.name, self.limit, "an index above 0 and at most 1")


Sli = LinearSli | JainFairness

_SLIS: tuple[type[Any], ...] = (
    PrefillFairness,
    DecodeFairness,
    TimePerOutputToken,
    WaitingTime,
    Abandonment,
    JainFairness,
)


def sli_names() -> tuple[str, ...]:
    """Names that `sli_named` knows."""
    return tuple(kind.name for kind in _SLIS)


def sli_named(text: str) -> Sli:
    """The SLI written as ``name=limit``.

    >>> sli_named("prefill-fairness=0.05")
    PrefillFairness(limit=0.05)
    """
    name, number = name_and_number("sli", text, sli_names())
    sli: Sli = next(kind for kind in _SLIS if kind.name == name)(number)
    return sli


def linear_slis(slis: Sequence[Sli]) -> list[LinearSli]:
    """Those of ``slis`` that an exact plan can impose."""
    return [sli for sli in slis if not isinstance(sli, JainFairness)]


def name_and_number(field: str, text: str, names: Sequence[str]) -> tuple[str, float]:
    """Split ``name=number``; raises `InvalidInput` unless the name is one of ``names``."""
    name, _, number = text.partition("=")
    expected = f"NAME=NUMBER with a name out of {', '.join(names)}"
    if name not in names or "_" in number:  # Python would read 1_0 as 10
        raise InvalidInput(field, text, expected)
    try:
        return name, float(number)
    except ValueError as error:
        raise InvalidInput(field, text, expected) from error


def with_slis(
    form: StandardForm,
    rates: Rates,
    slis: Sequence[LinearSli],
    class_names: Sequence[str],
    *,
    decode_queue_allowed: bool = False,
) -> StandardForm:
    """A steady-state program under SLIs; without any it is returned as it is.

    Parameters
    ----------
    rates
        In fractions.
    decode_queue_allowed
        Leave q_d free, for the general policy of Section 13, instead of imposing q_d = 0.

    Raises
    ------
    InvalidInput
        Two SLIs of the same name, or one that is not linear.
    """
    names = [sli.name for sli in slis]
    for sli in slis:
        if names.count(sli.name) > 1:
            raise InvalidInput("slis", sli.name, "every SLI at most once")
        if not hasattr(sli, "rows"):
            raise InvalidInput("slis", sli.name, "linear SLIs where an exact plan is asked for")
        for row in sli.rows(rates, class_names):
            form = form.with_constraint(row.name, row.coefficients, row.bound)
    if slis and not decode_queue_allowed:
        form = without_decode_queue(form, len(class_names))
    return form


def without_decode_queue(form: StandardForm, class_count: int) -> StandardForm:
    """A steady-state program with q_d = 0 imposed."""
    all_queues = _row(class_count, "decode_queue", [1] * class_count)
    return form.with_constraint(NO_DECODE_QUEUE, all_queues, 0, equality=True)


def average_time_per_output_token(rates: Rates, mixed_share: Any) -> Any:
    """Left side of (47) in seconds at the share X of mixed GPUs; undefined at B = X = 1."""
    mixed_slots = (rates.batch - 1) * mixed_share
    solo_slots = rates.batch * (1 - mixed_share)
    solo_time = rates.mixed_time / rates.kappa
    return (rates.mixed_time * mixed_slots + solo_time * solo_slots) / (mixed_slots + solo_slots)


def mixed_share_at(rates: Rates, seconds: Any) -> Any:
    """The largest X with an average TPOT of at most ``seconds``, for 1/gamma <= seconds <= tau."""
    solo_time = rates.mixed_time / rates.kappa
    room = rates.batch * (seconds - solo_time)
    return room / ((rates.batch - 1) * (rates.mixed_time - seconds) + room)


def jain_index(values: Sequence[Any]) -> Any:
    """Jain's fairness index: 1 if all ``values`` are equal, 1/I if one of them has everything."""
    return sum(values) ** 2 / (len(values) * sum(value**2 for value in values))


def _row(class_count: int, name: str, values: Sequence[Any]) -> tuple[Any, ...]:
    row: list[Any] = [0] * (len(OCCUPANCIES) * class_count)
    row[block(name, class_count)] = values
    return tuple(row)


def _pairwise_rows(
    label: str, name: str, limit: float, class_names: Sequence[str]
) -> tuple[LinearRow, ...]:
    rows = []
    for more, less in permutations(range(len(class_names)), 2):
        signs = [0] * len(class_names)
        signs[more], signs[less] = 1, -1
        rows.append(
            LinearRow(
                f"{label}, {class_names[more]} over {class_names[less]}",
                _row(len(class_names), name, signs),
                exact(limit),
            )
        )
    return tuple(rows)


def _queue_rows(
    label: str,
    per_request: Sequence[Any],
    limit: float,
    arrivals: Sequence[Any],
    class_names: Sequence[str],
) -> tuple[LinearRow, ...]:
    count, rows = len(class_names), []
    for i, name in enumerate(class_names):
        values: list[Any] = [0] * count
        values[i] = per_request[i]
        bound: Fraction = exact(limit) * arrivals[i]
        rows.append(LinearRow(f"{label} of {name}", _row(count, "prefill_queue", values), bound))
    return tuple(rows)
