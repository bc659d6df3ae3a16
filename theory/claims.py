"""The claim registry: what is asserted, where it comes from, and how it could be wrong.

A claim is data; `kurtz.proofs_checks` holds one check per claim and decides it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .errors import InvalidInput


class Relation(StrEnum):
    """What is asserted between the computed and the claimed value."""

    EQUAL = "=="
    AT_MOST = "<="
    AT_LEAST = ">="
    TENDS_TO = "->"
    UNBOUNDED = "unbounded"
    INTERVAL = "interval"


class Grade(StrEnum):
    """Grade of evidence, by what has to be trusted."""

    PROVED = "proved"
    CERTIFIED = "certified"
    EXHAUSTED = "exhausted"
    ESTIMATED = "estimated"
    REFUTED = "refuted"


@dataclass(frozen=True)
class Claim:
    """A statement that a check decides.

    Attributes
    ----------
    claim_id
        What the user types.
    statement
        The assertion, in one sentence.
    source
        Paper and number, or "derived" for results of this package.
    hypotheses
        What has to hold of an instance; the check verifies it before the conclusion.
    control
        The deliberate fault under which the check must come out refuted.
    """

    claim_id: str
    statement: str
    source: str
    relation: Relation
    hypotheses: tuple[str, ...]
    control: str


_PAPER = "arXiv 2602.02987 v1"
_BACKLOGS = "arXiv 2508.06133"
_VOLUMES = "arXiv 2606.22327 v2"
_SORTED_F = (
    "batches of least F",
    "ascending outputs inside a batch",
    "strict order: a blocked request holds up those behind it",
)

CLAIMS: tuple[Claim, ...] = (
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
        claim_id="backlog-np-hard",
        statement="3-Partition reduces to the question whether a backlog has a schedule of at most "
        "a given total latency.",
        source=f"{_BACKLOGS} (statement); the reduction is derived",
        relation=Relation.EQUAL,
        hypotheses=("all outputs 1", "B/4 < a_i < B/2", "the numbers add up to m B"),
        control="a memory one token larger, or smaller, than B",
    ),
    Claim(
        claim_id="fcfs-unbounded",
        statement="First come, first served is beyond every constant factor of the optimum: at "
        "least about sqrt(M)/2, and M/3 where a blocked request holds up the rest.",
        source=f"{_BACKLOGS}, abstract; the families are derived",
        relation=Relation.UNBOUNDED,
        hypotheses=("all requests present at time 0", "M >= 3"),
        control="the families with equal prompts; blocked heads skipped",
    ),
    Claim(
        claim_id="shortest-first-unbounded",
        statement="Shortest output first is beyond every constant factor of the optimum: at least "
        "about 2 sqrt(M)/7.",
        source=f"{_BACKLOGS}, abstract; the family is derived",
        relation=Relation.UNBOUNDED,
        hypotheses=("all requests present at time 0", "M >= 4"),
        control="the family with equal prompts",
    ),
    Claim(
        claim_id="shortest-total-unbounded",
        statement="Shortest prompt and output first is beyond every constant factor of the "
        "optimum: at least about sqrt(M/2).",
        source=f"{_BACKLOGS} v4, abstract; the family is derived",
        relation=Relation.UNBOUNDED,
        hypotheses=("all requests present at time 0", "M >= 8"),
        control="the family with equal prompts",
    ),
    Claim(
        claim_id="sorted-f-48",
        statement="Sorted-F's total latency is at most 48 times the optimum.",
        source=f"{_BACKLOGS} (constant); the chain of lemmas is derived",
        relation=Relation.AT_MOST,
        hypotheses=_SORTED_F,
        control="constant 1; constant 2; F with |X| in place of |X|^2; blocked requests skipped",
    ),
    Claim(
        claim_id="sorted-f-small-requests",
        statement="If peaks are at most alpha M with alpha < 1/2, Sorted-F is within "
        "16 (2 - alpha) / (1 - alpha) of the optimum.",
        source="derived",
        relation=Relation.AT_MOST,
        hypotheses=(*_SORTED_F, "largest peak below M/2"),
        control="the constant c of the completions lemma set to 1",
    ),
    Claim(
        claim_id="sorted-f-approximate-batches",
        statement="If every batch is within a factor beta of the least F and drops its longest "
        "request while F falls, Sorted-F is within 48 beta of the optimum.",
        source="derived",
        relation=Relation.AT_MOST,
        hypotheses=(
            "F within beta of the least",
            "dropping the longest does not lower F",
            *_SORTED_F[1:],
        ),
        control="the factor beta left out",
    ),
    Claim(
        claim_id="sorted-f-ratio-interval",
        statement="The supremum of Sorted-F's ratio to the optimum is between 3.32 and 40; "
        "between 4 and 40 if batches are those that may start together.",
        source="derived",
        relation=Relation.INTERVAL,
        hypotheses=_SORTED_F,
        control="an upper end below a stored record; a record with a start moved",
    ),
    Claim(
        claim_id="svf-bound",
        statement="Smallest volume first is within (3M - P)/(M - P) of the optimum, P being the "
        "largest peak, and M OPT is at least the sum of the prefix volumes.",
        source=f"{_VOLUMES}, Proposition 3.1, Lemma A.2, Theorem 3.2",
        relation=Relation.AT_MOST,
        hypotheses=("all requests present at time 0", "admission leaves no room unused"),
        control="volume without the growth term",
    ),
    Claim(
        claim_id="lp-lower-bound",
        statement="The time-indexed linear program bounds every schedule's latency from below, "
        "and the best variant of Sorted-F stays within 20 % of it on a mixed workload.",
        source=f"{_BACKLOGS} v4, abstract; equations (1)-(4) of arXiv 2502.07115",
        relation=Relation.AT_MOST,
        hypotheses=("nonnegative prices", "for the 20 %: the workloads and seeds of the study"),
        control="the prices without the capacity term",
    ),
    Claim(
        claim_id="backlog-latency-gain",
        statement="On conversations mixed with long documents, Sorted-F and its variants have a "
        "lower mean latency than first come, first served and shortest output first, by 30 % or "
        "more somewhere.",
        source=f"{_BACKLOGS} v3, abstract",
        relation=Relation.AT_LEAST,
        hypotheses=("at least 300 requests", "M = 16,492", "exact output lengths"),
        control="the requests in random order",
    ),
    Claim(
        claim_id="output-length-errors",
        statement="Executed with eviction, restart and refined predictions, Sorted-F keeps more "
        "than half of its gain over first come, first served under log-normal prediction errors.",
        source=f"{_BACKLOGS} (second-hand); the refinement is derived",
        relation=Relation.AT_LEAST,
        hypotheses=("independent median-unbiased errors", "sigma <= 1"),
        control="no eviction: the longest output is reserved",
    ),
)


def claim(claim_id: str) -> Claim:
    """The claim called ``claim_id``; raises `InvalidInput` listing the known ones."""
    for candidate in CLAIMS:
        if candidate.claim_id == claim_id:
            return candidate
    known = ", ".join(c.claim_id for c in CLAIMS)
    raise InvalidInput("claim", claim_id, f"one of {known}")
