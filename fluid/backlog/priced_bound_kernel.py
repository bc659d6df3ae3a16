"""Compiled search for every request's cheapest start under piecewise constant prices.

Sums may wrap around in 64 bits on the way; that is harmless, for addition and multiplication are
exact modulo 2^64 and the caller sees to it that every cost which is compared fits. Called without
compilation (``cheapest_starts.py_func``) on Python integers the same code has no limits.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def cheapest_starts(prompts, outputs, durations, prices, scale, costs, starts):
    """Fill ``costs``, times ``scale``, and ``starts``, the first cheapest start, per request.

    While the first and the last step of a request each stay in one piece, its cost is quadratic
    in the start: ``growth`` is its first difference and ``bend`` its second (equation (2) of
    `kurtz.fluid.backlog.priced_bound`).
    """
    pieces = len(durations)
    for k in range(len(prompts)):
        prompt, output = prompts[k], outputs[k]
        # From start 0: ``window`` sums the prices of the steps, ``last`` is the piece of the
        # step after them.
        cost, window, covered = output * scale, 0, 0
        last, last_end = 0, 0
        while last < pieces:
            last_end += durations[last]
            step = min(output, last_end)
            width = step - covered
            held = width * prompt + (step * (step + 1) - covered * (covered + 1)) // 2
            window += width * prices[last]
            cost += held * prices[last]
            covered = step
            if last_end > output:
                break
            last += 1
        least, best, start = cost, 0, 0
        first, first_end = 0, 0
        if pieces > 0:
            first_end += durations[0]
        # No later start costs less than its completion alone.
        while first < pieces and (start + output) * scale < least:
            leaving, entering = prices[first], 0
            span = first_end - start
            if last < pieces:
                entering = prices[last]
                span = min(span, last_end - start - output)
            growth = scale - prompt * leaving - window + (prompt + output) * entering
            bend = leaving - entering
            if growth < 0 and bend > 0:
                # The first start from which on the cost no longer falls.
                inside = min(span, -(growth // bend))
                lowest = cost + inside * growth + inside * (inside - 1) // 2 * bend
                if lowest < least:
                    least, best = lowest, start + inside
            cost += span * growth + span * (span - 1) // 2 * bend
            window -= span * bend
            start += span
            if cost < least:
                least, best = cost, start
            if last < pieces and start + output == last_end:
                last += 1
                if last < pieces:
                    last_end += durations[last]
            if start == first_end:
                first += 1
                if first < pieces:
                    first_end += durations[first]
        costs[k] = least
        starts[k] = best


@njit(cache=True)
def memory_by_piece(prompts, outputs, starts, counts, groups, ends, memory):
    """Add to ``memory[group, piece]`` the token-steps that the requests hold in each piece."""
    for k in range(len(prompts)):
        step, completion = starts[k], starts[k] + outputs[k]
        piece = np.searchsorted(ends, step + 1)
        while step < completion and piece < len(ends):
            until = min(completion, ends[piece])
            growth = (until * (until + 1) - step * (step + 1)) // 2
            held = (until - step) * (prompts[k] - starts[k]) + growth
            memory[groups[k], piece] += counts[k] * held
            step = until
            piece += 1
