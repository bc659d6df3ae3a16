"""The numba kernel against a hand-written C loop of the same chain, as a ratio in one run.

Also the cost per event from n = 10 to 100,000 GPUs, which should not depend on n, and the kernel
on two threads against one. C and numba take turns and the best of several rounds counts, since
neighbours on a machine only ever slow one down. The goal is 0.8 of the C loop.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kurtz.fluid import plan
from kurtz.stochastic import build_chain, replication_generator, run_kernel
from kurtz.stochastic.chain import COUNTS, EVENTS, Chain
from kurtz.theory import GateAndRoute, instance

ROUNDS = 5
EVENTS_PER_RUN = 4e6
EVENTS_PER_GPU_SECOND = 3.0
NO_GRID = np.zeros(0)


def compile_c(folder: Path, classes: int) -> ctypes.CDLL:
    """Build chain.c with full optimisation for this machine."""
    library = folder / "chain.so"
    source = Path(__file__).with_name("chain.c")
    flags = ["-O3", "-march=native", f"-DCLASSES={classes}", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, str(source), "-o", str(library), "-lm"], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.run.restype = ctypes.c_int64
    return loaded


def run_c(library: ctypes.CDLL, chain: Chain, horizon: float, seed: int) -> tuple[int, np.ndarray]:
    """One run of the C loop: events, and areas of shape (5, classes)."""
    areas = np.zeros((len(COUNTS), chain.classes))
    counts = np.zeros((len(EVENTS), chain.classes), dtype=np.int64)
    targets = np.array([float(x) for x in chain.policy.plan.prefill])
    queues = np.array([float(q) for q in chain.policy.plan.prefill_queue])
    integers = (chain.gpus, chain.mixed_gpus, chain.solo_slots, chain.mixed_slots)
    events = library.run(
        *(array.ctypes.data_as(ctypes.c_void_p) for array in (chain.unit_rates, targets, queues)),
        *(ctypes.c_int64(value) for value in integers),
        ctypes.c_double(horizon),
        ctypes.c_uint64(seed),
        areas.ctypes.data_as(ctypes.c_void_p),
        counts.ctypes.data_as(ctypes.c_void_p),
    )
    return events, areas


def scaling(chain: Chain, horizon: float, threads: int) -> float:
    """Events per second on several threads over that on one."""

    def events(replication: int) -> int:
        generator = replication_generator(0, replication)
        return run_kernel(chain, generator, 0.0, horizon, NO_GRID, 0).events

    def speed(workers: int) -> float:
        with ThreadPoolExecutor(workers) as pool:
            start = time.perf_counter()
            done = sum(pool.map(events, range(workers)))
            return done / (time.perf_counter() - start)

    rounds = [(speed(threads), speed(1)) for _ in range(ROUNDS)]
    return max(many for many, _ in rounds) / max(one for _, one in rounds)


def main() -> None:
    """Print events per second of both and their ratio, for n = 10 ... 100,000; then the scaling."""
    network = instance("two-class")
    policy = GateAndRoute(plan(network))
    with tempfile.TemporaryDirectory() as folder:
        library = compile_c(Path(folder), len(network.classes))
        print("     n   kernel [M events/s]   C loop [M events/s]   ratio")
        for gpus in (10, 100, 1_000, 10_000, 100_000):
            chain = build_chain(network, policy, gpus)
            horizon = 60 + EVENTS_PER_RUN / EVENTS_PER_GPU_SECOND / gpus
            fastest = {"kernel": 0.0, "C": 0.0}
            for k in range(ROUNDS):
                start = time.perf_counter()
                generator = replication_generator(k, 0)
                events = run_kernel(chain, generator, 0.0, horizon, NO_GRID, 0).events
                middle = time.perf_counter()
                c_events, _ = run_c(library, chain, horizon, k)
                end = time.perf_counter()
                if k > 0:  # the first round compiles
                    fastest["kernel"] = max(fastest["kernel"], events / (middle - start))
                    fastest["C"] = max(fastest["C"], c_events / (end - middle))
            kernel, c = fastest["kernel"] / 1e6, fastest["C"] / 1e6
            print(f"{gpus:6d} {kernel:21.1f} {c:21.1f} {kernel / c:7.2f}")
        chain = build_chain(network, policy, 1_000)
        horizon = EVENTS_PER_RUN / EVENTS_PER_GPU_SECOND / 1_000
        print(f"two threads over one, n = 1,000: {scaling(chain, horizon, 2):.2f}")


if __name__ == "__main__":
    main()
