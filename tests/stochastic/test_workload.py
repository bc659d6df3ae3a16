"""Workloads: traces are read or refused by line, classes keep what the trace sums to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.stochastic.data import derive
from kurtz.stochastic.workload import (
    arrival_statistics,
    azure_arrivals,
    azure_classes,
    azure_quantiles,
    classes_to_toml,
    pool_traces,
    read_trace,
    request_classes,
    token_quantiles,
)
from kurtz.theory import InvalidInput, RequestClass, instance, rates, read_network

ROOT = Path(__file__).resolve().parents[2]
RAW = ROOT.parent / "shared" / "data"
HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"
HEAD = '[gpu]\nname = "g"\nalpha = 0.01\nbeta = 1e-4\ngamma = 30\nbatch = 16\nchunk = 512\n'
PRICES = "[prices]\nprefill = 0.1\ndecode = 0.2\n"

needs_raw_data = pytest.mark.skipif(not RAW.is_dir(), reason="raw data are not in the repository")


def trace_of(prompts: list[int], outputs: list[int], gap: float = 1.0) -> pd.DataFrame:
    seconds = pd.to_timedelta(np.arange(len(prompts)) * gap, unit="s")
    start = pd.Timestamp("2023-11-16", tz="UTC")
    return pd.DataFrame(
        {"time": start + seconds, "prompt_tokens": prompts, "output_tokens": outputs}
    )


def write_trace(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "trace.csv"
    # As the Azure files: CRLF line ends, none after the last row.
    path.write_bytes("\r\n".join((header, *rows)).encode())
    return path


def test_trace_is_read_to_the_last_digit(tmp_path: Path) -> None:
    path = write_trace(
        tmp_path, "2023-11-16 18:17:03.9799600,4808,10", "2023-11-16 18:17:04.0319601,3180,8"
    )
    trace = read_trace(path)
    assert trace["prompt_tokens"].tolist() == [4808, 3180]
    assert trace["output_tokens"].tolist() == [10, 8]
    assert trace["time"].diff().iloc[1] == pd.Timedelta(52_000_100, unit="ns")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2023-11-16 18:00:01,5", "line 3, columns = 2 .* 3 columns"),
        ("2023-11-16 18:00:01,5,6,7", "line 3, columns = 4"),
        ("2023-11-16 18:00:01,5.5,6", "line 3, ContextTokens = '5.5'"),
        ("2023-11-16 18:00:01,-5,6", "line 3, ContextTokens = '-5'"),
        ("2023-11-16 18:00:01,0,6", "line 3, ContextTokens = '0'"),
        ("2023-11-16 18:00:01,5,0", "line 3, GeneratedTokens = '0' .* integer >= 1"),
        ("2023-11-16 18:00:01,5,", "line 3, GeneratedTokens = ''"),
        ("2023-11-16 18:00:01,9999999999,5", "line 3, ContextTokens"),
        ("2023-11-16 18:00:01,5,\N{SUPERSCRIPT TWO}", "line 3, GeneratedTokens"),
        ("noon,5,6", "line 3, TIMESTAMP = 'noon' .* ISO 8601"),
        ("2023-11-16 17:59:59,5,6", "line 3, TIMESTAMP .* row above"),
    ],
)
def test_broken_rows_are_named_by_line(tmp_path: Path, row: str, message: str) -> None:
    path = write_trace(tmp_path, "2023-11-16 18:00:00,5,6", row, "2023-11-16 18:00:02,5,6")
    with pytest.raises(InvalidInput, match=message):
        read_trace(path)


def test_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="trace file"):
        read_trace(tmp_path / "absent.csv")
    with pytest.raises(InvalidInput, match="trace file"):
        read_trace(tmp_path)
    with pytest.raises(InvalidInput, match="at least one request"):
        read_trace(write_trace(tmp_path))
    with pytest.raises(InvalidInput, match="GeneratedTokens"):
        read_trace(write_trace(tmp_path, "2023-11-16,5", header="TIMESTAMP,ContextTokens"))
    (tmp_path / "trace.csv").write_bytes(b"")
    with pytest.raises(InvalidInput, match="TIMESTAMP"):
        read_trace(tmp_path / "trace.csv")
    (tmp_path / "trace.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="trace file"):
        read_trace(tmp_path / "trace.csv")


def test_regular_arrivals_have_no_dispersion() -> None:
    # Every half second for 600 s: 20 arrivals in each window of 10 s, 120 in each of 60 s.
    statistics = arrival_statistics(trace_of([1] * 1201, [1] * 1201, gap=0.5))
    assert statistics.rate == 2
    assert statistics.interarrival_scv == pytest.approx(0, abs=1e-12)
    assert (statistics.dispersion_10_seconds, statistics.dispersion_60_seconds) == (0, 0)


def test_poisson_arrivals_have_unit_dispersion() -> None:
    arrivals = np.random.default_rng(1).exponential(0.1, 100_000).cumsum()
    trace = trace_of([1] * arrivals.size, [1] * arrivals.size)
    trace["time"] = trace["time"].iloc[0] + pd.to_timedelta(arrivals, unit="s")
    statistics = arrival_statistics(trace)
    assert statistics.rate == pytest.approx(10, rel=0.02)
    # The SCV of n exponential gaps has standard error sqrt(8 / n) = 0.009; the dispersion in
    # k windows sqrt(2 / k), 0.045 and 0.11 here. Four of them are allowed.
    assert statistics.interarrival_scv == pytest.approx(1, abs=0.036)
    assert statistics.dispersion_10_seconds == pytest.approx(1, abs=0.18)
    assert statistics.dispersion_60_seconds == pytest.approx(1, abs=0.44)


def test_a_trace_of_one_instant_has_no_rate() -> None:
    with pytest.raises(InvalidInput, match="duration"):
        arrival_statistics(trace_of([1, 2], [1, 2], gap=0.0))


def test_quantiles_are_observed_lengths() -> None:
    quantiles = token_quantiles(trace_of(list(range(1, 102)), [7] * 101))
    assert quantiles["prompt_tokens"].tolist() == list(range(1, 102))
    assert set(quantiles["output_tokens"]) == {7}


def test_pooled_traces_keep_the_order_of_arrival() -> None:
    pooled = pool_traces([trace_of([1, 2], [1, 1], gap=2.0), trace_of([3, 4], [1, 1], gap=1.0)])
    assert pooled["prompt_tokens"].tolist() == [1, 3, 4, 2]
    with pytest.raises(InvalidInput, match="at least one trace"):
        pool_traces([])


def test_separated_groups_become_classes() -> None:
    trace = trace_of([100, 3000, 110, 90, 2900, 3100], [500, 20, 510, 490, 20, 20])
    short, long = request_classes(trace, 2, gpus=2, patience_rate=0.1)
    # Five gaps of 1 s: one request per second, half of them in each class, on two GPUs.
    assert short == RequestClass("1-short-prompt-long-output", 100, 500, 0.25, 0.1)
    assert long == RequestClass("2-long-prompt-short-output", 3000, 20, 0.25, 0.1)


@settings(max_examples=20, deadline=None)
@given(st.data(), st.integers(1, 4), st.integers(0, 3))
def test_classes_keep_the_work_of_the_trace(data: st.DataObject, classes: int, seed: int) -> None:
    pairs = data.draw(
        st.lists(
            st.tuples(st.integers(1, 10_000), st.integers(1, 2000)),
            min_size=5,
            max_size=40,
            unique=True,
        )
    )
    prompts, outputs = map(list, zip(*pairs, strict=True))
    trace = trace_of(prompts, outputs)
    found = request_classes(trace, classes, gpus=1, patience_rate=0, seed=seed)
    assert found == request_classes(trace, classes, gpus=1, patience_rate=0, seed=seed)
    assert len({c.name for c in found}) == classes
    assert [c.prompt_tokens for c in found] == sorted(c.prompt_tokens for c in found)
    # Rates are rounded to four digits and mean lengths to whole tokens.
    assert sum(c.arrival_rate for c in found) == pytest.approx(1, rel=1e-3)
    work = sum(c.arrival_rate * c.prompt_tokens for c in found)
    assert work == pytest.approx(np.mean(prompts), rel=1e-3, abs=0.6)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"classes": 0}, "classes"),
        ({"classes": 3}, "classes = 3 .* at most 2"),
        ({"gpus": 0}, "gpus"),
        ({"patience_rate": -1}, "patience_rate"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_class_requests_are_named(arguments: dict[str, float], field: str) -> None:
    defaults = {"classes": 2, "gpus": 1, "patience_rate": 0.1, "seed": 0}
    with pytest.raises(InvalidInput, match=field):
        request_classes(trace_of([5, 50, 5], [5, 5, 5]), **{**defaults, **arguments})


positive = st.one_of(st.integers(1, 10**6), st.floats(1e-6, 1e6))


@settings(deadline=None)
@given(
    st.builds(
        RequestClass,
        name=st.text(min_size=1).filter(lambda text: text.strip() and text.isprintable()),
        prompt_tokens=positive,
        output_tokens=positive,
        arrival_rate=positive,
        patience_rate=st.floats(0, 10),
    )
)
def test_classes_survive_toml(tmp_path_factory: pytest.TempPathFactory, one: RequestClass) -> None:
    path = tmp_path_factory.mktemp("toml") / "network.toml"
    path.write_text(HEAD + PRICES + classes_to_toml([one]), encoding="utf-8", newline="\n")
    assert read_network(path).classes == (one,)


def test_shipped_azure_tables() -> None:
    arrivals = azure_arrivals().set_index("trace")
    assert arrivals["requests"].to_dict() == {
        "code": 8819,
        "conversation": 19366,
        "pooled": 28185,
    }
    # Neither trace is Poisson over minutes.
    assert (arrivals["dispersion_60_seconds"] > 10).all()
    assert azure_quantiles().groupby("trace").size().to_dict() == dict.fromkeys(arrivals.index, 101)
    classes = azure_classes()
    assert classes.groupby("trace").size().to_dict() == dict.fromkeys(arrivals.index, 4)
    for name, rows in classes.groupby("trace"):
        assert rows["arrival_rate"].sum() == pytest.approx(arrivals.loc[name, "rate"], rel=1e-3)


def test_azure_h100_is_overloaded_by_a_tenth() -> None:
    network = instance("azure-h100")
    batch = network.gpu.batch
    assert rates(network).kappa >= (batch - 1) / batch
    assert derive.load(network.gpu, network.classes) == pytest.approx(derive.LOAD, rel=1e-3)
    assert network.gpu.name == "llama2-70b, h100-80gb, TP4"


@needs_raw_data
def test_shipped_files_are_those_derived_from_the_raw_data() -> None:
    shipped = {
        path.name: path.read_text(encoding="utf-8")
        for path in (*ROOT.glob("stochastic/data/*.csv"), ROOT / "theory/instances/azure-h100.toml")
    }
    del shipped["published_fits.csv"]
    assert derive.derive(RAW) == shipped


def test_missing_raw_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="splitwise_perf_model"):
        derive.derive(tmp_path)


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    derive.write(tmp_path, "table.csv", "old\n")
    with pytest.raises(UnicodeEncodeError):
        derive.write(tmp_path, "table.csv", "half \ud800")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"table.csv": "old\n"}


def test_usage_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert derive.main([]) == 2
    assert "PATH_TO_RAW_DATA" in capsys.readouterr().err
