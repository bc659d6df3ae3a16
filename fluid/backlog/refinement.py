"""Serving a backlog by predicted output lengths, at scale.

The rules of the game are those of `kurtz.theory.backlog.refinement`. A step costs time
proportional to the number of running requests; sorting is the caller's order, once at the start
and once for every time at which requests are evicted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...theory.backlog import Backlog, Request, Schedule
from ...theory.backlog.refinement import (
    AbandonedRun,
    Execution,
    Order,
    expected_requests,
    require_predictions,
    sort_waiting,
)
from .refinement_kernel import advance


def execute(
    backlog: Backlog, predictions: Sequence[int], order: Order, *, refine: bool = True
) -> Execution:
    """Serve ``backlog`` knowing only ``predictions`` of its output lengths.

    Parameters
    ----------
    backlog
        The requests as they are.
    predictions
        What is believed of their outputs at first; each from 1 to M - s.
    order
        The order in which waiting requests start, from what is believed of them.
    refine
        Whether what is believed of a request that outlives its prediction is refined.

    Raises
    ------
    InvalidInput
        A prediction is missing or outside its range.
    """
    require_predictions(backlog, predictions)
    n = len(backlog)
    believed = np.array(predictions, dtype=np.int64)
    starts, ends, running, evicted = (np.zeros(n, dtype=np.int64) for _ in range(4))
    expected = expected_requests(backlog, predictions)
    believed_before = believed.copy()
    waiting = np.array(sort_waiting(expected, backlog.memory, range(n), order), dtype=np.int64)
    abandoned: list[AbandonedRun] = []
    running_count = place = time = 0
    while True:
        running_count, place, time, evicted_count = advance(
            backlog.prompts,
            backlog.outputs,
            backlog.memory,
            refine,
            believed,
            starts,
            ends,
            running,
            running_count,
            waiting,
            place,
            len(waiting),
            time,
            evicted,
        )
        if not evicted_count:
            break
        leaving = evicted[:evicted_count].tolist()
        abandoned += [AbandonedRun(i, int(starts[i]), time) for i in leaving]
        left = [*waiting[place:].tolist(), *leaving]
        for i in np.flatnonzero(believed != believed_before).tolist():
            expected[i] = Request(expected[i].prompt_tokens, int(believed[i]))
        believed_before[:] = believed
        waiting = np.array(sort_waiting(expected, backlog.memory, left, order), dtype=np.int64)
        place = 0
    return Execution(backlog, Schedule(tuple(starts.tolist())), tuple(abandoned))
