"""Lower bounds on a mix of short conversations and long documents: how high, and how fast.

Every bound is divided by the total latency of the schedule that starts the smallest volume first;
seconds are those of one run after compilation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from kurtz.fluid.backlog.fluid_prices import fluid_bound
from kurtz.fluid.backlog.linear_program import lower_bound, sorted_lp_order
from kurtz.fluid.backlog.listing import fast_list_schedule
from kurtz.fluid.backlog.price_search import search_prices
from kurtz.stochastic.backlog_workload import draw_backlog
from kurtz.theory.backlog import mean_busy_time_bound, total_latency, volume_bound

SEED = 1
DOCUMENT_SHARES = (0.0, 0.1, 0.3)
SIZES = (100, 1_000, 10_000, 100_000)
LARGEST_SEARCH = 10_000


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """How long ``call`` takes, and what it returns."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def main() -> None:
    """Print one line per mix and size."""
    search_prices(draw_backlog(100, 0.1, SEED))  # compiles
    print(
        "share      n   volume  busytime    fluid   search  sorted-lp   s(fluid) s(search)  s(all)"
    )
    for share in DOCUMENT_SHARES:
        for size in SIZES:
            backlog = draw_backlog(size, share, SEED)
            order = np.lexsort((np.arange(size), backlog.volumes)).tolist()
            latency = total_latency(backlog, fast_list_schedule(backlog, order))
            fluid_seconds, fluid = seconds(lambda backlog=backlog: fluid_bound(backlog).value)
            values = [volume_bound(backlog), mean_busy_time_bound(backlog), fluid]
            row = f"{share:5.1f} {size:6d}" + "".join(f" {float(v) / latency:8.4f}" for v in values)
            if size > LARGEST_SEARCH:
                all_seconds, _ = seconds(
                    lambda backlog=backlog: lower_bound(backlog, "closed-form")
                )
                print(
                    f"{row}        -          - {fluid_seconds:10.2f}          - {all_seconds:7.2f}"
                )
                continue
            search_seconds, found = seconds(lambda backlog=backlog: search_prices(backlog))
            all_seconds, _ = seconds(lambda backlog=backlog: lower_bound(backlog))
            guided = fast_list_schedule(backlog, sorted_lp_order(backlog))
            print(
                f"{row} {float(found.bound.value) / latency:8.4f}"
                f" {total_latency(backlog, guided) / latency:10.4f}"
                f" {fluid_seconds:10.2f} {search_seconds:10.2f} {all_seconds:7.2f}"
            )


if __name__ == "__main__":
    main()
