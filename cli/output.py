"""How results are printed: tables for people, JSON objects for programs."""

from __future__ import annotations

import dataclasses
import json as json_module
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ..theory import RequestClass
from ..theory.claims import Claim
from ..theory.steady_state import OCCUPANCIES

if TYPE_CHECKING:  # importing these at run time would make every verb wait for the solvers
    from ..fluid import Plan
    from ..fluid.backlog.bounded_schedule import BoundedSchedule
    from ..fluid.backlog.rules import RuleEntry
    from ..fluid.penalised import PenalisedPlan
    from ..proofs_checks import Evidence, Ledger
    from ..stochastic import ArrivalStatistics, Estimate, Interval

_MOST_ROWS = 24
_ROWS_AT_EITHER_END = 10
"""A longer schedule is printed without its middle."""

_COLOURS = {"holds": "green", "refuted": "red", "inconclusive": "yellow"}


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object; numbers that JSON lacks are an error, never NaN."""
    print(json_module.dumps(content, ensure_ascii=False, allow_nan=False))


def print_claims(claims: Sequence[Claim], *, json: bool) -> None:
    """The registry."""
    if json:
        print_json({"claims": [dataclasses.asdict(claim) for claim in claims]})
        return
    table = _table("claim", "relation", "statement", "source", "control")
    table.columns[0].no_wrap = True  # what the user types must not be broken
    for claim in claims:
        table.add_row(claim.claim_id, claim.relation, claim.statement, claim.source, claim.control)
    _console().print(table)


def print_ledger(ledger: Ledger) -> None:
    """Per claim: source, relation, outcome, grades, seconds; then its evidence and controls."""
    console = _console()
    for verdict in ledger.verdicts:
        claim = verdict.claim
        colour = _COLOURS[verdict.outcome]
        console.print(
            f"\n[bold]{claim.claim_id}[/] [bold {colour}]{verdict.outcome}[/]: "
            f"{' + '.join(verdict.grades)}; relation {claim.relation}; {claim.source}; "
            f"{verdict.seconds:.1f} s\n{claim.statement}",
            highlight=False,
        )
        table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
        for column in ("evidence", "grade", "outcome", "claimed", "computed", "slack"):
            table.add_column(column, ratio=3 if column == "evidence" else None)
        for piece in verdict.findings.evidence:
            table.add_row(*_evidence_row(piece.name, piece))
        for name, evidence in verdict.findings.controls.items():
            unrefuted = name in verdict.unrefuted_controls
            # A piece that was not refuted, if any; the HTML and JSON ledgers hold them all.
            piece = next((e for e in evidence if e.outcome != "refuted"), evidence[0])
            row = _evidence_row(f"[italic]control: {name}[/]", piece)
            state = "[bold red]NOT REFUTED[/]" if unrefuted else "[green]refuted[/]"
            table.add_row(*row[:2], state, *row[3:])
        console.print(table)
    console.print(
        "[green]Every claim holds and every control was refuted.[/]"
        if ledger.passed
        else "[bold red]NOT PASSED: a claim does not hold or a control was not refuted.[/]"
    )


def write_ledger(ledger: Ledger, json: Path | None, html: Path | None) -> None:
    """Write the ledger where asked, each file whole."""
    from ..proofs_checks import write_whole

    if json is not None:
        write_whole(json, ledger.as_json())
    if html is not None:
        write_whole(html, ledger.as_html())


def print_plan(plan: Plan, *, json: bool) -> None:
    """Value, SLIs, occupancies per class, shadow prices."""
    if json:
        print_json(_plan_fields(plan) | {"certified": True})
        return
    _console().print(
        f"value {float(plan.value):.6f} per GPU-second ({plan.pricing} pricing), certified "
        f"exactly; mixed share {float(plan.mixed_share):.6f}",
        highlight=False,
    )
    _print_occupancies(plan)


def print_penalised_plan(plan: PenalisedPlan, *, json: bool) -> None:
    """Value, revenue and the certified gap; SLIs, occupancies per class, shadow prices."""
    if json:
        fields = {
            "certified": plan.certified,
            "gap": float(plan.gap),
            "revenue": float(plan.revenue),
            "penalties": {penalty.name: penalty.weight for penalty in plan.penalties},
        }
        print_json(_plan_fields(plan) | fields)
        return
    console = _console()
    certified = "certified exactly"
    if plan.gap > 0:
        certified = f"certified to be within {float(plan.gap):.1e} of the optimum"
    console.print(
        f"value {float(plan.value):.6f} per GPU-second ({plan.pricing} pricing), {certified}; "
        f"revenue {float(plan.revenue):.6f}; mixed share {float(plan.mixed_share):.6f}",
        highlight=False,
    )
    for penalty in plan.penalties:
        console.print(f"penalty: {penalty.weight:g} per unit of {penalty.name}", highlight=False)
    _print_occupancies(plan)


def _print_occupancies(plan: Plan | PenalisedPlan) -> None:
    console = _console()
    for sli in plan.slis:
        console.print(f"SLI: {sli.name} with limit {sli.limit:g}", highlight=False)
    table = _table("class", *(name.replace("_", " ") for name in OCCUPANCIES))
    for i, name in enumerate(plan.network.class_names):
        table.add_row(name, *(f"{float(getattr(plan, block)[i]):.6f}" for block in OCCUPANCIES))
    console.print(table)
    console.print("shadow prices (revenue per GPU-second and unit of the constraint)")
    for constraint, price in plan.shadow_prices.items():
        console.print(f"  {constraint}: {float(price):.6f}", highlight=False, markup=False)


def _plan_fields(plan: Plan | PenalisedPlan) -> dict[str, Any]:
    return {
        "value": float(plan.value),
        "value_exact": str(plan.value),
        "pricing": plan.pricing,
        "slis": {sli.name: sli.limit for sli in plan.slis},
        "mixed_share": float(plan.mixed_share),
        "classes": [
            {"name": name, **{block: float(getattr(plan, block)[i]) for block in OCCUPANCIES}}
            for i, name in enumerate(plan.network.class_names)
        ],
        "shadow_prices": {name: float(price) for name, price in plan.shadow_prices.items()},
    }


def print_estimate(estimate: Estimate, plan: Plan, *, json: bool) -> None:
    """Revenue, occupancies, queues and event rates, with intervals."""
    if json:
        print_json(_estimate_fields(estimate, plan))
        return
    console = _console()
    revenue, value = _revenue(estimate, plan), float(plan.value)
    console.print(
        f"{estimate.policy}, {estimate.gpus:,} GPUs: revenue {_interval_text(revenue)} per "
        f"GPU-second, {revenue.mean / value:.2%} of the plan's {value:.3f} ({plan.pricing} "
        "pricing)",
        highlight=False,
    )
    table = _table("per GPU", *estimate.class_names)
    for name, intervals in {**estimate.occupancies, **estimate.event_rates}.items():
        label = name.replace("_", " ") + ("" if name in estimate.occupancies else " /s")
        table.add_row(label, *(_interval_text(interval) for interval in intervals))
    console.print(table)
    console.print(
        f"mean ± standard error [{estimate.level:.0%} interval]; {estimate.replications} "
        f"replications, {estimate.events:,} events in {estimate.seconds:.1f} s",
        highlight=False,
    )


def _revenue(estimate: Estimate, plan: Plan) -> Interval:
    """The revenue that the plan's pricing pays."""
    separate = plan.pricing == "separate"
    return estimate.separate_revenue_rate if separate else estimate.revenue_rate


