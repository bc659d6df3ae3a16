r"""Why Sorted-F is within a constant of the optimum: the lemmas, with their slack on an instance.

Notation. Phase one forms the batches :math:`X_1, \dots, X_K`; :math:`n_k` is the size of batch k,
:math:`S_k` its sum of outputs, :math:`\bar o_k = S_k / n_k`, :math:`T_k` its longest output,
:math:`F_k = \bar o_k / n_k`, and :math:`R_k = n_k + \dots + n_K` the number of requests from which
it was selected. *Separate* is the schedule that runs the batches one after the other, and
:math:`G = \sum_k R_k \bar o_k`.

* L0: no request starts later in Sorted-F than in separate.
* L1: :math:`T_k \le (2 - 1/n_k) \bar o_k`: a longer request would have been left out.
* L2: :math:`F_1 \le F_2 \le \dots`: minima over shrinking families.
* L3: :math:`\mathrm{TEL}(\text{separate}) = \sum_k (R_{k+1} T_k + S_k) \le 2 G - \sum_i o_i`.
* L4: in any feasible schedule, at most :math:`c\,\tau / F_k` of the :math:`R_k` requests complete
  by :math:`\tau`, for every k and :math:`\tau`.
* L5: :math:`G \le 4 c \cdot \mathrm{OPT}`, by halving the histogram of prices (Feige, Lovász,
  Tetali).

Together :math:`\mathrm{TEL}(\text{Sorted-F}) \le 2 G - \sum_i o_i \le 8 c \cdot \mathrm{OPT}`. With
c = 6 the constant is 48. If the batches are only within a factor :math:`\beta` of the least F (and
the longest request is dropped while that lowers F), c becomes :math:`\beta c`.

The constant c of L4 (with P the largest peak). Let Y be the requests that complete by
:math:`\tau`. As :math:`o_i (s_i + o_i) \le 2\,\mathrm{vol}_i`, and these volumes lie within
:math:`\tau` steps, :math:`\sum_Y o_i (s_i + o_i) \le 2 M \tau`.

* *Blocks by ascending output* (the published 48): cut Y, sorted by output, into consecutive blocks
  of peak sum at most M. Adjacent blocks hold more than M, which gives c = 6; if
  P <= M/2, all but the last hold more than M - P, which gives
  :math:`c = 2 + 2 M / (M - P + 1)`.
* *Large requests apart, blocks by descending output* (ours). A request of peak above M/2 is a batch
  by itself, so :math:`F_k \le o_i < (2/M)\,o_i (s_i + o_i)`. Cut the others, sorted by
  output *descending*, into such blocks :math:`1, \dots, B`: all but the last hold at least M/2, and
  the outputs of block b + 1 do not exceed the least of block b. As block b is feasible, it has
  at most (its mean output) / :math:`F_k` members; hence

  .. math:: F_k |Y| \le \tau + \sum_{b < B} \min_{i \in b} o_i + \sum_{\text{large}} o_i
            \le \tau + \frac 2 M \sum_{i \in Y} o_i (s_i + o_i) \le 5 \tau .

  So c = 5 and the constant is 40. If no request is set apart, closed blocks hold at least
  M - P + 1, so that :math:`c = 1 + 2 M / (M - P + 1)` too, which is less where P is at most
  about M/2: the constant tends to 24 for small requests.

Source: the constant 48 is that of arXiv 2508.06133, whose lemmas are not public; this chain, and
the constants 40 and 24, are derived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

from .batches import Batch, BatchKind, batch_order, f_metric, sorted_f_batches
from .listing import list_schedule, separate_schedule
from .model import Backlog, Schedule, completions, total_latency

PUBLISHED_CONSTANT = 48
"""8 c with c = 6, for every backlog."""

DERIVED_CONSTANT = 40
"""8 c with c = 5, for every backlog."""


@dataclass(frozen=True)
class SortedF:
    """Sorted-F on a backlog, with the quantities of its analysis.

    Attributes
    ----------
    batches
        Phase one, in order of selection.
    excess
        A factor by which the batches may miss the least F (beta in the notation above), >= 1.
    """

    backlog: Backlog
    batches: tuple[Batch, ...]
    excess: Fraction = Fraction(1)

    @classmethod
    def of(cls, backlog: Backlog, kind: BatchKind = "peak-sum") -> SortedF:
        """Exact batches of ``kind``, selected by definition (at most 16 requests)."""
        return cls(backlog, sorted_f_batches(backlog, kind))

    @cached_property
    def schedule(self) -> Schedule:
        """Phase two: batch after batch, by output inside a batch, as soon as memory admits."""
        return list_schedule(self.backlog, batch_order(self.backlog, self.batches))

    @cached_property
    def separate(self) -> Schedule:
        """The batches one after the other."""
        return separate_schedule(self.backlog, self.batches)

    @cached_property
    def latency(self) -> int:
        """Total latency of the schedule, in steps."""
        return total_latency(self.backlog, self.schedule)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """n_k: members of each batch."""
        return tuple(len(batch) for batch in self.batches)

    @cached_property
    def output_sums(self) -> tuple[int, ...]:
        """S_k: sum of the outputs of each batch, in tokens."""
        return tuple(sum(self._outputs(batch)) for batch in self.batches)

    @cached_property
    def longest(self) -> tuple[int, ...]:
        """T_k: longest output of each batch, in tokens."""
        return tuple(max(self._outputs(batch)) for batch in self.batches)

    @cached_property
    def metrics(self) -> tuple[Fraction, ...]:
        """F_k of each batch."""
        return tuple(f_metric(self.backlog, batch) for batch in self.batches)

    @cached_property
    def remaining(self) -> tuple[int, ...]:
        """R_k for k = 1, ..., K + 1: requests from which batch k was selected; the last is 0."""
        left = [len(self.backlog)]
        for size in self.sizes:
            left.append(left[-1] - size)
        return tuple(left)

    @cached_property
    def price(self) -> Fraction:
        """G: sum over batches of R_k times the mean output."""
        terms = zip(self.remaining, self.output_sums, self.sizes, strict=False)
        return sum((Fraction(left * total, size) for left, total, size in terms), Fraction(0))

    def _outputs(self, batch: Batch) -> list[int]:
        return [self.backlog.requests[i].output_tokens for i in batch]


def phase_two_slack(run: SortedF) -> int:
    """L0: least of (start in separate) - (start in Sorted-F), in steps."""
    pairs = zip(run.separate.starts, run.schedule.starts, strict=True)
    return min(separate - start for separate, start in pairs)


def longest_output_slack(run: SortedF) -> Fraction:
    """L1: least of (2 - 1/n_k) mean output - longest output, in tokens."""
    batches = zip(run.sizes, run.output_sums, run.longest, strict=True)
    return min(Fraction((2 * n - 1) * total, n * n) - longest for n, total, longest in batches)


def ascending_metric_slack(run: SortedF) -> Fraction:
    """L2: least step from F_k to F_{k+1}; zero for a single batch."""
    steps = (after - before for before, after in pairwise(run.metrics))
    return min(steps, default=Fraction(0))


def separate_latency_slack(run: SortedF) -> Fraction:
    """L3: 2 G - sum of outputs - TEL(separate), in steps, for TEL(separate) in closed form.

    The closed form is compared with the schedule: ArithmeticError if they differ.
    """
    closed = sum(
        left * longest + total
        for left, longest, total in zip(
            run.remaining[1:], run.longest, run.output_sums, strict=True
        )
    )
    if closed != total_latency(run.backlog, run.separate):
        raise ArithmeticError(f"TEL(separate) is not its closed form {closed}")
    return 2 * run.price - sum(run.output_sums) - closed


def ascending_blocks_constant(backlog: Backlog) -> Fraction:
    """The c of L4 by blocks of ascending output: 6, or 2 + 2 M / (M - P + 1) if that is less."""
    memory, peak = backlog.memory, backlog.largest_peak
    return min(Fraction(6), 2 + Fraction(2 * memory, memory - peak + 1))


def completion_constant(backlog: Backlog) -> Fraction:
    """The c of L4 by blocks of descending output: 5, or 1 + 2 M / (M - P + 1) if that is less."""
    memory, peak = backlog.memory, backlog.largest_peak
    return min(Fraction(5), 1 + Fraction(2 * memory, memory - peak + 1))


def completions_slack(run: SortedF, schedule: Schedule, constant: Fraction | int) -> Fraction:
    """L4 on a feasible ``schedule``: least of c tau / F_k - (completions by tau), over k and tau.

    It is enough to look at the completion times, where the count jumps.
    """
    ends = completions(run.backlog, schedule)
    slack: list[Fraction] = []
    present = set(range(len(run.backlog)))
    for batch, metric in zip(run.batches, run.metrics, strict=True):
        in_time = sorted(ends[i] for i in present)
        slack += [
            constant * run.excess * time / metric - count for count, time in enumerate(in_time, 1)
        ]
        present -= set(batch)
    return min(slack)


def price_slack(run: SortedF, optimum: int, constant: Fraction | int) -> Fraction:
    """L5: 4 c OPT - G, in steps."""
    return 4 * constant * run.excess * optimum - run.price


def ratio_slack(run: SortedF, optimum: int, bound: Fraction | int) -> Fraction:
    """The theorem: bound * OPT - TEL(Sorted-F), in steps."""
    return bound * run.excess * optimum - run.latency


def descending_blocks(backlog: Backlog, members: Sequence[int]) -> list[list[int]]:
    """Members with peak at most M/2, by descending output, cut into blocks of peak sum <= M."""
    small = [i for i in members if 2 * backlog.requests[i].peak <= backlog.memory]
    blocks: list[list[int]] = []
    held = backlog.memory + 1
    for i in sorted(small, key=lambda i: (-backlog.requests[i].output_tokens, i)):
        held += backlog.requests[i].peak
        if held > backlog.memory:
            blocks.append([])
            held = backlog.requests[i].peak
        blocks[-1].append(i)
    return blocks


def blocks_slack(run: SortedF, schedule: Schedule) -> Fraction:
    """The middle of L4's proof, tau + (2/M) sum of o_i (s_i + o_i) - F_k |Y|, least over k, tau.

    Also checks what the proof says of the blocks: each is within the memory, all but the last hold
    at least M/2, and outputs descend from block to block; ArithmeticError if not.
    """
    backlog = run.backlog
    ends = completions(backlog, schedule)
    least: list[Fraction] = []
    present = set(range(len(backlog)))
    for batch, metric in zip(run.batches, run.metrics, strict=True):
        for time in {ends[i] for i in present}:
            done = [i for i in present if ends[i] <= time]
            _require_descending_blocks(backlog, descending_blocks(backlog, done))
            weight = sum(backlog.requests[i].peak * backlog.requests[i].output_tokens for i in done)
            middle = time + Fraction(2 * weight, backlog.memory)
            least.append(middle * run.excess - metric * len(done))
        present -= set(batch)
    return min(least)


def _require_descending_blocks(backlog: Backlog, blocks: list[list[int]]) -> None:
    held = [sum(backlog.requests[i].peak for i in block) for block in blocks]
    outputs = [[backlog.requests[i].output_tokens for i in block] for block in blocks]
    if any(peaks > backlog.memory for peaks in held):
        raise ArithmeticError("a block exceeds the memory")
    if any(2 * peaks < backlog.memory for peaks in held[:-1]):
        raise ArithmeticError("a closed block holds less than half the memory")
    if any(max(after) > min(before) for before, after in pairwise(outputs)):
        raise ArithmeticError("outputs do not descend from block to block")
