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
        claim_id="fluid-limit",
        statement="Divided by the number of GPUs, the chain follows the fluid equations; where "
        "sqrt(n) times the distance settles within the studied sizes, it is of order n^(-1/2).",
        source=f"{_PAPER}, Theorem 3.1 (the rate is derived)",
        relation=Relation.TENDS_TO,
        hypotheses=("initial states converge: empty system", "GPUs dedicated to mixing"),
        control="the fluid of a network with slower solo decodes; with doubled patience rates",
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
        claim_id="separate-concave",
        statement="The separate program equals a concave maximisation in one variable, the share "
        "of mixed GPUs, with classes filled in descending order of D/P.",
        source="derived",
        relation=Relation.EQUAL,
        hypotheses=("positive patience rates",),
        control="greedy by P/D",
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
        claim_id="fluid-tracking",
        statement="On fluid paths the occupancy gate drives prefill to its targets, and prefill "
        "queues approach theirs at the patience rate.",
        source=f"{_PAPER}, Lemmas 10.1, 10.3 and 10.5",
        relation=Relation.TENDS_TO,
        hypotheses=(
            "x* > 0 and q_p* > 0 in every class for Lemmas 10.1 and 10.3",
            "positive patience rates",
        ),
        control="a plan with q_p* = 0 for one class; theta = 0 for one class; no gate; a patience "
        "rate a tenth too high",
    ),
    Claim(
        claim_id="decode-buffer-drains",
        statement="On fluid paths the decode workload obeys the drift identity (61) and the "
        "decode buffer drains: proved, if one planned class gives up, for two output lengths, for "
        "patience ordered like output lengths, and for kappa = 1.",
        source=f"{_PAPER}, Lemmas 10.7, 10.10, 10.12 and Proposition 10.14 (the proof is derived)",
        relation=Relation.TENDS_TO,
        hypotheses=("q_d* = 0", "a positive patience rate", "x(t) -> x*"),
        control="kappa the wrong way round; C* with one row wrong; a plan with a decode buffer; "
        "no gate; L without the memory of the slots; more planned than fits; patience in no order",
    ),
    Claim(
        claim_id="separate-optimality",
        statement="Under separate charging, prioritize-and-route's revenue per GPU-second tends "
        "to the value of the separate program as the number of GPUs grows.",
        source=f"{_PAPER}, Theorem 4.2",
        relation=Relation.TENDS_TO,
        hypotheses=("positive patience rates", "empty initial system"),
        control="the smallest D/P first; the bundled value and a rate off, on small systems; "
        "at the full level gate-and-route with the bundled plan",
    ),
    Claim(
        claim_id="sli-optimality",
        statement="Under SLI-aware gate-and-route with SLIs as constraints or penalties, every "
        "class's occupancies tend to the plan, constraints are met and the revenue, minus the "
        "penalties at the scaled state, tends to the plan's value.",
        source=f"{_PAPER}, Theorem 5.1 and Proposition 12.1",
        relation=Relation.TENDS_TO,
        hypotheses=(
            "a strictly feasible point",
            "an optimum with q_d* = 0",
            "bounded and Lipschitz penalties",
            "theta > 0",
        ),
        control="the solo-first router; plans without the penalty; a weight on decode fairness at "
        "which decodes wait in every optimum",
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
    Claim(
        claim_id="heuristics-suboptimal",
        statement="On the published networks at n = 500, gate-and-route earns on average at least "
        "1 % of R* more than FI-WSP, GF-WSP and FG-SP; GI-WSP, the gate without the planning, "
        "earns more than gate-and-route where decode capacity binds.",
        source=f"{_PAPER}, Section 6.3 (qualified: the paper reports GI-WSP behind)",
        relation=Relation.AT_LEAST,
        hypotheses=(
            "kappa >= (B-1)/B",
            "positive patience rates",
            "speed by presence of a prefill",
        ),
        control="the policy against itself",
    ),
    Claim(
        claim_id="price-of-slis",
        statement="Revenue against the limit of an SLI is piecewise linear with the shadow price "
        "as slope; on the two named instances decode fairness is cheap per request beside prefill "
        "fairness (not in general); the price of a TPOT target rises to a finite limit at 1/gamma; "
        "revenue saturates at the B from which on everybody is served, where prefills fit.",
        source=f"{_PAPER}, Section 6.4 (qualified)",
        relation=Relation.EQUAL,
        hypotheses=(
            "kappa > 1",
            "B >= 2",
            "positive patience rates",
            "q_d = 0",
            "saturation: full-load prefill occupancy <= 1",
        ),
        control="a breakpoint shifted; the price of another row; wrong rows of a fairness SLI; a "
        "TPOT of B decodes beside a prefill; a TPOT price without the mixed slots; a saturation "
        "point without prefills; its formula short of prefill",
    ),
    Claim(
        claim_id="constant-price-ratio",
        statement="Under c_p + c_d = k the best price ratio is the same for every k: an end "
        "point; an interior ratio is optimal only where revenue is constant along the segment.",
        source=f"{_PAPER}, Section 6.4 (qualified)",
        relation=Relation.EQUAL,
        hypotheses=("arrivals do not depend on prices",),
        control="demand that responds to prices: not an end; not constant in k",
    ),
    Claim(
        claim_id="finite-n-policy",
        statement="At n = 100 slot filling, which dedicates no GPU and closes its gate at nB "
        "requests, closes at least half of gate-and-route's gap to R* on 80 % of the published "
        "networks, with the same limit.",
        source="derived",
        relation=Relation.AT_LEAST,
        hypotheses=(
            "kappa >= (B-1)/B",
            "positive patience rates",
            "moving a KV cache is free",
        ),
        control="gate-and-route against itself; the classes reversed; a gate that never closes",
    ),
    Claim(
        claim_id="convergence-rate",
        statement="Gate-and-route's gap to R* decays like c n^(-1/2) where the plan fills all "
        "decode slots, with the constant c of a piecewise linear diffusion.",
        source="derived",
        relation=Relation.EQUAL,
        hypotheses=(
            "kappa >= (B-1)/B",
            "positive patience rates",
            "full decode slots and an empty decode buffer in the plan",
            "a class that waits in the plan",
        ),
        control="no noise of arrivals; a quarter of the patience rates",
    ),
    Claim(
        claim_id="beyond-exponential",
        statement="With fixed or trace-drawn lengths gate-and-route's gap still vanishes, and with "
        "independent bursty tenants it is below 5 % at n = 1,600; it stays above 10 % when one "
        "tenant's bursts reach all GPUs or the KV budget halves, and above 2 % when iterations "
        "round chunks up.",
        source="derived",
        relation=Relation.TENDS_TO,
        hypotheses=(
            "kappa >= (B-1)/B",
            "positive patience rates",
            "traffic of the Azure traces",
        ),
        control="a plan for exchanged lengths",
    ),
    Claim(
        claim_id="hypotheses-needed",
        statement="For each theorem and each hypothesis in a table it is decided whether the "
        "conclusion can fail without the hypothesis; three entries with partly patient classes are "
        "decided in part, and three on the fluid limit are argued in words.",
        source="derived",
        relation=Relation.EQUAL,
        hypotheses=(
            "Propositions 10.14 and 13.5 as stated beyond what is proved of them",
            "equal patience where equilibria of one buffer have decode queues",
        ),
        control="every counterexample where the hypothesis holds; an unplanned class first; a "
        "mixed GPU in ten too many; targets beyond the arrivals; uniform pool weights",
    ),
)
