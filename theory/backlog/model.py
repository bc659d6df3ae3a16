r"""Backlogs, schedules, and the one validator that everything goes through.

All requests are present at time 0 and share one worker with a KV budget of M tokens. Request i has
:math:`s_i` prompt tokens and :math:`o_i` output tokens. Started at time p, it produces one token in
each of the steps :math:`p + 1, \dots, p + o_i`, is never interrupted, and holds
:math:`s_i + t - p` tokens of memory in step t: :math:`s_i + 1` in its first step, its *peak*
:math:`s_i + o_i` in its last. The prompt takes no step of its own. A successor may start at the
*completion* :math:`c_i = p + o_i`, for its memory counts from step :math:`c_i + 1` on. A schedule
is feasible if in every step the memory adds up to at most M; its *total end-to-end latency* is
:math:`\sum_i c_i`.

Source: the offline model of arXiv 2508.06133, as in equations (1)-(4) of arXiv 2502.07115.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Self

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInput, require_integer

Integers = npt.NDArray[np.int64]

LARGEST_TOTAL = 2**62
"""Requests times squared memory; sums of volumes then stay within 64 bits."""


LARGEST_START = 2**40
"""Steps; sums over all requests that 64 bits can number then stay within 64 bits."""


class InvalidSchedule(ValueError):
    """A schedule that is not one of the backlog, or breaks its memory budget."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request: ``prompt_tokens`` >= 0 and ``output_tokens`` >= 1."""

    prompt_tokens: int
    output_tokens: int

    def __post_init__(self) -> None:
        require_integer("prompt_tokens", self.prompt_tokens, "tokens", at_least=0)
        require_integer("output_tokens", self.output_tokens, "tokens", at_least=1)
        # NumPy's integers would overflow in the peak and in the volume.
        object.__setattr__(self, "prompt_tokens", int(self.prompt_tokens))
        object.__setattr__(self, "output_tokens", int(self.output_tokens))

    @property
    def peak(self) -> int:
        """Memory in its last step, s + o tokens."""
        return self.prompt_tokens + self.output_tokens

    @property
    def volume(self) -> int:
        """Memory summed over its steps, s o + o (o + 1) / 2 token-steps."""
        prompt, output = self.prompt_tokens, self.output_tokens
        return prompt * output + output * (output + 1) // 2


