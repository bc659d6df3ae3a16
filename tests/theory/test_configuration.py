"""TOML files: what is read is what was written, and a bad file is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kurtz.theory import InvalidInput, instance, instance_names, network_from_tables, read_network

VALID = """
[gpu]
name = "A100"
alpha = 0.0174
beta = 6.2e-5
gamma = 45.45
batch = 16
chunk = 256
[prices]
prefill = 0.1
decode = 0.2
[[classes]]
name = "chat"
prompt_tokens = 300
output_tokens = 1000
arrival_rate = 0.5
patience_rate = 0.1
"""
CHAT = VALID[VALID.index("[[classes]]") :]


def refusal(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_network(path)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_is_read_field_by_field(tmp_path: Path) -> None:
    path = tmp_path / "network.toml"
    path.write_text(VALID, encoding="utf-8")
    network = read_network(path)
    time = network.gpu.iteration_time
    assert (network.gpu.name, network.gpu.batch, network.gpu.chunk) == ("A100", 16, 256)
    assert (time.alpha, time.beta, time.gamma) == (0.0174, 6.2e-5, 45.45)
    assert (network.prices.prefill, network.prices.decode) == (0.1, 0.2)
    (chat,) = network.classes
    assert (chat.name, chat.prompt_tokens, chat.output_tokens) == ("chat", 300, 1000)
    assert (chat.arrival_rate, chat.patience_rate) == (0.5, 0.1)
    assert read_network(str(path)) == network


@pytest.mark.parametrize(
    ("written", "instead", "message"),
    [
        ("arrival_rate = 0.5", "arrival_rate = -0.5", "classes[chat].arrival_rate = -0.5"),
        ("patience_rate = 0.1", "patience_rate = -1", "classes[chat].patience_rate = -1"),
        ("batch = 16", "batch = 0", "gpu.batch = 0 is not allowed: expected an integer >= 1"),
        ("alpha = 0.0174", "alpha = nan", "gpu.alpha = nan"),
        ("gamma = 45.45", "gamma = inf", "gpu.gamma = inf"),
        ("chunk = 256", "chunk = true", "gpu.chunk = True"),
        ("decode = 0.2", "decode = false", "prices.decode = False"),
        ("output_tokens = 1000", 'output_tokens = "many"', "classes[chat].output_tokens = 'many'"),
        ("beta = 6.2e-5", "beta = 2026-01-01", "gpu.beta = datetime.date"),
        ('name = "chat"', "name = 7", "classes.name = 7"),
        ('name = "chat"', 'name = "a\\nb"', "classes.name = 'a\\nb'"),
        ("gamma = 45.45\n", "", "missing key in gpu = 'gamma'"),
        ("decode = 0.2\n", "", "missing key in prices = 'decode'"),
        ("prompt_tokens = 300\n", "", "missing key in classes[0] = 'prompt_tokens'"),
        (CHAT, "", "missing key in the network file = 'classes'"),
        (CHAT, "[classes]\n", "classes = {} is not allowed: expected [[classes]] tables"),
        ("gamma = 45.45", "gamma = 45.45\ndelta = 1", "unknown key in gpu = 'delta'"),
        ("decode = 0.2", "decode = 0.2\ntip = 1", "unknown key in prices = 'tip'"),
        ("[prices]", "[extra]\n[prices]", "unknown key in the network file = 'extra'"),
        (CHAT, CHAT + "colour = 1\n", "unknown key in classes[0] = 'colour'"),
        (CHAT, CHAT + CHAT, "classes.name = 'chat' is not allowed: expected a different name"),
    ],
)
def test_a_bad_entry_is_named(tmp_path: Path, written: str, instead: str, message: str) -> None:
    assert written in VALID
    path = tmp_path / "network.toml"
    path.write_text(VALID.replace(written, instead), encoding="utf-8")
    found = refusal(path)
    assert found.startswith(message)
    assert " is not allowed: expected " in found


def test_a_network_without_classes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.toml"
    path.write_text("classes = []\n" + VALID.replace(CHAT, ""), encoding="utf-8")
    assert refusal(path) == "classes = [] is not allowed: expected at least one request class"


@pytest.mark.parametrize("key", ["gpu", "prices"])
def test_a_table_that_is_a_number_is_refused(key: str) -> None:
    tables = {"gpu": 1, "prices": 1, "classes": []}
    if key == "prices":
        tables["gpu"] = {
            "name": "A", "alpha": 0, "beta": 1, "gamma": 1, "batch": 1, "chunk": 1
        }  # fmt: skip
    with pytest.raises(InvalidInput, match=f"^{key} = 1 .* a table with the keys"):
        network_from_tables(tables)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda path: None, "a readable TOML file (No such file or directory)"),
        (lambda path: path.mkdir(), "a readable TOML file (Is a directory)"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "a readable TOML file (not UTF-8 text)"),
        (lambda path: path.write_text("[gpu"), "valid TOML ("),
        (lambda path: path.write_text("[gpu]\nalpha = 1\nalpha = 2"), "valid TOML ("),
    ],
    ids=["absent", "directory", "not UTF-8", "broken", "twice the same key"],
)
def test_an_unreadable_file_is_named(
    tmp_path: Path, prepare: Callable[[Path], object], reason: str
) -> None:
    path = tmp_path / "network.toml"
    prepare(path)
    assert refusal(path).startswith(
        f"network file = {str(path)!r} is not allowed: expected {reason}"
    )


def test_the_shipped_instances_are_valid_and_an_unknown_one_is_named() -> None:
    assert instance_names() == tuple(sorted(instance_names()))
    assert "two-class" in instance_names()
    for name in instance_names():
        assert instance(name).classes
    with pytest.raises(InvalidInput, match=r"instance = 'three' .* one of .*two-class"):
        instance("three")
