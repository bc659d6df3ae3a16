"""One GPU of the readable fleet, in either granularity."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .model import Fleet


@dataclass(eq=False)
class Request:
    """A request on its way; ``patience`` is what is left of it, ``due`` when it ends."""

    number: int
    class_index: int
    prompt_tokens: float
    output_tokens: float
    patience: float
    due: float = math.inf
    stamp: int = 0


@dataclass
class Ending:
    """What ended in an event of a GPU."""

    decodes: list[Request] = field(default_factory=list)
    prefill: Request | None = None


class ContinuousGpu:
    """A GPU that delivers tokens continuously.

    ``decodes`` pairs each request with the clock reading at which it ends; the clock counts the
    tokens that each stream has made, and ``origin`` is the time of its last reading.
    """

    def __init__(self, fleet: Fleet, number: int) -> None:
        self.fleet = fleet
        self.dedicated = fleet.physics.dedicated_speed and number < fleet.mixed_gpus
        self.decodes: list[tuple[float, Request]] = []
        self.prefilling: Request | None = None
        self.prefill_end = math.inf
        self.clock = 0.0
        self.origin = 0.0
        self.held = 0.0
        self.iterations_done = 0

    @property
    def is_mixed(self) -> bool:
        """Whether the GPU is at the mixed speed."""
        return self.prefilling is not None or self.dedicated

    def token_rate(self) -> float:
        """Tokens per second of each decode."""
        if not self.is_mixed:
            return float(self.fleet.network.gpu.iteration_time.gamma)
        return 0.0 if self.fleet.policy.stalls_decodes else 1.0 / self.fleet.mixed_seconds

    def settle(self, now: float) -> None:
        """Read the clock at ``now``."""
        self.clock += self.token_rate() * (now - self.origin)
        self.origin = now

    def first_decode(self) -> float:
        """When the next decode ends if nothing changes."""
        if not self.decodes or self.token_rate() == 0.0:
            return math.inf
        first = min(end for end, _ in self.decodes)
        return self.origin + max(0.0, first - self.clock) / self.token_rate()

    def next_time(self) -> float:
        """When the next request ends here."""
        prefill = math.inf if self.prefilling is None else self.prefill_end
        return min(prefill, self.first_decode())

    def reach(self, now: float) -> Ending:
        """Let the request end that is next."""
        if self.prefilling is not None and self.prefill_end <= self.first_decode():
            self.settle(now)
            done, self.prefilling = self.prefilling, None
            return Ending(prefill=done)
        slot = min(range(len(self.decodes)), key=lambda k: self.decodes[k][0])
        self.clock, request = self.decodes[slot]
        self.origin = now
        _empty(self.decodes, slot)
        return Ending(decodes=[request])

    def add_decode(self, request: Request, now: float) -> None:
        """Begin a decode."""
        self.settle(now)
        self.decodes.append((request.output_tokens + self.clock, request))

    def start_prefill(self, request: Request, now: float) -> None:
        """Begin a prefill."""
        self.settle(now)
        time, gpu = self.fleet.network.gpu.iteration_time, self.fleet.network.gpu
        seconds = request.prompt_tokens * self.fleet.mixed_seconds / gpu.chunk
        if self.fleet.policy.stalls_decodes:
            seconds = time.alpha + time.beta * request.prompt_tokens
        self.prefilling, self.prefill_end = request, now + seconds


class IterationGpu:
    """A GPU that runs iterations; ``origin`` is where the present run of equal ones began.

    The clock counts iterations in which decodes made a token, up to ``origin``. A prefill given
    in the middle of an iteration is in ``joining`` until its first iteration begins.
    """

    def __init__(self, fleet: Fleet, number: int) -> None:
        self.fleet = fleet
        self.dedicated = fleet.physics.dedicated_speed and number < fleet.mixed_gpus
        self.decodes: list[tuple[float, Request]] = []
        self.prefilling: Request | None = None
        self.joining = False
        self.prefill_left = 0.0
        self.clock = 0.0
        self.origin = 0.0
        self.limit = math.inf
        self.decodes_at_origin = 0
        self.held = 0.0
        self.iterations_done = 0

    @property
    def is_mixed(self) -> bool:
        """Whether the GPU has a prefill, or is dedicated to have one."""
        return self.prefilling is not None or self.dedicated

    @property
    def has_active_prefill(self) -> bool:
        """Whether the present iterations work on a prefill."""
        return self.prefilling is not None and not self.joining

    @property
    def is_stalled(self) -> bool:
        """Whether the present iteration makes no decode tokens."""
        return self.fleet.policy.stalls_decodes and self.has_active_prefill

    def seconds(self, chunk: float) -> float:
        """Duration of a mixed iteration with so many prompt tokens."""
        time = self.fleet.network.gpu.iteration_time
        counted = self.fleet.physics.effective_tokens and not self.is_stalled
        decoded = self.decodes_at_origin if counted else 0
        return time.alpha + time.beta * (chunk + decoded)

    def step(self) -> float:
        """Duration of each of the present iterations, but for a prompt's last chunk."""
        if not self.has_active_prefill:
            gamma = self.fleet.network.gpu.iteration_time.gamma
            return self.fleet.mixed_seconds if self.dedicated else 1.0 / gamma
        if self.is_stalled:
            return self.seconds(self.prefill_left)
        return self.seconds(float(self.fleet.network.gpu.chunk))

    def chunks(self) -> float:
        """Iterations until the prefill ends."""
        if not self.has_active_prefill:
            return math.inf
        if self.is_stalled:
            return 1.0
        return math.ceil(self.prefill_left / self.fleet.network.gpu.chunk)

    def iterations(self) -> float:
        """Iterations until something ends or joins."""
        first = min((end for end, _ in self.decodes), default=math.inf) - self.clock
        return self.chunks() if self.is_stalled else min(first, self.limit, self.chunks())

    def next_time(self) -> float:
        """When something ends or joins here."""
        iterations, chunks = self.iterations(), self.chunks()
        if iterations == math.inf:
            return math.inf
        if iterations < chunks:
            return self.origin + iterations * self.step()
        last = self.step()
        if not self.is_stalled:
            chunk = float(self.fleet.network.gpu.chunk)
            last = self.seconds(self.prefill_left - (chunks - 1.0) * chunk)
        return self.origin + (chunks - 1.0) * self.step() + last

    def reach(self, now: float) -> Ending:
        """Run the iterations until something ends or joins."""
        iterations, chunks = self.iterations(), self.chunks()
        self.iterations_done += int(iterations)
        ending = Ending()
        if not self.is_stalled:
            self.clock += iterations
            if self.has_active_prefill:
                self.prefill_left -= iterations * self.fleet.network.gpu.chunk
        for slot in reversed(range(len(self.decodes))):
            end, request = self.decodes[slot]
            if end <= self.clock:
                ending.decodes.append(request)
                _empty(self.decodes, slot)
        if iterations == chunks:
            ending.prefill, self.prefilling = self.prefilling, None
        self._begin(now)
        return ending

    def _begin(self, now: float) -> None:
        """From ``now`` on, iterate with the present batch."""
        self.origin, self.limit, self.joining = now, math.inf, False
        self.decodes_at_origin = len(self.decodes)

    def _boundary(self, now: float) -> float:
        """Present iterations that have ended by the first boundary from ``now`` on."""
        return min(math.ceil((now - self.origin) / self.step()), self.iterations())

    def add_decode(self, request: Request, now: float) -> None:
        """Begin a decode with the next iteration."""
        end = request.output_tokens + self.clock
        if now == self.origin or (not self.decodes and self.prefilling is None):
            self.decodes.append((end, request))
            self._begin(now)
            return
        boundary = self._boundary(now)
        if not self.is_stalled:
            end += boundary
        if self.fleet.physics.effective_tokens and self.has_active_prefill:
            self.limit = min(self.limit, boundary)
        self.decodes.append((end, request))

    def start_prefill(self, request: Request, now: float) -> None:
        """Begin a prefill with the next iteration."""
        at_once = now == self.origin or not self.decodes
        if not at_once:
            self.limit = self._boundary(now)
        self.prefilling, self.prefill_left = request, request.prompt_tokens
        self.joining = not at_once
        if at_once:
            self._begin(now)


def _empty(decodes: list[tuple[float, Request]], slot: int) -> None:
    """Empty a slot; the last decode moves into it."""
    last = decodes.pop()
    if slot < len(decodes):
        decodes[slot] = last
