"""The walk through time of `refinement`, compiled: from one eviction to the next.

State arrays belong to the caller and are changed in place. ``running`` lists the requests that
run, ascending by the end that is believed of them, so that the memory check is one sweep.
"""

from __future__ import annotations

import numba


@numba.njit(cache=True)
def advance(
    prompts,
    outputs,
    memory,
    refine,
    believed,
    starts,
    ends,
    running,
    running_count,
    order,
    place,
    waiting_count,
    time,
    evicted,
):
    """Go on until requests are evicted or all have completed.

    ``ends`` are the believed ends of the running requests, ``order[place:waiting_count]`` those
    who wait. Returns (running_count, place, time, evicted_count); after an eviction it stops
    before admission, and the caller calls again at the same time with a new order.
    """
    while True:
        kept = 0
        held = 0
        for k in range(running_count):
            i = running[k]
            decoded = time - starts[i]
            if decoded == outputs[i]:
                continue
            if ends[i] <= time:
                if refine:
                    bucket = 1
                    while bucket <= decoded:
                        bucket *= 2
                    believed[i] = min(bucket, memory - prompts[i])
                    ends[i] = starts[i] + believed[i]
                else:
                    ends[i] = time + 1
            running[kept] = i
            kept += 1
            held += prompts[i] + decoded + 1
        running_count = kept
        evicted_count = 0
        while held > memory:
            least = 0
            for k in range(1, running_count):
                i, j = running[k], running[least]
                if starts[i] > starts[j] or (starts[i] == starts[j] and i > j):
                    least = k
            i = running[least]
            held -= prompts[i] + time - starts[i] + 1
            for k in range(least + 1, running_count):
                running[k - 1] = running[k]
            running_count -= 1
            evicted[evicted_count] = i
            evicted_count += 1
        for k in range(1, running_count):
            i = running[k]
            at = k
            while at > 0 and ends[running[at - 1]] > ends[i]:
                running[at] = running[at - 1]
                at -= 1
            running[at] = i
        if evicted_count > 0:
            return running_count, place, time, evicted_count
        while place < waiting_count:
            head = order[place]
            end = time + believed[head]
            if not _fits(prompts, starts, ends, memory, running, running_count, time, head, end):
                break
            place += 1
            starts[head] = time
            ends[head] = end
            at = running_count
            while at > 0 and ends[running[at - 1]] > end:
                running[at] = running[at - 1]
                at -= 1
            running[at] = head
            running_count += 1
        if place == waiting_count and running_count == 0:
            return running_count, place, time, 0
        time += 1


@numba.njit(cache=True)
def _fits(prompts, starts, ends, memory, running, running_count, time, head, end):
    """Whether memory stays in the budget at every believed end if ``head`` starts now.

    From the last end to the first: those who are still there at step ``t`` hold
    ``constant + count * t``. Of equal ends the last one visited has seen all of them.
    """
    constant = 0
    count = 0
    pending = True
    for k in range(running_count - 1, -1, -1):
        i = running[k]
        if pending and end >= ends[i]:
            constant += prompts[head] - time
            count += 1
            pending = False
            if constant + count * end > memory:
                return False
        constant += prompts[i] - starts[i]
        count += 1
        if constant + count * ends[i] > memory:
            return False
    if pending:
        constant += prompts[head] - time
        count += 1
        if constant + count * end > memory:
            return False
    return True
