"""List scheduling: start the requests of an order as soon as the memory admits them.

The readable twin of `kurtz.fluid.backlog`'s compiled scheduler: it walks through time one step
after the other and tests every admission from its definition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from ..errors import InvalidInput
from .model import Backlog, Schedule

Started = Sequence[tuple[int, int]]
"""Pairs (request, start) of the requests that are running."""

Admission = Callable[[Backlog, Started, int, int], bool]
"""``admission(backlog, running, candidate, time)``: may ``candidate`` start at ``time``?"""

Blocked = Literal["wait", "skip"]
"""What a request that is not admitted does to those behind it: makes them wait, or is skipped."""


def fits(backlog: Backlog, running: Started, candidate: int, time: int) -> bool:
    """Forward-looking memory check (equation (5) of arXiv 2502.07115).

    Memory only falls at completions, so it is enough to look at the steps in which one of the
    running requests or the candidate completes.
    """
    together = [*running, (candidate, time)]
    ends = {start + backlog.requests[i].output_tokens for i, start in together}
    for step in ends:
        if step > time:
            held = sum(
                backlog.requests[i].prompt_tokens + step - start
                for i, start in together
                if start < step <= start + backlog.requests[i].output_tokens
            )
            if held > backlog.memory:
                return False
    return True


def peaks_fit(backlog: Backlog, running: Started, candidate: int, time: int) -> bool:  # noqa: ARG001
    """Whether the peaks of the running requests and of the candidate add up to at most M."""
    return (
        sum(backlog.requests[i].peak for i, _ in running) + backlog.requests[candidate].peak
        <= backlog.memory
    )


def list_schedule(
    backlog: Backlog,
    order: Sequence[int],
    admission: Admission = fits,
    blocked: Blocked = "wait",
) -> Schedule:
    """Start requests in ``order`` (a permutation of 0 ... n - 1) as soon as they are admitted.

    At every time the order is scanned once: a request that is admitted starts; one that is not
    ends the scan (``blocked="wait"``, strict order) or is passed over (``blocked="skip"``).
    """
    if blocked not in get_args(Blocked):
        raise InvalidInput("blocked", blocked, " or ".join(get_args(Blocked)))
    if sorted(order) != list(range(len(backlog))):
        raise ValueError(f"order is not a permutation of 0 ... {len(backlog) - 1}")
    starts = [0] * len(backlog)
    waiting = list(order)
    running: list[tuple[int, int]] = []
    time = 0
    while waiting:
        running = [(i, p) for i, p in running if p + backlog.requests[i].output_tokens > time]
        left: list[int] = []
        for place, candidate in enumerate(waiting):
            if admission(backlog, running, candidate, time):
                running.append((candidate, time))
                starts[candidate] = time
            elif blocked == "wait":
                left += waiting[place:]
                break
            else:
                left.append(candidate)
        waiting = left
        time += 1
    return Schedule(tuple(starts))


def separate_schedule(backlog: Backlog, batches: Sequence[Sequence[int]]) -> Schedule:
    """Each batch starts, all together, when the batch before it is entirely done."""
    starts = [0] * len(backlog)
    time = 0
    for batch in batches:
        for i in batch:
            starts[i] = time
        time += max(backlog.requests[i].output_tokens for i in batch)
    return Schedule(tuple(starts))
