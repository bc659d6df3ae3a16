r"""A pool of decode slots that draws the next class by weights converges (Lemmas 13.1, 13.3).

While all slots of a pool are busy and every class waits, slots free at the rate
:math:`\sum_j \mu_j y_j` and class i takes a share :math:`v_i` of them (Lemma 13.1), so that

.. math:: y' = A y, \qquad A = v \mu^\top - \mathrm{diag}(\mu), \qquad \textstyle\sum_i v_i = 1.

In :math:`z_i = \mu_i y_i / v_i` and :math:`S = \sum_j v_j z_j` this is
:math:`(A y)_i = v_i (S - z_i)`. For the scalar product :math:`\sum_i (\mu_i / v_i)\, y_i \bar y_i`
the matrix A is symmetric, so all its eigenvalues are real, and
:math:`\sum_i (\mu_i / v_i)\, y_i (A y)_i = -\sum_i v_i (z_i - S)^2`, so none is positive and 0
belongs to the y with all z_i equal alone: it is simple. The total is conserved, hence
:math:`y(t)` tends to the multiple of :math:`v_i / \mu_i` with the total of :math:`y(0)`
(Lemma 13.3). The scalar product needs v > 0; a class with v_i = 0 only drains,
:math:`y_i' = -\mu_i y_i`, and the rest follows.
"""

from __future__ import annotations

import sympy

from .kernel import ClassSum, Derivation, Identity, Inequality

WEIGHT, RATE = sympy.symbols("v mu", positive=True)
SCALED, OTHER, DEVIATION = sympy.symbols("z zbar d", real=True)
MEAN, OTHER_MEAN = sympy.symbols("S Sbar", real=True)
total = ClassSum((WEIGHT, RATE, SCALED, OTHER, DEVIATION))
ALL_WEIGHTS = total(WEIGHT)


def derivation() -> Derivation:
    """The eigenvalue lemma, step by step."""
    occupancy, scalar_product = WEIGHT * SCALED / RATE, RATE / WEIGHT
    change = WEIGHT * MEAN - RATE * occupancy
    steps = (
        Identity("the flow in the scaled variables", change, WEIGHT * (MEAN - SCALED)),
        Identity(
            "the pool stays full: the changes of all classes add up to zero",
            _with_mean(total(change)),
            sympy.Integer(0),
        ),
        Identity(
            "A is symmetric for the scalar product: its form at two points",
            _with_mean(total(scalar_product * (WEIGHT * OTHER / RATE) * change)),
            MEAN * OTHER_MEAN - total(WEIGHT * SCALED * OTHER),
        ),
        Identity(
            "its quadratic form is a negative sum of squares",
            _with_mean(total(scalar_product * occupancy * change)),
            _with_mean(-total(WEIGHT * (SCALED - MEAN) ** 2)),
        ),
        Inequality(
            "so that no eigenvalue is positive",
            -total(WEIGHT * DEVIATION**2),
            sympy.Integer(0),
            ((total(WEIGHT * DEVIATION**2),),),
        ),
        Identity(
            "where all z are equal, nothing changes",
            (change.subs(SCALED, MEAN)),
            sympy.Integer(0),
        ),
    )
    return Derivation(
        title="a full pool that draws classes by weights (Lemmas 13.1 and 13.3)",
        hypotheses=(),
        steps=steps,
        conclusion="0 is a simple eigenvalue, the others are real and negative, and occupancies "
        "tend to the multiple of v/mu with the same total",
    )


def _with_mean(expression: sympy.Expr) -> sympy.Expr:
    """Insert the weights' sum, 1, and the means S and Sbar for the sums that they stand for."""
    means = {
        ALL_WEIGHTS: sympy.Integer(1),
        total(WEIGHT * SCALED): MEAN,
        total(WEIGHT * OTHER): OTHER_MEAN,
    }
    return sympy.expand(expression.subs(means))