def _estimate_fields(estimate: Estimate, plan: Plan) -> dict[str, Any]:
    names = estimate.class_names
    return {
        "policy": estimate.policy,
        "gpus": estimate.gpus,
        "horizon": estimate.horizon,
        "warmup": estimate.warmup,
        "replications": estimate.replications,
        "seed": estimate.seed,
        "level": estimate.level,
        "pricing": plan.pricing,
        "plan_value": float(plan.value),
        "revenue_rate": _interval_fields(_revenue(estimate, plan)),
        "classes": [
            {
                "name": name,
                **{
                    block: _interval_fields(intervals[i])
                    for block, intervals in estimate.occupancies.items()
                },
                "event_rates": {
                    kind: _interval_fields(intervals[i])
                    for kind, intervals in estimate.event_rates.items()
                },
            }
            for i, name in enumerate(names)
        ],
        "events": estimate.events,
        "seconds": estimate.seconds,
    }


def print_workload(
    classes: Iterable[RequestClass], arrivals: ArrivalStatistics, *, json: bool
) -> None:
    """Request classes as TOML that a network file takes as it is, or as JSON."""
    from ..stochastic import classes_to_toml

    found = tuple(classes)
    if json:
        print_json(
            {
                "classes": [dataclasses.asdict(each) for each in found],
                # A dispersion that a short trace cannot show is NaN, for which JSON has null.
                "arrivals": {
                    key: None if value != value else value
                    for key, value in dataclasses.asdict(arrivals).items()
                },
            }
        )
        return
    print(
        f"# {arrivals.requests:,} requests in {arrivals.duration_seconds:,.0f} s: "
        f"{arrivals.rate:.4g} per second; squared coefficient of variation of the times between "
        f"arrivals {arrivals.interarrival_scv:.3g} (Poisson: 1)"
    )
    print(classes_to_toml(found), end="")


