r"""The algebra of Sorted-F's constant: one step for every inequality of the lemmas L1, L3, L4, L5.

The notation is that of `kurtz.theory.backlog.sorted_f_chain`. What is proved here holds for all
parameters; the arguments that are not algebra (the induction of L0, the cutting into blocks, the
comparison of histograms) are stated there and checked exhaustively on small backlogs.
"""

from __future__ import annotations

import sympy

from .kernel import Derivation, Identity, Inequality

SIZE, LONGEST, OUTPUTS = sympy.symbols("n T S", positive=True)
PROMPT, OUTPUT = sympy.symbols("s o", nonnegative=True)
LEFT, METRIC, TIME, MEMORY = sympy.symbols("R F tau M", positive=True)
CONSTANT = sympy.Symbol("c", positive=True)
EXCESS = sympy.Symbol("beta", positive=True)
MEAN = OUTPUTS / SIZE
VOLUME = PROMPT * OUTPUT + OUTPUT * (OUTPUT + 1) / 2


def longest_output() -> Derivation:
    """L1: an F-minimal batch has no output beyond twice the mean."""
    without_longest = (OUTPUTS - LONGEST) / (SIZE - 1) ** 2 - OUTPUTS / SIZE**2
    return Derivation(
        title="L1: the longest output of an F-minimal batch",
        hypotheses=(
            ("dropping the longest request does not lower F", without_longest),
            ("n > 1", SIZE - 1),
        ),
        steps=(
            Inequality(
                "T <= (2 - 1/n) mean",
                LONGEST,
                (2 - 1 / SIZE) * MEAN,
                ((SIZE - 1, SIZE - 1, without_longest),),
            ),
            Identity(
                "a single request: T = (2 - 1/1) T", LONGEST, (2 - sympy.Integer(1)) * LONGEST
            ),
        ),
        conclusion="T_k <= (2 - 1/n_k) times the mean output of batch k",
    )


def separate_latency() -> Derivation:
    """L3, batch by batch: R_{k+1} T_k + S_k <= 2 R_k mean - S_k."""
    return Derivation(
        title="L3: latency of the batches one after the other",
        hypotheses=(("L1: T <= 2 mean", 2 * MEAN - LONGEST), ("n <= R", LEFT - SIZE)),
        steps=(
            Inequality(
                "the requests behind batch k wait T_k, its members take S_k",
                (LEFT - SIZE) * LONGEST + OUTPUTS,
                2 * LEFT * MEAN - OUTPUTS,
                ((LEFT - SIZE, 2 * MEAN - LONGEST),),
            ),
        ),
        conclusion="TEL(separate) <= 2 G - sum of outputs, by summing over the batches",
    )


def completions_by_ascending_blocks() -> Derivation:
    """L4 with c = 6, and with c = 2 + 2 M / (M - P + 1) for small peaks."""
    first, second, held, held_next = sympy.symbols("o_b o_b' P_b P_b'", nonnegative=True)
    spare = sympy.Symbol("f", positive=True)  # what a closed block holds at least
    total, least = sympy.symbols("W sum_o", nonnegative=True)
    return Derivation(
        title="L4: completions by blocks of ascending output",
        hypotheses=(
            ("outputs ascend from block to block", second - first),
            ("adjacent blocks hold more than M", held + held_next - MEMORY),
            ("a closed block holds at least f", held - spare),
            ("the volumes lie within tau steps: W <= 2 M tau", 2 * MEMORY * TIME - total),
            ("pairs: M sum_o <= 2 W", 2 * total - MEMORY * least),
            ("closed blocks: f sum_o <= W", total - spare * least),
        ),
        steps=(
            _twice_the_volume(),
            Inequality(
                "two adjacent blocks",
                MEMORY * first,
                first * held + second * held_next,
                ((first, held + held_next - MEMORY), (second - first, held_next)),
            ),
            Inequality(
                "all blocks but two, and the last two",
                (least + 2 * TIME) / METRIC,
                6 * TIME / METRIC,
                (
                    (1 / (MEMORY * METRIC), 2 * total - MEMORY * least),
                    (2 / (MEMORY * METRIC), 2 * MEMORY * TIME - total),
                ),
            ),
            Inequality("one closed block", spare * first, first * held, ((first, held - spare),)),
            Inequality(
                "small peaks: all blocks but two, and the last two",
                (least + 2 * TIME) / METRIC,
                (2 + 2 * MEMORY / spare) * TIME / METRIC,
                (
                    (1 / (spare * METRIC), total - spare * least),
                    (1 / (spare * METRIC), 2 * MEMORY * TIME - total),
                ),
            ),
        ),
        conclusion="c = 6, or 2 + 2 M / f where closed blocks hold at least f",
    )


