"""Random numbers for the kernels: NumPy's SFC64, stepped without leaving compiled code.

SFC64 (Doty-Humphrey, PractRand) mixes three words and a counter, which alone guarantees a period of
at least 2^64. NumPy ships the same generator, so that a readable implementation draws the same
numbers from `numpy.random.Generator` (a call through a function pointer costs a kernel more than
the step itself). The state travels as an array of four 64-bit words, as NumPy stores it.
"""

from __future__ import annotations

import math

import numpy as np

from .compilation import inlined

_SHIFT, _KEPT, _LEFT, _RIGHT = (np.uint64(bits) for bits in (11, 3, 24, 40))
_ONE = np.uint64(1)
_UNIT = 2.0**-53


@inlined
def uniform(words):
    """A double in [0, 1): what ``Generator.random()`` would return."""
    a, b, c, counter = words[0], words[1], words[2], words[3]
    word = a + b + counter
    words[3] = counter + _ONE
    words[0] = b ^ (b >> _SHIFT)
    words[1] = c + (c << _KEPT)
    words[2] = ((c << _LEFT) | (c >> _RIGHT)) + word
    return (word >> _SHIFT) * _UNIT


@inlined
def exponential(words):
    """A standard exponential by inversion, -log(1 - U); 1 - U is exact and never zero."""
    return -math.log(1.0 - uniform(words))
