"""The exact optimum: tiny backlogs per second, and seconds for 12 requests with M = 60.

Processor time of one core, after compilation.
"""

from __future__ import annotations

import time

import numpy as np

from kurtz.fluid.backlog.optimum import optimum
from kurtz.fluid.backlog.optimum_kernel import optimal_latencies
from kurtz.theory.backlog import Backlog

TINY_BACKLOGS = 20_000
BACKLOGS = 50
REQUESTS = 12
MEMORY = 60


def tiny_backlogs(
    generator: np.random.Generator, count: int, requests: int = 5, most_memory: int = 12
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prompts, outputs and memories, lengths uniform over all that fits."""
    memories = generator.integers(1, most_memory + 1, count)
    outputs = generator.integers(1, memories[:, None] + 1, (count, requests))
    prompts = generator.integers(0, memories[:, None] - outputs + 1)
    return prompts, outputs, memories


def backlog(generator: np.random.Generator, most_peak: int) -> Backlog:
    outputs = generator.integers(1, most_peak + 1, REQUESTS)
    prompts = generator.integers(0, most_peak - outputs + 1)
    return Backlog.of(zip(prompts.tolist(), outputs.tolist(), strict=True), MEMORY)


def main() -> None:
    generator = np.random.default_rng(0)
    optimal_latencies(*tiny_backlogs(generator, 10))
    batch = tiny_backlogs(generator, TINY_BACKLOGS)
    start = time.process_time()
    optimal_latencies(*batch)
    seconds = time.process_time() - start
    print(f"n = 5, M <= 12: {TINY_BACKLOGS / seconds:,.0f} backlogs per second")
    for most_peak in (MEMORY // 3, MEMORY):
        optimum(backlog(generator, most_peak), node_limit=1)
        seconds_each, nodes = [], []
        for _ in range(BACKLOGS):
            instance = backlog(generator, most_peak)
            start = time.process_time()
            found = optimum(instance)
            seconds_each.append(time.process_time() - start)
            nodes.append(found.nodes)
            assert found.is_optimal
        print(
            f"n = {REQUESTS}, M = {MEMORY}, peaks <= {most_peak}: "
            f"median {np.median(seconds_each):.3f} s, worst {max(seconds_each):.3f} s, "
            f"median {np.median(nodes):,.0f} nodes, most {max(nodes):,}"
        )


if __name__ == "__main__":
    main()
