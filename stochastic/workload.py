"""Request classes from traces.

A trace is a CSV file with the columns TIMESTAMP, ContextTokens and GeneratedTokens, the form of
the Azure LLM inference traces (Splitwise, ISCA 2024). Its requests are grouped by k-means on
the standardised logarithms of prompt and output length; a group becomes a `RequestClass` with
the means of its lengths and its share of the trace's arrival rate.

The model behind the classes takes arrivals as Poisson. `arrival_statistics` says how far a trace
is from that: a Poisson process has squared coefficient of variation of interarrival times 1 and
index of dispersion of counts (variance over mean) 1 in windows of any length.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from numbers import Integral
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..theory import InvalidInput, RequestClass
from ..theory.errors import require_integer, require_number
from .data import table

_COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_LENGTHS = ("prompt_tokens", "output_tokens")


@dataclass(frozen=True)
class ArrivalStatistics:
    """How requests arrive.

    Parameters
    ----------
    requests
        Number of requests.
    duration_seconds
        Time from the first to the last arrival.
    rate
        Mean arrivals per second: the interarrival times number ``requests - 1``.
    interarrival_scv
        Squared coefficient of variation of interarrival times; 1 for Poisson arrivals.
    dispersion_10_seconds, dispersion_60_seconds
        Variance over mean of the counts in whole windows of that length; 1 for Poisson
        arrivals, NaN with fewer than two windows.
    """

    requests: int
    duration_seconds: float
    rate: float
    interarrival_scv: float
    dispersion_10_seconds: float
    dispersion_60_seconds: float


def read_trace(path: str | Path) -> pd.DataFrame:
    """Read a trace of requests.

    Requests without a prompt or without output are refused, not dropped: the model has no
    class for them and what they stand for (failures, cache hits) differs by trace.

    Returns
    -------
    pandas.DataFrame
        ``time`` (UTC, not decreasing), ``prompt_tokens`` and ``output_tokens``.

    Raises
    ------
    InvalidInput
        The file is unreadable or has no requests, a column is missing, or a row has the wrong
        number of columns, a time that is unparsable or before that of the row above, or a
        length that is not an integer >= 1; the message gives the line of the file.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput("trace file", str(path), f"a readable CSV file ({error})") from error
    for column in _COLUMNS:
        if column not in header:
            raise InvalidInput("missing trace column", column, f"all of {', '.join(_COLUMNS)}")
    if not rows:
        raise InvalidInput("trace file", str(path), "at least one request")
    stamp, prompt, output = (header.index(column) for column in _COLUMNS)
    for line, row in rows:
        if len(row) != len(header):
            raise InvalidInput(f"line {line}, columns", len(row), f"{len(header)} columns")
    return pd.DataFrame(
        {
            "time": _times([(line, row[stamp]) for line, row in rows]),
            "prompt_tokens": [_tokens(line, _COLUMNS[1], row[prompt]) for line, row in rows],
            "output_tokens": [_tokens(line, _COLUMNS[2], row[output]) for line, row in rows],
        }
    )


