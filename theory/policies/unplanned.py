"""What gate-and-route is compared with: policies without its static planning.

Section 6.3 of arXiv 2602.02987 v1 names FI-WSP, GI-WSP and GF-WSP (WSP: without static planning)
and describes them in a line each. Settled here: every GPU is free for everything; a GPU with a
free slot and no prefill takes the next prompt that the gate picks; the occupancy gate compares
with the same targets x* as gate-and-route. Two more stand for practice: prefill-first as in vLLM
before chunked prefill, and pools for prefill and decode as in DistServe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .descriptors import FirstComeGate, Layout, OccupancyGate, Routing


@dataclass(frozen=True)
class FirstComeImmediate(FirstComeGate):
    """FI-WSP: first come, first served; a request decodes in the slot where it was prefilled."""

    name: ClassVar[str] = "fi-wsp"
    routing: ClassVar[Routing] = Routing.IMMEDIATE
    layout: ClassVar[Layout] = Layout.SHARED


@dataclass(frozen=True)
class GatedImmediate(OccupancyGate):
    """GI-WSP: the occupancy gate; a request decodes in the slot where it was prefilled."""

    name: ClassVar[str] = "gi-wsp"
    routing: ClassVar[Routing] = Routing.IMMEDIATE
    layout: ClassVar[Layout] = Layout.SHARED


@dataclass(frozen=True)
class GatedPrefillFirst(OccupancyGate):
    """GF-WSP: the occupancy gate; a slot that frees admits a prefill before a waiting decode."""

    name: ClassVar[str] = "gf-wsp"
    routing: ClassVar[Routing] = Routing.PREFILL_FIRST
    layout: ClassVar[Layout] = Layout.SHARED


@dataclass(frozen=True)
class StallingPrefillFirst(FirstComeGate):
    """vLLM without chunks: whole prompts first, while the decodes of their GPU stand still."""

    name: ClassVar[str] = "prefill-first"
    routing: ClassVar[Routing] = Routing.IMMEDIATE
    layout: ClassVar[Layout] = Layout.SHARED
    stalls_decodes: ClassVar[bool] = True


@dataclass(frozen=True)
class Disaggregated(FirstComeGate):
    """GPUs that only prefill and GPUs that only decode, first come, first served.

    Meant for a plan without mixed decodes; moving the KV cache costs nothing here.
    """

    name: ClassVar[str] = "disaggregated"
    layout: ClassVar[Layout] = Layout.DISAGGREGATED
