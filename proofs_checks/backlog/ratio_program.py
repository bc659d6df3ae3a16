r"""Integer programs for the hunt: the prompts, the memory and a reference schedule, all at once.

Fix the outputs and what Sorted-F (peak sum) does: its batches :math:`X_1, X_2, \dots` and start
times :math:`p_i`, and with them TEL(Sorted-F). Then everything that makes Sorted-F do so is linear
in the prompts :math:`s_i` and the memory M, all integer variables:

1. *Phase one.* :math:`\sum_{X_k} (s_i + o_i) \le M`, and :math:`\sum_Y (s_i + o_i) \ge M + 1` for
   every set Y of the requests left that would be preferred to :math:`X_k`.
2. *Phase two.* In the last step of every request the memory holds at most M. For every time at
   which the head of the order waits, a *witness*: a step in which the head, started then, and
   those that run would hold more than M. Which step that is is fixed as well.
3. *Reference schedule.* :math:`x_{i,t} = 1` if request i starts at time t there;
   :math:`w_{i,t} \ge s_i - C (1 - a_{i,t})` is the prompt that i holds in step t, where
   :math:`a_{i,t}` is 1 if i is active then and C is the largest memory allowed; with what has been
   decoded the memory of every step is at most M.

The program minimises TEL(reference), which must be low enough to beat the largest ratio known. The
search around it changes an output or a prompt, lets Sorted-F run, and solves the program for what
Sorted-F did. HiGHS works in floating point: a find becomes a record only through
`ratio_records.Record.of`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from ...fluid.backlog import sorted_f_batches_fast
from ...theory.backlog import (
    Backlog,
    Schedule,
    batch_order,
    f_metric,
    list_schedule,
    total_latency,
)
from ...theory.backlog.batches import Batch
from ...theory.errors import InvalidInput
from .ratio_records import Record

MOST_MEMORY = 40
TRIALS = 40
NODE_LIMIT = 400


def improved_backlogs(record: Record, seed: int) -> Iterator[tuple[Backlog, str]]:
    """Backlogs near ``record`` on which Sorted-F loses more and more, and how they were found."""
    generator = random.Random(seed)
    best, ratio = record.backlog, record.ratio
    for trial in range(TRIALS):
        start = best if trial == 0 else _changed(best, generator)
        found = best_prompts(start, ratio)
        if found is not None:
            best = found
            ratio = Record.of("sorted-f", best, "").ratio
            yield best, f"integer program, M <= {MOST_MEMORY}, seed {seed}"


def best_prompts(
    backlog: Backlog, to_beat: Fraction, most_memory: int = MOST_MEMORY
) -> Backlog | None:
    """Prompts and memory with which Sorted-F does the same and the optimum is least.

    None if no ratio above ``to_beat`` was found.

    Raises
    ------
    InvalidInput
        A backlog with a memory above ``most_memory``.
    """
    if backlog.memory > most_memory:
        raise InvalidInput("memory", backlog.memory, f"at most {most_memory} tokens")
    batches = sorted_f_batches_fast(backlog, "peak-sum")
    order = batch_order(backlog, batches)
    schedule = list_schedule(backlog, order)
    latency = total_latency(backlog, schedule)
    # The largest integer strictly below latency / to_beat.
    below = -(-latency * to_beat.denominator // to_beat.numerator) - 1
    outputs = [request.output_tokens for request in backlog.requests]
    if below < sum(outputs):
        return None
    program = _Program(outputs, most_memory, below)
    _add_phase_one(program, backlog, batches)
    _add_phase_two(program, backlog, order, schedule)
    _add_reference(program)
    solution = program.solve()
    if solution is None:
        return None
    prompts, memory = solution
    found = Backlog.of(zip(prompts, outputs, strict=True), memory)
    return found if Record.of("sorted-f", found, "").ratio > to_beat else None


@dataclass
class _Program:
    """Columns: prompts, memory, starts x of the reference, prompts w held in its steps."""

    outputs: list[int]
    most_memory: int
    most_latency: int
    rows: list[dict[int, float]] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return len(self.outputs)

    @property
    def memory(self) -> int:
        """Column of the memory."""
        return self.requests

    @property
    def starts(self) -> int:
        """Number of start times: a later one leaves too little latency for the others."""
        return self.most_latency - sum(self.outputs) + 1

    @property
    def steps(self) -> int:
        return self.starts - 1 + max(self.outputs)

    def start(self, i: int, time: int) -> int:
        return self.requests + 1 + i * self.starts + time

    def held(self, i: int, step: int) -> int:
        return self.requests + 1 + self.requests * self.starts + i * self.steps + step - 1

    @property
    def columns(self) -> int:
        return self.held(self.requests, 1)

    def active(self, i: int, step: int) -> range:
        """Start times with which request i is active in ``step``."""
        return range(max(0, step - self.outputs[i]), min(step, self.starts))

    def add(self, row: dict[int, float], lower: float, upper: float) -> None:
        self.rows.append(row)
        self.lower.append(lower)
        self.upper.append(upper)

    def fits(self, members: dict[int, int]) -> None:
        """Requests with so many tokens decoded hold at most the memory together."""
        row = dict.fromkeys(members, 1.0) | {self.memory: -1.0}
        self.add(row, -np.inf, -sum(members.values()))

    def exceeds(self, members: dict[int, int]) -> None:
        """Requests with so many tokens decoded hold more than the memory together."""
        row = dict.fromkeys(members, 1.0) | {self.memory: -1.0}
        self.add(row, 1 - sum(members.values()), np.inf)

    def solve(self) -> tuple[list[int], int] | None:
        """Prompts and memory of the best solution found."""
        first_held = self.held(0, 1)
        cost = np.zeros(self.columns)
        for i in range(self.requests):
            cost[self.start(i, 0) : self.start(i, self.starts)] = np.arange(self.starts)
        upper = np.full(self.columns, float(self.most_memory))
        upper[self.start(0, 0) : first_held] = 1
        places = [(r, column) for r, row in enumerate(self.rows) for column in row]
        values = [value for row in self.rows for value in row.values()]
        matrix = coo_array((values, tuple(zip(*places, strict=True))), (len(self.rows), len(cost)))
        found = milp(
            cost,
            integrality=(np.arange(self.columns) < first_held).astype(int),
            bounds=Bounds(0, upper),
            constraints=LinearConstraint(matrix, self.lower, self.upper),
            options={"node_limit": NODE_LIMIT},
        )
        if found.x is None:
            return None
        numbers = [round(value) for value in found.x[: self.requests + 1]]
        return numbers[:-1], numbers[-1]


def _add_phase_one(program: _Program, backlog: Backlog, batches: tuple[Batch, ...]) -> None:
    outputs = program.outputs
    for i, output in enumerate(outputs):
        program.fits({i: output})
    left = list(range(len(outputs)))
    for batch in batches:
        program.fits({i: outputs[i] for i in batch})
        chosen = (f_metric(backlog, batch), -len(batch), batch)
        for size in range(1, len(left) + 1):
            for other in combinations(left, size):
                if (f_metric(backlog, other), -size, other) < chosen:
                    program.exceeds({i: outputs[i] for i in other})
        left = [i for i in left if i not in batch]


def _add_phase_two(
    program: _Program, backlog: Backlog, order: tuple[int, ...], schedule: Schedule
) -> None:
    outputs, starts = program.outputs, schedule.starts

    def decoded(step: int, members: list[int]) -> dict[int, int]:
        return {i: step - starts[i] for i in members if starts[i] < step <= starts[i] + outputs[i]}

    for i in order:
        program.fits(decoded(starts[i] + outputs[i], list(order)))
    for place, head in enumerate(order):
        before = list(order[:place])
        for time in range(starts[before[-1]] if before else 0, starts[head]):
            beside = {
                step: decoded(step, before) | {head: step - time}
                for step in range(time + 1, time + outputs[head] + 1)
            }
            witness = max(beside, key=lambda step: _held(backlog, beside[step]))
            program.exceeds(beside[witness])


def _add_reference(program: _Program) -> None:
    largest = program.most_memory
    for i in range(program.requests):
        times = range(program.starts)
        program.add(dict.fromkeys((program.start(i, time) for time in times), 1.0), 1, 1)
        for step in range(1, program.steps + 1):
            active = {program.start(i, time): -float(largest) for time in program.active(i, step)}
            program.add({program.held(i, step): 1.0, i: -1.0} | active, -largest, np.inf)
    for step in range(1, program.steps + 1):
        row = {program.memory: -1.0}
        for i in range(program.requests):
            row[program.held(i, step)] = 1.0
            row |= {program.start(i, t): float(step - t) for t in program.active(i, step)}
        program.add(row, -np.inf, 0)
    row = {
        program.start(i, time): float(time)
        for i in range(program.requests)
        for time in range(1, program.starts)
    }
    program.add(row, -np.inf, program.most_latency - sum(program.outputs))


def _held(backlog: Backlog, decoded: dict[int, int]) -> int:
    return sum(backlog.requests[i].prompt_tokens + tokens for i, tokens in decoded.items())


def _changed(backlog: Backlog, generator: random.Random) -> Backlog:
    """``backlog`` with the lengths of one or two requests changed a little."""
    pairs = [[r.prompt_tokens, r.output_tokens] for r in backlog.requests]
    for _ in range(generator.randint(1, 2)):
        pair = generator.choice(pairs)
        pair[1] = max(1, min(backlog.memory, pair[1] + generator.choice((-1, 1))))
        shifted = pair[0] + generator.choice((-1, 0, 1))
        pair[0] = max(0, min(backlog.memory - pair[1], shifted))
    return Backlog.of([(prompt, output) for prompt, output in pairs], backlog.memory)
