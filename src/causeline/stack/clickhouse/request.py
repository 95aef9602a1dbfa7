"""What a request says beside its data: URL parameters, headers and form fields, as ClickHouse reads them."""

import base64
import binascii
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from causeline.stack.clickhouse import errors
from causeline.stack.clickhouse.errors import EngineError

# Parameters of the interface itself; whatever else stands in the URL is a setting of the query.
_INTERFACE = frozenset(
    {
        *("query", "database", "user", "password", "quota_key", "query_id", "role", "stacktrace", "framing"),
        *("session_id", "session_timeout", "session_check", "close_session"),
        *("default_format", "compress", "decompress", "client_protocol_version"),
        *("wait_end_of_query", "buffer_size", "http_wait_end_of_query", "http_response_buffer_size"),
        *("enable_http_compression", "http_zlib_compression_level"),
        *("send_progress_in_http_headers", "http_headers_progress_interval_ms"),
        "http_native_compression_disable_checksumming_on_decompress",
        "cancel_http_readonly_queries_on_client_close",
    }
)
MAX_SESSION_TIMEOUT_S = 3600


@dataclass(frozen=True)
class Credentials:
    """Who asks, as they say."""

    user: str
    password: str


@dataclass(frozen=True)
class Call:
    """One call of the interface. `settings` and `parameters` are raw text, as they stood in the URL."""

    credentials: Credentials
    method: str
    query: bytes = b""
    query_id: str = ""
    database: str | None = None
    default_format: str | None = None
    session_id: str | None = None
    session_timeout_s: float = 60.0
    session_must_exist: bool = False
    wait_end_of_query: bool = False
    compress: bool = False
    decompress: bool = False
    content_encoding: str = ""
    content_type: str = ""
    accept_encoding: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    external: Mapping[str, str] = field(default_factory=dict)  # name_format, name_types, name_structure

    @property
    def only_reads(self) -> bool:
        """GET and HEAD may not change anything."""
        return self.method in {"GET", "HEAD"}


def read_call(
    method: str, query_string: bytes, headers: Mapping[str, str], form: Iterable[tuple[str, str]] = ()
) -> Call:
    """The call that a request's URL, headers (names in lower case) and `form` fields make. Raises EngineError."""
    pairs = [*parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, errors="surrogateescape"), *form]
    values = dict(pairs)
    query = "".join(value for name, value in pairs if name == "query")
    external_names = {
        name.removesuffix(suffix)
        for name in values
        for suffix in ("_structure", "_types")
        if name.endswith(suffix) and "multipart/form-data" in headers.get("content-type", "")
    }
    external = {
        key: values[key]
        for name in external_names
        for key in (f"{name}_structure", f"{name}_types", f"{name}_format")
        if key in values
    }
    compressed = values.get("enable_http_compression") in {"1", "true"}
    return Call(
        credentials=_credentials(values, headers),
        method=method,
        query=query.encode("utf-8", "surrogateescape"),
        query_id=values.get("query_id") or str(uuid.uuid4()),
        database=values.get("database") or headers.get("x-clickhouse-database") or None,
        default_format=values.get("default_format") or headers.get("x-clickhouse-format") or None,
        session_id=values.get("session_id") or None,
        session_timeout_s=_session_timeout_s(values.get("session_timeout")),
        session_must_exist=values.get("session_check") == "1",
        wait_end_of_query=values.get("wait_end_of_query") in {"1", "true"}
        or values.get("http_wait_end_of_query") in {"1", "true"},
        compress=values.get("compress") in {"1", "true"},
        decompress=values.get("decompress") in {"1", "true"},
        content_encoding=headers.get("content-encoding", "").strip().lower(),
        content_type=headers.get("content-type", ""),
        accept_encoding=_accepted(headers.get("accept-encoding", "")) if compressed else (),
        settings={
            name: value
            for name, value in values.items()
            if name not in _INTERFACE and not name.startswith("param_") and name not in external
        },
        parameters={name[6:]: value for name, value in values.items() if name.startswith("param_")},
        external=external,
    )


def _credentials(values: Mapping[str, str], headers: Mapping[str, str]) -> Credentials:
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        return Credentials(headers.get("x-clickhouse-user", ""), headers.get("x-clickhouse-key", ""))
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise EngineError(
                errors.BAD_ARGUMENTS, "BAD_ARGUMENTS", "The Authorization header is not base64 of user:password."
            ) from None
        return Credentials(user, password)
    if scheme:
        raise EngineError(
            errors.AUTHENTICATION_FAILED,
            "AUTHENTICATION_FAILED",
            "Only Basic authorization is known here; send a user and a password.",
        )
    return Credentials(values.get("user", ""), values.get("password", ""))


def _session_timeout_s(text: str | None) -> float:
    if not text:
        return 60.0
    try:
        timeout_s = int(text)
    except ValueError:
        timeout_s = -1
    if not 0 < timeout_s <= MAX_SESSION_TIMEOUT_S:
        raise EngineError(
            errors.INVALID_SESSION_TIMEOUT,
            "INVALID_SESSION_TIMEOUT",
            f"session_timeout has to be 1 to {MAX_SESSION_TIMEOUT_S} seconds.",
        )
    return float(timeout_s)


def _accepted(header: str) -> tuple[str, ...]:
    names = (part.partition(";") for part in header.lower().split(","))
    return tuple(name.strip() for name, _, weight in names if weight.replace(" ", "") not in {"q=0", "q=0.0"})
