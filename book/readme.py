"""Renew the ledger excerpt and the figures of README.md: `make readme`.

The excerpt between the two marker lines of README.md is replaced by one row per claim: the last
piece of evidence of its check, and how many of its controls were refuted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from kurtz.fluid.backlog import schedule
from kurtz.proofs_checks import Ledger, Verdict, verify, write_whole
from kurtz.proofs_checks.backlog.figures import schedule_figure
from kurtz.theory.backlog import Backlog

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- ledger: make readme -->", "<!-- end of ledger -->"
FIGURE = "Gap to R* against the number of GPUs, two-class"


def excerpt(ledger: Ledger) -> str:
    """The ledger as a Markdown table with one row per claim."""
    head = "claim, relation, grade, evidence (one of several), claimed, computed, controls refuted"
    columns = head.split(", ")
    rows = [_table_row(columns), _table_row(["---"] * len(columns))]
    return "\n".join(rows + [_row(verdict) for verdict in ledger.verdicts])


def schedules() -> Figure:
    """Four schedules of one backlog: documents, stories, chats and mails."""
    kinds = [("document", 30, 3, 4), ("story", 1, 9, 3), ("chat", 2, 4, 6), ("mail", 14, 6, 2)]
    pairs = [(prompt, output) for _, prompt, output, count in kinds for _ in range(count)]
    groups = [name for name, _, _, count in kinds for _ in range(count)]
    backlog = Backlog.of(pairs, memory=40)
    rules = ("fcfs", "shortest-output", "sorted-f", "optimal")
    return schedule_figure(backlog, {rule: schedule(backlog, rule) for rule in rules}, groups)


def _row(verdict: Verdict) -> str:
    piece = verdict.findings.evidence[-1]
    controls = len(verdict.findings.controls)
    refuted = controls - len(verdict.unrefuted_controls)
    cells = (
        f"`{verdict.claim.claim_id}`",
        f"`{verdict.claim.relation}`",
        " + ".join(verdict.grades),
        piece.name,
        piece.claimed,
        piece.computed,
        f"{refuted} of {controls}",
    )
    return _table_row([cell.replace("|", "\\|") for cell in cells])


def _table_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Verify at the quick level, then rewrite excerpt and figures."""
    ledger = verify()
    optimality = next(v for v in ledger.verdicts if v.claim.claim_id == "bundled-optimality")
    figure = optimality.findings.figures[FIGURE]()
    images = ROOT / "book" / "images"
    figure.savefig(images / "gap-two-class.png", dpi=120)
    schedules().savefig(images / "backlog-schedules.png", dpi=110)
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    write_whole(readme, f"{before}{BEGIN}\n{excerpt(ledger)}\n{END}{after}")


if __name__ == "__main__":
    main()
