"""Derive the shipped tables and the instance azure-h100 from the raw public files.

Run as ``python -m kurtz.stochastic.data.derive PATH_TO_RAW_DATA``; README.md beside this module
names the raw files, their sources and their licences. The same raw files give the same tables,
and a table is replaced only once it is written in full.

Load of a network, from its steady-state program (Section 2.6 of gate-and-route, arXiv
2602.02987 v1): with phi_i = D_i / P_i, kappa = gamma tau and the prefill occupancy
x_i = lambda_i P_i tau / C that serves class i in full,

    prefill row   sum_i x_i <= 1,
    decode row    sum_i (C phi_i + kappa B - B + 1) x_i <= kappa B,

where kappa >= (B - 1) / B makes the decode row necessary and sufficient. The load is the larger
of the two left sides over its right side; above 1, some class is partly rejected.

Joint lengths of prompt and output: the requests are cut by prompt length into `BANDS` bands of
equal size, and each band gets quantiles of its prompts and of its outputs. Whoever draws a band
and then both lengths on their own keeps what dependence there is between bands.

Traffic of the classes of azure-h100: the requests of a class in order of length, every so many of
them, `SAMPLED` in all; and the arrivals of every class in every second of the pooled trace.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from ...theory import Gpu, InvalidInput, IterationTime, RequestClass
from ..calibration import IterationTimeFit, calibrate
from ..workload import (
    arrival_statistics,
    class_labels,
    classes_to_toml,
    pool_traces,
    read_trace,
    request_classes,
    token_quantiles,
)

CHUNK = 512
LOAD = 1.1
PATIENCE_RATE = 0.1
BANDS = 12
SAMPLED = 256
PERCENTS = (0, 1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 100)
"""Levels of the joint lengths, denser in the tails: outputs are heavy-tailed."""


def derive(raw: Path) -> dict[str, str]:
    """Texts of all derived files by file name: the CSV tables and azure-h100.toml.

    Raises
    ------
    InvalidInput
        A raw file is missing or broken.
    """
    medians = iteration_time_medians(raw / "splitwise_perf_model.csv")
    code = read_trace(raw / "azure_code_2023.csv")
    conversation = read_trace(raw / "azure_conv_2023.csv")
    pooled = pool_traces([code, conversation])
    traces = {"code": code, "conversation": conversation, "pooled": pooled}
    summarisation = summarisation_lengths(raw / "arxiv_summarization_lengths.csv")
    tables = {
        "iteration_time_medians": medians,
        "decode_time_medians": decode_time_medians(raw / "splitwise_perf_model.csv"),
        "request_lengths": pd.concat(
            [
                joint_lengths(lengths).assign(source=source)
                for source, lengths in (
                    ("azure-conversation", conversation),
                    ("arxiv-summarisation", summarisation),
                )
            ]
        )[["source", "band", "level", "prompt_tokens", "output_tokens"]],
        "azure_token_quantiles": _per_trace({k: token_quantiles(t) for k, t in traces.items()}),
        "azure_arrivals": _per_trace(
            {k: pd.DataFrame([asdict(arrival_statistics(t))]).round(6) for k, t in traces.items()}
        ),
        "azure_classes": _per_trace({k: _class_table(t) for k, t in traces.items()}),
        "azure_class_lengths": class_lengths(pooled),
        "azure_class_arrivals": class_arrivals(pooled),
    }
    texts = {
        f"{name}.csv": frame.to_csv(index=False, lineterminator="\n")
        for name, frame in tables.items()
    }
    return {**texts, "azure-h100.toml": azure_h100(medians, pooled)}


def iteration_time_medians(path: Path) -> pd.DataFrame:
    """Median iteration times by model, hardware, tensor-parallel width and iteration.

    A prompt phase is one mixed iteration over prompt size times batch tokens; a token phase is
    a solo iteration, taken from the sweep of batches at prompt 512 and 128 output tokens, so
    that only the batch varies. Two sets of rows are dropped as not measured or broken: hardware
    with a power cap (a scaled copy) and tensor-parallel width 2 at batch 64.
    """
    raw = _splitwise_measurements(path)
    solo = raw[(raw["prompt_size"] == 512) & (raw["token_size"] == 128)]
    return pd.concat(
        [
            _medians(raw, "mixed", raw["prompt_size"] * raw["batch_size"], "prompt_time"),
            _medians(solo, "solo", solo["batch_size"], "token_time"),
        ]
    ).sort_values(["model", "hardware", "tensor_parallel", "kind"], kind="stable")


def decode_time_medians(path: Path) -> pd.DataFrame:
    """Median time of a decode step by model, hardware, width, prompt length and batch.

    Only the runs of 128 output tokens: a request then holds its prompt and 64 tokens on average.
    Rows are dropped as in `iteration_time_medians`.
    """
    raw = _splitwise_measurements(path)
    rows = raw[raw["token_size"] == 128].rename(
        columns={"prompt_size": "prompt_tokens", "batch_size": "batch"}
    )
    keys = ["model", "hardware", "tensor_parallel", "prompt_tokens", "batch"]
    table = rows.groupby(keys)["token_time"].agg(["median", "count"]).reset_index()
    table["median_seconds"] = (table.pop("median") / 1000).round(7)
    return table[[*keys, "median_seconds", "count"]]


def summarisation_lengths(path: Path) -> pd.DataFrame:
    """``prompt_tokens`` and ``output_tokens`` of the arXiv summarisation requests."""
    names = {"num_prefill_tokens": "prompt_tokens", "num_decode_tokens": "output_tokens"}
    return _raw_table(path).rename(columns=names)[list(names.values())].astype(int)


def joint_lengths(lengths: pd.DataFrame) -> pd.DataFrame:
    """Quantiles of prompt and output tokens in each band of prompt lengths.

    Returns
    -------
    pandas.DataFrame
        ``band`` (from 0, ascending prompts), ``level``, ``prompt_tokens`` and
        ``output_tokens``, each an observed length.
    """
    columns = ["prompt_tokens", "output_tokens"]
    # Equal prompts are told apart by their outputs, so that the bands do not depend on the
    # order of the requests in the file.
    ordered = lengths.sort_values(columns)[columns].to_numpy()
    tables = []
    for band, members in enumerate(np.array_split(ordered, BANDS)):
        ranks = np.array(PERCENTS) * (len(members) - 1) // 100
        prompts, outputs = np.sort(members, axis=0)[ranks].T
        tables.append(
            pd.DataFrame(
                {
                    "band": band,
                    "level": np.array(PERCENTS) / 100,
                    "prompt_tokens": prompts,
                    "output_tokens": outputs,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def class_lengths(trace: pd.DataFrame) -> pd.DataFrame:
    """Lengths of `SAMPLED` requests of each class: ``class``, prompt and output tokens.

    The requests of a class are sorted by prompt and output and taken at equal distances.
    """
    labels = class_labels(trace)
    columns = ["prompt_tokens", "output_tokens"]
    tables = []
    for label in range(labels.max() + 1):
        members = trace[labels == label].sort_values(columns)[columns]
        places = ((np.arange(SAMPLED) + 0.5) * len(members) / SAMPLED).astype(int)
        tables.append(members.iloc[places].assign(**{"class": label}))
    lengths: pd.DataFrame = pd.concat(tables)[["class", *columns]]
    return lengths


def class_arrivals(trace: pd.DataFrame) -> pd.DataFrame:
    """Arrivals of each class, a column each, in every whole second of the trace."""
    seconds = (trace["time"] - trace["time"].iloc[0]).dt.total_seconds().to_numpy()
    labels = class_labels(trace)
    whole = int(seconds[-1])
    counts = np.zeros((whole, labels.max() + 1), dtype=int)
    inside = seconds < whole
    np.add.at(counts, (seconds[inside].astype(int), labels[inside]), 1)
    return pd.DataFrame(counts, columns=[f"class_{k}" for k in range(counts.shape[1])])


def load(gpu: Gpu, classes: tuple[RequestClass, ...]) -> float:
    """Demanded over available capacity, the larger of the prefill and the decode row."""
    time = gpu.iteration_time.alpha + gpu.iteration_time.beta * gpu.chunk
    slots = gpu.iteration_time.gamma * time * gpu.batch
    occupancy = [c.arrival_rate * c.prompt_tokens * time / gpu.chunk for c in classes]
    decode = sum(
        (gpu.chunk * c.output_tokens / c.prompt_tokens + slots - gpu.batch + 1) * x
        for c, x in zip(classes, occupancy, strict=True)
    )
    return max(sum(occupancy), decode / slots)


def azure_h100(medians: pd.DataFrame, trace: pd.DataFrame) -> str:
    """The trace-driven network as TOML: the H100 entry whose mixed law fits best."""
    fits = {name: fit for name, fit in calibrate(medians).items() if "h100" in name}
    name = min(fits, key=lambda key: fits[key].worst_relative_residual)
    fit = fits[name]
    gpu = Gpu(name, _rounded(fit.iteration_time), int(fit.batch_range[1]), CHUNK)
    # The load is proportional to the arrival rates, hence inverse to the GPUs that share them.
    one_gpu = request_classes(trace, gpus=1, patience_rate=PATIENCE_RATE)
    gpus = float(f"{load(gpu, one_gpu) / LOAD:.4g}")
    classes = request_classes(trace, gpus=gpus, patience_rate=PATIENCE_RATE)
    return _header(gpu, fit, gpus) + _tables(gpu) + classes_to_toml(classes)


def write(folder: Path, name: str, text: str) -> None:
    """Put ``text`` in ``folder``: the old file stays until the new one is complete."""
    unfinished = folder / f".{name}.{os.getpid()}"
    try:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
        unfinished.replace(folder / name)
    finally:
        unfinished.unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    """Derive every file from the raw folder named by the only argument."""
    if len(arguments) != 1:
        print("usage: python -m kurtz.stochastic.data.derive PATH_TO_RAW_DATA", file=sys.stderr)
        return 2
    here = Path(__file__).resolve().parent
    instances = here.parents[1] / "theory" / "instances"
    for name, text in derive(Path(arguments[0])).items():
        write(instances if name.endswith(".toml") else here, name, text)
    return 0


def _raw_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except OSError as error:
        raise InvalidInput("raw file", str(path), f"a readable CSV ({error.strerror})") from error


def _splitwise_measurements(path: Path) -> pd.DataFrame:
    """The measurements without those that are scaled copies or broken."""
    raw = _raw_table(path)
    scaled_copy = raw["hardware"].str.endswith("-pcap")
    broken = (raw["tensor_parallel"] == 2) & (raw["batch_size"] == 64)
    return raw[~scaled_copy & ~broken]


def _medians(rows: pd.DataFrame, kind: str, tokens: pd.Series, milliseconds: str) -> pd.DataFrame:
    keys = ["model", "hardware", "tensor_parallel", "kind", "tokens", "batch"]
    rows = rows.assign(kind=kind, tokens=tokens, batch=rows["batch_size"])
    table = rows.groupby(keys)[milliseconds].agg(["median", "count"]).reset_index()
    table["median_seconds"] = (table.pop("median") / 1000).round(7)
    return table[[*keys, "median_seconds", "count"]]


def _per_trace(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([table.assign(trace=name) for name, table in tables.items()])[
        ["trace", *next(iter(tables.values())).columns]
    ]


def _class_table(trace: pd.DataFrame) -> pd.DataFrame:
    classes = request_classes(trace, gpus=1, patience_rate=PATIENCE_RATE)
    return pd.DataFrame(map(asdict, classes)).drop(columns="patience_rate")


def _rounded(time: IterationTime) -> IterationTime:
    """Four significant digits: below the standard errors, and short in exact arithmetic."""
    return IterationTime(*(float(f"{value:.4g}") for value in asdict(time).values()))


def _header(gpu: Gpu, fit: IterationTimeFit, gpus: float) -> str:
    low, high = fit.chunk_range
    return f"""\
