r"""Server configurations of small systems: what is in service, and how that may change.

Source: arXiv 2602.02987 v1, Sections 2.3 and 4.1. Two kinds of system share one description.

*Dedicated* (the layout of the static planning, and of `exact_chain`): M mixed GPUs hold M prefill
slots and M (B-1) decode slots at the mixed speed, the other n - M hold (n-M) B solo slots. A
configuration counts per class the requests in prefill, in mixed and in solo decode.

*Undedicated* (the model itself, in which the mode of a GPU follows the presence of a prefill): a
configuration says of every GPU which class it prefills, if any, and how many requests of each
class it decodes, B in all and at most one in prefill. Its decodes run at the mixed speed while
it prefills and at the solo speed otherwise, so that a prefill which starts or ends relabels them:
equations (10) and (12)-(14), GPU by GPU. GPUs are alike: their order is forgotten.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement, product

from ...theory.rates import Rates

Counts = tuple[int, ...]
"""Requests per class."""

Configuration = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Completion:
    """One service completion: between configurations (by number), of a class, at a rate (1/s)."""

    source: int
    target: int
    request_class: int
    rate: Fraction


@dataclass(frozen=True)
class Placement:
    """One way to take a waiting request of a class into service."""

    source: int
    target: int
    request_class: int


@dataclass(frozen=True)
class Servers:
    """Every configuration of a system and every change between two of them.

    Attributes
    ----------
    configurations
        Dedicated: prefill, mixed and solo counts. Undedicated: a tuple (class in prefill or -1,
        decode counts) for each GPU, sorted.
    occupied
        Requests in service in each configuration.
    prefill_placements, decode_placements
        What the gate and the router may do.
    """

    configurations: tuple[Configuration, ...]
    occupied: tuple[int, ...]
    prefill_completions: tuple[Completion, ...]
    decode_completions: tuple[Completion, ...]
    prefill_placements: tuple[Placement, ...]
    decode_placements: tuple[Placement, ...]


def dedicated_servers(
    rates: Rates, gpus: int, mixed_gpus: int, *, solo_first: bool = False
) -> Servers:
    """``mixed_gpus`` of ``gpus`` mixed for good, the others solo; exact ``rates``.

    With ``solo_first`` nobody may take a mixed slot while a solo slot is free.
    """
    count = len(rates.arrival)
    capacities = (
        mixed_gpus,
        mixed_gpus * (rates.batch - 1),
        (gpus - mixed_gpus) * rates.batch,
    )
    configurations = tuple(product(*(list(_counts(count, room)) for room in capacities)))
    number = {configuration: c for c, configuration in enumerate(configurations)}
    completions: tuple[list[Completion], ...] = ([], [], [])
    placements: tuple[list[Placement], ...] = ([], [], [])
    stage_rates = (rates.prefill, rates.mixed_decode, rates.solo_decode)
    for source, configuration in enumerate(configurations):
        for stage, i in product(range(3), range(count)):
            busy = configuration[stage][i]
            if busy > 0:
                target = number[_stage_changed(configuration, stage, i, -1)]
                rate = busy * stage_rates[stage][i]
                completions[stage].append(Completion(source, target, i, rate))
            passed_over = solo_first and stage == 1 and sum(configuration[2]) < capacities[2]
            if sum(configuration[stage]) < capacities[stage] and not passed_over:
                target = number[_stage_changed(configuration, stage, i, 1)]
                placements[stage].append(Placement(source, target, i))
    return Servers(
        configurations=configurations,
        occupied=tuple(sum(map(sum, configuration)) for configuration in configurations),
        prefill_completions=tuple(completions[0]),
        decode_completions=(*completions[1], *completions[2]),
        prefill_placements=tuple(placements[0]),
        decode_placements=(*placements[2], *placements[1]),
    )


def undedicated_servers(rates: Rates, gpus: int) -> Servers:
    """No GPU dedicated: each may prefill, decoding more slowly meanwhile; exact ``rates``."""
    count, batch = len(rates.arrival), rates.batch
    one = [
        (prefilled, *decodes)
        for prefilled in range(-1, count)
        for decodes in _counts(count, batch - (prefilled >= 0))
    ]
    configurations = tuple(
        tuple(sorted(chosen)) for chosen in combinations_with_replacement(one, gpus)
    )
    number = {configuration: c for c, configuration in enumerate(configurations)}
    prefills: defaultdict[tuple[int, int, int], Fraction] = defaultdict(Fraction)
    decodes_done: defaultdict[tuple[int, int, int], Fraction] = defaultdict(Fraction)
    admitted: set[tuple[int, int, int]] = set()
    placed: set[tuple[int, int, int]] = set()
    for source, configuration in enumerate(configurations):
        for place, (prefilled, *decodes) in enumerate(configuration):

            def target(
                prefilled: int,
                decodes: Iterable[int],
                place: int = place,
                configuration: Configuration = configuration,
            ) -> int:
                others = configuration[:place] + configuration[place + 1 :]
                return number[tuple(sorted((*others, (prefilled, *decodes))))]

            free = batch - sum(decodes) - (prefilled >= 0)
            if prefilled >= 0:
                prefills[source, target(-1, decodes), prefilled] += rates.prefill[prefilled]
            for i in range(count):
                speed = rates.mixed_decode[i] if prefilled >= 0 else rates.solo_decode[i]
                if decodes[i] > 0:
                    left = _changed(tuple(decodes), i, -1)
                    decodes_done[source, target(prefilled, left), i] += decodes[i] * speed
                if free > 0:
                    more = _changed(tuple(decodes), i, 1)
                    placed.add((source, target(prefilled, more), i))
                    if prefilled < 0:
                        admitted.add((source, target(i, decodes), i))
    return Servers(
        configurations=configurations,
        occupied=tuple(
            sum((gpu[0] >= 0) + sum(gpu[1:]) for gpu in configuration)
            for configuration in configurations
        ),
        prefill_completions=tuple(Completion(*key, rate) for key, rate in prefills.items()),
        decode_completions=tuple(Completion(*key, rate) for key, rate in decodes_done.items()),
        prefill_placements=tuple(Placement(*key) for key in sorted(admitted)),
        decode_placements=tuple(Placement(*key) for key in sorted(placed)),
    )


def _counts(classes: int, room: int) -> Iterator[Counts]:
    """Every way to hold at most ``room`` requests."""
    return (c for c in product(range(room + 1), repeat=classes) if sum(c) <= room)


def _changed(counts: Counts, i: int, by: int) -> Counts:
    return (*counts[:i], counts[i] + by, *counts[i + 1 :])


def _stage_changed(configuration: Configuration, stage: int, i: int, by: int) -> Configuration:
    changed = _changed(configuration[stage], i, by)
    return (*configuration[:stage], changed, *configuration[stage + 1 :])
