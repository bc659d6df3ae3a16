r"""Erlang-A: the queue M/M/n+M, in which waiting customers abandon.

With arrival rate :math:`\lambda`, service rate :math:`\mu`, n servers and patience rate
:math:`\theta > 0` the number of customers is a birth-death chain with death rates
:math:`d_k = \min(k, n) \mu + (k - n)^+ \theta`, so that

.. math:: \frac{\pi_{k+1}}{\pi_k} = \frac{\lambda}{d_{k+1}}.

The ratios fall with k: the law rises to one mode and falls from there. Summing outwards from the
mode, relative to its weight, neither overflows nor cancels, whatever the size of the system.

Sources: C. Palm, "Research on telephone traffic carried by full availability groups", Tele 1
(1957); O. Garnett, A. Mandelbaum, M. Reiman, "Designing a call center with impatient customers",
M&SOM 4 (2002) 208-227.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..theory.errors import require_integer, require_number

_NEGLIGIBLE = 1e-30
"""Weight relative to the mode from which on, as the ratios fall, a tail is not summed."""


@dataclass(frozen=True)
class ErlangA:
    """Stationary averages of M/M/n+M.

    Attributes
    ----------
    mean_queue, mean_busy_servers
        Mean number of customers who wait, and who are served.
    abandonment_rate
        Customers who abandon, per second.
    wait_probability
        Probability that an arriving customer finds all servers busy.
    """

    mean_queue: float
    mean_busy_servers: float
    abandonment_rate: float
    wait_probability: float


def erlang_a(
    arrival_rate: float, service_rate: float, servers: int, patience_rate: float
) -> ErlangA:
    """Stationary averages of the queue M/M/n+M.

    Parameters
    ----------
    arrival_rate
        Customers per second in all.
    service_rate, patience_rate
        Per second, of one server and of one waiting customer.
    servers
        Number n of servers.

    Examples
    --------
    With patience as long as service, M/M/n+M is M/M/infinity: Poisson with mean 1 here.

    >>> law = erlang_a(arrival_rate=2.0, service_rate=2.0, servers=1, patience_rate=2.0)
    >>> round(law.wait_probability, 9) == round(1 - math.exp(-1), 9)
    True
    """
    require_number("arrival_rate", arrival_rate, "customers per second", above=0)
    require_number("service_rate", service_rate, "1/s", above=0)
    require_integer("servers", servers, "servers", at_least=1)
    require_number("patience_rate", patience_rate, "1/s", above=0)

    def death_rate(k: int) -> float:
        return min(k, servers) * service_rate + max(k - servers, 0) * patience_rate

    capacity = servers * service_rate
    if arrival_rate < capacity:
        mode = int(arrival_rate / service_rate)
    else:
        mode = servers + int((arrival_rate - capacity) / patience_rate)
    weights = {mode: 1.0}
    k, weight = mode, 1.0
    while k > 0 and weight > _NEGLIGIBLE:
        weight *= death_rate(k) / arrival_rate
        k -= 1
        weights[k] = weight
    k, weight = mode, 1.0
    while weight > _NEGLIGIBLE:
        k += 1
        weight *= arrival_rate / death_rate(k)
        weights[k] = weight

    total = math.fsum(weights.values())
    queue = math.fsum((k - servers) * w for k, w in weights.items() if k > servers) / total
    busy = math.fsum(min(k, servers) * w for k, w in weights.items()) / total
    waits = math.fsum(w for k, w in weights.items() if k >= servers) / total
    return ErlangA(
        mean_queue=queue,
        mean_busy_servers=busy,
        abandonment_rate=patience_rate * queue,
        wait_probability=waits,
    )
