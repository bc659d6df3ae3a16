"""How the kernels of the chain are compiled: without numba's management of memory.

Numba counts references to arrays, atomically, whenever a helper takes one; for events that take
a few dozen nanoseconds that is half the time. A function compiled with these options counts
nothing; it therefore may not allocate: its caller brings every array.
"""

from __future__ import annotations

from typing import Any

from numba import njit

WITHOUT_ALLOCATION: dict[str, Any] = {"error_model": "numpy", "nogil": True, "_nrt": False}
"""Options of `numba.njit`."""

inlined = njit(forceinline=True, **WITHOUT_ALLOCATION)
"""Decorator of a helper that is inlined wherever it is called."""
