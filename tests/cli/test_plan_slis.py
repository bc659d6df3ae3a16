"""The verb ``plan`` with separate pricing, SLIs and penalties."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

from kurtz.cli import main

NETWORK = str(files("kurtz.theory") / "instances" / "two-class.toml")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``kurtz plan two-class.toml ...``; returns exit status, output and errors."""

    def run(*options: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["kurtz", "plan", NETWORK, *options])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, captured.out, captured.err

    return run


def fields(run: Run, *options: str) -> dict[str, Any]:
    status, out, err = run(*options, "--json")
    assert (status, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_section_2_9_value_under_separate_pricing(run: Run) -> None:
    plan = fields(run, "--pricing", "separate")
    assert plan["value"] == pytest.approx(298.587, abs=5e-4)
    assert plan["pricing"] == "separate"
    assert plan["certified"] is True
    assert plan["classes"][0]["decode_queue"] > 0


def test_prefill_fairness_and_tpot_together(run: Run) -> None:
    plan = fields(run, "--sli", "prefill-fairness=0.05", "--sli", "tpot=0.028")
    assert plan["slis"] == {"prefill-fairness": 0.05, "tpot": 0.028}
    first, second = (each["prefill"] for each in plan["classes"])
    assert abs(first - second) <= 0.05 + 1e-12
    assert "prefill fairness, prefill-heavy over decode-heavy" in plan["shadow_prices"]
    assert plan["certified"] is True


@pytest.mark.parametrize(
    "sli",
    ["decode-fairness=1", "waiting-time=2", "abandonment=0.2", "jain=0.99"],
)
def test_every_sli_is_imposed_by_name(run: Run, sli: str) -> None:
    plan = fields(run, "--sli", sli)
    name, _, limit = sli.partition("=")
    assert plan["slis"] == {name: float(limit)}
    assert 0 < plan["value"] <= 297.7032


def test_penalties_are_taken_off_the_revenue(run: Run) -> None:
    plan = fields(run, "--soft-sli", "prefill-fairness=100", "--soft-sli", "tpot=1000")
    assert plan["penalties"] == {"prefill-fairness": 100, "tpot": 1000}
    assert plan["value"] < plan["revenue"] <= 297.7032
    assert 0 <= plan["gap"] < 1e-6


@pytest.mark.parametrize("weight", ["1e10", "1e16", "1e20", "1e300"])
def test_a_penalty_never_makes_a_feasible_program_infeasible(run: Run, weight: str) -> None:
    # From a weight above the first price of the front, 974.6, on equal occupancies are optimal.
    plan = fields(run, "--soft-sli", f"prefill-fairness={weight}")
    assert (plan["value"], plan["gap"], plan["certified"]) == (134, 0, True)


@pytest.mark.parametrize("weight", ["1e9", "1e308"])
def test_a_huge_price_of_tpot_leaves_no_prefills(run: Run, weight: str) -> None:
    plan = fields(run, "--soft-sli", f"tpot={weight}")
    assert plan["value"] == pytest.approx(-float(weight) / 45.45)  # 1/gamma = 1/45.45 s
    assert (plan["mixed_share"], plan["gap"], plan["certified"]) == (0, 0, True)


@pytest.mark.parametrize("penalty", ["tpot=1e12", "decode-fairness=1e18"])
def test_a_huge_penalty_beside_jains_index_is_answered(run: Run, penalty: str) -> None:
    plan = fields(run, "--sli", "jain=0.9", "--soft-sli", penalty)
    assert (plan["gap"], plan["certified"]) == (0, True)


@pytest.mark.parametrize("limit", ["1e300", "1e308"])
def test_an_sli_beyond_the_range_of_the_solver_is_slack(run: Run, limit: str) -> None:
    plan = fields(run, "--sli", f"tpot={limit}")
    assert plan["value"] == pytest.approx(297.7032, abs=5e-5)
    assert plan["certified"] is True


def test_a_gap_below_the_resolution_of_floating_point_is_none(run: Run) -> None:
    assert fields(run, "--soft-sli", "tpot=1000")["certified"] is True


def test_slis_and_penalties_are_printed_for_people(run: Run) -> None:
    status, out, err = run("--sli", "tpot=0.028", "--soft-sli", "prefill-fairness=100")
    assert (status, err) == (0, "")
    assert "SLI: tpot with limit 0.028" in out
    assert "penalty: 100 per unit of prefill-fairness" in out
    assert "certified exactly" in out
    status, out, err = run("--sli", "tpot=0.028")
    assert "SLI: tpot with limit 0.028" in out


def test_a_decode_queue_may_be_allowed(run: Run) -> None:
    status, _, err = run("--sli", "waiting-time=0.1")
    assert status == 2
    assert "no decode queue" in err
    plan = fields(run, "--sli", "waiting-time=0.1", "--decode-queue-allowed")
    assert plan["classes"][0]["decode_queue"] > 0


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--sli", "tpot=0.02"), "these constraints clash: average TPOT"),
        (("--sli", "ttft=1"), "sli = 'ttft=1'"),
        (("--sli", "tpot=soon"), "sli = 'tpot=soon'"),
        (("--sli", "tpot=1_0"), "sli = 'tpot=1_0'"),
        (("--sli", "jain=2"), "jain = 2.0"),
        (("--sli", "tpot=0.03", "--sli", "tpot=0.04"), "every SLI at most once"),
        (("--soft-sli", "jain=1"), "penalty = 'jain=1'"),
        (("--soft-sli", "tpot=-1"), "tpot penalty = -1.0"),
        (("--pricing", "free"), "pricing = 'free'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_planned_is_refused_in_one_line(
    run: Run, options: tuple[str, ...], part: str
) -> None:
    status, out, err = run(*options)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert part in err
