r"""The optimal gain of a cut system by linear programming: a second route to it.

.. math::

   \min g \quad\text{s.t.}\quad r(z) + (Qh)(z) \le g, \qquad h(z) \ge h(z')
   \text{ for every placement } z \to z',

over g and a number h(z) for each state, h = 0 in the empty system. Nothing of policy iteration is
used: no decisions, no evaluation, no order of placements. HiGHS solves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from .process import DecisionProcess


def gain_by_linear_program(process: DecisionProcess, overflow_pay: Sequence[Fraction]) -> float:
    """Optimal revenue per second of the cut system; a few thousand states take seconds."""
    revenue = process.revenue + np.array([float(a) for a in overflow_pay]) @ process.overflow
    generator = process.events - sparse.diags_array(process.total_rates)
    _, sources, targets = process.placements()
    rows = np.arange(sources.size)
    signs = np.ones(sources.size)
    raises = sparse.coo_array(
        (
            np.concatenate([signs, -signs]),
            (np.concatenate([rows, rows]), np.concatenate([targets, sources])),
        ),
        shape=(sources.size, process.states),
    )
    gain = sparse.coo_array(
        np.concatenate([-np.ones(process.states), np.zeros(sources.size)])[:, None]
    )
    solution = linprog(
        c=np.append(np.zeros(process.states), 1.0),
        A_ub=sparse.hstack([sparse.vstack([generator, raises]), gain]).tocsr(),
        b_ub=np.concatenate([-revenue, np.zeros(sources.size)]),
        bounds=[(0, 0), *[(None, None)] * process.states],
        method="highs",
    )
    if solution.status != 0:
        raise ArithmeticError(f"HiGHS found no optimum: {solution.message}")
    return float(solution.fun)
