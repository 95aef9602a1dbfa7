"""Where a statement ends and its data begins: a lexer for as much of ClickHouse's SQL as the HTTP interface needs.

ClickHouse takes `INSERT … FORMAT Native\\n<bytes>` in one body, so the bytes after the format's name are not SQL and
may hold anything. A pattern cannot find that place: FORMAT and INSERT stand in strings, comments and names as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice, pairwise
from typing import NamedTuple

_SPACE = b" \t\n\r\f\v"
_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") | frozenset(range(0x80, 0x100))
_HELLO = (b"SELECT", b"DISPLAYNAME", b"VERSION", b"REVISION", b"TIMEZONE")


class TokenKind(StrEnum):
    """What a piece of SQL is, as far as it matters here."""

    WORD = "word"  # a keyword, a bare name or a number
    NAME = "name"  # a quoted name
    TEXT = "text"  # a string literal or a heredoc
    MARK = "mark"  # one character of punctuation


class Token(NamedTuple):
    """A piece of SQL: `sql[start:end]`; `depth` counts the brackets around it."""

    kind: TokenKind
    start: int
    end: int
    depth: int
    upper: bytes  # the word or mark in capitals, empty for names and strings


class Kind(StrEnum):
    """How a statement has to be run."""

    EMPTY = "empty"  # nothing but space and comments
    QUERY = "query"  # SELECT: rows come back, can be streamed
    COMMAND = "command"  # anything else that carries no data
    INSERT = "insert"  # INSERT INTO t FORMAT f, then data
    INSERT_FROM_INPUT = "insert_from_input"  # INSERT INTO t SELECT … FROM input('…') FORMAT f, then data


@dataclass(frozen=True)
class Statement:
    """One statement: `sql` without its data, its FORMAT clause and what follows the first `;`.

    `format` is the one the clause names; `data_start` is the offset of an insert's data in what was read;
    `input_call` spans `input(` in `sql`.
    """

    kind: Kind
    sql: bytes
    first_word: bytes = b""
    format: str | None = None
    data_start: int | None = None
    input_call: tuple[int, int] | None = None
    writes_file: bool = False  # INTO OUTFILE
    is_several: bool = False  # more follows the first `;`
    is_hello: bool = False  # clickhouse-go's greeting

    def reading_from(self, descriptor: int) -> str:
        """The statement with its `input('…')` reading the open file `descriptor` in the statement's format."""
        if self.input_call is None:
            raise ValueError("the statement does not read from input()")
        start, end = self.input_call
        separator = "" if self.sql[end:].lstrip(_SPACE).startswith(b")") else ", "
        return f"{_text(self.sql[:start])}file({descriptor}, '{self.format}'{separator}{_text(self.sql[end:])}"


def tokens(sql: bytes) -> Iterator[Token]:
    """The tokens of `sql` without space and comments, lazily; an unfinished string reaches to the end."""
    position, depth = 0, 0
    while (start := _skip_blank(sql, position)) < len(sql):
        character = sql[start]
        if character in _WORD:
            position = _end_of_word(sql, start)
            yield Token(TokenKind.WORD, start, position, depth, sql[start:position].upper())
        elif character in b"'\"`":
            position = _end_of_quoted(sql, start)
            kind = TokenKind.TEXT if character == ord("'") else TokenKind.NAME
            yield Token(kind, start, position, depth, b"")
        elif character == ord("$") and (end := _end_of_heredoc(sql, start)):
            position = end
            yield Token(TokenKind.TEXT, start, position, depth, b"")
        else:
            position = start + 1
            depth -= character in b")]}"
            yield Token(TokenKind.MARK, start, position, depth, sql[start:position])
            depth += character in b"([{"


def read_statement(sql: bytes, *, default_format: str | None = None) -> Statement:
    """What `sql` is. For an insert with data, `sql` may be only the beginning of what the client sends.

    `default_format` serves an INSERT that names none.
    """
    stream = tokens(sql)
    first = next((token for token in stream if token.upper != b"("), None)
    if first is None or first.upper == b";":
        return Statement(Kind.EMPTY, sql)
    if first.upper == b"INSERT":
        return _read_insert(sql, stream, default_format)
    return _read_other(sql)


def _read_insert(sql: bytes, stream: Iterator[Token], default_format: str | None) -> Statement:
    selects, end = False, len(sql)
    input_call: tuple[int, int] | None = None
    previous: Token | None = None
    for token in stream:
        if token.upper == b"(" and previous and previous.upper == b"INPUT" and selects:
            input_call = (previous.start, token.end)
        elif token.depth == 0 and token.upper in {b"SELECT", b"WITH"}:
            selects = True
        elif token.depth == 0 and token.upper == b"INFILE":
            return _read_other(sql)
        elif token.depth == 0 and token.upper == b"VALUES" and not selects:
            return Statement(Kind.INSERT, sql[: token.start], b"INSERT", "Values", token.end)
        elif token.depth == 0 and token.upper == b"FORMAT" and _may_end_clause(previous):
            name = next(stream, None)
            if name and name.kind is TokenKind.WORD:
                return _insert_with_format(sql, token.start, name, stream, input_call, selects=selects)
        elif token.depth == 0 and token.upper == b";":
            end = token.start
        previous = token
    if not selects and default_format:
        return Statement(Kind.INSERT, sql[:end], b"INSERT", default_format, len(sql))
    return _read_other(sql)


