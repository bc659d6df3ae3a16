r"""Latencies in seconds: what a step of a schedule takes, given what it does.

The model of a backlog counts steps. On a GPU a step that serves B requests, which hold K tokens
and of which those that start bring P prompt tokens, takes

.. math:: \tau = \max\{a_0, \alpha + \beta P\} + a_1 B + a_2 K,

a decode step of :math:`a_0 + a_1 B + a_2 K` that the prompts prolong once they outweigh the reading
of the weights, :math:`a_0`. With every other coefficient zero, :math:`\tau = a_0` and latencies are
those of the model. The schedule stays the one made for steps of equal length; only the clock that
measures it changes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from ...theory.backlog import Backlog, Schedule, completions, memory_by_step
from ...theory.errors import require_number

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StepTime:
    """The law of the module docstring.

    Parameters
    ----------
    decode_floor, per_request, per_held_token
        Seconds of a decode step without requests, and more per request and per token held.
    prompt_floor, per_prompt_token
        Seconds that the prompts of a step take: at least the floor, and more per prompt token.
    """

    decode_floor: float
    per_request: float
    per_held_token: float
    prompt_floor: float
    per_prompt_token: float

    def __post_init__(self) -> None:
        for field in fields(self):
            require_number(field.name, getattr(self, field.name), "seconds", at_least=0)

    @classmethod
    def constant(cls, seconds: float) -> Self:
        """Every step takes ``seconds``."""
        return cls(seconds, 0.0, 0.0, 0.0, 0.0)

    def seconds(
        self, requests: npt.ArrayLike, held_tokens: npt.ArrayLike, prompt_tokens: npt.ArrayLike
    ) -> Numbers:
        """Seconds of steps with these compositions; arrays of one shape."""
        prompts = self.prompt_floor + self.per_prompt_token * np.asarray(prompt_tokens, float)
        return np.asarray(
            np.maximum(self.decode_floor, prompts)
            + self.per_request * np.asarray(requests, float)
            + self.per_held_token * np.asarray(held_tokens, float)
        )


def wall_clock_latencies(backlog: Backlog, schedule: Schedule, step_time: StepTime) -> Numbers:
    """Completion of each request in seconds, shape (n,); validates the schedule."""
    ends = np.array(completions(backlog, schedule))
    starts = np.array(schedule.starts)
    held = memory_by_step(backlog, schedule)
    # A request that starts at time p is first served in the step from p to p + 1.
    change = np.bincount(starts, minlength=len(held) + 1) - np.bincount(ends)
    requests = np.cumsum(change)[:-1]
    prompts = np.bincount(starts, weights=backlog.prompts, minlength=len(held))
    clock: Numbers = np.cumsum(step_time.seconds(requests, held, prompts))
    latencies: Numbers = clock[ends - 1]
    return latencies
