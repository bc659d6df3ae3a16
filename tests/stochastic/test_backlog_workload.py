from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from kurtz.stochastic.backlog_workload import CONTEXT, MEMORY, draw_backlog, predicted_outputs
from kurtz.stochastic.data import table
from kurtz.stochastic.data.derive import joint_lengths
from kurtz.stochastic.step_time import calibrated_step_time
from kurtz.theory import InvalidInput
from kurtz.theory.backlog import Backlog

MANY = 40_000


def test_one_seed_gives_one_backlog() -> None:
    first, again = (draw_backlog(50, 0.3, seed=1, replication=2) for _ in range(2))
    assert first == again
    assert first != draw_backlog(50, 0.3, seed=1, replication=3)
    assert first != draw_backlog(50, 0.3, seed=2, replication=2)


def test_the_share_of_long_documents_is_exact() -> None:
    documents = draw_backlog(1_000, 1.0, seed=1)
    mixed = draw_backlog(1_000, 0.3, seed=1)
    assert documents.peaks.max() <= CONTEXT
    # Conversations this long are one in ten thousand, documents this short one in twenty.
    assert abs((mixed.peaks > 1_000).sum() - 300) < 60


def test_lmsys_conversations_have_the_published_moments() -> None:
    # A log-normal with this sigma (1.62 for prompts) has a standard deviation of 3.6 times its
    # mean: over 40,000 draws the mean is good to 2 %, the tail cut at the memory included.
    backlog = draw_backlog(MANY, 0.0, seed=1)
    assert backlog.memory == MEMORY
    assert backlog.prompts.mean() == pytest.approx(40.62, rel=0.1)
    assert backlog.outputs.mean() == pytest.approx(85.32, rel=0.05)
    assert (np.median(backlog.prompts), np.median(backlog.outputs)) == (11, 45)


@pytest.mark.parametrize(
    ("long_share", "prompt_mean", "output_mean", "correlation"),
    [(1.0, 2588.1, 291.4, -0.46), (0.0, 1154.7, 211.1, -0.11)],
    ids=["arXiv summarisation", "Azure conversation"],
)
def test_drawn_lengths_resemble_the_measured_ones(
    long_share: float, prompt_mean: float, output_mean: float, correlation: float
) -> None:
    backlog = draw_backlog(MANY, long_share, seed=1, conversations="azure")
    assert backlog.prompts.mean() == pytest.approx(prompt_mean, rel=0.02)
    assert backlog.outputs.mean() == pytest.approx(output_mean, rel=0.03)
    drawn = np.corrcoef(backlog.prompts, backlog.outputs)[0, 1]
    assert drawn == pytest.approx(correlation, abs=0.05)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"requests": 0}, "requests"),
        ({"long_share": 1.5}, "long_share"),
        ({"memory": 100}, "memory"),
        ({"seed": -1}, "seed"),
        ({"conversations": "chat"}, "conversations"),
    ],
)
def test_bad_arguments_are_named(changed: dict[str, Any], field: str) -> None:
    arguments: dict[str, Any] = {"requests": 5, "long_share": 0.5, "seed": 1} | changed
    with pytest.raises(InvalidInput, match=field):
        draw_backlog(**arguments)


def test_joint_lengths_do_not_depend_on_the_order_of_requests() -> None:
    backlog = draw_backlog(500, 0.5, seed=1)
    lengths = pd.DataFrame({"prompt_tokens": backlog.prompts, "output_tokens": backlog.outputs})
    shuffled = lengths.sample(frac=1, random_state=0)
    assert joint_lengths(lengths).equals(joint_lengths(shuffled))


def test_bands_of_joint_lengths_do_not_overlap() -> None:
    for _, quantiles in table("request_lengths").groupby("source"):
        ends = quantiles.groupby("band")["prompt_tokens"].agg(["min", "max"])
        assert (ends["min"].to_numpy()[1:] >= ends["max"].to_numpy()[:-1]).all()


def test_without_error_predictions_are_exact() -> None:
    backlog = draw_backlog(500, 0.3, seed=1)
    assert np.array_equal(predicted_outputs(backlog, 0.0, seed=1), backlog.outputs)


def test_prediction_errors_are_log_normal() -> None:
    backlog = Backlog.of([(0, 100_000)] * MANY, memory=10**7)
    logs = np.log(predicted_outputs(backlog, 0.5, seed=1) / 100_000)
    assert logs.mean() == pytest.approx(0, abs=0.01)
    assert logs.std() == pytest.approx(0.5, rel=0.02)


def test_predictions_are_possible_at_any_error() -> None:
    backlog = draw_backlog(2_000, 0.5, seed=1)
    predictions = predicted_outputs(backlog, 5.0, seed=1)
    assert predictions.min() >= 1
    assert (backlog.prompts + predictions).max() <= backlog.memory


def test_the_step_law_fits_the_measurements() -> None:
    fit = calibrated_step_time()
    assert fit.decode_law.worst_relative_residual < 0.06
    assert fit.decode_law.r_squared > 0.88
    assert fit.prompt_law.worst_relative_residual < 0.13
    assert fit.largest_batch == 32


def test_a_prompt_prolongs_its_step() -> None:
    law = calibrated_step_time().step_time
    alone, with_prompt = law.seconds([8, 9], [4_000, 6_000], [0, 2_000])
    # A decode step of Llama-2-70B on two A100 takes about 60 ms, a prompt of 2,048 tokens 0.69 s.
    assert alone == pytest.approx(0.06, rel=0.05)
    assert with_prompt == pytest.approx(0.75, rel=0.05)
