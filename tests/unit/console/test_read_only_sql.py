"""One statement that reads, and rows that no spreadsheet runs."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from causeline.console.read_only_sql import SqlResult, as_separated, one_statement, parse_parameters, plain
from causeline.runtime.clickhouse_errors import sentence
from causeline.schemas.errors import UsageError


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("SELECT 1", "SELECT 1"),
        (" select 1 ; ", "select 1"),
        ("SELECT ';' AS a, `;`, \";\" ;;", "SELECT ';' AS a, `;`, \";\""),
        ("-- why; not\nSELECT 1 /* ; */;-- end", "-- why; not\nSELECT 1 /* ; */"),
        ("(SELECT 1) UNION ALL (SELECT 2)", "(SELECT 1) UNION ALL (SELECT 2)"),
        ("SELECT 'it''s; \\'fine'", "SELECT 'it''s; \\'fine'"),
        ("SELECT $tag$ a; b $tag$", "SELECT $tag$ a; b $tag$"),
        ("DESCRIBE runs", "DESCRIBE runs"),
    ],
)
def test_one_statement_passes_without_its_semicolon(text: str, statement: str) -> None:
    assert one_statement(text) == statement


@pytest.mark.parametrize(
    "text", ["SELECT 1; SELECT 2", "SELECT 1;DROP TABLE x", "SELECT ''; ; x", "SHOW TABLES; -- a\n1"]
)
def test_several_statements_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Only one statement"):
        one_statement(text)


@pytest.mark.parametrize("text", ["", "  \n", ";", "-- nothing", "/* open"])
def test_no_statement_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="There is no SQL to run"):
        one_statement(text)


@pytest.mark.parametrize("text", ["DROP TABLE runs", "/* SELECT */ INSERT INTO x VALUES (1)", "kill query", "1", "'a'"])
def test_only_statements_that_read_pass(text: str) -> None:
    with pytest.raises(UsageError, match="Only reading is allowed"):
        one_statement(text)


def test_parameters_are_pairs() -> None:
    assert parse_parameters(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    for bad in (["a"], ["=1"], ["a b=1"], ["1a=1"], ["a=1", "a=2"]):
        with pytest.raises(UsageError):
            parse_parameters(bad)


def test_a_text_that_a_spreadsheet_would_run_is_made_inert() -> None:
    rows = tuple((text,) for text in ("=1+1", "+1", "-1", "@x", "\tx", "safe", 'quo"te', "new\nline"))
    lines = "".join(as_separated(SqlResult(("a",), rows, more=False), ","))
    assert lines == 'a\n\'=1+1\n\'+1\n\'-1\n\'@x\n\'\tx\nsafe\n"quo""te"\n"new\nline"\n'


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_bytes_and_names_of_columns_are_made_inert_like_texts(first: str, separator: str) -> None:
    text = f"{first}1"
    answer = SqlResult((text, "b", "c"), ((text.encode(), text, "1" + first),), more=False)
    lines = "".join(as_separated(answer, separator))
    names, row = csv.reader(io.StringIO(lines, newline=""), delimiter=separator)
    assert (names, row) == ([f"'{text}", "b", "c"], [f"'{text}", f"'{text}", f"1{first}"])


def test_a_return_within_a_text_begins_no_row() -> None:
    answer = SqlResult(("a", "b"), (("x\r=cmd()", 1),), more=False)
    lines = "".join(as_separated(answer, ","))
    assert lines == 'a,b\n"x\r=cmd()",1\n'
    assert list(csv.reader(io.StringIO(lines, newline=""))) == [["a", "b"], ["x\r=cmd()", "1"]]


def test_numbers_and_moments_are_written_as_they_are() -> None:
    moment = datetime(2026, 3, 1, 8, tzinfo=UTC)
    answer = SqlResult(("a", "b", "c", "d", "e"), ((-1, -0.5, Decimal("-1.50"), None, moment),), more=False)
    assert "".join(as_separated(answer, ",")) == "a,b,c,d,e\n-1,-0.5,-1.50,,2026-03-01T08:00:00+00:00\n"


def test_values_become_plain() -> None:
    moment = datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert plain({"a": (moment, b"ok", b"\xff", None)}) == {"a": ["2026-03-01T08:00:00+00:00", "ok", "ff", None]}


def test_an_error_of_the_engine_is_one_sentence() -> None:
    text = (
        "Received ClickHouse exception, code: 47, server response: Code: 47. DB::Exception: Unknown expression "
        "identifier `bogus`\nin scope SELECT bogus. (UNKNOWN_IDENTIFIER) (version 26.9.2.1 (official build)) "
        "Stack trace:\n0. DB::Exception (for url http://127.0.0.1:1)"
    )
    assert sentence("UNKNOWN_IDENTIFIER", text) == (
        "UNKNOWN_IDENTIFIER: Unknown expression identifier `bogus` in scope SELECT bogus."
    )
    assert len(sentence("X", "y" * 10_000)) < 700
