"""Progress on standard error, so that standard output holds results alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from ..proofs_checks import Verdict

_errors = Console(stderr=True)
# Off a terminal nothing can be redrawn, and an empty line would remain of every bar.
_quiet = not _errors.is_terminal


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar of ``total`` steps; yields the function that advances it."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}"))
    bar = Progress(*columns, TimeElapsedColumn(), console=_errors, transient=True, disable=_quiet)
    with bar as progress:
        task = progress.add_task(what, total=max(total, 1))
        yield lambda: progress.advance(task)


@contextmanager
def scheduling_progress() -> Iterator[
    tuple[Callable[[str], None], Callable[[int, int, int], None]]
]:
    """A live line; yields (doing, searched) for `kurtz.fluid.backlog.schedule_with_bound`."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=_errors, transient=True, disable=_quiet) as progress:
        task = progress.add_task("starting", total=None)

        def doing(what: str) -> None:
            # Compiled code may keep the spinner from turning: show the text before it starts.
            progress.update(task, description=what, refresh=True)

        def searched(nodes: int, lower_bound: int, latency: int) -> None:
            interval = f"\\[{lower_bound:,}, {latency:,}]"
            doing(f"{nodes:,} nodes, optimum in {interval}; Ctrl-C ends the search")

        yield doing, searched


@contextmanager
def verification_progress() -> Iterator[
    tuple[Callable[[str, str], None], Callable[[Verdict], None]]
]:
    """A live line per running claim; yields (report, decided) for `kurtz.proofs_checks.verify`.

    Off a terminal nothing can be redrawn: one plain line per decided claim is printed instead.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=_errors, transient=True, disable=_quiet) as progress:
        task = progress.add_task("starting", total=None)

        def report(claim_id: str, doing: str) -> None:
            progress.update(task, description=f"{claim_id}: {doing}")

        def decided(verdict: Verdict) -> None:
            state = "passed" if verdict.passed else "NOT PASSED"
            line = f"{verdict.claim.claim_id}: {verdict.outcome}, {state}, {verdict.seconds:.1f} s"
            _errors.print(line, highlight=False)

        yield report, decided
