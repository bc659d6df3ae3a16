"""The ``kurtz`` command.

Every verb reads its input, calls one public function and prints the result: as a table, or with
``--json`` as one JSON object on standard output and nothing else there (progress goes to standard
error). Bad input gives one line and exit status 2; a verification that does not pass, status 1.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from ..theory import InfeasibleError, InvalidInput
from . import output
from .interruption import interruption_between_slices
from .numbers import integer, real
from .progress import progress_bar, scheduling_progress, verification_progress

app = typer.Typer(
    help="Check theorems about LLM inference scheduling by machine.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

NetworkFile = Annotated[Path, typer.Argument(metavar="NETWORK.toml", help="A serving network.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Pricing = Annotated[
    str,
    typer.Option(
        help="How requests pay: bundled (all at decode completion) or separate (by phase)."
    ),
]

Slis = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=LIMIT",
        help="A service-level indicator to impose, with its limit; may be repeated: "
        "prefill-fairness, decode-fairness (requests per GPU), tpot, waiting-time (seconds), "
        "abandonment (share), jain (index).",
    ),
]
DecodeQueueAllowed = Annotated[
    bool,
    typer.Option("--decode-queue-allowed", help="Under an SLI, let requests wait for decode too."),
]


def main() -> None:
    """Run the command; the entry point of the installed script."""
    try:
        status = app(standalone_mode=False)
    except (InvalidInput, InfeasibleError) as error:
        _fail(str(error), 2)
    except typer.TyperException as error:
        # Typer wraps the message of a parser of ours ("Value error, ..."); its own name the option.
        _fail(error.format_message().rpartition("Value error, ")[2], 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted; nothing was written", 130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> None:
    print("kurtz: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(status)


def _print_version(asked: bool) -> None:
    if asked:
        print(version("kurtz"))
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Check theorems about LLM inference scheduling by machine."""


@app.command()
def claims(json: Json = False) -> None:
    """List the claims that can be verified."""
    from ..theory.claims import CLAIMS

    output.print_claims(CLAIMS, json=json)


@app.command()
def verify(
    claim_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Claims; default: all.")
    ] = None,
    level: Annotated[str, typer.Option(help="quick (minutes) or full.")] = "quick",
    json: Annotated[
        Path | None, typer.Option(metavar="F", help="Write the ledger as JSON.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="F", help="Write the ledger as one HTML page.")
    ] = None,
) -> int:
    """Check claims and their negative controls, and print the ledger."""
    from ..proofs_checks import require_writable
    from ..proofs_checks import verify as decide

    for path in (json, html):
        if path is not None:
            require_writable(path)
    with verification_progress() as (report, decided):
        ledger = decide(claim_ids or (), level, report, decided)  # type: ignore[arg-type]
    output.print_ledger(ledger)
    output.write_ledger(ledger, json, html)
    return 0 if ledger.passed else 1


@app.command()
def plan(
    network: NetworkFile,
    pricing: Pricing = "bundled",
    sli: Slis = None,
    soft_sli: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WEIGHT",
            help="A service-level indicator to penalise, with the price of one unit; may be "
            "repeated: prefill-fairness, decode-fairness, tpot.",
        ),
    ] = None,
    decode_queue_allowed: DecodeQueueAllowed = False,
    json: Json = False,
) -> None:
    """Solve the steady-state program of a network, exactly."""
    from ..fluid import plan as solve
    from ..fluid.penalised import penalised_plan
    from ..theory import read_network
    from ..theory.penalties import penalty_named
    from ..theory.sli import linear_slis, sli_named

    given = read_network(network)
    slis = [sli_named(text) for text in sli or ()]
    penalties = [penalty_named(text) for text in soft_sli or ()]
    linear = linear_slis(slis)
    if penalties or len(linear) < len(slis):
        penalised = penalised_plan(
            given, pricing, slis, penalties, decode_queue_allowed=decode_queue_allowed
        )
        output.print_penalised_plan(penalised, json=json)
        return
    target = solve(given, pricing, linear, decode_queue_allowed=decode_queue_allowed)
    output.print_plan(target, json=json)