def completions_by_descending_blocks() -> Derivation:
    """L4 with c = 5, and with c = 1 + 2 M / (M - P + 1) for small peaks (ours)."""
    least, held, held_all, large = sympy.symbols("o_b P_b W_small W_large", nonnegative=True)
    spare = sympy.Symbol("f", positive=True)
    sums, alone = sympy.symbols("sum_o sum_large", nonnegative=True)
    peak = PROMPT + OUTPUT
    return Derivation(
        title="L4: completions by blocks of descending output, large requests apart",
        hypotheses=(
            ("a large request has a peak above M/2", 2 * peak - MEMORY),
            ("a closed block holds at least M/2", 2 * held - MEMORY),
            ("a closed block holds at least f", held - spare),
            ("closed blocks: M sum_o <= 2 W_small", 2 * held_all - MEMORY * sums),
            ("closed blocks: f sum_o <= W_small", held_all - spare * sums),
            ("large requests: M sum_large <= 2 W_large", 2 * large - MEMORY * alone),
            (
                "the volumes lie within tau steps: W_small + W_large <= 2 M tau",
                2 * MEMORY * TIME - held_all - large,
            ),
        ),
        steps=(
            _twice_the_volume(),
            Inequality(
                "one large request",
                MEMORY * OUTPUT,
                2 * peak * OUTPUT,
                ((OUTPUT, 2 * peak - MEMORY),),
            ),
            Inequality(
                "one closed block",
                MEMORY * least,
                2 * least * held,
                ((least, 2 * held - MEMORY),),
            ),
            Inequality(
                "the first block, the closed blocks, the large requests",
                (TIME + sums + alone) / METRIC,
                5 * TIME / METRIC,
                (
                    (1 / (MEMORY * METRIC), 2 * held_all - MEMORY * sums),
                    (1 / (MEMORY * METRIC), 2 * large - MEMORY * alone),
                    (2 / (MEMORY * METRIC), 2 * MEMORY * TIME - held_all - large),
                ),
            ),
            Inequality(
                "one closed block, small peaks",
                spare * least,
                least * held,
                ((least, held - spare),),
            ),
            Inequality(
                "small peaks: the first block and the closed blocks",
                (TIME + sums) / METRIC,
                (1 + 2 * MEMORY / spare) * TIME / METRIC,
                (
                    (1 / (spare * METRIC), held_all - spare * sums),
                    (1 / (spare * METRIC), 2 * MEMORY * TIME - held_all - large),
                    (large, 1 / (spare * METRIC)),
                ),
            ),
        ),
        conclusion="c = 5, or 1 + 2 M / f where closed blocks hold at least f",
    )


def price_against_optimum() -> Derivation:
    """L5 and the theorem: G <= 4 c OPT and TEL(Sorted-F) <= 8 c OPT, also with an excess."""
    price, optimum, latency, outputs = sympy.symbols("G OPT TEL sum_o", nonnegative=True)
    scaled = EXCESS * CONSTANT
    at = LEFT * METRIC / (2 * scaled)
    share = sympy.Symbol("alpha", positive=True)
    return Derivation(
        title="L5: the price of the batches against the optimum",
        hypotheses=(
            ("the halved histogram fits into OPT's", optimum - price / (4 * scaled)),
            ("L0 and L3: TEL <= 2 G - sum of outputs", 2 * price - outputs - latency),
        ),
        steps=(
            Identity(
                "at tau = R F / (2 c) at most half of the R requests are complete",
                scaled * at / METRIC,
                LEFT / 2,
            ),
            Identity(
                "half the width and 1/(2c) of the height leave 1/(4c) of the area",
                sympy.Rational(1, 2) * price / (2 * scaled),
                price / (4 * scaled),
            ),
            Inequality(
                "TEL(Sorted-F) <= 8 c OPT",
                latency,
                8 * scaled * optimum,
                (
                    (2 * price - outputs - latency,),
                    (outputs,),
                    (8 * scaled, optimum - price / (4 * scaled)),
                ),
            ),
            Identity("c = 6 gives 48", 8 * sympy.Integer(6), sympy.Integer(48)),
            Identity("c = 5 gives 40", 8 * sympy.Integer(5), sympy.Integer(40)),
            Identity(
                "c = 2 + 2 / (1 - alpha) gives 16 (2 - alpha) / (1 - alpha)",
                8 * (2 + 2 / (1 - share)),
                16 * (2 - share) / (1 - share),
            ),
            Identity(
                "c = 1 + 2 / (1 - alpha) gives 8 (3 - alpha) / (1 - alpha)",
                8 * (1 + 2 / (1 - share)),
                8 * (3 - share) / (1 - share),
            ),
        ),
        conclusion="TEL(Sorted-F) <= 8 c OPT; with batches within a factor beta, 8 beta c OPT",
    )


def dropping_the_longest() -> Derivation:
    """With approximate batches: dropping the longest request while F falls restores L1."""
    without_longest = (OUTPUTS - LONGEST) / (SIZE - 1) ** 2
    least = sympy.Symbol("F_min", positive=True)
    before = OUTPUTS / SIZE**2
    return Derivation(
        title="approximate batches: dropping the longest request",
        hypotheses=(
            ("F is within beta of the least", EXCESS * least - before),
            ("dropping lowers F", before - without_longest),
        ),
        steps=(
            Inequality(
                "dropping keeps F within beta of the least",
                without_longest,
                EXCESS * least,
                ((before - without_longest,), (EXCESS * least - before,)),
            ),
        ),
        conclusion="a batch that stops dropping is within beta and satisfies L1's hypothesis",
    )


def chain() -> tuple[Derivation, ...]:
    """All derivations of the chain, in the order of the lemmas."""
    return (
        longest_output(),
        separate_latency(),
        completions_by_ascending_blocks(),
        completions_by_descending_blocks(),
        price_against_optimum(),
        dropping_the_longest(),
    )


def _twice_the_volume() -> Inequality:
    return Inequality(
        "peak times output is at most twice the volume",
        (PROMPT + OUTPUT) * OUTPUT,
        2 * VOLUME,
        ((PROMPT, OUTPUT), (OUTPUT,)),
    )
