r"""Random backlogs: short conversations mixed with the summarisation of long documents.

* Long documents: prompt and output lengths of the arXiv summarisation requests, from the shipped
  joint quantiles: a band of prompt lengths at random, then a prompt and an output by linear
  interpolation between the band's quantiles. Those requests end at 4,096 tokens in all, the
  context of Llama 2, and so do the outputs drawn here.
* Conversations, ``"lmsys"``: log-normal lengths with the mean and the median published for
  LMSYS-Chat-1M (prompt 40.62 and 11, output 85.32 and 45 tokens; arXiv 2502.07115), which are
  :math:`e^{\mu + \sigma^2 / 2}` and :math:`e^\mu`, rounded to integers >= 1.
* Conversations, ``"azure"``: the Azure conversation trace of 2023, by quantiles as above.

A conversation that exceeds the memory is drawn again. The share of long documents is
exact up to rounding; the requests arrive in random order.
"""

from __future__ import annotations

import math
from typing import Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from ..theory.backlog import Backlog
from ..theory.errors import InvalidInput, require_integer, require_number
from .chain import replication_generator
from .data import table

Integers = npt.NDArray[np.int64]
Conversations = Literal["lmsys", "azure"]

MEMORY = 16_492
"""KV budget of Llama-2-70B on two A100, tokens (arXiv 2502.07115)."""

CONTEXT = 4_096
"""Longest prompt and output together among the summarisation requests, tokens."""

LMSYS_MEANS, LMSYS_MEDIANS = (40.62, 85.32), (11.0, 45.0)
"""Of prompt and output tokens."""


def draw_backlog(
    requests: int,
    long_share: float,
    seed: int,
    replication: int = 0,
    *,
    memory: int = MEMORY,
    conversations: Conversations = "lmsys",
) -> Backlog:
    """A random backlog.

    Parameters
    ----------
    requests
        Number of requests.
    long_share
        Share of long documents, 0 to 1.
    seed, replication
        Whence all random numbers come: replications of one seed are independent.
    memory
        KV budget, tokens; at least the context of the long documents.
    conversations
        Where the lengths of the conversations come from.

    Raises
    ------
    InvalidInput
        An argument is outside its range.
    """
    require_integer("requests", requests, "requests", at_least=1)
    require_number("long_share", long_share, "share", at_least=0)
    if long_share > 1:
        raise InvalidInput("long_share", long_share, "a share of at most 1")
    require_integer("seed", seed, "a seed", at_least=0)
    require_integer("replication", replication, "a replication", at_least=0)
    require_integer("memory", memory, "tokens", at_least=CONTEXT)
    if conversations not in get_args(Conversations):
        known = ", ".join(get_args(Conversations))
        raise InvalidInput("conversations", conversations, f"one of {known}")
    generator = replication_generator(seed, replication)
    documents = _lengths("arxiv-summarisation", round(long_share * requests), generator)
    documents[:, 1] = np.minimum(documents[:, 1], CONTEXT - documents[:, 0])
    source = "lmsys" if conversations == "lmsys" else "azure-conversation"
    short = np.empty((requests - len(documents), 2), dtype=np.int64)
    missing = np.arange(len(short))
    while missing.size:
        short[missing] = _lengths(source, missing.size, generator)
        missing = missing[short[missing].sum(axis=1) > memory]
    lengths = generator.permutation(np.concatenate([documents, short]))
    return Backlog.of(cast(list[tuple[int, int]], lengths.tolist()), memory)


def _lengths(source: str, requests: int, generator: np.random.Generator) -> Integers:
    if source == "lmsys":
        means, medians = np.array(LMSYS_MEANS), np.array(LMSYS_MEDIANS)
        sigma = np.sqrt(2 * np.log(means / medians))
        normal = generator.standard_normal((requests, 2))
        # Beyond any memory the exact value is of no interest, but it must fit into 64 bits.
        drawn = np.minimum(medians * np.exp(sigma * normal), float(2**31))
    else:
        drawn = _interpolated(source, requests, generator)
    lengths: Integers = np.maximum(np.rint(drawn).astype(np.int64), 1)
    return lengths


def _interpolated(
    source: str, requests: int, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Lengths by linear interpolation between the quantiles of a band drawn at random."""
    quantiles = table("request_lengths")
    quantiles = quantiles[quantiles["source"] == source]
    bands = generator.integers(quantiles["band"].nunique(), size=requests)
    levels = generator.random((requests, 2))
    drawn = np.empty((requests, 2))
    for band, rows in quantiles.groupby("band"):
        members = bands == band
        for column, name in enumerate(("prompt_tokens", "output_tokens")):
            drawn[members, column] = np.interp(
                levels[members, column], rows["level"].to_numpy(), rows[name].to_numpy()
            )
    return drawn


def predicted_outputs(backlog: Backlog, sigma: float, seed: int, replication: int = 0) -> Integers:
    r"""Predictions :math:`o_i e^{\sigma Z_i}` of the outputs with independent normal Z_i.

    Rounded to integers from 1 to the memory that the prompt leaves, shape (n,). One seed and
    replication give the same Z_i at every ``sigma``: a larger sigma is more of the same error.
    """
    require_number("sigma", sigma, "standard deviation of the logarithm", at_least=0)
    # A stream of its own: the backlog of the same seed uses the replication's first one.
    sequence = np.random.SeedSequence(seed, spawn_key=(replication, 1))
    normal = np.random.Generator(np.random.Philox(sequence)).standard_normal(len(backlog))
    error = np.exp(np.minimum(sigma * normal, math.log(2**31)))
    guesses = np.rint(np.minimum(backlog.outputs * error, float(2**31))).astype(np.int64)
    predictions: Integers = np.clip(guesses, 1, backlog.memory - backlog.prompts)
    return predictions
