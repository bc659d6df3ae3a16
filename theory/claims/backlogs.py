"""The claims about backlogs under a KV budget (arXiv 2508.06133, 2606.22327)."""

from __future__ import annotations

from .vocabulary import Claim, Relation

_BACKLOGS = "arXiv 2508.06133"
_VOLUMES = "arXiv 2606.22327 v2"
_SORTED_F = (
    "batches of least F",
    "ascending outputs inside a batch",
    "strict order: a blocked request holds up those behind it",
)

BACKLOGS: tuple[Claim, ...] = (
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