@app.command()
def simulate(
    network: NetworkFile,
    policy: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="gate-and-route (gg-sp), fcfs (fg-sp), prioritize-and-route, sli-aware, "
            "sli-general, slot-filling, fi-wsp, gi-wsp, gf-wsp, prefill-first, disaggregated.",
        ),
    ] = "gate-and-route",
    pricing: Annotated[
        str | None,
        typer.Option(
            help="How requests pay, in the plan and in what is reported; default: bundled, but "
            "separate for prioritize-and-route."
        ),
    ] = None,
    sli: Slis = None,
    decode_queue_allowed: DecodeQueueAllowed = False,
    gpus: Annotated[
        int, typer.Option(parser=integer("--gpus"), metavar="N", help="Number of GPUs.")
    ] = 200,
    simulator: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="chain (mixed GPUs always at the mixed speed) or fleet (every GPU with its own "
            "batch, at the speed of what it runs); default: chain, but fleet for policies that "
            "share GPUs.",
        ),
    ] = None,
    horizon: Annotated[
        float,
        typer.Option(parser=real("--horizon"), metavar="X", help="End of a replication, seconds."),
    ] = 2000.0,
    warmup: Annotated[
        float,
        typer.Option(
            parser=real("--warmup"), metavar="X", help="Part that is not measured, seconds."
        ),
    ] = 200.0,
    replications: Annotated[
        int,
        typer.Option(
            parser=integer("--replications"), metavar="N", help="Independent replications."
        ),
    ] = 16,
    seed: Annotated[
        int, typer.Option(parser=integer("--seed"), metavar="N", help="Seed of all random numbers.")
    ] = 1,
    json: Json = False,
) -> None:
    """Simulate a network under a policy that tracks its plan."""
    from ..fluid.policy_plans import plan_for_policy
    from ..stochastic.fleet import simulator_for
    from ..theory import policy_named, read_network
    from ..theory.sli import sli_named

    target = plan_for_policy(
        read_network(network),
        policy,
        pricing,
        [sli_named(text) for text in sli or ()],
        decode_queue_allowed=decode_queue_allowed,
    )
    chosen = policy_named(policy, target)
    run = simulator_for(chosen, simulator)
    with progress_bar("replications", replications) as advance:
        estimate = run(
            target.network,
            chosen,
            gpus=gpus,
            horizon=horizon,
            warmup=warmup,
            replications=replications,
            seed=seed,
            progress=advance,
        )
    output.print_estimate(estimate, target, json=json)


@app.command()
def workload(
    trace: Annotated[
        Path,
        typer.Argument(
            metavar="TRACE.csv", help="Columns TIMESTAMP, ContextTokens, GeneratedTokens."
        ),
    ],
    classes: Annotated[
        int,
        typer.Option(parser=integer("--classes"), metavar="N", help="Number of request classes."),
    ] = 4,
    gpus: Annotated[
        float,
        typer.Option(
            parser=real("--gpus"), metavar="X", help="GPUs that share the trace's arrivals."
        ),
    ] = 1.0,
    patience_rate: Annotated[
        float,
        typer.Option(
            parser=real("--patience-rate"), metavar="X", help="Patience rate of every class, 1/s."
        ),
    ] = 0.1,
    seed: Annotated[
        int, typer.Option(parser=integer("--seed"), metavar="N", help="Seed of the clustering.")
    ] = 0,
    json: Json = False,
) -> None:
    """Turn a request trace into request classes, as [[classes]] tables of a network file."""
    from ..stochastic import arrival_statistics, read_trace, request_classes

    requests = read_trace(trace)
    found = request_classes(requests, classes, gpus=gpus, patience_rate=patience_rate, seed=seed)
    output.print_workload(found, arrival_statistics(requests), json=json)


def _list_rules(asked: bool) -> None:
    if asked:
        from ..fluid.backlog.rules import RULES

        output.print_rules(RULES.values())
        raise typer.Exit


@app.command()
def schedule(
    requests: Annotated[
        Path,
        typer.Argument(metavar="REQUESTS.csv", help="Columns prompt_tokens, output_tokens."),
    ],
    memory: Annotated[
        int, typer.Option(parser=integer("--memory"), metavar="N", help="KV budget, tokens.")
    ],
    rule: Annotated[str, typer.Option(metavar="RULE", help="Name of the rule.")] = "sorted-f",
    node_limit: Annotated[
        int | None,
        typer.Option(
            parser=integer("--node-limit"),
            metavar="N",
            help="Stop the search for the optimum after N nodes.",
        ),
    ] = None,
    _rules: Annotated[
        bool,
        typer.Option(
            "--list-rules", callback=_list_rules, is_eager=True, help="Print the rules by name."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Schedule a backlog by a rule, and bound from below what any schedule can reach.

    Ctrl-C stops the search of the rule "optimal": the best schedule so far and the proved interval
    are printed.
    """
    from ..fluid.backlog.bounded_schedule import EXACT_RULE, require_rule, schedule_with_bound
    from ..theory.backlog import read_backlog

    require_rule(rule, node_limit)
    backlog = read_backlog(requests, memory)
    interruption = interruption_between_slices() if rule == EXACT_RULE else nullcontext(int)
    with scheduling_progress() as (doing, searched), interruption as stop_if_asked:

        def progress(nodes: int, lower: int, latency: int) -> None:
            searched(nodes, lower, latency)
            stop_if_asked()

        found = schedule_with_bound(
            backlog, rule, node_limit=node_limit, doing=doing, searched=progress
        )
    output.print_schedule(found, json=json)
