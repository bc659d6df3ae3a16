r"""Phase one of Sorted-F: batches of least F-metric, by their definition.

.. math:: F(X) = \sum_{i \in X} o_i / |X|^2

is the mean output of a batch over its size: its Smith ratio, with the mean duration as processing
time and the number of requests as weight. Two definitions of a *feasible* batch are on record, and
every result holds for both:

* peak sum: :math:`\sum_{i \in X} (s_i + o_i) \le M`;
* common start: all of X may start together on an empty worker,
  :math:`\sum_{i \in X,\ o_i \ge o_j} (s_i + o_j) \le M` for every j in X.

Ties go to the larger batch, then to the smallest request numbers (the sorted tuple of numbers that
comes first). The selection here looks at every subset and is the twin of the fast one in
`kurtz.fluid.backlog`.

Source: the F-metric and the two phases of arXiv 2508.06133; its definition of a feasible batch and
its tie-break are not public.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Literal

from ..errors import InvalidInput
from .model import Backlog

BatchKind = Literal["peak-sum", "common-start"]
BATCH_KINDS: tuple[BatchKind, ...] = ("peak-sum", "common-start")

Batch = tuple[int, ...]
"""Request numbers from 0, ascending."""

Metric = Callable[[Backlog, Sequence[int]], Fraction]

MOST_REQUESTS_BY_DEFINITION = 16
"""Beyond it the 2^n subsets take too long to list."""


def is_feasible_batch(backlog: Backlog, batch: Sequence[int], kind: BatchKind) -> bool:
    """Whether ``batch`` is feasible in the sense of ``kind``."""
    if kind not in BATCH_KINDS:
        raise InvalidInput("kind", kind, f"one of {', '.join(BATCH_KINDS)}")
    members = [backlog.requests[i] for i in batch]
    if kind == "peak-sum":
        return sum(member.peak for member in members) <= backlog.memory
    return all(
        sum(
            member.prompt_tokens + last.output_tokens
            for member in members
            if member.output_tokens >= last.output_tokens
        )
        <= backlog.memory
        for last in members
    )


def f_metric(backlog: Backlog, batch: Sequence[int]) -> Fraction:
    """The F-metric, sum of outputs over squared size."""
    return Fraction(sum(backlog.requests[i].output_tokens for i in batch), len(batch) ** 2)


def best_batch(
    backlog: Backlog,
    waiting: Sequence[int],
    kind: BatchKind = "peak-sum",
    metric: Metric = f_metric,
) -> Batch:
    """The feasible subset of ``waiting`` of least ``metric``, by looking at all of them.

    Raises
    ------
    InvalidInput
        No such kind, nothing to select from, or more than 16 waiting requests.
    """
    if not 1 <= len(waiting) <= MOST_REQUESTS_BY_DEFINITION:
        allowed = f"1 to {MOST_REQUESTS_BY_DEFINITION} requests to select from by definition"
        raise InvalidInput("waiting", len(waiting), allowed)
    candidates = (
        batch
        for size in range(len(waiting), 0, -1)
        for batch in combinations(sorted(waiting), size)
        if is_feasible_batch(backlog, batch, kind)
    )
    # Larger sizes come first and each in lexicographic order: min keeps the first of equals.
    return min(candidates, key=lambda batch: metric(backlog, batch))


def sorted_f_batches(
    backlog: Backlog,
    kind: BatchKind = "peak-sum",
    metric: Metric = f_metric,
) -> tuple[Batch, ...]:
    """Phase one: the best batch of what is left, again and again, in the order of selection."""
    waiting = list(range(len(backlog)))
    batches: list[Batch] = []
    while waiting:
        batch = best_batch(backlog, waiting, kind, metric)
        batches.append(batch)
        waiting = [i for i in waiting if i not in batch]
    return tuple(batches)


def batch_order(backlog: Backlog, batches: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Phase two's order: batch after batch, inside each by output, then by request number."""
    return tuple(
        i
        for batch in batches
        for i in sorted(batch, key=lambda i: (backlog.requests[i].output_tokens, i))
    )
