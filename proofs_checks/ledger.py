"""The ledger: verdicts side by side, as a table, as JSON and as one self-contained HTML page.

Files are written whole or not at all: to a neighbouring ``.part`` file first, which then takes
the name in one step, so that a run that is killed leaves the previous ledger as it was.
"""

from __future__ import annotations

import base64
import html
import io
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ..theory.errors import InvalidInput
from .verdict import Evidence, Verdict


@dataclass(frozen=True)
class Ledger:
    """Verdicts of one verification."""

    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether there are verdicts, every claim holds and every negative control was refuted."""
        return bool(self.verdicts) and all(verdict.passed for verdict in self.verdicts)

    def as_json(self) -> str:
        """The ledger without figures, as JSON text."""
        content = {
            "kurtz": version("kurtz"),
            "passed": self.passed,
            "verdicts": [_verdict_fields(verdict) for verdict in self.verdicts],
        }
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def as_html(self) -> str:
        """The ledger with its figures, as one page that needs nothing else."""
        rows = "".join(_verdict_html(verdict) for verdict in self.verdicts)
        state = "every claim holds, every control refuted" if self.passed else "NOT PASSED"
        return _PAGE.format(version=version("kurtz"), state=state, rows=rows)


def write_whole(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` in one step; raises `InvalidInput` if that is impossible."""
    target = Path(path)
    part = target.with_name(target.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise InvalidInput(
            "output file", str(path), f"a writable path ({error.strerror})"
        ) from None


def require_writable(path: str | Path) -> None:
    """Raise `InvalidInput` early if ``path`` cannot become a file."""
    target = Path(path)
    if target.is_dir():
        raise InvalidInput("output file", str(path), "a file, not a folder")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise InvalidInput("output file", str(path), "a path in an existing, writable folder")


def _verdict_fields(verdict: Verdict) -> dict[str, Any]:
    claim = verdict.claim
    return {
        "claim": claim.claim_id,
        "statement": claim.statement,
        "source": claim.source,
        "relation": str(claim.relation),
        "hypotheses": list(claim.hypotheses),
        "level": verdict.level,
        "outcome": str(verdict.outcome),
        "grades": [str(grade) for grade in verdict.grades],
        "passed": verdict.passed,
        "seconds": round(verdict.seconds, 3),
        "evidence": [_evidence_fields(piece) for piece in verdict.findings.evidence],
        "controls": [
            {
                "control": name,
                "refuted": name not in verdict.unrefuted_controls,
                "evidence": [_evidence_fields(piece) for piece in evidence],
            }
            for name, evidence in verdict.findings.controls.items()
        ],
    }


def _evidence_fields(piece: Evidence) -> dict[str, Any]:
    return {
        "name": piece.name,
        "grade": str(piece.grade),
        "outcome": str(piece.outcome),
        "claimed": piece.claimed,
        "computed": piece.computed,
        "slack": piece.slack,
        "detail": piece.detail,
    }


def _verdict_html(verdict: Verdict) -> str:
    claim = verdict.claim
    grades = " + ".join(verdict.grades)
    parts = [
        f"<section class='{'ok' if verdict.passed else 'bad'}'>",
        f"<h2><code>{_e(claim.claim_id)}</code> {verdict.outcome}: {_e(grades)}</h2>",
        f"<p>{_e(claim.statement)}</p>",
        f"<p class='note'>{_e(claim.source)} · relation <code>{_e(claim.relation)}</code> · "
        f"hypotheses: {_e('; '.join(claim.hypotheses))} · level {verdict.level} · "
        f"{verdict.seconds:.1f} s</p>",
        _evidence_table(verdict.findings.evidence),
    ]
    for name, evidence in verdict.findings.controls.items():
        state = "NOT refuted" if name in verdict.unrefuted_controls else "refuted, as it must be"
        parts += [f"<h3>Control: {_e(name)} ({state})</h3>", _evidence_table(evidence)]
    parts += [
        f"<figure><figcaption>{_e(caption)}</figcaption>{_embedded(draw())}</figure>"
        for caption, draw in verdict.findings.figures.items()
    ]
    return "".join([*parts, "</section>"])


def _evidence_table(evidence: Sequence[Evidence]) -> str:
    rows = "".join(
        f"<tr class='{piece.outcome}'>"
        f"<td>{_e(piece.name)}<br><small>{_e(piece.detail)}</small></td>"
        f"<td>{piece.grade}</td><td>{piece.outcome}</td><td>{_e(piece.claimed)}</td>"
        f"<td>{_e(piece.computed)}</td><td>{slack_text(piece.slack)}</td></tr>"
        for piece in evidence
    )
    heads = "".join(
        f"<th>{h}</th>" for h in ("evidence", "grade", "outcome", "claimed", "computed", "slack")
    )
    return f"<table><tr>{heads}</tr>{rows}</table>"


def slack_text(slack: float | None) -> str:
    """The slack in three digits, a dash where there is none."""
    return "–" if slack is None else f"{slack:.3g}"


def _embedded(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    picture = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"<img alt='' src='data:image/png;base64,{picture}'>"


def _e(text: str) -> str:
    return html.escape(text)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>kurtz ledger</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #222 }}
section {{ border-left: 5px solid #009e73; padding-left: 1rem; margin: 2rem 0 }}
section.bad {{ border-color: #d55e00 }}
h2 {{ font-size: 1.1rem }} h3 {{ font-size: .95rem }}
.note, small {{ color: #666 }}
table {{ border-collapse: collapse; width: 100%; font-size: .85rem }}
td, th {{ border-bottom: 1px solid #ddd; padding: .35rem .5rem; text-align: left;
  vertical-align: top }}
tr.refuted td:nth-child(3) {{ color: #d55e00 }} tr.holds td:nth-child(3) {{ color: #009e73 }}
img {{ max-width: 100% }} figure {{ margin: 1.5rem 0 }} figcaption {{ color: #666 }}
</style></head><body>
<h1>kurtz ledger</h1><p>kurtz {version}: {state}.</p>{rows}</body></html>
"""
