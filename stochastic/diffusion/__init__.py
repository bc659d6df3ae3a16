"""The diffusion around the fluid equilibrium: gate-and-route's gap to second order."""

from .gap import predicted_gap
from .model import Diffusion, gate_and_route_diffusion

__all__ = ["Diffusion", "gate_and_route_diffusion", "predicted_gap"]
