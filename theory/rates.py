r"""Service rates of a serving network, equations (3) and (4), from one definition.

The formulas below use nothing but arithmetic, so that the same line serves SymPy symbols
(derivations), fractions (certificates), floats and arrays (computation):

.. math::

   \tau = \alpha + \beta C, \quad \mu_{p,i} = \frac{C}{P_i \tau}, \quad
   \mu_{m,i} = \frac{1}{D_i \tau}, \quad \mu_{s,i} = \frac{\gamma}{D_i}, \quad
   \kappa = \gamma \tau, \quad w_i = c_p P_i + c_d D_i.

Bundled charging (21) pays :math:`w_i` when the last token is out; separate charging (23) pays
:math:`c_p P_i` when the prefill and :math:`c_d D_i` when the decode completes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy

from .network import ServingNetwork, exact


def mixed_iteration_time(alpha: Any, beta: Any, chunk: Any) -> Any:
    """Seconds of one mixed iteration, equation (3)."""
    return alpha + beta * chunk


def prefill_rate(chunk: Any, prompt_tokens: Any, mixed_time: Any) -> Any:
    """Prefills per second of one busy prefill slot, equation (4)."""
    return chunk / (prompt_tokens * mixed_time)


def mixed_decode_rate(output_tokens: Any, mixed_time: Any) -> Any:
    """Completions per second of one mixed decode slot, equation (4)."""
    return 1 / (output_tokens * mixed_time)


def solo_decode_rate(output_tokens: Any, gamma: Any) -> Any:
    """Completions per second of one solo decode slot, equation (4)."""
    return gamma / output_tokens


def speed_ratio(gamma: Any, mixed_time: Any) -> Any:
    """Solo over mixed decode speed: kappa = gamma tau (Section 10.2)."""
    return gamma * mixed_time


def bundled_weight(
    prefill_price: Any, prompt_tokens: Any, decode_price: Any, output_tokens: Any
) -> Any:
    """Revenue of one completed request under bundled charging, equation (21)."""
    return prompt_revenue(prefill_price, prompt_tokens) + output_revenue(
        decode_price, output_tokens
    )


def prompt_revenue(prefill_price: Any, prompt_tokens: Any) -> Any:
    """Revenue of one completed prefill under separate charging, equation (23)."""
    return prefill_price * prompt_tokens


def output_revenue(decode_price: Any, output_tokens: Any) -> Any:
    """Revenue of one completed decode under separate charging, equation (23)."""
    return decode_price * output_tokens


@dataclass(frozen=True)
class Rates:
    """All rates of a network, per class in order; numbers or SymPy expressions.

    Rates are per second, ``arrival`` per second and GPU; ``prompt_revenue``, ``output_revenue``
    and their sum ``weight`` are in revenue per request.
    """

    arrival: tuple[Any, ...]
    patience: tuple[Any, ...]
    prefill: tuple[Any, ...]
    mixed_decode: tuple[Any, ...]
    solo_decode: tuple[Any, ...]
    weight: tuple[Any, ...]
    prompt_revenue: tuple[Any, ...]
    output_revenue: tuple[Any, ...]
    mixed_time: Any
    kappa: Any
    batch: Any


def rates(network: ServingNetwork, number: Callable[[Any], Any] = float) -> Rates:
    """Rates of ``network`` in floats, or exactly with ``number=exact``."""
    gpu, prices = network.gpu, network.prices
    gamma = number(gpu.iteration_time.gamma)
    time = mixed_iteration_time(
        number(gpu.iteration_time.alpha), number(gpu.iteration_time.beta), number(gpu.chunk)
    )
    prompts = network.per_class("prompt_tokens", number)
    outputs = network.per_class("output_tokens", number)
    prefill_price, decode_price = number(prices.prefill), number(prices.decode)
    return Rates(
        arrival=network.per_class("arrival_rate", number),
        patience=network.per_class("patience_rate", number),
        prefill=tuple(prefill_rate(number(gpu.chunk), p, time) for p in prompts),
        mixed_decode=tuple(mixed_decode_rate(d, time) for d in outputs),
        solo_decode=tuple(solo_decode_rate(d, gamma) for d in outputs),
        weight=tuple(
            bundled_weight(prefill_price, p, decode_price, d)
            for p, d in zip(prompts, outputs, strict=True)
        ),
        prompt_revenue=tuple(prompt_revenue(prefill_price, p) for p in prompts),
        output_revenue=tuple(output_revenue(decode_price, d) for d in outputs),
        mixed_time=time,
        kappa=speed_ratio(gamma, time),
        batch=int(gpu.batch),
    )


def exact_rates(network: ServingNetwork) -> Rates:
    """Rates of ``network`` as fractions."""
    return rates(network, exact)


def rate_symbols(class_count: int) -> Rates:
    """Free positive symbols in place of every rate: the parameters of the symbolic programs."""

    def indexed(name: str, **assumptions: bool) -> tuple[sympy.Symbol, ...]:
        return tuple(sympy.Symbol(f"{name}_{i}", **assumptions) for i in range(class_count))

    return Rates(
        arrival=indexed("lambda", positive=True),
        patience=indexed("theta", nonnegative=True),
        prefill=indexed("mu_p", positive=True),
        mixed_decode=indexed("mu_m", positive=True),
        solo_decode=indexed("mu_s", positive=True),
        weight=indexed("w", nonnegative=True),
        prompt_revenue=indexed("r_p", nonnegative=True),
        output_revenue=indexed("r_d", nonnegative=True),
        mixed_time=sympy.Symbol("tau", positive=True),
        kappa=sympy.Symbol("kappa", positive=True),
        batch=sympy.Symbol("B", positive=True),
    )
