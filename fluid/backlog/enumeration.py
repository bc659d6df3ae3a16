"""All backlogs up to a size, and the latencies of rules on many small backlogs at once.

Two backlogs that differ in the numbering of the requests alone are the same up to symmetry; the
enumeration lists each once, its requests ascending by (output, prompt). Rules that break ties by
request number are therefore seen under this numbering.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Self

import numpy as np

from ...theory.backlog import BATCH_KINDS, Backlog, BatchKind
from ...theory.backlog.batches import MOST_REQUESTS_BY_DEFINITION
from ...theory.backlog.model import Integers
from ...theory.errors import InvalidInput, require_integer
from .enumeration_kernel import list_latencies, sorted_f_latencies


@dataclass(frozen=True)
class SmallBacklogs:
    """Backlogs as arrays: prompts and outputs of shape (k, n), memories of shape (k,)."""

    prompts: Integers
    outputs: Integers
    memories: Integers

    @classmethod
    def all_of(cls, requests: int, memory: int) -> Self:
        """Every backlog of ``requests`` requests under ``memory`` tokens, up to symmetry."""
        require_integer("requests", requests, "requests", at_least=1)
        require_integer("memory", memory, "tokens", at_least=1)
        kinds = [
            (output, prompt)
            for output in range(1, memory + 1)
            for prompt in range(memory - output + 1)
        ]
        listed = np.array(
            list(combinations_with_replacement(kinds, requests)), dtype=np.int64
        ).reshape(-1, requests, 2)
        memories = np.full(len(listed), memory, dtype=np.int64)
        prompts, outputs = (np.ascontiguousarray(listed[:, :, place]) for place in (1, 0))
        return cls(prompts, outputs, memories)

    def __len__(self) -> int:
        return len(self.memories)

    def __getitem__(self, place: int) -> Backlog:
        pairs = zip(self.prompts[place].tolist(), self.outputs[place].tolist(), strict=True)
        return Backlog.of(pairs, int(self.memories[place]))

    def sorted_f(self, kind: BatchKind) -> Integers:
        """TEL(Sorted-F), shape (k,); for at most 16 requests."""
        if kind not in BATCH_KINDS:
            raise InvalidInput("kind", kind, f"one of {', '.join(BATCH_KINDS)}")
        requests = self.outputs.shape[1]
        if requests > MOST_REQUESTS_BY_DEFINITION:
            allowed = f"at most {MOST_REQUESTS_BY_DEFINITION}: every subset is looked at"
            raise InvalidInput("requests", requests, allowed)
        latencies: Integers = sorted_f_latencies(
            self.prompts, self.outputs, self.memories, kind == "common-start"
        )
        return latencies

    def by(self, keys: Integers) -> Integers:
        """TEL of the strict list by ascending ``keys`` of shape (k, n), shape (k,)."""
        latencies: Integers = list_latencies(self.prompts, self.outputs, self.memories, keys)
        return latencies

    @property
    def volumes(self) -> Integers:
        """Volumes of the requests, shape (k, n)."""
        return self.prompts * self.outputs + self.outputs * (self.outputs + 1) // 2
