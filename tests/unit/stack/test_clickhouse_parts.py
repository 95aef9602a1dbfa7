"""The small parts of the embedded ClickHouse: headers of results, forms, parameters, errors, sessions, turns."""

import asyncio
import base64

import pytest

from causeline.stack.clickhouse import errors
from causeline.stack.clickhouse.engine import Connection, Verdict
from causeline.stack.clickhouse.errors import EngineError
from causeline.stack.clickhouse.execution import header_length
from causeline.stack.clickhouse.multipart import read_parts
from causeline.stack.clickhouse.request import read_call
from causeline.stack.clickhouse.sessions import Sessions
from causeline.stack.clickhouse.turns import Turns


@pytest.mark.parametrize(
    ("output_format", "piece", "header"),
    [
        ("TSV", b"1\n", b""),
        ("TSVWithNames", b"a\tb\n1\t2\n", b"a\tb\n"),
        ("CSVWithNames", b'"a\n""b"\n1\n', b'"a\n""b"\n'),
        ("CSVWithNamesAndTypes", b'"a"\n"UInt8"\n1\n', b'"a"\n"UInt8"\n'),
        ("RowBinaryWithNames", b"\x01\x01a\x05", b"\x01\x01a"),
        ("RowBinaryWithNamesAndTypes", b"\x01\x01a\x05UInt8\x05", b"\x01\x01a\x05UInt8"),
        ("ArrowStream", b"\xff\xff\xff\xff\x03\0\0\0abcrows", b"\xff\xff\xff\xff\x03\0\0\0abc"),
    ],
)
def test_the_header_of_a_piece_is_found(output_format: str, piece: bytes, header: bytes) -> None:
    assert piece[: header_length(piece, output_format)] == header


def test_errors_of_the_engine_are_taken_apart() -> None:
    error = EngineError.from_engine(
        "Code: 60. DB::Exception: Table a (b) does not exist. (UNKNOWN_TABLE) (version 26.9.2.1)"
    )
    assert (error.code, error.name, error.message) == (60, "UNKNOWN_TABLE", "Table a (b) does not exist.")
    assert error.status == 404
    assert error.text("1.2") == "Code: 60. DB::Exception: Table a (b) does not exist. (UNKNOWN_TABLE) (version 1.2)"


def test_words_that_are_no_clickhouse_error_are_kept() -> None:
    error = EngineError.from_engine("the engine is closed")
    assert (error.code, error.message, error.status) == (errors.UNKNOWN_EXCEPTION, "the engine is closed", 500)


def test_a_form_is_taken_apart_byte_for_byte() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="param_x"\r\n\r\n5\r\n'
        b'--b\r\nContent-Disposition: form-data; name="ext"; filename="e.csv"\r\nContent-Type: text/csv\r\n\r\n'
        b"1\r\n\x00--\r\n\r\n--b--\r\n"
    )
    field, file = read_parts("multipart/form-data; boundary=b", body)
    assert (field.name, field.data, field.is_file) == ("param_x", b"5", False)
    assert (file.name, file.data, file.is_file) == ("ext", b"1\r\n\x00--\r\n", True)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--b--\r\n"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"--b\r\nno header"),
        ("multipart/form-data; boundary=b", b"--b\r\nX: y\r\n\r\nx\r\n--b--"),
    ],
)
def test_a_broken_form_is_an_error(content_type: str, body: bytes) -> None:
    with pytest.raises(EngineError):
        read_parts(content_type, body)


def test_parameters_are_told_apart_from_settings() -> None:
    call = read_call(
        "POST", b"query=SELECT+1&database=d&max_threads=2&param_x=a%27b&wait_end_of_query=1&session_id=s", {}
    )
    assert (call.query, call.database, call.session_id) == (b"SELECT 1", "d", "s")
    assert call.wait_end_of_query
    assert call.settings == {"max_threads": "2"}
    assert call.parameters == {"x": "a'b"}


def test_headers_and_basic_authorization_name_the_user() -> None:
    basic = "Basic " + base64.b64encode(b"me:pass:word").decode()
    assert read_call("GET", b"", {"authorization": basic}).credentials.password == "pass:word"
    headers = {"x-clickhouse-user": "me", "x-clickhouse-key": "k", "authorization": basic}
    assert read_call("GET", b"user=other", headers).credentials.password == "k"


@pytest.mark.parametrize("headers", [{"authorization": "Basic %%%"}, {"authorization": "Bearer x"}])
def test_authorization_that_cannot_be_read_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(EngineError):
        read_call("GET", b"", headers)


@pytest.mark.parametrize("text", [b"0", b"3601", b"x", b"-1"])
def test_session_timeouts_have_bounds(text: bytes) -> None:
    with pytest.raises(EngineError, match="session_timeout"):
        read_call("GET", b"session_timeout=" + text, {})


class _RawConnection:
    """A connection that can only be closed."""

    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _sessions(clock: _Clock, opened: list[_RawConnection]) -> Sessions:
    def open_connection() -> Connection:
        opened.append(_RawConnection())
        return Connection(opened[-1], "session")  # type: ignore[arg-type]  # the rest is not called

    return Sessions(open_connection, clock)


def test_a_session_lives_until_its_timeout_and_no_longer() -> None:
    clock, opened = _Clock(), list[_RawConnection]()
    sessions = _sessions(clock, opened)
    with sessions.use("u", "s", timeout_s=10, must_exist=False) as first:
        clock.now = 100
        sessions.sweep()  # a busy one does not expire
    clock.now = 109.9
    with sessions.use("u", "s", timeout_s=10, must_exist=True) as second:
        assert second is first
    clock.now = 119.9
    with pytest.raises(EngineError), sessions.use("u", "s", timeout_s=10, must_exist=True):
        pass
    assert opened[0].is_closed


def test_a_busy_session_is_locked_and_another_users_is_another() -> None:
    sessions = _sessions(_Clock(), [])
    with sessions.use("u", "s", timeout_s=10, must_exist=False):
        with pytest.raises(EngineError) as caught, sessions.use("u", "s", timeout_s=10, must_exist=False):
            pass
        assert caught.value.code == errors.SESSION_IS_LOCKED
        with sessions.use("v", "s", timeout_s=10, must_exist=False):
            assert len(sessions) == 2
    sessions.close()
    assert len(sessions) == 0


def test_turns_are_given_back_and_refused_when_too_many_wait() -> None:
    async def take() -> None:
        turns = Turns(1, 0, timeout_s=5)
        async with turns.turn():
            with pytest.raises(EngineError) as caught:
                async with turns.turn():
                    pass
            assert caught.value.status == 503
        async with turns.turn():
            pass

    asyncio.run(take())


def test_a_turn_that_does_not_come_in_time_is_refused() -> None:
    async def take() -> None:
        turns = Turns(1, 5, timeout_s=0.01)
        async with turns.turn():
            with pytest.raises(EngineError, match="Too many simultaneous queries"):
                async with turns.turn():
                    pass

    asyncio.run(take())


def test_the_verdicts_are_the_engines_words() -> None:
    class Raw:
        def classify_query(self, sql: bytes) -> dict[str, object]:
            return {"query_class": "query_class.MUTATING", "statement_count": 2, "sql": sql}

    connection = Connection(Raw(), "x")  # type: ignore[arg-type]  # the rest is not called
    assert connection.classify("DROP TABLE t; SELECT 1") == Verdict("MUTATING", 2)
