"""The database of ratio records: backlogs on which a rule loses much, each with its certificate.

A record names a rule, a backlog and a *reference*, a schedule to compare with. The rule loses at
least its latency over the reference's, and exactly that where the reference is optimal. Nothing in
the file is trusted: `confirm` runs the rule again, validates the reference step by step, and solves
the backlog again where optimality is said.

`ratio_hunt` writes the file: JSON, one record per line, sorted, so that a renewal shows as a short
difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files

from ...fluid.backlog import RULES, optimum, schedule
from ...theory.backlog import Backlog, InvalidSchedule, Schedule, total_latency
from ...theory.errors import InvalidInput

VERSION = 1
FILE = "ratio_records.json"

EXHAUSTIVE = "exhaustive"
"""Found by looking at every backlog with so many requests under so much memory."""

HUNTED_RULES = (
    "sorted-f",
    "sorted-f-common-start",
    "smallest-volume",
    "shortest-output",
    "shortest-total",
    "fcfs",
)


class UnconfirmedRecord(ValueError):
    """A record that does not say what its backlog shows."""


@dataclass(frozen=True)
class Record:
    """A backlog on which ``rule`` loses much.

    Attributes
    ----------
    rule
        One of `HUNTED_RULES`.
    pairs
        (prompt_tokens, output_tokens) in the order of arrival.
    memory
        The KV budget in tokens.
    latency
        Total latency of the rule, in steps.
    reference
        Start times of the reference schedule.
    reference_latency
        Its total latency, in steps.
    optimal
        Whether the reference is proved optimal.
    found_by
        How the backlog was found.
    """

    rule: str
    pairs: tuple[tuple[int, int], ...]
    memory: int
    latency: int
    reference: tuple[int, ...]
    reference_latency: int
    optimal: bool
    found_by: str

    def __post_init__(self) -> None:
        if self.rule not in HUNTED_RULES:
            raise InvalidInput("rule", self.rule, f"one of {', '.join(HUNTED_RULES)}")

    @classmethod
    def of(
        cls, rule: str, backlog: Backlog, found_by: str, reference: Schedule | None = None
    ) -> Record:
        """What ``rule`` loses against ``reference``, or against the exact optimum."""
        compared = reference
        if compared is None:
            best = optimum(backlog)
            if not best.is_optimal:
                raise ArithmeticError(f"no exact optimum of {backlog}")
            compared = best.schedule
        return cls(
            rule=rule,
            pairs=tuple((r.prompt_tokens, r.output_tokens) for r in backlog.requests),
            memory=backlog.memory,
            latency=total_latency(backlog, schedule(backlog, rule)),
            reference=compared.starts,
            reference_latency=total_latency(backlog, compared),
            optimal=reference is None,
            found_by=found_by,
        )

    @property
    def backlog(self) -> Backlog:
        """The backlog; raises `InvalidInput` if it is none."""
        return Backlog.of(self.pairs, self.memory)

    @property
    def ratio(self) -> Fraction:
        """The rule's latency over the reference's: the rule loses at least this."""
        return Fraction(self.latency, self.reference_latency)


def confirm(record: Record) -> None:
    """Raise `UnconfirmedRecord` unless the rule, the reference and the optimum are as recorded."""
    backlog = record.backlog
    latency = total_latency(backlog, schedule(backlog, record.rule))
    if latency != record.latency:
        raise UnconfirmedRecord(
            f"latency = {record.latency}, but {RULES[record.rule].name} takes {latency}"
        )
    try:
        reference_latency = total_latency(backlog, Schedule(record.reference))
    except (InvalidSchedule, InvalidInput) as error:
        raise UnconfirmedRecord(f"the reference is infeasible: {error}") from None
    if reference_latency != record.reference_latency:
        raise UnconfirmedRecord(
            f"reference_latency = {record.reference_latency}, but it is {reference_latency}"
        )
    if record.optimal:
        best = optimum(backlog)
        if not best.is_optimal or best.latency != record.reference_latency:
            raise UnconfirmedRecord(
                f"optimal = True, but the optimum is {best.latency}, not {record.reference_latency}"
            )


@cache
def records() -> tuple[Record, ...]:
    """All records of the file, by rule, number of requests, memory and ratio."""
    return parse(files(__package__).joinpath(FILE).read_text(encoding="utf-8"))


def largest(found: Iterable[Record], rule: str) -> dict[int, Record]:
    """The largest ratio of ``rule`` by number of requests, ascending; of equals the first."""
    best: dict[int, Record] = {}
    for record in found:
        if record.rule == rule:
            known = best.get(len(record.pairs))
            if known is None or record.ratio > known.ratio:
                best[len(record.pairs)] = record
    return dict(sorted(best.items()))


def parse(text: str) -> tuple[Record, ...]:
    """The records in the ``text`` of a file.

    Raises
    ------
    InvalidInput
        A file of another version.
    """
    content = json.loads(text)
    if content["version"] != VERSION:
        raise InvalidInput("version", content["version"], f"{VERSION}")
    return tuple(
        Record(
            **fields
            | {
                "pairs": tuple((prompt, output) for prompt, output in fields["pairs"]),
                "reference": tuple(fields["reference"]),
            }
        )
        for fields in content["records"]
    )


def file_text(found: Iterable[Record]) -> str:
    """The file that holds the records ``found``, without repetitions."""
    lines = ",\n".join(
        json.dumps(asdict(record), separators=(",", ":")) for record in sorted(set(found), key=_key)
    )
    return f'{{"version":{VERSION},"records":[\n{lines}\n]}}\n'


def _key(record: Record) -> tuple[object, ...]:
    return (
        HUNTED_RULES.index(record.rule),
        len(record.pairs),
        record.memory,
        record.found_by,
        record.pairs,
        record.reference,
    )
