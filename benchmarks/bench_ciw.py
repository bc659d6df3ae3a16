"""Kurtz's event rate against Ciw's on the same network, as a ratio in one run.

Ciw (Palmer et al., J. Simulation 13 (2019)) simulates open queueing networks in pure Python. The
network is one that both can express exactly: two request classes, first come first served, plan
with sum x* = 1, so that all n GPUs are mixed and there is no solo decode. Then

* the prefill stage is one station of n servers, class i served at rate mu_{p,i};
* the decode stage is one station of n (B - 1) servers, class i at rate mu_{m,i}, with one line
  across classes;
* at either station a waiting request reneges at its class's patience rate and leaves.

Matched: all rates, the order of service, the empty start, the horizon, and the events counted:
arrivals, service completions at either station, reneges. The means of all occupancies must agree.

Not matched: Ciw tracks individuals and keeps a record of each visit, kurtz keeps counts and their
integrals; Ciw can do much that kurtz cannot, and nothing here needs it. Kurtz's gate and its
solo-first router, which Ciw has no words for, are not exercised. Each is timed on one core,
without compilation, and with the horizon that gives it enough events to time.
"""

from __future__ import annotations

import time

import ciw
import numpy as np
from scipy import stats

from kurtz.fluid import plan
from kurtz.stochastic import COUNTS, build_chain, replication_generator, run_kernel
from kurtz.stochastic.chain import Chain
from kurtz.theory import (
    FirstComeFirstServed,
    Gpu,
    IterationTime,
    Prices,
    RequestClass,
    ServingNetwork,
)

GPUS = 10
HORIZON = 200.0
WARMUP = 40.0
REPLICATIONS = 10
LONG_HORIZON = 20_000.0
TARGET_RATIO = 200.0
LEVEL = 0.999
NO_GRID = np.zeros(0)

# tau = 0.3 s; mu_p = (5/6, 5/12), mu_m = (1/3, 5/24) per second: at full prefill decode is busy
# to about 90 %. kappa = 0.75 = (B - 1) / B: a mixed GPU decodes as much as a solo one.
NETWORK = ServingNetwork(
    Gpu("all mixed", IterationTime(alpha=0.2, beta=0.001, gamma=2.5), batch=4, chunk=100),
    Prices(0.1, 0.2),
    (
        RequestClass("short", 400, 10, arrival_rate=0.5, patience_rate=0.2),
        RequestClass("long", 800, 16, arrival_rate=0.3, patience_rate=0.1),
    ),
)


def ciw_network(chain: Chain) -> ciw.network.Network:
    """The same network in Ciw's words."""
    arrivals, prefill, _, decode, patience, _ = chain.unit_rates
    names = [str(i) for i in range(chain.classes)]
    exponential = ciw.dists.Exponential
    return ciw.create_network(
        arrival_distributions={
            name: [exponential(arrivals[i]), None] for i, name in enumerate(names)
        },
        service_distributions={
            name: [exponential(prefill[i]), exponential(decode[i])] for i, name in enumerate(names)
        },
        reneging_time_distributions={
            name: [exponential(patience[i])] * 2 for i, name in enumerate(names)
        },
        routing={name: [[0.0, 1.0], [0.0, 0.0]] for name in names},
        number_of_servers=[chain.mixed_gpus, chain.mixed_slots],
    )


def run_ciw(chain: Chain, seed: int) -> tuple[int, float, np.ndarray]:
    """Events, seconds, and mean counts of shape (4, classes): both queues, both services."""
    ciw.seed(seed)
    simulation = ciw.Simulation(ciw_network(chain))
    start = time.perf_counter()
    simulation.simulate_until_max_time(HORIZON)
    seconds = time.perf_counter() - start
    areas = np.zeros((4, chain.classes))
    events = 0

    def add(stage: int, name: str, begin: float, end: float) -> None:
        overlap = min(end, HORIZON) - max(begin, WARMUP)
        areas[stage, int(name)] += max(0.0, overlap)

    for record in simulation.get_all_records(only=["service", "renege"]):
        # A visit to the first station began with an arrival; its end is one event in either case.
        events += 1 + (record.node == 1)
        station = record.node - 1
        if record.record_type == "renege":
            add(station, record.customer_class, record.arrival_date, record.exit_date)
        else:
            begins, ends = record.service_start_date, record.service_end_date
            add(station, record.customer_class, record.arrival_date, begins)
            add(2 + station, record.customer_class, begins, ends)
    for node in simulation.transitive_nodes:
        for individual in node.all_individuals:  # still there at the horizon
            events += node.id_number == 1
            station, name = node.id_number - 1, individual.customer_class
            starts = individual.service_start_date
            if starts is False:
                starts = HORIZON
            add(station, name, individual.arrival_date, starts)
            add(2 + station, name, starts, HORIZON)
    return events, seconds, areas / (HORIZON - WARMUP)


def run_kurtz(chain: Chain, seed: int, horizon: float) -> tuple[int, float, np.ndarray]:
    """The same for the kernel."""
    generator = replication_generator(seed, 0)
    start = time.perf_counter()
    run = run_kernel(chain, generator, WARMUP, horizon, NO_GRID, 0)
    seconds = time.perf_counter() - start
    stages = [COUNTS.index(k) for k in ("prefill_queue", "decode_queue", "prefill", "mixed_decode")]
    return run.events, seconds, run.areas[stages] / (horizon - WARMUP)


def main() -> None:
    """Print events per second of both, their ratio, and whether the means agree."""
    policy = FirstComeFirstServed(plan(NETWORK))
    chain = build_chain(NETWORK, policy, GPUS)
    if chain.mixed_gpus != GPUS or chain.solo_slots != 0:
        raise AssertionError("the plan leaves solo GPUs: decode is not one station")
    run_kurtz(chain, 0, HORIZON)  # compiles
    theirs, ours, long = [], [], []
    for seed in range(REPLICATIONS):  # in turns: a busy machine slows both
        theirs.append(run_ciw(chain, seed))
        ours.append(run_kurtz(chain, seed, HORIZON))
        long.append(run_kurtz(chain, seed, LONG_HORIZON))

    def fastest(runs: list[tuple[int, float, np.ndarray]]) -> float:
        return max(events / seconds for events, seconds, _ in runs)

    print(f"ciw {ciw.__version__}: {fastest(theirs):14,.0f} events/s")
    print(f"kurtz:     {fastest(long):14,.0f} events/s")
    ratio = fastest(long) / fastest(theirs)
    print(f"ratio:     {ratio:14,.0f} (target {TARGET_RATIO:.0f})")

    # Welch's t test of each mean, and of the number of events, at a simultaneous level of 99.9 %.
    samples = [
        np.array([[events, *means.ravel()] for events, _, means in runs]) for runs in (theirs, ours)
    ]
    worst = float(stats.ttest_ind(*samples, equal_var=False).pvalue.min()) * samples[0].shape[1]
    verdict = "agree" if worst > 1 - LEVEL else "DISAGREE"
    print(f"means {verdict}: least p-value, corrected for their number, {min(1.0, worst):.3f}")
    if worst <= 1 - LEVEL or ratio < TARGET_RATIO:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
