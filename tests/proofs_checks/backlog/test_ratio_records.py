"""The database of ratio records, and the searches that fill it."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid.backlog import SmallBacklogs, optimum, schedule
from kurtz.proofs_checks.backlog import ratio_hunt
from kurtz.proofs_checks.backlog.ratio_annealing import Annealing
from kurtz.proofs_checks.backlog.ratio_exhaustion import (
    largest_ratio,
    latencies_as_numbered,
    lower_bounds,
    small_backlogs,
)
from kurtz.proofs_checks.backlog.ratio_program import best_prompts
from kurtz.proofs_checks.backlog.ratio_records import (
    EXHAUSTIVE,
    HUNTED_RULES,
    UnconfirmedRecord,
    confirm,
    file_text,
    largest,
    parse,
    records,
)
from kurtz.proofs_checks.testing import backlogs
from kurtz.theory import InvalidInput
from kurtz.theory.backlog import (
    Backlog,
    mean_busy_time_bound,
    total_latency,
    volume_bound,
)

SMALL = [record for record in records() if len(record.pairs) <= 5 and record.memory <= 12]


def one(backlog: Backlog) -> SmallBacklogs:
    """A batch of one backlog."""
    pairs = [[(r.prompt_tokens, r.output_tokens) for r in backlog.requests]]
    return small_backlogs(np.array(pairs), np.array([backlog.memory]))


def ratio(backlog: Backlog, rule: str) -> Fraction:
    return Fraction(total_latency(backlog, schedule(backlog, rule)), optimum(backlog).latency)


@pytest.mark.parametrize("rule", HUNTED_RULES)
def test_small_records_are_confirmed(rule: str) -> None:
    of_rule = [record for record in SMALL if record.rule == rule]
    assert of_rule
    for record in of_rule:
        confirm(record)


def test_reading_and_writing_gives_the_same_file() -> None:
    text = file_text(records())
    assert parse(text) == records()
    assert file_text(reversed(records())) == text


def test_file_is_small_and_has_a_record_per_line() -> None:
    text = file_text(records())
    assert len(text) < 200_000
    assert text.count("\n") == len(records()) + 2


def test_another_version_is_refused() -> None:
    content = json.loads(file_text(records()[:1]))
    with pytest.raises(InvalidInput, match="version"):
        parse(json.dumps(content | {"version": 0}))


def test_a_rule_that_is_not_hunted_is_refused() -> None:
    with pytest.raises(InvalidInput, match="rule"):
        replace(SMALL[0], rule="longest-output")


def test_record_with_another_latency_is_not_confirmed() -> None:
    with pytest.raises(UnconfirmedRecord, match="latency"):
        confirm(replace(SMALL[0], latency=SMALL[0].latency + 1))


def test_record_with_another_reference_latency_is_not_confirmed() -> None:
    with pytest.raises(UnconfirmedRecord, match="reference_latency"):
        confirm(replace(SMALL[0], reference_latency=SMALL[0].reference_latency - 1))


def test_record_with_an_infeasible_reference_is_not_confirmed() -> None:
    record = next(record for record in SMALL if sum(s + 1 for s, _ in record.pairs) > record.memory)
    with pytest.raises(UnconfirmedRecord, match="infeasible"):
        confirm(replace(record, reference=(0,) * len(record.pairs)))


def test_record_with_a_reference_that_is_not_optimal_is_not_confirmed() -> None:
    record = next(record for record in SMALL if record.ratio > 1)
    own = schedule(record.backlog, record.rule)
    with pytest.raises(UnconfirmedRecord, match="optimal"):
        confirm(replace(record, reference=own.starts, reference_latency=record.latency))


def test_largest_keeps_the_largest_of_every_size() -> None:
    found = largest(records(), "sorted-f")
    assert list(found) == sorted(found)
    for record in records():
        if record.rule == "sorted-f":
            assert record.ratio <= found[len(record.pairs)].ratio


@settings(deadline=None, max_examples=60)
@given(backlog=backlogs(max_requests=5, max_memory=10))
def test_lower_bounds_are_those_of_the_theory(backlog: Backlog) -> None:
    bound = int(lower_bounds(one(backlog))[0])
    exact = max(
        Fraction(int(backlog.outputs.sum())), volume_bound(backlog), mean_busy_time_bound(backlog)
    )
    assert exact - 1e-4 <= bound < exact + 1
    assert bound <= optimum(backlog).latency


@settings(deadline=None, max_examples=40)
@given(
    backlog=backlogs(max_requests=5, max_memory=10),
    rule=st.sampled_from(HUNTED_RULES),
)
def test_latencies_are_those_of_the_rules(backlog: Backlog, rule: str) -> None:
    latency = total_latency(backlog, schedule(backlog, rule))
    assert latencies_as_numbered(one(backlog), rule)[0] == latency


@pytest.mark.parametrize("rule", HUNTED_RULES)
def test_largest_ratio_is_that_of_all_backlogs(rule: str) -> None:
    listed = SmallBacklogs.all_of(3, 4)
    every = [listed[place] for place in range(len(listed))]
    if rule == "fcfs":
        every = [Backlog(order, 4) for each in every for order in permutations(each.requests)]
    found = largest_ratio(rule, 3, 4)
    assert found.ratio == max(ratio(each, rule) for each in every)
    assert found.ratio == ratio(found.backlog, rule)
    assert found.backlogs == len(listed)


def test_exhausted_records_are_the_largest_ratios() -> None:
    for record in SMALL:
        if record.found_by == EXHAUSTIVE and len(record.pairs) <= 3 and record.memory <= 6:
            found = largest_ratio(record.rule, len(record.pairs), record.memory)
            assert found.ratio == record.ratio


def test_annealing_repeats_itself_and_reaches_the_exhausted_record() -> None:
    annealing = Annealing("sorted-f", 4, 6, 60, seed=3)
    found = annealing.search()
    assert found == annealing.search()
    assert ratio(found, "sorted-f") <= largest_ratio("sorted-f", 4, 6).ratio
    assert ratio(found, "sorted-f") >= Fraction(4, 3)


def test_annealing_keeps_a_beginning_that_it_cannot_better() -> None:
    best = largest_ratio("sorted-f", 4, 6)
    found = Annealing("sorted-f", 4, 6, 5, seed=3).search([best.backlog])
    assert ratio(found, "sorted-f") == best.ratio


def test_integer_program_finds_the_prompts_of_a_worst_backlog() -> None:
    best = largest_ratio("sorted-f", 4, 6)
    to_beat = best.ratio - Fraction(1, 1000)
    found = best_prompts(best.backlog, to_beat, most_memory=6)
    assert found is not None
    assert ratio(found, "sorted-f") == best.ratio


def test_integer_program_finds_nothing_above_the_exhausted_record() -> None:
    best = largest_ratio("sorted-f", 4, 6)
    assert best_prompts(best.backlog, best.ratio, most_memory=6) is None


def test_hunt_renews_one_stage_and_keeps_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "records.json"
    monkeypatch.setattr(ratio_hunt, "MOST_MEMORY", {"sorted-f": {3: 4}})
    others = [record for record in SMALL if record.found_by != EXHAUSTIVE]
    path.write_text(file_text(others), encoding="utf-8")
    ratio_hunt.hunt(["exhaustive"], path, lambda _: None)
    renewed = parse(path.read_text(encoding="utf-8"))
    assert {record for record in renewed if record.found_by != EXHAUSTIVE} == set(others)
    assert [record.memory for record in renewed if record.found_by == EXHAUSTIVE] == [2, 3, 4]
    for record in renewed:
        confirm(record)


def test_an_unknown_stage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="stage"):
        ratio_hunt.hunt(["guessing"], tmp_path / "records.json", lambda _: None)
