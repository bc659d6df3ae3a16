"""The ratio hunt: renews the database of records.

    python -m kurtz.proofs_checks.backlog.ratio_hunt [stage ...]

runs the named stages, or all, and replaces their records in the file; it takes some minutes on
one core. The same file comes out every time.

* ``exhaustive``: for every rule, number of requests and memory of `ratio_exhaustion.MOST_MEMORY`,
  a backlog of largest ratio.
* ``annealing``: for every rule and number of requests the largest ratio that `ratio_annealing`
  meets. Half of the chains start from the find with one request less, each with a request
  repeated, and from blocking families scaled down.
* ``integer program``: from the worst of the exhausted backlogs on, prompts and memories that
  `ratio_program` chooses for outputs and batches close by.
* ``family``: members of the families that bound Sorted-F's ratio from below.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path

from ...theory.backlog import Backlog
from ...theory.backlog.blocking_family import BlockingFamily
from ...theory.errors import InvalidInput
from ..ledger import write_whole
from .ratio_annealing import Annealing
from .ratio_exhaustion import MOST_MEMORY, largest_ratio
from .ratio_members import small_members
from .ratio_program import improved_backlogs
from .ratio_records import (
    EXHAUSTIVE,
    FILE,
    HUNTED_RULES,
    Record,
    file_text,
    largest,
    parse,
)

Progress = Callable[[str], None]
Stage = Callable[[Sequence[Record], Progress], Iterator[Record]]

SEED = 20250813
ANNEALED = {4: (24, 600), 5: (24, 600), 6: (24, 500), 7: (24, 300), 8: (24, 200)}
"""Largest memory and generations by number of requests."""

MOST_PROGRAMMED = 6
"""Requests up to which integer programs are solved in seconds."""


def exhaustive_records(_: Sequence[Record], progress: Progress) -> Iterator[Record]:
    """A worst backlog of every size."""
    for rule, most_memory in MOST_MEMORY.items():
        for requests, last in most_memory.items():
            for memory in range(2, last + 1):
                found = largest_ratio(rule, requests, memory)
                progress(
                    f"{rule}, n = {requests}, M = {memory}: {found.ratio}, "
                    f"{found.backlogs:,} backlogs, {found.solved:,} solved"
                )
                yield Record.of(rule, found.backlog, EXHAUSTIVE)


def annealed_records(_: Sequence[Record], progress: Progress) -> Iterator[Record]:
    """The worst backlog met by annealing, for every rule and number of requests."""
    for rule in HUNTED_RULES:
        before: Backlog | None = None
        for requests, (most_memory, generations) in ANNEALED.items():
            annealing = Annealing(rule, requests, most_memory, generations, SEED)
            before = annealing.search(list(beginnings(before, requests, most_memory)))
            record = Record.of(rule, before, annealing.found_by)
            progress(f"{rule}, n = {requests}: {float(record.ratio):.4f} {record.pairs}")
            yield record


def beginnings(before: Backlog | None, requests: int, most_memory: int) -> Iterator[Backlog]:
    """Backlogs from which chains start: one request more than ``before``, and blocking families."""
    if before is not None:
        for request in before.requests:
            yield Backlog((*before.requests, request), before.memory)
    for unit in (2, 3):
        if requests > 6:
            yield scaled_down(BlockingFamily(1, requests - 6, unit).backlog, most_memory)


def scaled_down(backlog: Backlog, memory: int) -> Backlog:
    """The same shares of a smaller ``memory``, with outputs as they are where there is room."""
    pairs = []
    for request in backlog.requests:
        peak = max(1, request.peak * memory // backlog.memory)
        output = min(request.output_tokens, max(1, memory // 2))
        pairs.append((max(0, peak - output), output))
    return Backlog.of(pairs, memory)


def programmed_records(known: Sequence[Record], progress: Progress) -> Iterator[Record]:
    """The last of the better and better backlogs to which integer programs lead."""
    exhausted = [record for record in known if record.found_by == EXHAUSTIVE]
    for requests, record in largest(exhausted, "sorted-f").items():
        if requests > MOST_PROGRAMMED:
            break
        best = record
        for backlog, found_by in improved_backlogs(record, SEED):
            best = Record.of("sorted-f", backlog, found_by)
            progress(f"n = {requests}: {float(best.ratio):.4f} {best.pairs}")
        if best is not record:
            yield best


def family_records(_: Sequence[Record], progress: Progress) -> Iterator[Record]:
    """Small members of the families, against their reference schedules."""
    for member in small_members():
        for rule in member.rules:
            record = Record.of(rule, member.backlog, f"family: {member.name}", member.reference)
            progress(f"{rule}, {member.name}: {float(record.ratio):.4f}")
            yield record


STAGES: dict[str, Stage] = {
    EXHAUSTIVE: exhaustive_records,
    "annealing": annealed_records,
    "integer program": programmed_records,
    "family": family_records,
}


def hunt(stages: Sequence[str], path: Path, progress: Progress) -> None:
    """Renew the records of ``stages`` in the file at ``path``; written after every record."""
    for stage in stages:
        if stage not in STAGES:
            raise InvalidInput("stage", stage, f"one of {', '.join(STAGES)}")
    known = list(parse(path.read_text(encoding="utf-8"))) if path.exists() else []
    for stage in stages:
        known = [record for record in known if not record.found_by.startswith(stage)]
        for record in STAGES[stage](tuple(known), progress):
            known.append(record)
            write_whole(path, file_text(known))


if __name__ == "__main__":
    hunt(
        sys.argv[1:] or list(STAGES),
        Path(str(files(__package__).joinpath(FILE))),
        partial(print, flush=True),
    )
