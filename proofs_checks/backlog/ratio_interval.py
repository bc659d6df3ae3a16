"""The interval in which Sorted-F's ratio lies: the best instance found, the best bound proved.

Upper end: the lemma chain of `kurtz.theory.backlog.sorted_f_chain`, 40 for every backlog and
8 (1 + 2 M / (M - P + 1)) for small requests. How low the chain can go: staggered triangles
complete at nearly three times the rate 1/F, so that no c below 3 satisfies L4, and no constant
below 24 comes of it.

Lower end: families whose ratios tend to limits found by SymPy, 3.32 for both definitions of a
feasible batch and 4 for the common start; on members of each family phase one, the closed forms and
both schedules are checked exactly. Besides, the database of `ratio_records`: small backlogs, each
confirmed, the worst of all backlogs up to a stated size among them.

Controls: an upper end of 3/2; a record with one start of its reference moved; a reference that is
not optimal, said to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial

from ...fluid.backlog import schedule, sorted_f_batches_fast
from ...theory.backlog import sorted_f_batches, total_latency
from ...theory.backlog import sorted_f_chain as chain
from ...theory.backlog.sorted_f_chain import DERIVED_CONSTANT, SortedF
from ...theory.claims import Grade
from ...theory.derivations import sorted_f_chain as derivations
from ..derived import derivation_evidence
from ..verdict import Evidence, Findings, Level, Report, outcome_of
from .ratio_exhaustion import MOST_MEMORY, largest_ratio
from .ratio_figures import family_figure, memory_figure, request_figure
from .ratio_members import FAMILIES, KIND_OF_RULE, Member, RatioFamily, small_members
from .ratio_records import (
    EXHAUSTIVE,
    Record,
    UnconfirmedRecord,
    confirm,
    records,
)
from .sorted_f_controls import staggered_triangles

MOST_REQUESTS = {"quick": 24, "full": 200}
"""Members of the families, and records, with at most so many requests are looked at."""

BY_DEFINITION = {"quick": 8, "full": 16}
"""Phase one is selected by definition on members with at most so many requests."""

EXHAUSTED_AGAIN = {
    "quick": {2: 6, 3: 5, 4: 4},
    "full": {2: 16, 3: 12, 4: 9, 5: 7, 6: 6, 7: 5},
}
"""Memory up to which the worst backlogs are found anew, by number of requests."""

WRONG_UPPER_END = Fraction(3, 2)


def check(level: Level, report: Report) -> Findings:
    """Decide sorted-f-ratio-interval."""
    known = [record for record in records() if len(record.pairs) <= MOST_REQUESTS[level]]
    report("algebra of the upper end")
    proofs = tuple(derivation_evidence(step) for step in derivations.chain())
    report("what the chain cannot reach")
    evidence = [*proofs, _least_constant()]
    report("limits of the families")
    limits = [limit_evidence(family) for family in FAMILIES]
    report("members of the families")
    members = [
        member_evidence(member, BY_DEFINITION[level])
        for member in small_members(MOST_REQUESTS[level])
    ]
    report(f"{len(known)} records")
    evidence += [*members, *_confirmed(known)]
    report("every backlog up to the stated sizes")
    evidence += [_exhausted_again(known, rule, level) for rule in MOST_MEMORY]
    evidence += [_below_upper_end(known, rule, DERIVED_CONSTANT) for rule in KIND_OF_RULE]
    return Findings(
        evidence=(*evidence, *limits),
        controls={
            "upper end 3/2": tuple(
                _below_upper_end(known, rule, WRONG_UPPER_END) for rule in KIND_OF_RULE
            ),
            "one start of a reference moved": (_confirms(_with_start_moved(known)),),
            "a reference said to be optimal": (_confirms(_with_rule_as_optimum(known)),),
        },
        figures={
            "Largest ratio by number of requests": partial(request_figure, records()),
            "Largest ratio by memory": partial(memory_figure, records()),
            "Families and their limits": partial(family_figure, FAMILIES),
        },
        data={
            "lower ends": {rule: _lower_end(rule) for rule in KIND_OF_RULE},
            "upper end": DERIVED_CONSTANT,
        },
    )


def limit_evidence(family: RatioFamily) -> Evidence:
    """Whether the limit of the family's ratio is as claimed."""
    found = family.limit()
    return Evidence(
        name=f"{family.name} family: limit of TEL(Sorted-F) / TEL(reference)",
        grade=Grade.PROVED,
        outcome=outcome_of((found - family.claimed).simplify() == 0),
        claimed=f"{family.claimed} = {float(family.claimed):.4f}",
        computed=f"{float(found):.4f}",
        detail=f"SymPy, from the closed forms; a lower end for {' and '.join(family.rules)}",
    )


def member_evidence(member: Member, by_definition: int) -> Evidence:
    """Whether phase one and both latencies are as the family says."""
    backlog = member.backlog
    faults = []
    defined = len(backlog) <= by_definition
    select = sorted_f_batches if defined else sorted_f_batches_fast
    for rule in member.rules:
        if select(backlog, KIND_OF_RULE[rule]) != member.batches:
            faults.append(f"{rule}: other batches")
        if total_latency(backlog, schedule(backlog, rule)) != member.latency:
            faults.append(f"{rule}: another latency")
    reference = total_latency(backlog, member.reference)
    if reference > member.reference_bound:
        faults.append("the reference exceeds its closed form")
    return Evidence(
        name=f"{member.name}: {len(backlog)} requests",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(not faults),
        claimed=f"batches as stated, TEL(Sorted-F) = {member.latency}",
        computed="; ".join(faults) or f"equal; ratio {member.latency / reference:.4f}",
        detail=f"{' and '.join(member.rules)}; phase one "
        f"{'by definition' if defined else 'by the fast selection'}; schedules validated",
    )


