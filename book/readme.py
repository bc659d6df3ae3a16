"""Renew the ledger excerpt and the figure of README.md from a verification: `make readme`.

The excerpt between the two marker lines of README.md is replaced by one row per claim: the last
piece of evidence of its check, and how many of its controls were refuted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kurtz.proofs_checks import Ledger, Verdict, verify, write_whole

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- ledger: make readme -->", "<!-- end of ledger -->"
FIGURE = "Gap to R* against the number of GPUs, two-class"


def excerpt(ledger: Ledger) -> str:
    """The ledger as a Markdown table with one row per claim."""
    head = "claim, relation, grade, evidence (one of several), claimed, computed, controls refuted"
    columns = head.split(", ")
    rows = [_table_row(columns), _table_row(["---"] * len(columns))]
    return "\n".join(rows + [_row(verdict) for verdict in ledger.verdicts])


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
    """Verify at the quick level, then rewrite excerpt and figure."""
    ledger = verify()
    optimality = next(v for v in ledger.verdicts if v.claim.claim_id == "bundled-optimality")
    figure = optimality.findings.figures[FIGURE]()
    figure.savefig(ROOT / "book" / "images" / "gap-two-class.png", dpi=120)
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    write_whole(readme, f"{before}{BEGIN}\n{excerpt(ledger)}\n{END}{after}")


if __name__ == "__main__":
    main()
