"""Tables that the pages of the book share: how they look, not what they say."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import sympy
from IPython.display import HTML

from kurtz.proofs_checks import Evidence, Outcome, Verdict, slack_text
from kurtz.theory.derivations import Derivation, Identity

_SHORT, _LONG = 16, 40
"""Characters up to which a cell stays on one line, and from which it gets a wide column."""

_MARKS = {Outcome.HOLDS: "✓ holds", Outcome.REFUTED: "✗ refuted", Outcome.INCONCLUSIVE: "? open"}


def rows_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> HTML:
    """A table of ready-made cells (HTML is allowed in them), numbers to the right."""
    head = "".join(f"<th>{name}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return HTML(
        f'<table class="table kurtz"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def math(expression: Any) -> str:
    """A SymPy expression or LaTeX text, as MathJax reads it."""
    text = expression if isinstance(expression, str) else _latex(expression)
    return f'<span class="math notranslate nohighlight">\\({escape(text)}\\)</span>'


def evidence_table(verdict: Verdict) -> HTML:
    """Every piece of evidence of a verdict, with its grade and both sides."""
    columns = ("evidence", "grade", "outcome", "claimed", "computed", "slack")
    return rows_table(columns, [_evidence_row(piece) for piece in verdict.findings.evidence])


def controls_table(verdict: Verdict) -> HTML:
    """Every negative control and the pieces of evidence that judge it."""
    rows = [
        (f"<em>{_text(name)}</em>", *_evidence_row(piece)[1:])
        for name, evidence in verdict.findings.controls.items()
        for piece in evidence
    ]
    return rows_table(("control", "grade", "outcome", "claimed", "computed", "slack"), rows)


def steps_table(derivation: Derivation) -> HTML:
    """The steps of a derivation, each with the formula that SymPy confirms."""
    rows = []
    for number, step in enumerate(derivation.steps, start=1):
        if isinstance(step, Identity):
            formula = f"{_latex(step.left)} = {_latex(step.right)}"
        else:
            formula = rf"{_latex(step.smaller)} \le {_latex(step.larger)}"
        rows.append((str(number), _text(step.name), math(formula)))
    return rows_table(("", "step", "what is checked, for all values of the symbols"), rows)


def _evidence_row(piece: Evidence) -> tuple[str, ...]:
    name = f"{_text(piece.name)}<br><small>{_text(piece.detail)}</small>"
    return (
        name,
        str(piece.grade),
        _MARKS[piece.outcome],
        _text(piece.claimed),
        _text(piece.computed),
        _text(slack_text(piece.slack)),
    )


def _text(plain: str) -> str:
    """Plain text of the ledger as HTML, with the signs that print has for it."""
    signs = {">=": "≥", "<=": "≤", "kappa": "κ", "sqrt(n)": "√n"}
    for ascii_sign, sign in signs.items():
        plain = plain.replace(ascii_sign, sign)
    return escape(re.sub(r"(?<![\w-])-(?=\d)", "−", plain))


def _cell(value: Any) -> str:
    if not isinstance(value, str):
        return f'<td class="number">{value:.4g}</td>'
    plain = re.sub(r"<[^>]*>", "", value)
    kind = "short" if len(plain) <= _SHORT else "wide" if len(plain) > _LONG else ""
    return f'<td class="{kind}">{value}</td>'


def _parsed(summand: str) -> sympy.Expr:
    """The summand of a formal sum; every name in it is a symbol, beta included."""
    names = re.findall(r"[A-Za-z_]\w*", summand)
    return sympy.sympify(summand, locals={name: sympy.Symbol(name) for name in names})


def _latex(expression: sympy.Expr) -> str:
    """LaTeX, with the formal sums over classes written as sums."""
    sums = {s: s.name[2:-1] for s in expression.free_symbols if s.name.startswith("Σ[")}
    names = {
        symbol: rf"\textstyle\sum_i {sympy.latex(_parsed(inner.replace(chr(39), 'PRIME')))}"
        for symbol, inner in sums.items()
    }
    return sympy.latex(expression, symbol_names=names).replace("PRIME", "'")
