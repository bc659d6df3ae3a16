from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid.backlog.refinement import execute
from kurtz.proofs_checks.testing import backlogs
from kurtz.theory import InvalidInput
from kurtz.theory.backlog import Backlog
from kurtz.theory.backlog.refinement import execute_by_definition


def by_volume(backlog: Backlog) -> list[int]:
    return sorted(range(len(backlog)), key=lambda i: backlog.requests[i].volume)


@settings(deadline=None)
@given(backlogs(max_requests=10, max_memory=24), st.booleans(), st.data())
def test_compiled_execution_is_its_twin(
    backlog: Backlog, refine: bool, data: st.DataObject
) -> None:
    predictions = [
        data.draw(st.integers(1, backlog.memory - request.prompt_tokens))
        for request in backlog.requests
    ]
    fast = execute(backlog, predictions, by_volume, refine=refine)
    assert fast == execute_by_definition(backlog, predictions, by_volume, refine=refine)


def test_everything_completes_from_the_worst_predictions() -> None:
    backlog = Backlog.of([(0, 100)] * 50, memory=101)
    execution = execute(backlog, [1] * 50, by_volume)
    assert len(execution.completions) == 50


def test_impossible_predictions_are_refused() -> None:
    with pytest.raises(InvalidInput, match="prediction of request 1"):
        execute(Backlog.of([(1, 1)], memory=2), [2], by_volume)
