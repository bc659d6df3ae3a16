"""Reading a table of requests: what is read, and what is refused by line and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from kurtz.proofs_checks.testing import backlogs
from kurtz.theory.backlog import Backlog, read_backlog
from kurtz.theory.errors import InvalidInput

HEADER = "prompt_tokens,output_tokens\n"


@pytest.fixture
def read(tmp_path: Path):
    def read(text: str | bytes, memory: int = 10) -> Backlog:
        path = tmp_path / "requests.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_backlog(path, memory)

    return read


# The fixture's file is written anew for every example.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(backlogs())
def test_a_written_backlog_is_read_back(read, backlog: Backlog) -> None:
    rows = [f"{each.prompt_tokens},{each.output_tokens}\n" for each in backlog.requests]
    assert read(HEADER + "".join(rows), backlog.memory) == backlog


@pytest.mark.parametrize(
    "text",
    [
        "prompt_tokens,output_tokens\r\n3,1\r\n0,2\r\n",
        "\ufeffprompt_tokens,output_tokens\n3,1\n0,2",
        "output_tokens,prompt_tokens\n1,3\n2,0\n",
        "name,output_tokens,model,prompt_tokens\na,1,x,3\nb,2,,0\n",
        'prompt_tokens,output_tokens\n"3","1"\n\n0, 2\n',
    ],
    ids=["line ends", "byte order mark", "order of columns", "other columns", "quotes and blanks"],
)
def test_tables_that_say_the_same(read, text: str) -> None:
    assert read(text) == Backlog.of([(3, 1), (0, 2)], memory=10)


def test_a_path_may_be_a_string(tmp_path: Path) -> None:
    (tmp_path / "requests.csv").write_text(HEADER + "1,2\n")
    assert len(read_backlog(str(tmp_path / "requests.csv"), 3)) == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("-1,1", "line 3: prompt_tokens = -1 is not allowed: expected an integer >= 0 (tokens)"),
        ("1,0", "line 3: output_tokens = 0 is not allowed: expected an integer >= 1 (tokens)"),
        ("1.0,1", "line 3: prompt_tokens = '1.0' is not allowed: expected an integer (tokens)"),
        ("1,", "line 3: output_tokens = '' is not allowed: expected an integer (tokens)"),
        ("1", "line 3: output_tokens = None is not allowed: expected an integer (tokens)"),
        ("nan,1", "line 3: prompt_tokens = 'nan' is not allowed: expected an integer (tokens)"),
        ("+,1", "line 3: prompt_tokens = '+' is not allowed: expected an integer (tokens)"),
        ("1_0,1", "line 3: prompt_tokens = '1_0' is not allowed: expected an integer (tokens)"),
        # A thousands separator, not a third column.
        ("1,234,5", "line 3 = '1,234,5' is not allowed: expected 2 values, one per column"),
    ],
)
def test_a_bad_row_is_refused_by_line_and_column(read, row: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(f"{HEADER}1,1\n{row}\n")
    assert str(refused.value) == message


def test_a_request_beyond_the_budget_is_named(read) -> None:
    with pytest.raises(InvalidInput, match=r"^request 2: .* = 11 is .*: expected at most the mem"):
        read(HEADER + "1,1\n10,1\n")


def test_a_table_without_requests_is_refused(read) -> None:
    with pytest.raises(InvalidInput, match=r"^requests = \(\) is .*: expected at least one"):
        read(HEADER)


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", ""), ("prompt_tokens\n1\n", "prompt_tokens"), ("1,2\n3,4\n", "1,2")],
    ids=["empty file", "a column is missing", "no header"],
)
def test_missing_columns_are_named(read, text: str, columns: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(text)
    assert str(refused.value) == (
        f"columns = '{columns}' is not allowed: expected prompt_tokens,output_tokens among them"
    )


def test_a_column_given_twice_is_refused(read) -> None:
    with pytest.raises(InvalidInput, match=r"^columns = .*: expected each column once"):
        read("prompt_tokens,output_tokens,prompt_tokens\n1,2,3\n")


@pytest.mark.parametrize(
    "text",
    [b"prompt_tokens,output_tokens\n\xff,1\n", b'prompt_tokens,output_tokens\n"1,1\n'],
    ids=["not UTF-8", "open quote"],
)
def test_what_is_no_table_is_refused(read, text: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^requests file = .*: expected a CSV file in UTF-8"):
        read(text)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(InvalidInput, match=rf"^requests file = .*readable file \({why}"):
            read_backlog(path, 10)
