"""Ctrl-C during a compiled search: it stops between two slices, with what has been proved."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruption_between_slices() -> Iterator[Callable[[], None]]:
    """Put Ctrl-C off until the function that is yielded is called; a second one acts at once.

    Raised anywhere, a `KeyboardInterrupt` can be lost in a callback of the compiler's or come
    between a slice of the search and the note of its result.
    """
    asked = False

    def note(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)

    def stop_if_asked() -> None:
        if asked:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield stop_if_asked
    finally:
        signal.signal(signal.SIGINT, before)
