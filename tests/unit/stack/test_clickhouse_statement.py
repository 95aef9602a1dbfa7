"""Where a statement ends and its data begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.stack.clickhouse.statement import Kind, TokenKind, read_statement, tokens

_INSERT = b"INSERT INTO t (a, `format`) FORMAT Native"


@pytest.mark.parametrize(
    ("sql", "kind", "output_format"),
    [
        (b"SELECT 1", Kind.QUERY, None),
        (b"  /* INSERT */ -- FORMAT x\n (SELECT 1)", Kind.QUERY, None),
        (b"WITH 1 AS x SELECT x FORMAT JSON", Kind.QUERY, "JSON"),
        (b"select 1 format JSONEachRow settings max_threads = 1;", Kind.QUERY, "JSONEachRow"),
        (b"FROM t SELECT format", Kind.QUERY, None),
        (b"SELECT 'x' AS format", Kind.QUERY, None),
        (b"SELECT format FROM t", Kind.QUERY, None),
        (b"SELECT t.format AS a FROM t", Kind.QUERY, None),
        (b"SELECT a, format b FROM t", Kind.QUERY, None),
        (b"SELECT '\\' FORMAT JSON'", Kind.QUERY, None),
        (b"SELECT $x$ FORMAT JSON $x$", Kind.QUERY, None),
        (b"SELECT 1 -- FORMAT JSON", Kind.QUERY, None),
        (b"SHOW TABLES FORMAT TSV", Kind.COMMAND, "TSV"),
        (b"CREATE TABLE t (a Int8) ENGINE = Memory", Kind.COMMAND, None),
        (b"INSERT INTO t SELECT 1", Kind.COMMAND, None),
        (b"INSERT INTO t SELECT format FROM u", Kind.COMMAND, None),
        (b"INSERT INTO t FROM INFILE 'x' FORMAT CSV", Kind.COMMAND, "CSV"),
        (b"", Kind.EMPTY, None),
        (b" ; ", Kind.EMPTY, None),
        (b"-- nothing", Kind.EMPTY, None),
    ],
)
def test_statements_without_data(sql: bytes, kind: Kind, output_format: str | None) -> None:
    statement = read_statement(sql)
    assert (statement.kind, statement.format, statement.data_start) == (kind, output_format, None)


@pytest.mark.parametrize(
    ("sql", "data", "data_format"),
    [
        (b"INSERT INTO t FORMAT TSV\n1\t2", b"1\t2", "TSV"),
        (b"INSERT INTO t FORMAT TSV\r\n1\t2", b"1\t2", "TSV"),
        (b"INSERT INTO t FORMAT TSV   1\t2", b"1\t2", "TSV"),
        (b"INSERT INTO t FORMAT Native\n\nx", b"\nx", "Native"),
        (b"insert into `t FORMAT x` format CSV\n'", b"'", "CSV"),
        (b"INSERT INTO t (format) VALUES (1), (2)", b" (1), (2)", "Values"),
        (b"INSERT INTO t SETTINGS async_insert = 0 FORMAT JSON {}", b"{}", "JSON"),
        (b"INSERT INTO t /* FORMAT CSV */ FORMAT TSV\n1", b"1", "TSV"),
        (b"INSERT INTO FUNCTION null('a Int8') FORMAT TSV\n1", b"1", "TSV"),
    ],
)
def test_data_begin_behind_the_formats_name(sql: bytes, data: bytes, data_format: str) -> None:
    statement = read_statement(sql)
    assert (statement.kind, statement.format) == (Kind.INSERT, data_format)
    assert sql[statement.data_start :] == data
    assert b"FORMAT TSV" not in statement.sql


def test_settings_behind_the_format_are_part_of_the_statement() -> None:
    statement = read_statement(b"INSERT INTO t FORMAT TSV SETTINGS a = 1, b = 'x' \n1\t2")
    assert statement.sql == b"INSERT INTO t SETTINGS a = 1, b = 'x'"
    assert statement.data_start == len(b"INSERT INTO t FORMAT TSV SETTINGS a = 1, b = 'x' \n")


@given(st.binary(max_size=200))
def test_data_are_never_read_as_sql(data: bytes) -> None:
    statement = read_statement(_INSERT + b"\n" + data)
    assert (statement.kind, statement.data_start) == (Kind.INSERT, len(_INSERT) + 1)


@given(st.binary(max_size=200))
def test_the_lexer_reads_anything_and_goes_forward(sql: bytes) -> None:
    position = 0
    for token in tokens(sql):
        assert position <= token.start < token.end <= len(sql)
        position = token.end
    read_statement(sql)


def test_input_becomes_an_open_file() -> None:
    sql = b"INSERT INTO t SELECT 'input(' AS x, a FROM input('a String') WHERE 1 FORMAT Avro\nObj\x01"
    statement = read_statement(sql)
    assert statement.kind is Kind.INSERT_FROM_INPUT
    assert sql[statement.data_start :] == b"Obj\x01"
    assert (
        statement.reading_from(7) == "INSERT INTO t SELECT 'input(' AS x, a FROM file(7, 'Avro', 'a String') WHERE 1 "
    )
    assert (
        read_statement(b"INSERT INTO t SELECT 1 FROM input() FORMAT CSV\n").reading_from(7).endswith("file(7, 'CSV') ")
    )


def test_several_statements_are_noticed() -> None:
    assert read_statement(b"SELECT 1; SELECT 2").is_several
    assert not read_statement(b"SELECT ';' ; -- SELECT 2").is_several


@pytest.mark.parametrize("sql", [b"SELECT 1 INTO OUTFILE 'x'", b"(select 1) into/**/outfile 'x' FORMAT TSV"])
def test_outfile_is_noticed(sql: bytes) -> None:
    assert read_statement(sql).writes_file
    assert not read_statement(b"SELECT 'INTO OUTFILE'").writes_file


def test_the_greeting_of_clickhouse_go_is_known() -> None:
    assert read_statement(b"SELECT displayName(), version(), revision(), timezone()").is_hello
    assert not read_statement(b"SELECT version()").is_hello


def test_an_insert_without_format_takes_the_default() -> None:
    statement = read_statement(b"INSERT INTO t (a)", default_format="JSONEachRow")
    assert (statement.kind, statement.format, statement.data_start) == (Kind.INSERT, "JSONEachRow", 17)


def test_strings_names_and_heredocs_are_one_token_each() -> None:
    kinds = [token.kind for token in tokens(b"a 'b''c\\'' `d``e` \"f\" $g$ ' $g$")]
    assert kinds == [TokenKind.WORD, TokenKind.TEXT, TokenKind.NAME, TokenKind.NAME, TokenKind.TEXT]