# Written by kurtz.stochastic.data.derive: a network from measurements and traces.
# GPU: of the measured H100 entries the one that obeys tau = alpha + beta C best (R-squared
# {fit.r_squared:.4f}, worst relative residual {fit.worst_relative_residual:.1%}, \
chunks {low:.0f} to {high:.0f}). One "GPU" is one
# tensor-parallel group. Batch {gpu.batch} is the largest measured batch whose solo time is within
# 10 % of the mean of all up to it (worst deviation {fit.solo_worst_deviation:.1%}).
# Classes: k-means of the pooled Azure 2023 code and conversation traces. Their arrivals are
# spread over {gpus:g} GPUs: that puts the load, the demanded over the available capacity of the
# tightest row of the steady-state program, at {LOAD:g}.
# The patience rate is an assumption: no trace shows it.
"""


def _tables(gpu: Gpu) -> str:
    time = gpu.iteration_time
    return f"""\
[gpu]
name = "{gpu.name}"
alpha = {time.alpha!r}  # s
beta = {time.beta!r}  # s per token
gamma = {time.gamma!r}  # tokens/s of one solo decode stream
batch = {gpu.batch}  # slots
chunk = {gpu.chunk}  # tokens

[prices]
prefill = 0.1  # per token
decode = 0.2

"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
