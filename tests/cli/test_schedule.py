"""The verb ``schedule``: what it prints for a backlog, when it is stopped, and what it refuses."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from kurtz.cli import main
from kurtz.fluid.backlog.rules import RULES
from kurtz.theory.backlog import Backlog, Schedule, read_backlog, total_latency

HEADER = "prompt_tokens,output_tokens\n"
ROWS = "4,1\n0,3\n1,2\n2,2\n"
MEMORY = 5

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs ``kurtz schedule requests.csv ...``; returns exit status, output and errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "requests.csv").write_text(HEADER + ROWS)

    def run(*options: object, path: str = "requests.csv") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["kurtz", "schedule", path, *map(str, options)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, captured.out, captured.err

    return run


def json_of(said: tuple[int, str, str]) -> Any:
    status, out, err = said
    assert (status, err) == (0, "")
    assert out.count("\n") == 1
    return json.loads(out)


def assert_refused(said: tuple[int, str, str], *parts: str) -> None:
    status, out, err = said
    assert (status, out) == (2, "")
    assert err.startswith("kurtz: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_prints_a_feasible_schedule_and_its_latency(run: Run, rule: str) -> None:
    found = json_of(run("--memory", MEMORY, "--rule", rule, "--json"))
    backlog = read_backlog("requests.csv", MEMORY)
    assert found["total_latency"] == total_latency(backlog, Schedule(tuple(found["starts"])))
    ends = [s + r.output_tokens for s, r in zip(found["starts"], backlog.requests, strict=True)]
    assert found["completions"] == ends
    assert (found["rule"], found["memory"], found["requests"]) == (rule, MEMORY, 4)


def test_ratio_is_latency_over_a_bound_that_the_optimum_meets(run: Run) -> None:
    found = json_of(run("--memory", MEMORY, "--rule", "fcfs", "--json"))
    best = json_of(run("--memory", MEMORY, "--rule", "optimal", "--json"))
    assert found["lower_bound"] <= best["total_latency"] <= found["total_latency"]
    ratio = Fraction(found["total_latency"], found["lower_bound"])
    assert Fraction(found["ratio_exact"]) == ratio
    assert found["ratio"] == float(ratio)


def test_optimum_is_certified_by_its_search(run: Run) -> None:
    found = json_of(run("--memory", MEMORY, "--rule", "optimal", "--json"))
    assert found["optimal"] is True
    assert found["lower_bound"] == found["total_latency"]
    assert found["lower_bound_method"] == "search"
    assert found["nodes"] >= 0


HARD = Backlog.of([(7, 9), (24, 16), (15, 15), (25, 13), (6, 7), (0, 16), (13, 13), (0, 20)], 40)
"""No bound in closed form meets its optimum."""


@pytest.fixture
def hard(tmp_path: Path, run: Run) -> str:
    rows = "".join(f"{each.prompt_tokens},{each.output_tokens}\n" for each in HARD.requests)
    (tmp_path / "hard.csv").write_text(HEADER + rows)
    return "hard.csv"


def test_node_limit_gives_an_interval_that_holds_the_optimum(run: Run, hard: str) -> None:
    options = ("--memory", HARD.memory, "--rule", "optimal", "--json")
    stopped = json_of(run(*options, "--node-limit", 1, path=hard))
    best = json_of(run(*options, path=hard))
    assert stopped["optimal"] is False
    assert stopped["nodes"] == 1
    assert stopped["lower_bound"] <= best["total_latency"] <= stopped["total_latency"]


def test_interrupted_search_prints_the_interval_so_far(
    run: Run, hard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The package names a function like this module of its.
    optimum_module = importlib.import_module("kurtz.fluid.backlog.optimum")
    continue_search = optimum_module.continue_search

    def interrupted(search: Any, nodes: int) -> int:
        status = int(continue_search(search, 1))
        os.kill(os.getpid(), signal.SIGINT)
        return status

    monkeypatch.setattr(optimum_module, "continue_search", interrupted)
    before = signal.getsignal(signal.SIGINT)
    found = json_of(run("--memory", HARD.memory, "--rule", "optimal", "--json", path=hard))
    assert found["optimal"] is False
    assert found["nodes"] == 1
    assert found["lower_bound"] < found["total_latency"]
    assert signal.getsignal(signal.SIGINT) is before


def test_people_read_right_aligned_numbers_and_what_is_certified(run: Run) -> None:
    status, out, err = run("--memory", MEMORY, "--rule", "optimal")
    assert (status, err) == (0, "")
    assert "│      1 │             4 │             1 │" in out
    assert "4 requests, memory 5 tokens: total latency" in out
    assert "(search): the latency is optimal" in out


def test_stopped_search_is_not_called_optimal(run: Run, hard: str) -> None:
    options = ("--memory", HARD.memory, "--rule", "optimal", "--node-limit", 1)
    _, out, _ = run(*options, path=hard)
    assert "search: stopped before it proved an optimum; 1 node" in out
    assert "the latency is optimal" not in out


def test_printed_ratio_is_rounded_up(run: Run, tmp_path: Path) -> None:
    # The two of (2, 1) run alone, those of (1, 1) in pairs: 1 + 2 + 3 + 3 + 4 = 13 steps.
    (tmp_path / "requests.csv").write_text(HEADER + "2,1\n2,1\n1,1\n1,1\n1,1\n")
    options = ("--memory", 4, "--rule", "fcfs")
    assert json_of(run(*options, "--json"))["total_latency"] == 13
    exact = Fraction(json_of(run(*options, "--json"))["ratio_exact"])
    printed = run(*options)[1].partition("at most ")[2].split()[0]
    assert 0 <= Fraction(printed) - exact < Fraction(1, 10**4)


def test_long_table_says_how_much_it_leaves_out(run: Run, tmp_path: Path) -> None:
    (tmp_path / "requests.csv").write_text(HEADER + "1,1\n" * 100)
    out = run("--memory", 4, "--rule", "fcfs")[1]
    assert "80 rows left out" in out
    assert "│     10 │" in out
    assert "│     11 │" not in out
    assert "│    100 │" in out


def test_rules_are_listed_with_their_descriptions(run: Run) -> None:
    status, out, _ = run("--list-rules")
    assert status == 0
    for entry in RULES.values():
        assert entry.name in out
        assert entry.description in out


@pytest.mark.parametrize(
    "content",
    [
        (HEADER + ROWS).replace("\n", "\r\n"),
        "\ufeff" + HEADER + ROWS,
        HEADER + ROWS + "\n\n",
        HEADER + "\n".join(f'"{row}"'.replace(",", '","') for row in ROWS.split()),
        "name,output_tokens,prompt_tokens\n"
        + "".join("x,{1},{0}\n".format(*row.split(",")) for row in ROWS.split()),
    ],
    ids=["Windows", "byte order mark", "blank lines", "quoted", "more columns in another order"],
)
def test_spelling_of_the_file_does_not_matter(run: Run, tmp_path: Path, content: str) -> None:
    options = ("--memory", MEMORY, "--rule", "fcfs", "--json")
    plain = run(*options)
    (tmp_path / "requests.csv").write_text(content, newline="")
    assert run(*options) == plain


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (HEADER + "-1,1\n", ("line 2: prompt_tokens = -1", ">= 0")),
        (HEADER + ROWS + "1,0\n", ("line 6: output_tokens = 0", ">= 1")),
        (HEADER + ROWS + "4,2\n", ("request 5", "= 6", "memory of 5 tokens")),
        (HEADER + "1,2.5\n", ("line 2: output_tokens = '2.5'", "an integer")),
        (HEADER + "1\n", ("line 2",)),
        ("prompt_tokens\n1\n", ("columns = 'prompt_tokens'", "output_tokens")),
        (HEADER, ("at least one request",)),
        ("", ("columns = ''",)),
    ],
    ids=["negative", "no output", "too large", "fraction", "short", "no column", "no row", "empty"],
)
@pytest.mark.parametrize("rule", ["sorted-f", "optimal"])
def test_bad_file_is_refused_in_one_line(
    run: Run, tmp_path: Path, rule: str, content: str, parts: tuple[str, ...]
) -> None:
    (tmp_path / "requests.csv").write_text(content)
    assert_refused(run("--memory", MEMORY, "--rule", rule, "--json"), *parts)
    assert os.listdir(tmp_path) == ["requests.csv"]


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ((), ("--memory",)),
        (("--memory", 0), ("memory = 0", ">= 1")),
        (("--memory", "5.0"), ("--memory = '5.0'", "an integer")),
        (("--memory", 10**20), ("memory", "2^62")),
        (("--memory", 5, "--rule", "best"), ("rule = 'best'", "fcfs, fcfs-skip", "optimal")),
        (("--memory", 5, "--node-limit", 9), ("node_limit = 9", "only optimal does")),
        (("--memory", 5, "--rule", "optimal", "--node-limit", -1), ("node_limit = -1", ">= 0")),
        (("--memory", 5, "--rule", "optimal", "--node-limit", "x"), ("'x'", "an integer")),
    ],
)
def test_bad_option_is_refused_in_one_line(
    run: Run, options: tuple[object, ...], parts: tuple[str, ...]
) -> None:
    assert_refused(run(*options), *parts)


def test_missing_file_is_refused(run: Run) -> None:
    assert_refused(run("--memory", 5, path="missing.csv"), "'missing.csv'", "readable")


def test_backlog_too_large_to_search_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "requests.csv").write_text(HEADER + "1,1\n" * 100_000)
    assert_refused(run("--memory", 5, "--rule", "optimal"), "100000", "search exactly")