def _confirmed(known: Sequence[Record]) -> list[Evidence]:
    evidence = []
    for rule in dict.fromkeys(record.rule for record in known):
        of_rule = [record for record in known if record.rule == rule]
        faults = [fault for record in of_rule if (fault := _fault(record))]
        worst = max(of_rule, key=lambda record: record.ratio)
        evidence.append(
            Evidence(
                name=f"records of {rule}",
                grade=Grade.CERTIFIED,
                outcome=outcome_of(not faults),
                claimed=f"{len(of_rule)} records confirmed",
                computed="; ".join(faults)
                or f"all; largest {float(worst.ratio):.4f}, {len(worst.pairs)} requests",
                detail="rule run again, references validated, optima solved again",
            )
        )
    return evidence


def _fault(record: Record) -> str | None:
    try:
        confirm(record)
    except UnconfirmedRecord as error:
        return str(error)
    return None


def _exhausted_again(known: Iterable[Record], rule: str, level: Level) -> Evidence:
    """Whether the stored worst backlogs of all sizes are the worst."""
    stored = {
        (len(record.pairs), record.memory): record.ratio
        for record in known
        if record.rule == rule and record.found_by == EXHAUSTIVE
    }
    limits = {
        requests: min(last, MOST_MEMORY[rule][requests])
        for requests, last in EXHAUSTED_AGAIN[level].items()
        if requests in MOST_MEMORY[rule]
    }
    backlogs = 0
    unequal = []
    for requests, last in limits.items():
        for memory in range(2, last + 1):
            found = largest_ratio(rule, requests, memory)
            backlogs += found.backlogs
            if stored.get((requests, memory)) != found.ratio:
                unequal.append(f"n = {requests}, M = {memory}: {found.ratio}")
    sizes = ", ".join(f"n = {requests}: M <= {last}" for requests, last in limits.items())
    return Evidence(
        name=f"{rule}: the worst of all backlogs",
        grade=Grade.EXHAUSTED,
        outcome=outcome_of(not unequal),
        claimed="the largest ratio of every size is that of the record",
        computed="; ".join(unequal) or f"equal, {backlogs:,} backlogs",
        detail=f"{sizes}; numbered by output and prompt"
        + (", in all orders of arrival" if rule == "fcfs" else ""),
    )


def _below_upper_end(known: Sequence[Record], rule: str, upper_end: Fraction | int) -> Evidence:
    worst = max((r for r in known if r.rule == rule and r.optimal), key=lambda r: r.ratio)
    return Evidence(
        name=f"TEL({rule}) <= {upper_end} * OPT on every record",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(worst.ratio <= upper_end),
        claimed=f"<= {upper_end}",
        computed=f"{worst.ratio} for (s, o) = {worst.pairs}, M = {worst.memory}",
        slack=float(upper_end - worst.ratio),
        detail=f"exact optima; the families' limits reach {_lower_end(rule):.4f}",
    )


def _lower_end(rule: str) -> float:
    """The largest limit of a family of ``rule``."""
    return max(float(family.claimed) for family in FAMILIES if rule in family.rules)


def _least_constant() -> Evidence:
    """L4 fails with c = 2.9, so the chain's constant 8 c cannot fall below 23.2."""
    constant = Fraction(29, 10)
    backlog, staggered = staggered_triangles(200, 80)
    run = SortedF(backlog, tuple((i,) for i in range(len(backlog))))
    slack = chain.completions_slack(run, staggered, constant)
    return Evidence(
        name="limit of the method: L4 needs a constant c above 2.9",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(slack < 0),
        claimed=f"more than {constant} tau / F completions by some tau",
        computed=f"{float(-slack):.2f} more",
        slack=float(-slack),
        detail="80 staggered triangles, o = 599, M = 1197; with q for 200 the rate tends to 3/F: "
        "8 c >= 24 by this chain, against 40 proved",
    )


def _with_start_moved(known: Sequence[Record]) -> Record:
    """A record whose reference breaks the memory budget: its last start moved to 0."""
    for record in known:
        last = max(range(len(record.pairs)), key=lambda i: record.reference[i])
        moved = tuple(0 if i == last else p for i, p in enumerate(record.reference))
        changed = replace(
            record,
            reference=moved,
            reference_latency=record.reference_latency - record.reference[last],
        )
        if _fault(changed) is not None and "infeasible" in str(_fault(changed)):
            return changed
    raise ArithmeticError("no record whose last start matters")


def _with_rule_as_optimum(known: Sequence[Record]) -> Record:
    """A record that calls the rule's own schedule optimal."""
    worst = max((r for r in known if r.rule == "sorted-f" and r.optimal), key=lambda r: r.ratio)
    own = schedule(worst.backlog, worst.rule)
    return replace(worst, reference=own.starts, reference_latency=worst.latency)


def _confirms(record: Record) -> Evidence:
    fault = _fault(record)
    return Evidence(
        name=f"a changed record of {record.rule}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(fault is None),
        claimed="confirmed",
        computed=fault or "confirmed",
    )
