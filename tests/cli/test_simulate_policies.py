"""`kurtz simulate --policy`: every policy by name, with the plan that it is meant to track."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.resources import files

import pytest

from kurtz.cli import main
from kurtz.theory import policy_names

NETWORK = str(files("kurtz.theory") / "instances" / "small-two-class.toml")
SHORT = ("--gpus", "2", "--horizon", "6", "--warmup", "1", "--replications", "2")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``kurtz simulate ...``; returns exit status, output and errors."""

    def run(*options: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["kurtz", "simulate", NETWORK, *SHORT, *options])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, captured.out, captured.err

    return run


@pytest.mark.parametrize("name", policy_names())
def test_every_policy_runs_by_its_name(run: Run, name: str) -> None:
    status, out, err = run("--policy", name, "--json")
    assert status == 0, err
    printed = json.loads(out)
    assert printed["policy"] in (name, "gate-and-route", "fcfs")
    assert printed["pricing"] == ("separate" if name == "prioritize-and-route" else "bundled")
    assert printed["plan_value"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--policy", "lifo"), "policy = 'lifo' is not allowed: expected one of gate-and-route"),
        (("--policy", "sli-aware", "--sli", "tpot=1e-6"), "average TPOT"),
        (("--policy", "sli-aware", "--sli", "jain=0.9"), "slis = 'jain' is not allowed"),
        (("--policy", "disaggregated", "--sli", "tpot=1"), "no SLI for disaggregated pools"),
        (("--policy", "fi-wsp", "--simulator", "chain"), "policy.layout = 'shared'"),
        (("--simulator", "cluster"), "simulator = 'cluster'"),
        (("--pricing", "free"), "pricing = 'free'"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    run: Run, arguments: tuple[str, ...], message: str
) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err


def test_a_plan_under_slis_is_tracked(run: Run) -> None:
    _, free, _ = run("--policy", "sli-aware", "--json")
    _, bound, _ = run("--policy", "sli-aware", "--sli", "prefill-fairness=0.01", "--json")
    assert json.loads(bound)["plan_value"] < json.loads(free)["plan_value"]
