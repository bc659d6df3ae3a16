r"""Serving a backlog whose output lengths are only predicted: refine, evict, restart.

A request shows its output length by completing. Until then the scheduler *believes* in an output
:math:`\tilde o_i`, at first its prediction. At every time t, in this order:

1. requests that have decoded all of :math:`o_i` tokens leave;
2. *refinement*: a running request that has decoded :math:`d_i \ge \tilde o_i` tokens is believed to
   decode the next power of two above :math:`d_i`, at most :math:`M - s_i`;
3. *eviction*: while the running requests would hold more than M in step t + 1, the one that has
   decoded least leaves (of equals the one with the largest number); its tokens are lost, it waits
   again and starts from nothing, but what was learned of its output is kept;
4. *sorting*: at time 0, and whenever a request was evicted, the order of the waiting requests is
   made anew from what is believed;
5. *admission*: the head of the order starts if it passes the forward-looking memory check on what
   is believed, and so on until one does not.

Without refinement, a request that outlives its prediction is believed to end with its next token,
and once evicted its first prediction is believed again.

The request that has decoded most is never evicted while others run, and alone it fits: every
request completes. Source: the refinement is named in the abstract of arXiv 2508.06133, its
listing is not public; eviction of the least advanced request is that of arXiv 2508.14544.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InvalidInput
from .listing import fits
from .model import Backlog, Request, Schedule, completions, require_feasible

Order = Callable[[Backlog], Sequence[int]]
"""A permutation of a backlog's requests, from what is believed of them."""


@dataclass(frozen=True, slots=True)
class AbandonedRun:
    """A run that eviction ended: ``request`` ran from ``start`` to ``end`` and lost it all."""

    request: int
    start: int
    end: int


@dataclass(frozen=True)
class Execution:
    """What happened: the schedule of the runs that completed, and the runs before them.

    Raises `InvalidSchedule` when the runs together hold more than the memory in some step.
    """

    backlog: Backlog
    schedule: Schedule
    abandoned: tuple[AbandonedRun, ...]

    def __post_init__(self) -> None:
        # Until its end, an abandoned run holds what a request with that many outputs would.
        prompts = self.backlog.requests
        lost = tuple(
            Request(prompts[run.request].prompt_tokens, run.end - run.start)
            for run in self.abandoned
        )
        together = Backlog((*self.backlog.requests, *lost), self.backlog.memory)
        starts = (*self.schedule.starts, *(run.start for run in self.abandoned))
        require_feasible(together, Schedule(starts))

    @property
    def completions(self) -> tuple[int, ...]:
        """Completion times, in the order of the requests."""
        return completions(self.backlog, self.schedule)

    @property
    def lost_tokens(self) -> int:
        """Output tokens decoded in vain."""
        return sum(run.end - run.start for run in self.abandoned)


def refined(decoded: int, largest: int) -> int:
    """The next power of two above ``decoded``, at most ``largest``.

    >>> [refined(decoded, largest=100) for decoded in (1, 2, 3, 64)]
    [2, 4, 4, 100]
    """
    return min(1 << decoded.bit_length(), largest)


def execute_by_definition(
    backlog: Backlog, predictions: Sequence[int], order: Order, *, refine: bool = True
) -> Execution:
    """Walk through the five steps of the module docstring, one time after the other.

    The readable twin of `kurtz.fluid.backlog.refinement.execute`, with the same arguments.
    """
    require_predictions(backlog, predictions)
    believed = list(predictions)
    decoding: dict[int, int] = {}  # request: start
    starts = [0] * len(backlog)
    abandoned: list[AbandonedRun] = []
    waiting: list[int] = list(range(len(backlog)))
    time, sort_needed = 0, True
    while waiting or decoding:
        for i, start in list(decoding.items()):
            if time - start == backlog.requests[i].output_tokens:
                del decoding[i]
        for i, start in decoding.items():
            if refine and time - start >= believed[i]:
                largest = backlog.memory - backlog.requests[i].prompt_tokens
                believed[i] = refined(time - start, largest)
        while _held_next(backlog, decoding, time) > backlog.memory:
            least = max(decoding, key=lambda i: (decoding[i], i))
            abandoned.append(AbandonedRun(least, decoding.pop(least), time))
            waiting.append(least)
            sort_needed = True
        if waiting and sort_needed:
            expected = expected_requests(backlog, believed)
            waiting = sort_waiting(expected, backlog.memory, waiting, order)
            sort_needed = False
        outlook = list(believed)
        for i, start in decoding.items():
            outlook[i] = max(believed[i], time - start + 1)
        outlook_backlog = Backlog(tuple(expected_requests(backlog, outlook)), backlog.memory)
        while waiting and fits(outlook_backlog, list(decoding.items()), waiting[0], time):
            head = waiting.pop(0)
            decoding[head] = starts[head] = time
        time += 1
    return Execution(backlog, Schedule(tuple(starts)), tuple(abandoned))


def expected_requests(backlog: Backlog, outputs: Sequence[int]) -> list[Request]:
    """The requests of the backlog with these ``outputs`` in place of their own."""
    return [
        Request(request.prompt_tokens, output)
        for request, output in zip(backlog.requests, outputs, strict=True)
    ]


def sort_waiting(
    expected: Sequence[Request], memory: int, waiting: Sequence[int], order: Order
) -> list[int]:
    """The ``waiting`` requests in the ``order`` of what is ``expected`` of all requests."""
    numbers = sorted(waiting)
    places = order(Backlog(tuple(expected[i] for i in numbers), memory))
    return [numbers[place] for place in places]


def require_predictions(backlog: Backlog, predictions: Sequence[int]) -> None:
    """Raise `InvalidInput` unless each prediction is possible: 1 to M - s."""
    if len(predictions) != len(backlog):
        raise InvalidInput("predictions", len(predictions), f"{len(backlog)}, one per request")
    largest = backlog.memory - backlog.prompts
    values = np.asarray(predictions)
    for number in np.flatnonzero((values < 1) | (values > largest))[:1]:
        raise InvalidInput(
            f"prediction of request {number + 1}",
            int(values[number]),
            f"1 to {largest[number]}, what its prompt leaves of the memory (tokens)",
        )


def _held_next(backlog: Backlog, decoding: dict[int, int], time: int) -> int:
    """Memory of the decoding requests in step ``time + 1``."""
    return sum(
        backlog.requests[i].prompt_tokens + time + 1 - start for i, start in decoding.items()
    )
