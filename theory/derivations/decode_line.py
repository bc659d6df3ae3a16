r"""The decode buffer drains: what Proposition 10.14 says, proved where it can be (derived).

Equation (61) bounds the decode workload while requests wait (`decode_drift`), but the buffer may
empty and refill, and in between the workload may rise. Here are two functions that do not.

Let :math:`x = x^*`, so that class i comes to decode at rate :math:`a_i = \mu_{p,i} x_i^*`; let the
slots hold planned classes only, and the line those that came at these rates, as it does once its
initial content has left, in finite time. Let w be the wait of the head of the line. The line holds
:math:`q_i = a_i g_i(w)` requests of class i, :math:`g_i(w) = (1 - e^{-\theta_i w}) / \theta_i`.
While :math:`w > 0` all slots are busy.

**One speed** (`one_speed`). Let all N slots before the line decode class i at rate :math:`\mu_i`,
and :math:`\sum_i a_i / \mu_i \le N`: a pool with a line of its own, or both pools if
:math:`\kappa = 1`, whatever the router. With a bounded, continuous and strictly increasing
:math:`\varphi`, :math:`\varphi(0) = 0`, let :math:`\psi_i(q) = \varphi(w)` where
:math:`q = a_i g_i(w)`, constant beyond the longest such q, and 0 for negative arguments. For
:math:`z_i = y_i + q_i - a_i / \mu_i` the function
:math:`V = \sum_i \frac1{\mu_i} \int_0^{z_i} \psi_i` has

.. math::

   V' = -\varphi(w) \sum_i (z_i - q_i)
        - \sum_i \Big[ (z_i - q_i) \big(\psi_i(z_i) - \psi_i(q_i)\big)
                       + \tfrac{\theta_i}{\mu_i} q_i \psi_i(z_i) \Big] .

The first sum is :math:`N - \sum_i a_i / \mu_i \ge 0` while requests wait, and no bracket is
negative. If one class gives up, its bracket is bounded away from 0 while w is, so w tends to 0.

**Two speeds** (`two_speeds`). Pool k decodes at rates :math:`v_k \mu_i`, :math:`v_k` = 1 or
:math:`\kappa`, the plan fits, :math:`A^* \le C^*`, and the router does not look at the class. Let
:math:`\pi_i = a_i / a` with a the sum of the :math:`a_i`, let the rates differ, and let
:math:`\beta_j` be the roots of :math:`\sum_i \pi_i / (\beta - \mu_i) = 0`, one between any two
neighbouring rates. With :math:`k_j = 1 / \sum_i \pi_i (\beta_j - \mu_i)^{-2}` partial fractions say

.. math::

   \mu_i = \bar\mu - \sum_j \frac{k_j}{\beta_j - \mu_i}, \qquad
   \bar\mu - \sum_j \frac{k_j}{\beta_j} = \frac1{\sum_i \pi_i / \mu_i} =: h .

Let pool k be admitted :math:`\rho_k` seconds' worth of the line per second, let :math:`p_k` be its
share of C*, :math:`\zeta_i` the deviations of its occupancies from :math:`p_k a_i / (v_k \mu_i)`
and :math:`\sigma_k \ge 0` its slots that this leaves free. The *memory*
:math:`\eta_{k,j} = \sum_i \zeta_i / (\mu_i - \beta_j) + \sigma_k / \beta_j`, at rest not negative,
obeys with E the free slots and
:math:`F_j(w) = \sum_i \pi_i (1 - e^{-\theta_i w}) / (\beta_j - \mu_i)`

.. math::

   \eta_{k,j}' = - v_k \beta_j \eta_{k,j} + v_k E + a \rho_k F_j(w),

and while the pool is full
:math:`a \rho_k (1 - \bar b) = a p_k + v_k (h \sigma_k + \sum_j k_j \eta_{k,j})`, where
:math:`\bar b(w) = \sum_i \pi_i (1 - e^{-\theta_i w})`. The line moves by
:math:`w' = 1 - \sum_k \rho_k`. Therefore
:math:`L = w + \sum_{k,j} \frac{k_j}{a \beta_j} \eta_{k,j}^-` falls while w = 0, and

.. math::

   L' \le - (1 - w') \Big[ \bar b(w) - \sum_j \frac{k_j}{\beta_j} F_j(w)^- \Big]
   \quad\text{while } w > 0 .

If the bracket is positive for all :math:`w > 0`, L never rises and the buffer drains, for
:math:`1 - w'` is bounded below by what full slots complete, and :math:`w' \le 1`. The bracket is
:math:`\bar b` where all :math:`F_j \ge 0`, as if longer outputs are no more patient; it is
:math:`h \sum_i \frac{\pi_i}{\mu_i} (1 - e^{-\theta_i w})` where all :math:`F_j \le 0`, as if they
are no less; and with two different rates there is one j, and one of the two holds. Classes with
equal rates count as one. With equal patience :math:`\theta` all :math:`F_j = 0`, and
:math:`g(w)' \le -\theta g(w) + c\, e^{-\min(1, \kappa) \beta_1 t}`: the line falls at the slower
of patience and the slowest mode of mixing.

If x only tends to x*, exponentially, or other classes are in the slots at first, V' and L' have a
term more whose integral is finite: w still tends to 0. Proposition 10.14 itself is left open for
three and more rates with patience in no order and kappa other than 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import sympy

from .kernel import ClassSum, Derivation, Identity, Inequality

FITS = "planned decodes fit into the slots"
SLOW_LOSE_MORE = "classes with longer outputs than the mode's lose no less than in between"
FAST_LOSE_LESS = "classes with shorter ones lose no more"
_RATE, _PATIENCE = sympy.symbols("mu theta", positive=True)
_SPEED, _HARMONIC, _FLOW = sympy.symbols("v h a", positive=True)
_STRENGTH = sympy.Symbol("k", nonnegative=True)
_SLACK = sympy.Symbol("sigma", real=True)
_EPOCHS, _LOSS = sympy.symbols("u b", nonnegative=True)  # 1 - w', and the mean loss b(w)
_ABOVE, _BELOW, _AGAINST = sympy.symbols("H_+ H_- Phi", nonnegative=True)
_SLOW_LOSS, _BETWEEN, _FAST_LOSS = sympy.symbols("b_slow b_0 b_fast", nonnegative=True)


def one_speed() -> Derivation:
    """The storage V of one line before slots of one speed, class by class."""
    arrival, occupancy, queue = sympy.symbols("a y q", nonnegative=True)
    waiting, stored, more, apart, below = sympy.symbols("psi_q psi_z e d n", nonnegative=True)
    slots = sympy.Symbol("N", nonnegative=True)
    half, rest, gap = sympy.symbols("psi_h r h", nonnegative=True)
    content = occupancy + queue - arrival / _RATE
    drift = -_RATE * (content - queue) - _PATIENCE * queue
    total = ClassSum((arrival, occupancy, queue, _RATE, _PATIENCE))
    spare = slots - total(arrival / _RATE)
    abandoned = _PATIENCE / _RATE

    def bracket(z: sympy.Expr, q: sympy.Expr, psi_z: sympy.Expr, psi_q: sympy.Expr) -> sympy.Expr:
        return (z - q) * (psi_z - psi_q) + abandoned * q * psi_z

    steps = (
        Identity(
            "the content of a class moves by its deviation and its abandonments",
            arrival - _RATE * occupancy - _PATIENCE * queue,
            drift,
        ),
        Identity(
            "the storage moves by phi(w) times free slots, and a bracket",
            stored / _RATE * drift,
            -waiting * (content - queue) - bracket(content, queue, stored, waiting),
        ),
        Inequality(
            "the bracket is not negative: z >= q, where psi(z) >= psi(q)",
            sympy.Integer(0),
            bracket(queue + apart, queue, waiting + more, waiting),
            ((apart, more), (abandoned, queue, waiting + more)),
        ),
        Inequality(
            "nor where 0 <= z <= q",
            sympy.Integer(0),
            bracket(rest, rest + apart, stored, stored + more),
            ((apart, more), (abandoned, rest + apart, stored)),
        ),
        Inequality(
            "nor where z < 0, and psi(z) = 0",
            sympy.Integer(0),
            bracket(-below, queue, sympy.Integer(0), waiting),
            ((below + queue, waiting),),
        ),
        Inequality(
            "while requests wait, all slots being taken, the sum of z - q is not negative",
            sympy.Integer(0),
            total(sympy.expand(content - queue)).subs(total(occupancy), slots),
            ((spare,),),
        ),
        Inequality(
            "a class that gives up leaves a bracket: z >= q/2",
            abandoned * queue * half,
            abandoned * queue * (half + more),
            ((abandoned, queue, more),),
        ),
        Inequality(
            "or z = q/2 - d: at least q/2 times what psi grows by from q/2 to q",
            queue / 2 * gap,
            (queue / 2 + apart) * (gap + more),
            ((queue / 2, more), (apart, gap + more)),
        ),
    )
    return Derivation(
        title="one line before slots of one speed drains",
        hypotheses=((FITS, spare),),
        steps=steps,
        conclusion="V never rises, and falls while requests wait if one planned class gives up",
    )


def two_speeds() -> Derivation:
    """Modes, memory and L of one line before two pools whose speeds differ by a factor."""
    return Derivation(
        title="one line before two pools of different speed drains",
        hypotheses=(
            (FITS, _SLACK),
            (SLOW_LOSE_MORE, _SLOW_LOSS - _BETWEEN),
            (FAST_LOSE_LESS, _BETWEEN - _FAST_LOSS),
        ),
        steps=(*_memory_steps(), *_mode_steps(), *_potential_steps()),
        conclusion="L falls where the bracket is positive: with two rates, or patience ordered "
        "like output lengths, either way, if one planned class gives up",
    )


def _memory_steps() -> tuple[Identity | Inequality, ...]:
    """How a pool remembers: the equation of eta, and what a full pool admits."""
    flow, loss, deviation, share = sympy.symbols("a b zeta p")
    mode, admitted = sympy.symbols("beta rho", positive=True)
    free = sympy.Symbol("E", nonnegative=True)
    total = ClassSum((flow, loss, deviation, _RATE))
    change = flow * (admitted * (1 - loss) - share) - _SPEED * _RATE * deviation
    memory = total(deviation / (_RATE - mode))
    against = total(flow * loss / (_RATE - mode))  # -a F
    change_of_memory = total(sympy.expand(change / (_RATE - mode))).subs(
        {
            # The first step, summed; the root; and the deviations, which add up to sigma - E.
            total(_RATE * deviation / (_RATE - mode)): _SLACK - free + mode * memory,
            total(flow / (_RATE - mode)): 0,
        }
    )
    shifted = sympy.Symbol("eta", real=True)
    by_modes = _HARMONIC + _STRENGTH / mode  # the mean rate, one mode written out
    completions = by_modes * (_SLACK - free) + _STRENGTH * memory
    return (
        Identity(
            "a rate and a mode, per class",
            _RATE * deviation / (_RATE - mode),
            deviation + mode * deviation / (_RATE - mode),
        ),
        Identity(
            "memory decays, grows with free slots and with those who give up",
            change_of_memory.subs(memory, shifted - _SLACK / mode),
            -_SPEED * mode * shifted + _SPEED * free - admitted * against,
        ),
        Identity(
            "a pool that stays full, the changes adding up to 0, admits what it completes",
            admitted * (total(flow) - total(flow * loss)) - total(sympy.expand(change)),
            share * total(flow) + _SPEED * total(_RATE * deviation),
        ),
        Identity(
            "which is its share of the flow, spare slots and memory, one mode written out",
            completions.subs(free, 0).subs(memory, shifted - _SLACK / mode),
            _HARMONIC * _SLACK + _STRENGTH * shifted,
        ),
    )


def _mode_steps() -> tuple[Identity | Inequality, ...]:
    """Partial fractions with three classes, from rates and roots that interlace."""
    rates, modes = list(sympy.symbols("mu_1:4")), list(sympy.symbols("beta_1:3"))
    shares, strengths = interlacing(rates, modes)
    mean = sum(share * rate for share, rate in zip(shares, rates, strict=True))
    pairs = list(zip(shares, rates, strict=True))
    steps: list[Identity | Inequality] = [
        Identity("the shares that rates and roots define add up to one", sum(shares), sympy.S.One)
    ]
    for j, (mode, strength) in enumerate(zip(modes, strengths, strict=True), 1):
        root = sum(share / (mode - rate) for share, rate in pairs)
        squares = sum(share / (mode - rate) ** 2 for share, rate in pairs)
        steps += [
            Identity(f"root {j} is one", root, sympy.Integer(0)),
            Identity(f"strength {j}", strength * squares, sympy.S.One),
        ]
    steps += [
        Identity(
            f"rate {i} by partial fractions",
            mean - sum(k / (mode - rate) for k, mode in zip(strengths, modes, strict=True)),
            rate,
        )
        for i, rate in enumerate(rates, 1)
    ]
    steps.append(
        Identity(
            "at zero: the harmonic mean of the rates",
            (mean - sum(k / mode for k, mode in zip(strengths, modes, strict=True)))
            * sum(share / rate for share, rate in pairs),
            sympy.S.One,
        )
    )
    gaps = sympy.symbols("g_1:6", positive=True)
    points = [sympy.Add(*gaps[: k + 1]) for k in range(len(gaps))]
    steps += [
        Inequality(
            f"where they interlace it is positive: {name} {i}", sympy.S.Zero, value, ((value,),)
        )
        for name, values in zip(
            ("share", "strength"), interlacing(points[::2], points[1::2]), strict=True
        )
        for i, value in enumerate(values, 1)
    ]
    return tuple(steps)


def interlacing(rates: Sequence[Any], modes: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    r"""Shares and strengths of the mixture with these rates and roots (symbols or fractions).

    Residues of :math:`\prod_j (s + \beta_j) / \prod_i (s + \mu_i)`, which add up to one, and of its
    inverse.
    """
    shares = [
        prod(mode - rate for mode in modes)
        / prod(other - rate for k, other in enumerate(rates) if k != i)
        for i, rate in enumerate(rates)
    ]
    strengths = [
        -prod(rate - mode for rate in rates)
        / prod(other - mode for k, other in enumerate(modes) if k != j)
        for j, mode in enumerate(modes)
    ]
    return shares, strengths


def _potential_steps() -> tuple[Identity | Inequality, ...]:
    """L falls, and by how much if patience is ordered."""
    # Both pools full: u (1 - b) = 1 + H_+ - H_- + v h sigma / a, H of positive and negative memory.
    spare = _SPEED * _HARMONIC * _SLACK / _FLOW
    one = _EPOCHS * (1 - _LOSS) - _ABOVE + _BELOW - spare
    falls = one - _EPOCHS
    memory = -_BELOW + _EPOCHS * _AGAINST
    flow, share, mode = sympy.symbols("pi p beta", positive=True)
    loss = sympy.Symbol("b_i", nonnegative=True)
    total = ClassSum((flow, loss, _RATE))
    root, against = total(flow / (mode - _RATE)), total(flow * loss / (mode - _RATE))
    centred = total(sympy.expand(flow * loss / (mode - _RATE) - _BETWEEN * flow / (mode - _RATE)))
    lag, lead = sympy.symbols("beta-mu_slow mu_fast-beta", positive=True)
    modes, strengths = sympy.symbols("beta_1:3", positive=True), sympy.symbols("k_1:3")
    fractions = list(zip(strengths, modes, strict=True))
    mean = _HARMONIC + sum(k / b for k, b in fractions)
    by_fractions = mean - sum(k / (b - _RATE) for k, b in fractions)
    return (
        Inequality(
            "the line moves by what full pools admit, and memory pays for what it adds",
            falls + memory,
            -_EPOCHS * (_LOSS - _AGAINST),
            ((_ABOVE,), (_SPEED, _HARMONIC, 1 / _FLOW, _SLACK)),
        ),
        Identity(
            "a constant in place of all losses leaves F at zero",
            centred.subs(root, 0),
            against,
        ),
        Inequality(
            "a class slower than the mode adds to F if it loses at least the constant",
            sympy.S.Zero,
            share * (_SLOW_LOSS - _BETWEEN) / lag,
            ((share, 1 / lag, _SLOW_LOSS - _BETWEEN),),
        ),
        Inequality(
            "and one that is faster, if it loses at most that",
            sympy.S.Zero,
            share * (_FAST_LOSS - _BETWEEN) / -lead,
            ((share, 1 / lead, _BETWEEN - _FAST_LOSS),),
        ),
        Identity(
            "with all F <= 0 the bracket weighs classes by their decode work, h / mu",
            (1 + sum(k / (b * (b - _RATE)) for k, b in fractions)) * _RATE,
            _HARMONIC + (_RATE - by_fractions),
        ),
    )
