"""The command line: every verb, what it prints and writes, and one line for every bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import pytest

from kurtz.cli import main
from kurtz.proofs_checks import CHECKS, Evidence, Findings, Outcome
from kurtz.stochastic import COUNTS, EVENTS
from kurtz.theory import instance_names, read_network
from kurtz.theory.claims import CLAIMS, Grade

SCRIPT = Path(sys.executable).with_name("kurtz")
INSTANCES = files("kurtz.theory") / "instances"
SIMULATION = ("--gpus", "20", "--horizon", "30", "--warmup", "5", "--replications", "3")

NETWORK = """\
[gpu]
name = "a GPU"
alpha = 0.0174
beta = 6.2e-5
gamma = 45.45
batch = 16
chunk = 256

[prices]
prefill = 0.1
decode = 0.2
"""
CLASSES = """
[[classes]]
name = "only"
prompt_tokens = 300
output_tokens = 1000
arrival_rate = 0.5
patience_rate = 0.1
"""
TRACE = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2023-11-16 18:00:{second:02d},{100 + 40 * second},{10 + 7 * (second % 9)}\n"
    for second in range(60)
)


@dataclass(frozen=True)
class Said:
    """Exit status and what was printed."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """The one object on standard output."""
        assert self.status == 0, self.err
        content, end = json.JSONDecoder(parse_constant=pytest.fail).raw_decode(self.out)
        assert isinstance(content, dict)
        assert self.out[end:] == "\n"
        return content


class Kurtz(Protocol):
    """Runs the command in this process."""

    def __call__(self, *arguments: object) -> Said:
        """Exit status and output of ``kurtz arguments``."""


@pytest.fixture
def kurtz(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Kurtz:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["kurtz", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return Said(stopped.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "network.toml"
    path.write_text(NETWORK + CLASSES)
    return path


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(TRACE)
    return path


def shipped(name: str) -> str:
    return str(INSTANCES / f"{name}.toml")


def assert_refused(said: Said, *parts: str) -> None:
    """One line on standard error that holds every part; status 2; nothing else."""
    assert said.status == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("kurtz: ")
    assert "Traceback" not in said.err
    for part in parts:
        assert part in said.err


def test_version_is_that_of_the_package(kurtz: Kurtz) -> None:
    assert kurtz("--version") == Said(0, version("kurtz") + "\n", "")


@pytest.mark.parametrize("verb", ["", "claims", "verify", "plan", "simulate", "workload"])
def test_every_verb_explains_itself(kurtz: Kurtz, verb: str) -> None:
    said = kurtz(*([verb] if verb else []), "--help")
    assert said.status == 0
    assert "Usage" in said.out


def test_claims_are_listed(kurtz: Kurtz) -> None:
    listed = kurtz("claims", "--json").json()["claims"]
    assert [each["claim_id"] for each in listed] == [each.claim_id for each in CLAIMS]
    table = kurtz("claims")
    assert table.status == 0
    assert all(each.claim_id in table.out for each in CLAIMS)


def test_section_2_9_plan_of_the_papers_instance(kurtz: Kurtz) -> None:
    plan = kurtz("plan", shipped("two-class"), "--json").json()
    assert plan["value"] == pytest.approx(297.703, abs=5e-4)
    numerator, _, denominator = plan["value_exact"].partition("/")
    assert int(numerator) / int(denominator) == plan["value"]
    assert plan["mixed_share"] == pytest.approx(0.21321, abs=5e-6)
    assert [each["name"] for each in plan["classes"]] == ["decode-heavy", "prefill-heavy"]
    assert plan["classes"][0]["prefill"] == pytest.approx(0.018258, abs=5e-7)
    assert plan["certified"] is True
    # Three capacities, and two flow balances of each class.
    assert len(plan["shadow_prices"]) == 3 + 2 * 2


def test_plan_is_printed_for_people(kurtz: Kurtz) -> None:
    said = kurtz("plan", shipped("two-class"))
    assert said.status == 0
    assert said.err == ""
    assert "value 297.703" in said.out
    assert "decode-heavy" in said.out


@pytest.mark.parametrize("name", instance_names())
def test_every_shipped_network_has_a_plan(kurtz: Kurtz, name: str) -> None:
    assert kurtz("plan", shipped(name), "--json").json()["value"] > 0


def test_simulation_reports_means_with_their_errors(kurtz: Kurtz) -> None:
    found = kurtz("simulate", shipped("two-class"), *SIMULATION, "--json").json()
    assert found["policy"] == "gate-and-route"
    assert (found["gpus"], found["replications"], found["seed"]) == (20, 3, 1)
    assert (found["horizon"], found["warmup"]) == (30, 5)
    assert found["plan_value"] == pytest.approx(297.703, abs=5e-4)
    assert found["events"] > 0
    assert found["seconds"] > 0
    intervals = [found["revenue_rate"]]
    for each in found["classes"]:
        assert set(each) == {"name", "event_rates", *COUNTS}
        assert set(each["event_rates"]) == set(EVENTS)
        intervals += [each[stage] for stage in COUNTS] + list(each["event_rates"].values())
    for interval in intervals:
        low, high = interval["ci"]
        assert low <= interval["mean"] <= high
        # Student's 97.5 % point with 2 degrees of freedom is 4.302653.
        width = 4.302653 * interval["standard_error"]
        assert high - interval["mean"] == pytest.approx(width, rel=1e-6, abs=1e-12)


def test_same_seed_gives_the_same_numbers_and_another_seed_others(kurtz: Kurtz) -> None:
    def numbers(*options: object) -> Any:
        found = kurtz("simulate", shipped("two-class"), *SIMULATION, *options, "--json").json()
        return found | {"seconds": 0}

    assert numbers("--seed", 5) == numbers("--seed", 5)
    assert numbers("--seed", 5)["revenue_rate"] != numbers("--seed", 6)["revenue_rate"]


def test_simulation_follows_the_policy_asked_for(kurtz: Kurtz) -> None:
    said = kurtz("simulate", shipped("two-class"), *SIMULATION, "--policy", "fcfs")
    assert said.status == 0
    assert said.out.startswith("fcfs, 20 GPUs: revenue ")
    assert "prefill queue" in said.out


def test_workload_is_read_back_as_classes_of_a_network(
    kurtz: Kurtz, trace: Path, tmp_path: Path
) -> None:
    said = kurtz("workload", trace, "--classes", 3, "--gpus", 2, "--patience-rate", 0.2)
    assert said.status == 0
    path = tmp_path / "from_trace.toml"
    path.write_text(NETWORK + said.out)
    network = read_network(path)
    assert len(network.classes) == 3
    assert set(network.per_class("patience_rate")) == {0.2}
    # 60 requests, one per second, shared by two GPUs: half a request per second and GPU.
    assert sum(network.per_class("arrival_rate")) == pytest.approx(0.5, rel=0.02)
    assert kurtz("plan", path, "--json").json()["value"] > 0


def test_workload_says_the_same_in_json(kurtz: Kurtz, trace: Path, tmp_path: Path) -> None:
    trace.write_text(TRACE + "2023-11-16 18:02:30,500,20\n")  # two whole minutes
    path = tmp_path / "from_trace.toml"
    path.write_text(NETWORK + kurtz("workload", trace, "--classes", 2).out)
    found = kurtz("workload", trace, "--classes", 2, "--json").json()
    assert [each["name"] for each in found["classes"]] == list(read_network(path).class_names)
    # 59 gaps of one second and one of 91: mean 2.5, mean square 139, so 139 / 6.25 - 1.
    assert found["arrivals"]["requests"] == 61
    assert found["arrivals"]["duration_seconds"] == 150
    assert found["arrivals"]["interarrival_scv"] == pytest.approx(139 / 6.25 - 1)


def test_workload_of_a_trace_shorter_than_two_minutes_is_valid_json(
    kurtz: Kurtz, trace: Path
) -> None:
    arrivals = kurtz("workload", trace, "--classes", 2, "--json").json()["arrivals"]
    assert arrivals["requests"] == 60
    assert None in arrivals.values()


def test_verification_writes_both_ledgers_whole(kurtz: Kurtz, tmp_path: Path) -> None:
    said = kurtz("verify", "iteration-time-law", "--json", "ledger.json", "--html", "ledger.html")
    assert said.status == 0
    assert "Every claim holds and every control was refuted." in said.out
    assert said.err.startswith("iteration-time-law: holds, passed, ")
    assert said.err.count("\n") == 1  # no line of a progress display
    content = json.loads((tmp_path / "ledger.json").read_text(encoding="utf-8"))
    assert content["passed"] is True
    assert [found["claim"] for found in content["verdicts"]] == ["iteration-time-law"]
    assert (tmp_path / "ledger.html").read_text(encoding="utf-8").endswith("</html>\n")
    assert sorted(os.listdir(tmp_path)) == ["ledger.html", "ledger.json"]


@pytest.mark.parametrize(
    ("evidence", "control"),
    [
        (Outcome.REFUTED, Outcome.REFUTED),
        (Outcome.INCONCLUSIVE, Outcome.REFUTED),
        (Outcome.HOLDS, Outcome.HOLDS),
    ],
    ids=["refuted", "inconclusive", "control missed"],
)
def test_verification_that_does_not_pass_has_status_1_and_still_writes(
    kurtz: Kurtz,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    evidence: Outcome,
    control: Outcome,
) -> None:
    def piece(outcome: Outcome) -> Evidence:
        return Evidence("a [comparison]", Grade.CERTIFIED, outcome, "1", "[0, 1]")

    findings = Findings((piece(evidence),), {"a fault": (piece(control),)})
    monkeypatch.setitem(CHECKS, "iteration-time-law", lambda level, report: findings)
    said = kurtz("verify", "iteration-time-law", "--json", "ledger.json")
    assert said.status == 1
    assert "NOT PASSED" in said.out
    assert "[0, 1]" in said.out
    assert json.loads((tmp_path / "ledger.json").read_text())["passed"] is False


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (NETWORK.replace("batch = 16", "batch = 0") + CLASSES, ("gpu.batch = 0", ">= 1")),
        (NETWORK.replace("batch = 16", "batch = 1.5") + CLASSES, ("gpu.batch = 1.5", "integer")),
        (NETWORK.replace("0.0174", "nan") + CLASSES, ("gpu.alpha = nan", "finite number >= 0")),
        (NETWORK.replace("45.45", "inf") + CLASSES, ("gpu.gamma = inf", "finite number > 0")),
        (NETWORK.replace("0.0174", '"fast"') + CLASSES, ("gpu.alpha = 'fast'", "number")),
        (NETWORK + CLASSES.replace("0.5", "-0.5"), ("classes[only].arrival_rate = -0.5", "> 0")),
        (NETWORK + CLASSES.replace("0.1", "-1"), ("classes[only].patience_rate = -1", ">= 0")),
        (NETWORK + CLASSES + CLASSES, ("classes.name = 'only'", "different name")),
        ("classes = []\n" + NETWORK, ("classes = []", "at least one")),
        (NETWORK, ("missing key in the network file = 'classes'",)),
        (NETWORK.replace("chunk = 256\n", "") + CLASSES, ("missing key in gpu = 'chunk'",)),
        (NETWORK + CLASSES + "colour = 1\n", ("unknown key in classes[0] = 'colour'", "one of")),
        (NETWORK + "[[classes]\n", ("network file", "valid TOML")),
        ("", ("missing key", "'gpu'")),
    ],
    ids=[
        "no slots",
        "half a slot",
        "NaN",
        "infinity",
        "text for a number",
        "negative rate",
        "negative patience",
        "same name twice",
        "zero classes",
        "no classes",
        "missing key",
        "unknown key",
        "not TOML",
        "empty",
    ],
)
@pytest.mark.parametrize("verb", ["plan", "simulate"])
def test_bad_network_is_refused_in_one_line(
    kurtz: Kurtz, network: Path, verb: str, text: str, parts: tuple[str, ...]
) -> None:
    network.write_text(text)
    assert_refused(kurtz(verb, network, "--json"), *parts)


def test_network_that_nobody_can_serve_is_refused_with_what_clashes(
    kurtz: Kurtz, network: Path
) -> None:
    # Patience rate 0 has to be served in full: 50 requests per second and GPU cannot be.
    endless = CLASSES.replace("0.1", "0").replace("0.5", "50")
    network.write_text(NETWORK + endless)
    assert_refused(kurtz("plan", network), "infeasible", "prefill flow balance of only")


@pytest.mark.parametrize("verb", ["plan", "simulate", "workload"])
def test_file_that_cannot_be_read_is_refused(kurtz: Kurtz, tmp_path: Path, verb: str) -> None:
    (tmp_path / "noise").write_bytes(b"\xff\xfe\x00\x80")
    for path in ("missing", ".", "noise"):
        assert_refused(kurtz(verb, path), f"'{path}'", "file", "expected")


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ("2023-11-16 18:01:00,5", ("line 62", "columns = 2", "3 columns")),
        ("2023-11-16 18:01:00,many,5", ("line 62, ContextTokens = 'many'", "integer >= 1")),
        ("2023-11-16 18:01:00,5,0", ("line 62, GeneratedTokens = '0'", "integer >= 1")),
        ("2023-11-16 18:01:00,5,nan", ("line 62, GeneratedTokens = 'nan'", "integer >= 1")),
        ("noon,5,5", ("line 62, TIMESTAMP = 'noon'", "ISO 8601")),
    ],
)
def test_broken_row_of_a_trace_is_refused_by_line(
    kurtz: Kurtz, trace: Path, row: str, parts: tuple[str, ...]
) -> None:
    trace.write_text(TRACE + row + "\n")
    assert_refused(kurtz("workload", trace), *parts)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("plan", "{network}", "--pricing", "free"), ("pricing = 'free'", "'bundled'")),
        (
            ("simulate", "{network}", "--policy", "random"),
            ("policy = 'random'", "gate-and-route, fcfs"),
        ),
        (("simulate", "{network}", "--gpus", "0"), ("gpus = 0", ">= 1")),
        (("simulate", "{network}", "--gpus", "many"), ("--gpus = 'many'", "an integer")),
        (("simulate", "{network}", "--gpus", "1.5"), ("--gpus = '1.5'", "an integer")),
        (("simulate", "{network}", "--horizon", "nan"), ("horizon = nan", "finite number > 0")),
        (("simulate", "{network}", "--horizon", "long"), ("--horizon = 'long'", "a number")),
        (("simulate", "{network}", "--warmup", "-1"), ("warmup = -1", ">= 0")),
        (("simulate", "{network}", "--warmup", "2000"), ("warmup = 2000", "less than the horizon")),
        (("simulate", "{network}", "--replications", "1"), ("replications = 1", ">= 2")),
        (("simulate", "{network}", "--seed", "-1"), ("seed = -1", ">= 0")),
        (("workload", "{trace}", "--classes", "0"), ("classes = 0", ">= 1")),
        (("workload", "{trace}", "--gpus", "0"), ("gpus = 0", "> 0")),
        (("workload", "{trace}", "--patience-rate", "-1"), ("patience_rate = -1", ">= 0")),
        (("workload", "{trace}", "--seed", "x"), ("--seed = 'x'", "an integer")),
        (("verify", "iteration-law"), ("claim = 'iteration-law'", "iteration-time-law")),
        (("verify", "--level", "slow"), ("level = 'slow'", "quick, full")),
        (("plan",), ("NETWORK.toml",)),
        (("plan", "{network}", "--colour"), ("--colour",)),
        (("solve", "{network}"), ("solve",)),
    ],
)
def test_bad_argument_is_refused_in_one_line(
    kurtz: Kurtz,
    network: Path,
    trace: Path,
    arguments: tuple[str, ...],
    parts: tuple[str, ...],
) -> None:
    given = [each.format(network=network, trace=trace) for each in arguments]
    assert_refused(kurtz(*given), *parts)


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_output_that_cannot_be_written_is_refused_before_any_work(
    kurtz: Kurtz, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: str
) -> None:
    monkeypatch.setitem(CHECKS, "iteration-time-law", pytest.fail)
    for path in ("missing/ledger", "."):
        said = kurtz("verify", "iteration-time-law", option, path)
        assert_refused(said, f"output file = '{path}'", "expected a ")
    assert os.listdir(tmp_path) == []


def test_bad_input_leaves_the_previous_ledger_alone(kurtz: Kurtz, tmp_path: Path) -> None:
    (tmp_path / "ledger.json").write_text("old")
    assert kurtz("verify", "no-such-claim", "--json", "ledger.json").status == 2
    assert os.listdir(tmp_path) == ["ledger.json"]
    assert (tmp_path / "ledger.json").read_text() == "old"


def test_installed_script_prints_one_object_and_refuses_with_status_2(tmp_path: Path) -> None:
    def run(*arguments: str) -> Said:
        done = subprocess.run(
            [SCRIPT, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        return Said(done.returncode, done.stdout, done.stderr)

    assert run("plan", shipped("two-class"), "--json").json()["certified"] is True
    simulated = run("simulate", shipped("two-class"), *SIMULATION, "--json")
    assert simulated.json()["replications"] == 3
    assert simulated.err == ""  # no progress off a terminal
    assert_refused(run("plan", "missing"), "'missing'", "readable")
    assert os.listdir(tmp_path) == []


KILLED_WHILE_WRITING = """
import os, signal, sys
from kurtz.cli import main
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
sys.argv = ["kurtz", *sys.argv[1:]]
main()
"""


def test_killed_verification_leaves_the_previous_ledger_and_can_run_again(tmp_path: Path) -> None:
    ledger, page = tmp_path / "ledger.json", tmp_path / "ledger.html"
    previous = json.dumps({"verdicts": []})
    ledger.write_text(previous)
    arguments = ["verify", "decode-buffer-elimination", "--json", str(ledger), "--html", str(page)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([SCRIPT, *arguments], **quiet) as early:
        time.sleep(0.5)
        early.kill()
    assert early.returncode == -signal.SIGKILL
    assert json.loads(ledger.read_text()) == json.loads(previous)
    assert os.listdir(tmp_path) == ["ledger.json"]
    late = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_WRITING, *arguments], check=False, **quiet
    )
    assert late.returncode == -signal.SIGKILL
    assert json.loads(ledger.read_text()) == json.loads(previous)
    assert sorted(os.listdir(tmp_path)) == ["ledger.json", "ledger.json.part"]
    again = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert json.loads(ledger.read_text())["passed"] is True
    assert sorted(os.listdir(tmp_path)) == ["ledger.html", "ledger.json"]
