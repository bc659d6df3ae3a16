"""Fluid dynamics: the limit of the chain as a regulated differential equation."""

from .event_located import EventLocatedTrajectory, Regime, event_located_trajectory
from .model import FLOWS, STAGES, FluidModel, fluid_model
from .trajectory import FluidState, Trajectory, integrated, trajectories, trajectory

__all__ = [
    "FLOWS",
    "STAGES",
    "EventLocatedTrajectory",
    "FluidModel",
    "FluidState",
    "Regime",
    "Trajectory",
    "event_located_trajectory",
    "fluid_model",
    "integrated",
    "trajectories",
    "trajectory",
]
