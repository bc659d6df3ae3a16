r"""Simulated annealing for backlogs on which a rule loses much: many chains, evaluated together.

Every chain holds a backlog and its ratio r = TEL(rule) / OPT. One generation:

1. Change every backlog a little: a length, a request made like another, or the memory.
2. Draw the ratio :math:`r + T \ln u`, u uniform, that the change must reach to be accepted.
3. Run the rule on all; give up where even the rule's latency over a closed-form lower bound on OPT
   does not reach it; find the exact optimum of the others.
4. Accept what reaches it; lower the temperature T.

At intervals the better half of the chains replaces the worse one. Ratios are floating-point hints
here; a find becomes a record only through `ratio_records.Record.of`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...fluid.backlog import SmallBacklogs, optimal_latencies
from ...theory.backlog import Backlog
from ...theory.backlog.model import Integers
from .instances import arrays
from .ratio_exhaustion import latencies_as_numbered, lower_bounds, small_backlogs

CHAINS = 64
FIRST_TEMPERATURE, LAST_TEMPERATURE = 0.08, 0.002
_GENERATIONS_TO_REPLACEMENT = 100


@dataclass(frozen=True)
class Annealing:
    """A search among backlogs of ``requests`` requests.

    Attributes
    ----------
    rule
        One of `ratio_records.HUNTED_RULES`.
    requests, most_memory
        Size of the backlogs.
    generations
        Changes tried in every chain.
    seed
        The same seed finds the same backlog.
    """

    rule: str
    requests: int
    most_memory: int
    generations: int
    seed: int

    @property
    def found_by(self) -> str:
        """What a record says of its origin."""
        return f"annealing, M <= {self.most_memory}, seed {self.seed}"

    def search(
        self,
        beginnings: Sequence[Backlog] = (),
        progress: Callable[[int, float], None] | None = None,
    ) -> Backlog:
        """The backlog of largest ratio met.

        Parameters
        ----------
        beginnings
            Backlogs of ``requests`` requests from which some of the chains start; the others start
            at random.
        progress
            Called now and then with the generation and the largest ratio.
        """
        generator = np.random.default_rng(self.seed)
        pairs, memories = self._random(generator)
        for place, backlog in enumerate(beginnings[: CHAINS // 2]):
            pairs[place] = [(r.prompt_tokens, r.output_tokens) for r in backlog.requests]
            memories[place] = backlog.memory
        ratios = self._ratios(small_backlogs(pairs, memories), np.zeros(CHAINS))
        best = int(np.argmax(ratios))
        largest, found = ratios[best], (pairs[best].copy(), int(memories[best]))
        cooling = (LAST_TEMPERATURE / FIRST_TEMPERATURE) ** (1 / self.generations)
        for generation in range(self.generations):
            temperature = FIRST_TEMPERATURE * cooling**generation
            required = ratios + temperature * np.log(generator.random(CHAINS))
            new_pairs, new_memories = self._changed(pairs, memories, generator)
            new_ratios = self._ratios(small_backlogs(new_pairs, new_memories), required)
            accepted = new_ratios >= required
            pairs[accepted] = new_pairs[accepted]
            memories[accepted] = new_memories[accepted]
            ratios[accepted] = new_ratios[accepted]
            best = int(np.argmax(ratios))
            if ratios[best] > largest:
                largest, found = ratios[best], (pairs[best].copy(), int(memories[best]))
            if generation % _GENERATIONS_TO_REPLACEMENT == _GENERATIONS_TO_REPLACEMENT - 1:
                order = np.argsort(-ratios, kind="stable")
                better, worse = order[: CHAINS // 2], order[CHAINS // 2 :]
                pairs[worse], memories[worse] = pairs[better], memories[better]
                ratios[worse] = ratios[better]
                if progress is not None:
                    progress(generation + 1, float(largest))
        return Backlog.of([tuple(pair) for pair in found[0].tolist()], found[1])

    def _random(self, generator: np.random.Generator) -> tuple[Integers, Integers]:
        memories = generator.integers(self.most_memory // 2, self.most_memory + 1, CHAINS)
        peaks = generator.integers(1, memories[:, None] + 1, (CHAINS, self.requests))
        # Short outputs, and memory all at the end or all along, are where rules err.
        outputs = 1 + (peaks * generator.random(peaks.shape) ** 2).astype(np.int64)
        outputs = np.minimum(outputs, peaks)
        return np.stack([peaks - outputs, outputs], axis=2), memories

    def _changed(
        self, pairs: Integers, memories: Integers, generator: np.random.Generator
    ) -> tuple[Integers, Integers]:
        pairs, memories = pairs.copy(), memories.copy()
        chains = np.arange(CHAINS)
        chosen = generator.integers(0, self.requests, CHAINS)
        other = generator.integers(0, self.requests, CHAINS)
        kind = generator.integers(0, 6, CHAINS)
        wide = np.maximum(1, memories // 4)
        width = np.where(generator.random(CHAINS) < 0.6, 2, wide)
        step = generator.integers(-width, width + 1)
        pairs[chains, chosen, 0] += np.where((kind == 0) | (kind == 2), step, 0)
        pairs[chains, chosen, 1] += np.where(kind == 1, step, np.where(kind == 2, -step, 0))
        swapped = kind == 3
        first, second = pairs[chains, chosen].copy(), pairs[chains, other].copy()
        pairs[chains[swapped], chosen[swapped]] = second[swapped]
        pairs[chains[swapped], other[swapped]] = first[swapped]
        copied = kind == 4
        pairs[chains[copied], chosen[copied]] = second[copied]
        memories += np.where(kind == 5, np.clip(step, -2, 2), 0)
        memories = np.clip(memories, 2, self.most_memory)
        outputs = np.clip(pairs[:, :, 1], 1, memories[:, None])
        prompts = np.clip(pairs[:, :, 0], 0, memories[:, None] - outputs)
        return np.stack([prompts, outputs], axis=2), memories

    def _ratios(self, listed: SmallBacklogs, required: np.ndarray) -> np.ndarray:
        """TEL(rule) / OPT where that can reach ``required``, else 0."""
        latencies = latencies_as_numbered(listed, self.rule)
        promising = np.flatnonzero(latencies / lower_bounds(listed) >= required)
        ratios = np.zeros(len(listed))
        optima = optimal_latencies(*(values[promising] for values in arrays(listed)))
        ratios[promising] = latencies[promising] / optima
        return ratios