def print_rules(rules: Iterable[RuleEntry]) -> None:
    """Every scheduling rule with its description."""
    table = _table("rule", "description")
    for rule in rules:
        table.add_row(rule.name, rule.description)
    _console().print(table)


def print_schedule(found: BoundedSchedule, *, json: bool) -> None:
    """Starts and completions in the order of the file, total latency, lower bound and ratio."""
    if json:
        print_json(_schedule_fields(found))
        return
    console = _console()
    table = _table("request", "prompt tokens", "output tokens", "start", "completion")
    for column in table.columns:
        column.justify = "right"
    count = len(found.backlog)
    left_out = range(0)
    if count > _MOST_ROWS:
        left_out = range(_ROWS_AT_EITHER_END, count - _ROWS_AT_EITHER_END)
    for i, request in enumerate(found.backlog.requests):
        if i in left_out:
            if i == left_out.start:
                table.add_row(*["⋮"] * len(table.columns))
            continue
        numbers = (request.prompt_tokens, request.output_tokens)
        ends = (found.schedule.starts[i], found.completions[i])
        table.add_row(*(f"{number:,}" for number in (i + 1, *numbers, *ends)))
    console.print(table)
    if left_out:
        console.print(f"{len(left_out):,} rows left out; --json prints all", highlight=False)
    console.print(
        f"{found.rule_name}, {count:,} request{'s' if count > 1 else ''}, "
        f"memory {found.backlog.memory:,} tokens: "
        f"total latency {found.total_latency:,} steps, "
        f"mean {found.total_latency / count:,.2f}",
        highlight=False,
    )
    # Rounded up, so that it stays an upper bound.
    ratio = math.ceil(found.ratio * 10**4) / 10**4
    certified = f"at most {ratio:.4f} times the optimum"
    if found.is_optimal:
        certified = "optimal"
    console.print(
        f"lower bound {found.lower_bound:,} ({found.method}): the latency is {certified}",
        highlight=False,
    )
    if found.nodes is not None:
        ended = "" if found.is_optimal else "stopped before it proved an optimum; "
        console.print(
            f"search: {ended}{found.nodes:,} node{'s' if found.nodes != 1 else ''}", highlight=False
        )


def _schedule_fields(found: BoundedSchedule) -> dict[str, Any]:
    fields = {
        "rule": found.rule_name,
        "memory": found.backlog.memory,
        "requests": len(found.backlog),
        "starts": list(found.schedule.starts),
        "completions": list(found.completions),
        "total_latency": found.total_latency,
        "lower_bound": found.lower_bound,
        "lower_bound_method": found.method,
        "ratio": float(found.ratio),
        "ratio_exact": str(found.ratio),
    }
    if found.nodes is not None:
        fields |= {"nodes": found.nodes, "optimal": found.is_optimal}
    return fields


def _evidence_row(name: str, piece: Evidence) -> tuple[str, ...]:
    outcome = f"[{_COLOURS[piece.outcome]}]{piece.outcome}[/]"
    from ..proofs_checks import slack_text

    # Square brackets are intervals here, not markup.
    computed = piece.computed.replace("[", "\\[")
    return name, piece.grade, outcome, piece.claimed, computed, slack_text(piece.slack)


def _interval_fields(interval: Interval) -> dict[str, Any]:
    return {
        "mean": interval.mean,
        "standard_error": interval.standard_error,
        "ci": list(interval.ci),
    }


def _interval_text(interval: Interval) -> str:
    low, high = interval.ci
    return f"{interval.mean:.5g} ± {interval.standard_error:.2g} \\[{low:.5g}, {high:.5g}]"


def _table(*columns: str) -> Table:
    table = Table(header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _console() -> Console:
    """Standard output; at least 120 columns where it is no terminal, so that tables can be read."""
    console = Console()
    return console if console.is_terminal else Console(width=max(120, console.width))