def pool_traces(traces: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The requests of several traces in order of arrival, as if one cluster served them all.

    Raises `InvalidInput` without a trace.
    """
    frames = list(traces)
    if not frames:
        raise InvalidInput("traces", frames, "at least one trace")
    return pd.concat(frames).sort_values("time", kind="stable", ignore_index=True)


def arrival_statistics(trace: pd.DataFrame) -> ArrivalStatistics:
    """Arrival statistics of a trace; raises `InvalidInput` unless it spans some time."""
    seconds = (trace["time"] - trace["time"].iloc[0]).dt.total_seconds().to_numpy()
    duration = float(seconds[-1])
    if duration <= 0:
        raise InvalidInput("trace duration", duration, "a trace that spans some time (seconds)")
    gaps = np.diff(seconds)
    return ArrivalStatistics(
        requests=seconds.size,
        duration_seconds=duration,
        rate=(seconds.size - 1) / duration,
        interarrival_scv=float(gaps.var() / gaps.mean() ** 2),
        dispersion_10_seconds=_dispersion(seconds, 10.0),
        dispersion_60_seconds=_dispersion(seconds, 60.0),
    )


def token_quantiles(trace: pd.DataFrame) -> pd.DataFrame:
    """Percentiles 0 to 100 of prompt and output tokens.

    Returns
    -------
    pandas.DataFrame
        ``level`` (0, 0.01, ..., 1), ``prompt_tokens`` and ``output_tokens``, each an observed
        length.
    """
    percent = np.arange(101)
    # In integers: as a float, 0.29 of 100 falls below 29.
    ranks = percent * (len(trace) - 1) // 100
    quantiles = {name: np.sort(trace[name].to_numpy())[ranks] for name in _LENGTHS}
    return pd.DataFrame({"level": percent / 100, **quantiles})


def request_classes(
    trace: pd.DataFrame,
    classes: int = 4,
    *,
    gpus: float,
    patience_rate: float,
    seed: int = 0,
) -> tuple[RequestClass, ...]:
    """Group the requests of a trace by their lengths.

    1. Standardise the logarithms of prompt and output length.
    2. Group by k-means (ten starts from ``seed``).
    3. Order the groups by mean prompt length, then by mean output length.
    4. Report mean lengths in whole tokens and rates to four significant digits, so that the
       fractions of exact certificates stay small.

    Parameters
    ----------
    trace
        Requests as `read_trace` returns them.
    classes
        Number of groups.
    gpus
        GPUs over which the arrivals are spread; a fraction is allowed, to reach a given load.
    patience_rate
        Abandonment rate of every class, 1/s: a trace does not show it.
    seed
        Seed of the starting points.

    Raises
    ------
    InvalidInput
        A number is outside its range, the trace spans no time, or it has fewer distinct pairs
        of lengths than ``classes``.
    """
    require_number("gpus", gpus, "GPUs", above=0)
    labels = class_labels(trace, classes, seed=seed)
    lengths = trace[list(_LENGTHS)]
    groups = lengths.groupby(labels).mean().assign(share=np.bincount(labels) / len(labels))
    rate = arrival_statistics(trace).rate / gpus
    middle = lengths.median()
    return tuple(
        RequestClass(
            name=f"{rank}-{_words(group, middle)}",
            prompt_tokens=round(group["prompt_tokens"]),
            output_tokens=round(group["output_tokens"]),
            arrival_rate=float(f"{group['share'] * rate:.4g}"),
            patience_rate=patience_rate,
        )
        for rank, (_, group) in enumerate(groups.iterrows(), start=1)
    )


def class_labels(trace: pd.DataFrame, classes: int = 4, *, seed: int = 0) -> npt.NDArray[np.int64]:
    """Which class of `request_classes` each request of a trace belongs to, counted from 0.

    Steps 1 to 3 there; parameters and errors as there.
    """
    # Here, because importing it takes longer than everything else in this package.
    from sklearn.cluster import KMeans

    require_integer("classes", classes, "request classes", at_least=1)
    require_integer("seed", seed, "a seed", at_least=0)
    lengths = trace[list(_LENGTHS)]
    distinct = len(lengths.drop_duplicates())
    if distinct < classes:
        raise InvalidInput("classes", classes, f"at most {distinct}, the distinct lengths")
    logs = np.log(lengths.to_numpy(dtype=float))
    deviations = logs.std(axis=0)
    points = (logs - logs.mean(axis=0)) / np.where(deviations > 0, deviations, 1)
    labels = KMeans(n_clusters=classes, n_init=10, random_state=seed).fit_predict(points)
    order = lengths.groupby(labels).mean().sort_values(list(_LENGTHS)).index.to_numpy()
    ranks: npt.NDArray[np.int64] = np.argsort(order)[labels]
    return ranks


def classes_to_toml(classes: Iterable[RequestClass]) -> str:
    """``[[classes]]`` tables for a file that `kurtz.theory.read_network` reads.

    >>> print(classes_to_toml([RequestClass("chat", 300, 100, 0.5, 0.1)]), end="")
    [[classes]]
    name = "chat"
    prompt_tokens = 300
    output_tokens = 100
    arrival_rate = 0.5
    patience_rate = 0.1
    """
    names = [field.name for field in fields(RequestClass)]
    return "\n".join(
        "[[classes]]\n" + "".join(f"{name} = {_toml(getattr(c, name))}\n" for name in names)
        for c in classes
    )


def azure_quantiles() -> pd.DataFrame:
    """Token-length percentiles of the Azure traces: trace, level, prompt and output tokens."""
    return table("azure_token_quantiles")


def azure_arrivals() -> pd.DataFrame:
    """Arrival statistics of the Azure traces: trace and the fields of `ArrivalStatistics`."""
    return table("azure_arrivals")


def azure_classes() -> pd.DataFrame:
    """Four classes of each Azure trace, as if one GPU took all of its arrivals."""
    return table("azure_classes")


def _times(stamps: list[tuple[int, str]]) -> pd.Series:
    texts = pd.Series([text for _, text in stamps])
    times = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    for (line, text), broken in zip(stamps, times.isna(), strict=True):
        if broken:
            raise InvalidInput(f"line {line}, TIMESTAMP", text, "an ISO 8601 date and time")
    backward = times.diff() < pd.Timedelta(0)
    if backward.any():
        line, text = stamps[int(np.argmax(backward.to_numpy()))]
        raise InvalidInput(f"line {line}, TIMESTAMP", text, "no time before that of the row above")
    return times


def _tokens(line: int, column: str, text: str) -> int:
    # Nine digits keep any sum of lengths inside 64 bits.
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= 1):
        raise InvalidInput(f"line {line}, {column}", text, "an integer >= 1 (tokens)")
    return int(text)


def _dispersion(seconds: np.ndarray, window: float) -> float:
    # The last window is cut short by the end of the trace, hence left out.
    counts = np.bincount((seconds // window).astype(int))[:-1]
    return float(counts.var() / counts.mean()) if counts.size > 1 else float("nan")


def _words(group: pd.Series, middle: pd.Series) -> str:
    prompt, output = ("long" if group[name] > middle[name] else "short" for name in _LENGTHS)
    return f"{prompt}-prompt-{output}-output"


def _toml(value: object) -> str:
    if isinstance(value, str):
        # JSON strings are TOML strings, except that TOML also wants DEL escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(int(value)) if isinstance(value, Integral) else repr(float(value))  # type: ignore[arg-type]
