r"""The time of a step of a backlog's worker, calibrated.

The KV budget of 16,492 tokens is that of Llama-2-70B on two A100 (arXiv 2502.07115); the Splitwise
measurements of that model on that hardware calibrate `kurtz.fluid.backlog.StepTime`:

1. :math:`a_0 + a_1 B + a_2 K` to the decode steps, by least squares, where requests with a prompt
   of s tokens hold s + 64 on average while they decode 128;
2. :math:`\alpha + \beta P` to the prompt phases, by least squares of relative errors, since their
   times span two orders of magnitude.

No measurement mixes both, so how they add up is an assumption. Batches are measured up to 32
requests; beyond, the law extrapolates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..fluid.backlog.wall_clock import StepTime
from .data import table
from .least_squares import LawFit, fit_law

HARDWARE = {"model": "llama2-70b", "hardware": "a100-80gb", "tensor_parallel": 2}
DECODED_ON_AVERAGE = 64


@dataclass(frozen=True)
class StepTimeFit:
    """A calibrated `StepTime` and what it rests on.

    ``decode_law`` is in seconds; ``prompt_law`` is in units of the measured time, so that its
    residuals are relative errors.
    """

    decode_law: LawFit
    prompt_law: LawFit
    largest_batch: int

    @property
    def step_time(self) -> StepTime:
        """The calibrated law."""
        return StepTime(*self.decode_law.coefficients, *self.prompt_law.coefficients)


def calibrated_step_time() -> StepTimeFit:
    """Fit the law of a step to the measurements of Llama-2-70B on two A100."""
    decodes = _of_the_hardware(table("decode_time_medians"))
    prompts = _of_the_hardware(table("iteration_time_medians"))
    prompts = prompts[prompts["kind"] == "mixed"]
    batches = decodes["batch"].to_numpy(dtype=float)
    held = batches * (decodes["prompt_tokens"].to_numpy(dtype=float) + DECODED_ON_AVERAGE)
    seconds = prompts["median_seconds"].to_numpy()
    return StepTimeFit(
        decode_law=fit_law(
            {"one": np.ones_like(held), "requests": batches, "held tokens": held},
            decodes["median_seconds"],
        ),
        prompt_law=fit_law(
            {"one": 1 / seconds, "prompt tokens": prompts["tokens"].to_numpy() / seconds},
            np.ones_like(seconds),
        ),
        largest_batch=int(decodes["batch"].max()),
    )


def _of_the_hardware(measurements: pd.DataFrame) -> pd.DataFrame:
    matches = np.logical_and.reduce([measurements[key] == of for key, of in HARDWARE.items()])
    return measurements[matches]
