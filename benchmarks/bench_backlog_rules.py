"""Seconds of the backlog rules on one core, against their targets and their readable twins.

The workload mixes short conversations (log-normal: prompt mean 40.62 and median 11, output mean
85.32 and median 45) with long documents (prompt about 2,600, output about 290) in a memory of
16,492 tokens. Targets: exact batches of 1,000 requests and heuristics of 100,000 in 10 s.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from kurtz.fluid.backlog.batch_selection import sorted_f_batches_fast
from kurtz.fluid.backlog.listing import fast_list_schedule
from kurtz.fluid.backlog.rules import RULES
from kurtz.theory.backlog import (
    BATCH_KINDS,
    Backlog,
    list_schedule,
    sorted_f_batches,
    total_latency,
)

MEMORY = 16_492
SHARES = (0.0, 0.1, 0.3, 0.5, 1.0)
AT_SCALE = (
    "fcfs",
    "fcfs-skip",
    "shortest-output",
    "shortest-total",
    "mc-sf",
    "smallest-volume",
    "local-swap",
    "quantile-greedy",
    "receding-horizon",
)


def workload(count: int, share_of_documents: float, seed: int = 1) -> Backlog:
    generator = np.random.default_rng(seed)

    def log_normal(mean: float, median: float) -> np.ndarray:
        sigma = np.sqrt(2 * np.log(mean / median))
        return np.exp(generator.normal(np.log(median), sigma, count))

    document = generator.random(count) < share_of_documents
    long_prompts = generator.normal(2600, 700, count).clip(50, 4054)
    prompts = np.where(document, long_prompts, log_normal(40.62, 11))
    outputs = np.where(document, log_normal(290, 167), log_normal(85.32, 45))
    return Backlog.of(
        zip(
            np.rint(prompts).astype(int).clip(1, MEMORY // 2).tolist(),
            np.rint(outputs).astype(int).clip(1, 4056).tolist(),
            strict=True,
        ),
        MEMORY,
    )


def seconds(task: Callable[[], object]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def main() -> None:
    small = workload(12, 0.3)
    for name in RULES:
        RULES[name](small)  # compiles

    print("exact batches of 1,000 requests; target 10 s")
    for kind in BATCH_KINDS:
        for share in SHARES:
            backlog = workload(1000, share)
            taken = seconds(lambda b=backlog, k=kind: sorted_f_batches_fast(b, k))
            print(f"  {kind:12s}  documents {share:4.0%}  {taken:7.2f} s")

    print("rules at 100,000 requests, documents 30%; target 10 s")
    backlog = workload(100_000, 0.3)
    for name in AT_SCALE:
        start = time.perf_counter()
        schedule = RULES[name](backlog)
        taken = time.perf_counter() - start
        mean = total_latency(backlog, schedule) / len(backlog)
        print(f"  {name:17s} {taken:6.2f} s   mean latency {mean:12.1f} steps")

    print("readable twin over compiled, in time")
    backlog = workload(200, 0.3)
    order = range(len(backlog))
    for blocked in ("wait", "skip"):
        fast = seconds(lambda b=blocked: fast_list_schedule(backlog, order, blocked=b))
        readable = seconds(lambda b=blocked: list_schedule(backlog, order, blocked=b))
        print(f"  list schedule of 200 ({blocked})        {readable / fast:9.0f}")
    backlog = workload(14, 1.0)
    for kind in BATCH_KINDS:
        fast = seconds(lambda k=kind: sorted_f_batches_fast(backlog, k))
        readable = seconds(lambda k=kind: sorted_f_batches(backlog, k))
        print(f"  batches of 14 ({kind})      {readable / fast:9.0f}")


if __name__ == "__main__":
    main()