def _may_end_clause(previous: Token | None) -> bool:
    """Whether FORMAT may follow: after `.`, `,` or an operator it is a column's name."""
    return previous is not None and (previous.kind is not TokenKind.MARK or previous.upper in {b")", b"]", b"}", b"*"})


def _insert_with_format(
    sql: bytes,
    format_at: int,
    name: Token,
    stream: Iterator[Token],
    input_call: tuple[int, int] | None,
    *,
    selects: bool,
) -> Statement:
    format_name = _text(sql[name.start : name.end])
    if selects and input_call is None:
        return _read_other(sql)
    kind = Kind.INSERT_FROM_INPUT if selects else Kind.INSERT
    head, after = sql[:format_at], name.end
    if settings_end := _end_of_settings(sql, after, stream):  # the engine wants them before FORMAT
        head, after = head + sql[after:settings_end].lstrip(_SPACE), settings_end
    return Statement(kind, head, b"INSERT", format_name, _data_start(sql, after), input_call)


def _end_of_settings(sql: bytes, format_end: int, stream: Iterator[Token]) -> int | None:
    """Behind `SETTINGS name = value, …` on FORMAT's own line; None if that is not there: then it is data."""
    if sql[format_end : format_end + 64].lstrip(b" \t")[:8].upper() != b"SETTINGS":
        return None
    next(stream)
    end: int | None = None
    while True:
        assignment = list(islice(stream, 3))
        if len(assignment) < 3 or assignment[1].upper != b"=":
            return end
        end = assignment[2].end
        if not sql[end : end + 64].lstrip(b" \t").startswith(b","):
            return end
        next(stream)


def _data_start(sql: bytes, after_name: int) -> int:
    """Data begin after the first line break behind the format's name, or after the blanks if there is none."""
    position = after_name
    while position < len(sql) and sql[position] in b" \t\f":
        position += 1
    if sql[position : position + 1] == b"\r":
        position += 1
    if sql[position : position + 1] == b"\n":
        position += 1
    return position


def _read_other(sql: bytes) -> Statement:
    found = list(tokens(sql))
    ends = [index for index, token in enumerate(found) if token.upper == b";" and token.depth == 0]
    several = bool(ends) and any(token.upper != b";" for token in found[ends[0] :])
    found = found[: ends[0]] if ends else found
    words = [token for token in found if token.kind is TokenKind.WORD]
    first = next((token.upper for token in found if token.upper != b"("), b"")
    clause = _format_clause(found)
    end = found[-1].end
    return Statement(
        Kind.QUERY if first in {b"SELECT", b"WITH", b"FROM"} else Kind.COMMAND,
        sql[:end] if clause is None else sql[: clause[0].start] + sql[clause[1].end : end],
        first,
        None if clause is None else _text(sql[clause[1].start : clause[1].end]),
        writes_file=any(a.upper == b"INTO" and b.upper == b"OUTFILE" for a, b in pairwise(found)),
        is_several=several,
        is_hello=tuple(word.upper for word in words) == _HELLO,
    )


def _format_clause(found: list[Token]) -> tuple[Token, Token] | None:
    """The FORMAT word and the name behind it, at the statement's end or before its SETTINGS."""
    for index in range(len(found) - 1, 1, -1):
        before, word, name = found[index - 2 : index + 1]
        if word.upper != b"FORMAT" or word.depth or name.kind is not TokenKind.WORD:
            continue
        follows = found[index + 1].upper if index + 1 < len(found) else b""
        if follows in {b"", b"SETTINGS"} and _may_end_clause(before):
            return word, name
    return None


def _skip_blank(sql: bytes, position: int) -> int:
    while position < len(sql):
        if sql[position] in _SPACE:
            position += 1
        elif sql.startswith((b"--", b"#!", b"# "), position):
            end = sql.find(b"\n", position)
            position = len(sql) if end < 0 else end + 1
        elif sql.startswith(b"/*", position):
            end = sql.find(b"*/", position + 2)
            position = len(sql) if end < 0 else end + 2
        else:
            break
    return position


def _end_of_word(sql: bytes, start: int) -> int:
    position = start
    while position < len(sql) and sql[position] in _WORD:
        position += 1
    return position


def _end_of_quoted(sql: bytes, start: int) -> int:
    quote, position = sql[start], start + 1
    while position < len(sql):
        if sql[position] == ord("\\"):
            position += 2
        elif sql[position] != quote:
            position += 1
        elif sql[position + 1 : position + 2] == sql[start : start + 1]:
            position += 2
        else:
            return position + 1
    return len(sql)


def _end_of_heredoc(sql: bytes, start: int) -> int | None:
    tag_end = _end_of_word(sql, start + 1)
    if sql[tag_end : tag_end + 1] != b"$":
        return None
    tag = sql[start : tag_end + 1]
    end = sql.find(tag, tag_end + 1)
    return None if end < 0 else end + len(tag)


def _text(sql: bytes) -> str:
    return sql.decode("utf-8", "surrogateescape")
