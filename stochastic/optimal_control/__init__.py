"""Optimal control of small systems: decision processes, policy iteration, exact bounds."""

from .control import OptimalControl, optimal_control

__all__ = ["OptimalControl", "optimal_control"]