@dataclass(frozen=True)
class Backlog:
    """Requests waiting at time 0, in the order of their arrival, and the KV budget in tokens.

    Raises
    ------
    InvalidInput
        No requests, a budget that is no positive integer, or a request whose peak exceeds it.
    """

    requests: tuple[Request, ...]
    memory: int

    def __post_init__(self) -> None:
        require_integer("memory", self.memory, "tokens", at_least=1)
        object.__setattr__(self, "memory", int(self.memory))
        object.__setattr__(self, "requests", tuple(self.requests))
        if not self.requests:
            raise InvalidInput("requests", (), "at least one request")
        if len(self.requests) * self.memory**2 > LARGEST_TOTAL:
            allowed = "requests times squared memory at most 2^62 (token-steps fit into 64 bits)"
            raise InvalidInput("memory", self.memory, allowed)
        for number, request in enumerate(self.requests, 1):
            if not isinstance(request, Request):
                raise InvalidInput(f"request {number}", request, "a Request")
            if request.peak > self.memory:
                raise InvalidInput(
                    f"request {number}: prompt_tokens + output_tokens",
                    request.peak,
                    f"at most the memory of {self.memory} tokens",
                )

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]], memory: int) -> Self:
        """The backlog of (prompt_tokens, output_tokens) ``pairs``."""
        return cls(tuple(Request(prompt, output) for prompt, output in pairs), memory)

    def __len__(self) -> int:
        return len(self.requests)

    @cached_property
    def largest_peak(self) -> int:
        """P: the largest peak, in tokens."""
        return max(request.peak for request in self.requests)

    @cached_property
    def prompts(self) -> Integers:
        """Prompt tokens, shape (n,), read-only."""
        return _frozen([request.prompt_tokens for request in self.requests])

    @cached_property
    def outputs(self) -> Integers:
        """Output tokens, shape (n,), read-only."""
        return _frozen([request.output_tokens for request in self.requests])

    @cached_property
    def peaks(self) -> Integers:
        """Peaks s + o, shape (n,), read-only."""
        return _frozen(self.prompts + self.outputs)

    @cached_property
    def volumes(self) -> Integers:
        """Volumes s o + o (o + 1) / 2, shape (n,), read-only."""
        return _frozen(self.prompts * self.outputs + self.outputs * (self.outputs + 1) // 2)


@dataclass(frozen=True)
class Schedule:
    """Start times of a backlog's requests, in their order; integers >= 0."""

    starts: tuple[int, ...]

    def __post_init__(self) -> None:
        starts = tuple(self.starts)
        for number, start in enumerate(starts, 1):
            if isinstance(start, bool) or not isinstance(start, Integral) or start < 0:
                raise InvalidInput(f"start of request {number}", start, "an integer >= 0 (steps)")
        object.__setattr__(self, "starts", tuple(int(start) for start in starts))


def memory_by_step(backlog: Backlog, schedule: Schedule) -> Integers:
    r"""Memory held in the steps 1, 2, ..., last completion, in tokens.

    Request i adds :math:`(s_i - p_i) + t` in the steps :math:`p_i < t \le p_i + o_i`, so the sum
    over the active requests is one constant and one slope per step.
    """
    constant, slope, changes = _changes(backlog, schedule)
    steps = np.arange(1, changes[-1], dtype=np.int64)
    stretch = np.searchsorted(changes, steps, side="right") - 1
    return np.where(stretch >= 0, constant[stretch] + slope[stretch] * steps, 0)


def require_feasible(backlog: Backlog, schedule: Schedule) -> None:
    """Raise `InvalidSchedule` naming the first step in which the memory exceeds the budget.

    Between two steps in which a request starts or completes the memory grows by a token per step
    and active request, so that it is largest at the end of each such stretch; only in the first
    stretch that ends above the budget is the step looked for.
    """
    constant, slope, changes = _changes(backlog, schedule)
    at_end = constant + slope * (np.append(changes[1:], changes[-1]) - 1)
    over = np.flatnonzero(at_end > backlog.memory)
    if over.size:
        first = over[0]
        room = backlog.memory - constant[first]
        step = max(int(changes[first]), int(room // slope[first]) + 1)
        held = int(constant[first] + slope[first] * step)
        raise InvalidSchedule(
            f"step {step} holds {held} tokens, more than the memory of {backlog.memory}"
        )


def completions(backlog: Backlog, schedule: Schedule) -> tuple[int, ...]:
    """Completion times start + output, in the order of the requests; validates the schedule."""
    require_feasible(backlog, schedule)
    return tuple(
        start + request.output_tokens
        for start, request in zip(schedule.starts, backlog.requests, strict=True)
    )


def total_latency(backlog: Backlog, schedule: Schedule) -> int:
    """Total end-to-end latency, the sum of the completion times in steps; validates the schedule.

    >>> total_latency(Backlog.of([(0, 2), (1, 1)], memory=3), Schedule((0, 0)))
    3
    """
    return sum(completions(backlog, schedule))


def _changes(backlog: Backlog, schedule: Schedule) -> tuple[Integers, Integers, Integers]:
    """Where the active requests change, and constant and slope of the memory from there on.

    Three arrays of one length: constant, slope, and the first step of each stretch, ascending;
    the last stretch, after the last completion, holds nothing.
    """
    if len(schedule.starts) != len(backlog):
        raise InvalidSchedule(
            f"{len(schedule.starts)} starts for a backlog of {len(backlog)} requests"
        )
    latest = max(schedule.starts)
    if latest > LARGEST_START:
        raise InvalidSchedule(f"a start at step {latest}, later than {LARGEST_START}")
    starts = np.array(schedule.starts, dtype=np.int64)
    steps = np.concatenate((starts, starts + backlog.outputs)) + 1
    changes, place = np.unique(steps, return_inverse=True)
    constant = np.zeros(len(changes), dtype=np.int64)
    slope = np.zeros(len(changes), dtype=np.int64)
    offsets = backlog.prompts - starts
    np.add.at(constant, place, np.concatenate((offsets, -offsets)))
    np.add.at(slope, place, np.repeat([1, -1], len(backlog)))
    return np.cumsum(constant), np.cumsum(slope), changes


def _frozen(values: Sequence[int] | Integers) -> Integers:
    array = np.array(values, dtype=np.int64)
    array.flags.writeable = False
    return array
