"""The ledger: whole files, valid JSON, one self-contained page."""

from __future__ import annotations

import base64
import errno
import json
import math
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from kurtz.proofs_checks import (
    Evidence,
    Findings,
    Ledger,
    Outcome,
    Verdict,
    require_writable,
    slack_text,
    write_whole,
)
from kurtz.theory import InvalidInput
from kurtz.theory.claims import CLAIMS, Grade

NASTY = "<script>alert('x')</script> & \"quotes\" {braces} \u2028 κ ≥ (B−1)/B"
VOID = {"meta", "img", "br", "link", "hr"}


def drawn() -> Figure:
    figure = Figure(figsize=(1, 1))
    figure.subplots().plot([0, 1])
    return figure


def ledger_of(text: str = "text", slack: float | None = 0.25, **fields: Any) -> Ledger:
    good = Evidence(text, Grade.PROVED, Outcome.HOLDS, text, text, slack, text)
    findings = Findings(
        (good,), {text: (replace(good, outcome=Outcome.REFUTED),)}, figures={text: drawn}
    )
    claim = replace(CLAIMS[0], statement=text, hypotheses=(text,), source=text, **fields)
    return Ledger((Verdict(claim, "quick", findings, 1.5),))


class Page(HTMLParser):
    """Tags in balance, attributes and visible text of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.seen: set[str] = set()
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_json_holds_both_sides_of_every_comparison() -> None:
    content = json.loads(ledger_of(NASTY).as_json())
    assert content["passed"] is True
    (found,) = content["verdicts"]
    assert found["claim"] == CLAIMS[0].claim_id
    assert found["outcome"] == "holds"
    assert found["grades"] == ["proved"]
    assert found["evidence"] == [
        {
            "name": NASTY,
            "grade": "proved",
            "outcome": "holds",
            "claimed": NASTY,
            "computed": NASTY,
            "slack": 0.25,
            "detail": NASTY,
        }
    ]
    (control,) = found["controls"]
    assert control["refuted"] is True
    assert control["evidence"][0]["outcome"] == "refuted"


def test_json_of_a_claim_that_does_not_pass_says_so() -> None:
    right = ledger_of().verdicts[0]
    wrong = replace(right, findings=replace(right.findings, controls={}))
    ledger = Ledger((right, wrong))
    assert not ledger.passed
    content = json.loads(ledger.as_json())
    assert content["passed"] is False
    assert [found["passed"] for found in content["verdicts"]] == [True, False]
    assert "NOT PASSED" in ledger.as_html()


def test_a_control_of_which_a_part_was_missed_is_not_refuted() -> None:
    right = ledger_of().verdicts[0]
    (caught,) = right.findings.controls["text"]
    pieces = (caught, replace(caught, outcome=Outcome.INCONCLUSIVE))
    wrong = replace(right, findings=replace(right.findings, controls={"half": pieces}))
    (found,) = json.loads(Ledger((wrong,)).as_json())["verdicts"]
    assert found["passed"] is False
    assert found["controls"][0]["refuted"] is False
    assert [each["outcome"] for each in found["controls"][0]["evidence"]] == [
        "refuted",
        "inconclusive",
    ]


def test_a_ledger_without_verdicts_has_not_passed() -> None:
    assert not Ledger(()).passed
    assert json.loads(Ledger(()).as_json())["passed"] is False
    assert "NOT PASSED" in Ledger(()).as_html()


def test_json_has_null_where_there_is_no_scale() -> None:
    content = json.loads(ledger_of(slack=None).as_json())
    assert content["verdicts"][0]["evidence"][0]["slack"] is None
    assert slack_text(None) == "–"
    assert slack_text(0.123456) == "0.123"


@pytest.mark.parametrize("slack", [math.nan, math.inf])
def test_json_never_holds_a_number_that_json_lacks(slack: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        ledger_of(slack=slack).as_json()


def test_html_needs_nothing_from_elsewhere() -> None:
    source = ledger_of().as_html()
    page = Page(source)
    assert not page.open
    loads = [value for _, name, value in page.attributes if name in {"src", "href", "srcset"}]
    assert len(loads) == 1  # the figure
    assert all(value.startswith("data:image/png;base64,") for value in loads)
    assert not re.search(r"https?:|//|@import|url\(", re.sub(r"base64,[^']*", "", source))
    picture = base64.b64decode(loads[0].partition(",")[2], validate=True)
    assert picture.startswith(b"\x89PNG")


def test_html_shows_every_text_as_it_is() -> None:
    page = Page(ledger_of(NASTY).as_html())
    assert not page.open
    assert "script" not in page.seen
    # Statement, hypothesis, source, caption, control, and four columns of two pieces.
    assert page.text.count(NASTY) == 5 + 4 * 2


def test_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "ledger.json"
    target.write_text("a much longer text than what replaces it")
    write_whole(target, "κ")
    assert target.read_text(encoding="utf-8") == "κ"
    assert os.listdir(tmp_path) == ["ledger.json"]


@pytest.mark.parametrize("failing", ["fsync", "write", "replace"])
def test_failure_in_the_middle_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def full_disk(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    target = tmp_path / "ledger.json"
    target.write_text("old")
    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", full_disk)
    elif failing == "write":
        monkeypatch.setattr(Path, "open", full_disk)
    else:
        monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(InvalidInput, match=r"output file .*No space left on device"):
        write_whole(target, "new")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["ledger.json"]
    assert target.read_text() == "old"


def test_what_a_killed_run_left_does_not_disturb(tmp_path: Path) -> None:
    target = tmp_path / "ledger.json"
    target.with_name("ledger.json.part").write_text('{"half of a much longer ledger": [1, 2')
    write_whole(target, "new")
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["ledger.json"]


def test_folders_that_cannot_take_the_file_are_refused_by_name(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "ledger.json"
    for refuse in (require_writable, lambda path: write_whole(path, "text")):
        with pytest.raises(InvalidInput, match=r"output file = .*missing"):
            refuse(missing)
        with pytest.raises(InvalidInput, match="output file"):
            refuse(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable for root")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    for refuse in (require_writable, lambda path: write_whole(path, "text")):
        with pytest.raises(InvalidInput, match="output file"):
            refuse(tmp_path / "ledger.json")


def test_a_path_below_a_file_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="output file"):
        require_writable(tmp_path / "file" / "ledger.json")
