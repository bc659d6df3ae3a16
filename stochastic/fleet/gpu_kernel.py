"""Compiled parts of the fleet's kernel: the batch of one GPU, and when something ends in it.

Decodes on a GPU share one speed, so the GPU keeps a clock, the tokens that each stream has made,
and a decode is the clock reading at which it ends. ``origin`` is the time of that reading. Where
work comes in iterations the clock moves at the end of an *epoch*: a run of equal iterations (the
last chunk of a prompt may be shorter) that ends with the first completion, or earlier, at the
boundary where something joins that changes the iteration time. Epochs are leapt over at once.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from ..chain import MIXED_DECODE, SOLO_DECODE
from ..compilation import inlined
from .waiting_kernel import NOBODY, set_time

PREFILL_ENDS, BOUNDARY, NOTHING = -1, -2, -3
"""What a GPU's next event can be, other than the end of the decode in a slot >= 0."""

Rules = namedtuple(
    "Rules",
    "gate routing layout stalls whole dedicated effective classes gpus mixed_gpus batch chunk "
    "alpha beta gamma mixed_seconds memory admission_limit admitted targets queue_targets "
    "class_rank buffer_rank solo_probability pool_weights",
)
"""The fleet and its policy in numbers; arrays per class."""

Gpus = namedtuple(
    "Gpus",
    "times clock origin decodes ends owner by_class prefilling prefill_end prefill_left joins "
    "iterations limit step last_step planned held",
)
"""State of the GPUs, an array each over GPUs; ``ends`` and ``owner`` over GPUs and slots."""


@inlined
def runs_mixed(rules, gpus, gpu):
    """Whether the GPU is at the mixed speed."""
    return gpus.prefilling[gpu] != NOBODY or (rules.dedicated and gpu < rules.mixed_gpus)


@inlined
def decode_stage(rules, gpus, gpu):
    """Where the decodes of the GPU are counted."""
    return MIXED_DECODE if runs_mixed(rules, gpus, gpu) else SOLO_DECODE


@inlined
def _token_rate(rules, gpus, gpu):
    """Tokens per second of each stream, where work is continuous."""
    if not runs_mixed(rules, gpus, gpu):
        return rules.gamma
    return 0.0 if rules.stalls else 1.0 / rules.mixed_seconds


@inlined
def _settle(rules, gpus, gpu, now):
    """Move the clock to ``now``, where work is continuous."""
    gpus.clock[gpu] += _token_rate(rules, gpus, gpu) * (now - gpus.origin[gpu])
    gpus.origin[gpu] = now


@inlined
def _begin_epoch(rules, gpus, gpu, now):
    """Run the present batch from ``now`` on, a boundary between iterations."""
    gpus.origin[gpu] = now
    gpus.limit[gpu] = np.inf
    gpus.joins[gpu] = False
    if gpus.prefilling[gpu] == NOBODY:
        mixed = rules.dedicated and gpu < rules.mixed_gpus
        gpus.step[gpu] = rules.mixed_seconds if mixed else 1.0 / rules.gamma
    elif rules.stalls:
        gpus.step[gpu] = rules.alpha + rules.beta * gpus.prefill_left[gpu]
        gpus.last_step[gpu] = gpus.step[gpu]
    else:
        decoded = float(gpus.decodes[gpu]) if rules.effective else 0.0
        left = gpus.prefill_left[gpu]
        last = left - (np.ceil(left / rules.chunk) - 1.0) * rules.chunk
        gpus.step[gpu] = rules.alpha + rules.beta * (rules.chunk + decoded)
        gpus.last_step[gpu] = rules.alpha + rules.beta * (last + decoded)


@inlined
def _next_boundary(gpus, gpu, now):
    """Iterations of the epoch that have ended by the first boundary from ``now`` on."""
    return min(np.ceil((now - gpus.origin[gpu]) / gpus.step[gpu]), gpus.iterations[gpu])


