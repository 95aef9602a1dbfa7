"""One statement on one connection: a SELECT as pieces of its result, an insert by its data."""

from collections.abc import Generator
from typing import Final

from causeline.stack.clickhouse.engine import Connection, names_and_types
from causeline.stack.clickhouse.statement import Kind, Statement

DEFAULT_FORMAT: Final = "TabSeparated"

# Formats whose documents may follow one another, and the lines of header that every one begins with.
_HEADER_LINES: Final = {
    **dict.fromkeys(("tabseparated", "tsv", "tabseparatedraw", "tsvraw", "csv", "rowbinary", "native"), 0),
    **dict.fromkeys(("jsoneachrow", "jsonlines", "ndjson", "jsoncompacteachrow", "jsonstringseachrow", "tskv"), 0),
    **dict.fromkeys(("tabseparatedwithnames", "tsvwithnames", "csvwithnames", "jsoncompacteachrowwithnames"), 1),
    **dict.fromkeys(("rowbinarywithnames",), 1),
    "arrowstream": 0,
    **dict.fromkeys(("tabseparatedwithnamesandtypes", "tsvwithnamesandtypes", "csvwithnamesandtypes"), 2),
    **dict.fromkeys(("jsoncompacteachrowwithnamesandtypes", "rowbinarywithnamesandtypes"), 2),
}
_ARROW: Final = "arrowstream"
_ARROW_END: Final = b"\xff\xff\xff\xff\0\0\0\0"
_ONE_DOCUMENT: Final = b"output_format_json_array_of_rows"  # makes one array of all rows


def result_pieces(
    connection: Connection, statement: Statement, output_format: str, sql: str
) -> Generator[bytes, None, None]:
    """The result of `sql`, which is `statement` as it is to be run, in pieces of about a megabyte where it can be."""
    if statement.kind is not Kind.QUERY or not can_stream(statement, output_format):
        if whole := connection.run(sql, output_format):
            yield whole
        elif statement.kind is Kind.QUERY and output_format.lower() == "native":
            yield native_header(connection, sql)
        return
    header = None
    is_arrow = output_format.lower() == _ARROW
    for whole in connection.stream(sql, output_format):
        piece = whole.removesuffix(_ARROW_END) if is_arrow else whole
        if header is None:
            header = piece[: header_length(piece, output_format)]
            yield piece
        else:
            yield piece[header_length(piece, output_format) :]
    if is_arrow and header is not None:
        yield _ARROW_END
    elif header is None and (is_arrow or _HEADER_LINES[output_format.lower()]):
        yield connection.run(f"SELECT * FROM (\n{sql}\n) LIMIT 0", output_format)  # noqa: S608 - the client's own
    elif header is None and output_format.lower() == "native":
        yield native_header(connection, sql)


def can_stream(statement: Statement, output_format: str) -> bool:
    """Whether the pieces of a streamed result make up one valid document."""
    return output_format.lower() in _HEADER_LINES and _ONE_DOCUMENT not in statement.sql


def native_header(connection: Connection, sql: str) -> bytes:
    """The Native block without rows that names an empty result's columns: the engine sends nothing at all."""
    columns = names_and_types(connection, sql)
    block = bytearray(_varint(len(columns)) + _varint(0))
    for name, type_name in columns:
        for text in (name.encode(), _without_low_cardinality(type_name).encode()):
            block += _varint(len(text)) + text
    return bytes(block)


def header_length(piece: bytes, output_format: str) -> int:
    """How many bytes of `piece` are the header that every piece of a streamed result repeats."""
    name = output_format.lower()
    lines = _HEADER_LINES[name]
    if name == _ARROW:  # the schema: a mark, its length, itself
        return 8 + int.from_bytes(piece[4:8], "little")
    if name.startswith("rowbinary"):
        return _binary_header_length(piece, lines) if lines else 0
    position = 0
    for _ in range(lines):
        position = _line_end(piece, position, quotes=name.startswith("csv"))
    return position


def _line_end(piece: bytes, start: int, *, quotes: bool) -> int:
    """Behind the line break that ends the line at `start`; one inside quotes does not."""
    position = start
    while True:
        end = piece.find(b"\n", position)
        if end < 0:
            return len(piece)
        if not quotes or piece.count(b'"', start, end) % 2 == 0:
            return end + 1
        position = end + 1


def _binary_header_length(piece: bytes, lists: int) -> int:
    """RowBinary's header: the number of columns, then their names and, in the second list, their types."""
    columns, position = _read_varint(piece, 0)
    for _ in range(columns * lists):
        size, position = _read_varint(piece, position)
        position += size
    return position


def _without_low_cardinality(type_name: str) -> str:
    """The type as Native sends it to clients of revision 0, which do not know LowCardinality."""
    marker = "LowCardinality("
    while (start := type_name.find(marker)) >= 0:
        inner = start + len(marker)
        depth, end = 1, inner
        while depth:
            depth += {"(": 1, ")": -1}.get(type_name[end], 0)
            end += 1
        type_name = type_name[:start] + type_name[inner : end - 1] + type_name[end:]
    return type_name


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
