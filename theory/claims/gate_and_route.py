"""The claims about many GPUs that share prefill and decode (arXiv 2602.02987)."""

from __future__ import annotations

from .vocabulary import Claim, Relation

_PAPER = "arXiv 2602.02987 v1"

GATE_AND_ROUTE: tuple[Claim, ...] = (
    Claim(
        claim_id="iteration-time-law",
        statement="A mixed iteration takes a time affine in the prefill chunk, and a solo "
        "iteration a constant time up to a batch limit.",
        source=f"{_PAPER}, equations (1)-(3) and Section 6.1",
        relation=Relation.AT_MOST,
        hypotheses=("at least five measured points in the validity range",),
        control="a purely quadratic law through the same rule",
    ),
    Claim(
        claim_id="decode-buffer-elimination",
        statement="If kappa >= (B-1)/B, some optimum of the bundled program has empty decode "
        "queues.",
        source=f"{_PAPER}, Proposition 3.2",
        relation=Relation.EQUAL,
        hypotheses=("kappa >= (B-1)/B",),
        control="the condition dropped",
    ),
    Claim(
        claim_id="bundled-knapsack",
        statement="The bundled program equals a knapsack with two rows, with at most two classes "
        "off their bounds.",
        source="derived",
        relation=Relation.EQUAL,
        hypotheses=("kappa >= (B-1)/B",),
        control="decode work of two classes swapped",
    ),
    Claim(
        claim_id="revenue-upper-bound",
        statement="No admissible policy earns more than R* per GPU-second, at any number of GPUs.",
        source="derived",
        relation=Relation.AT_MOST,
        hypotheses=("kappa >= (B-1)/B for GPUs dedicated to mixing", "stationary regime"),
        control="R* with the solo decode capacity cut",
    ),
    Claim(
        claim_id="bundled-optimality",
        statement="Gate-and-route's revenue per GPU-second tends to R* as the number of GPUs "
        "grows.",
        source=f"{_PAPER}, Theorem 4.1",
        relation=Relation.TENDS_TO,
        hypotheses=("kappa >= (B-1)/B", "positive patience rates", "empty initial system"),
        control="no gate (first come, first served); a plan for the wrong prices; a wrong rate",
    ),
    Claim(
        claim_id="separate-optimality",
        statement="Under separate charging, prioritize-and-route's revenue per GPU-second tends "
        "to the value of the separate program as the number of GPUs grows.",
        source=f"{_PAPER}, Theorem 4.2",
        relation=Relation.TENDS_TO,
        hypotheses=("positive patience rates", "empty initial system"),
        control="the smallest D/P first",
    ),
    Claim(
        claim_id="sli-optimality",
        statement="Under SLI-aware gate-and-route every class's occupancies tend to the plan, "
        "constraints are met and the revenue tends to the plan's value.",
        source=f"{_PAPER}, Theorem 5.1 and Proposition 12.1",
        relation=Relation.TENDS_TO,
        hypotheses=("a strictly feasible point", "an optimum with q_d* = 0", "theta > 0"),
        control="the solo-first router",
    ),
    Claim(
        claim_id="general-sli-policy",
        statement="Under the general policy all occupancies and decode backlogs tend to targets "
        "with q_d* > 0.",
        source=f"{_PAPER}, Lemmas 13.1 and 13.3, Proposition 13.5",
        relation=Relation.TENDS_TO,
        hypotheses=("q_d* > 0 for every class", "both decode pools full", "theta > 0"),
        control="uniform pool weights; weights that do not add up to one",
    ),
)