@inlined
def plan_gpu(rules, gpus, gpu):
    """Find the next event of the GPU: what and when."""
    first, what = np.inf, NOTHING
    for slot in range(gpus.decodes[gpu]):
        if gpus.ends[gpu, slot] < first:
            first, what = gpus.ends[gpu, slot], slot
    prefills = gpus.prefilling[gpu] != NOBODY and not gpus.joins[gpu]
    at = np.inf
    if not rules.whole:
        rate = _token_rate(rules, gpus, gpu)
        if what != NOTHING and rate > 0.0:
            at = gpus.origin[gpu] + max(0.0, first - gpus.clock[gpu]) / rate
        if prefills and gpus.prefill_end[gpu] <= at:
            at, what = gpus.prefill_end[gpu], PREFILL_ENDS
    else:
        iterations = first - gpus.clock[gpu]
        if gpus.limit[gpu] < iterations:
            iterations, what = gpus.limit[gpu], BOUNDARY
        chunks = np.inf
        if prefills:
            chunks = 1.0 if rules.stalls else np.ceil(gpus.prefill_left[gpu] / rules.chunk)
        if chunks <= iterations or (prefills and rules.stalls):
            iterations, what = chunks, PREFILL_ENDS
            at = gpus.origin[gpu] + (chunks - 1.0) * gpus.step[gpu] + gpus.last_step[gpu]
        elif iterations < np.inf:
            at = gpus.origin[gpu] + iterations * gpus.step[gpu]
        gpus.iterations[gpu] = iterations
    gpus.planned[gpu] = what
    set_time(gpus.times, gpu, at)


@inlined
def add_decode(rules, gpus, gpu, request, i, tokens, now):
    """Put a decode of so many tokens into a free slot."""
    ends = tokens
    if not rules.whole:
        _settle(rules, gpus, gpu, now)
        ends += gpus.clock[gpu]
    else:
        idle = gpus.decodes[gpu] == 0 and gpus.prefilling[gpu] == NOBODY
        ends += gpus.clock[gpu]
        if not idle and now > gpus.origin[gpu]:
            boundary = _next_boundary(gpus, gpu, now)
            active = gpus.prefilling[gpu] != NOBODY and not gpus.joins[gpu]
            if not (rules.stalls and active):
                ends += boundary
            if rules.effective and active:
                gpus.limit[gpu] = min(gpus.limit[gpu], boundary)
    slot = gpus.decodes[gpu]
    at_boundary = rules.whole and (
        now == gpus.origin[gpu] or (slot == 0 and gpus.prefilling[gpu] == NOBODY)
    )
    gpus.ends[gpu, slot], gpus.owner[gpu, slot] = ends, request
    gpus.decodes[gpu] += 1
    gpus.by_class[gpu, i] += 1
    if at_boundary:
        _begin_epoch(rules, gpus, gpu, now)
    plan_gpu(rules, gpus, gpu)


@inlined
def remove_decode(gpus, gpu, slot, i):
    """Empty a slot; the last decode moves into it. Gives the request that was there."""
    request, last = gpus.owner[gpu, slot], gpus.decodes[gpu] - 1
    gpus.ends[gpu, slot] = gpus.ends[gpu, last]
    gpus.owner[gpu, slot] = gpus.owner[gpu, last]
    gpus.decodes[gpu] = last
    gpus.by_class[gpu, i] -= 1
    return request


@inlined
def start_prefill(rules, gpus, gpu, request, tokens, now):
    """Begin a prefill of so many tokens, at once or with the next iteration."""
    if not rules.whole:
        _settle(rules, gpus, gpu, now)
        seconds = tokens * rules.mixed_seconds / rules.chunk
        if rules.stalls:
            seconds = rules.alpha + rules.beta * tokens
        gpus.prefill_end[gpu] = now + seconds
        gpus.prefilling[gpu] = request
    else:
        gpus.prefill_left[gpu] = tokens
        gpus.prefilling[gpu] = request
        if gpus.decodes[gpu] == 0 or now == gpus.origin[gpu]:
            _begin_epoch(rules, gpus, gpu, now)
        else:
            gpus.joins[gpu] = True
            gpus.limit[gpu] = _next_boundary(gpus, gpu, now)
    plan_gpu(rules, gpus, gpu)


@inlined
def advance_gpu(rules, gpus, gpu, now):
    """Let the GPU reach its next event at ``now``; gives the iterations that it ran through."""
    what = gpus.planned[gpu]
    if not rules.whole:
        if what >= 0:
            gpus.clock[gpu] = gpus.ends[gpu, what]
            gpus.origin[gpu] = now
        else:
            _settle(rules, gpus, gpu, now)
        return 0
    iterations = gpus.iterations[gpu]
    if gpus.prefilling[gpu] == NOBODY or gpus.joins[gpu]:
        gpus.clock[gpu] += iterations
    elif rules.stalls:
        gpus.prefill_left[gpu] = 0.0
    else:
        gpus.clock[gpu] += iterations
        left = gpus.prefill_left[gpu] - iterations * rules.chunk
        gpus.prefill_left[gpu] = max(0.0, left)
    return int(iterations)


@inlined
def close_event(rules, gpus, gpu, now):
    """After the completions of an event: run on with what is left."""
    if rules.whole:
        _begin_epoch(rules, gpus, gpu, now)
    plan_gpu(rules, gpus, gpu)
