"""Requests to an OTLP/HTTP backend, and its retry rule.

Source: the OTLP specification, "OTLP/HTTP Response": 429, 502, 503 and 504 are to be sent again, after what Retry-After
says; any other refusal is for good.
"""

import gzip
import logging
import random
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import urllib3
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from causeline.schemas.errors import CauselineError

RETRYABLE: Final = frozenset({429, 502, 503, 504})
_FIRST_PAUSE_S: Final = 0.5
log = logging.getLogger(__name__)


class Refused(CauselineError):
    """The backend does not take a request, and will not take it if it is sent again."""


class Stopped(Exception):
    """The exporter was told to stop while it waited to send again."""


class Post(Protocol):
    """Posts a body; gives the answer's status, headers and body. Raises OSError saying why none comes."""

    def __call__(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]: ...


def http_post(url: str, headers: Mapping[str, str], timeout_s: float) -> Post:
    """Posts gzipped protobuf to `url`; redirects are not followed, for headers hold keys."""
    pool = urllib3.PoolManager(timeout=timeout_s, retries=False)
    said = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip", **headers}

    def post(body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        try:
            answer = pool.request("POST", url, body=gzip.compress(body, compresslevel=1), headers=said)
        except urllib3.exceptions.HTTPError as error:
            raise OSError(_why(error)) from error
        return answer.status, answer.headers, answer.data

    return post


class Sending:
    """Sends requests one after the other; each is sent until the backend has it, or refuses it."""

    def __init__(self, post: Post, *, retry_max_s: float, pause: Callable[[float], bool]) -> None:
        self._post = post
        self._retry_max_s = retry_max_s
        self._pause = pause
        self.retries = 0
        self.rejected_spans = 0

    def send(self, body: bytes) -> None:
        """Send one request; raises Refused, and Stopped when `pause` tells so."""
        attempt = 0
        while True:
            try:
                status, headers, answer = self._post(body)
            except OSError as error:
                headers, why = {}, str(error)
            else:
                if status in range(200, 300):
                    self._note_partial(answer)
                    return
                if status not in RETRYABLE:
                    raise Refused(f"The backend refused {len(body)} bytes of spans with HTTP {status}.")
                why = f"HTTP {status}"
            if attempt == 0:
                log.warning("the backend does not take spans now (%s); sending again until it does", why)
            attempt += 1
            self.retries += 1
            if self._pause(self._wait_s(attempt, headers)):
                raise Stopped

    def _wait_s(self, attempt: int, headers: Mapping[str, str]) -> float:
        asked = headers.get("Retry-After") or headers.get("retry-after") or ""
        if asked.isdigit():
            return min(float(asked), self._retry_max_s)
        longest: float = min(_FIRST_PAUSE_S * 2 ** min(attempt, 20), self._retry_max_s)
        return random.uniform(longest / 2, longest)  # noqa: S311 - to spread retries, not to hide anything

    def _note_partial(self, answer: bytes) -> None:
        try:
            partial = ExportTraceServiceResponse.FromString(answer).partial_success
        except Exception:  # noqa: BLE001 - a backend that answers 200 in words of its own has taken the spans
            return
        if partial.rejected_spans:
            self.rejected_spans += partial.rejected_spans
            log.warning("the backend rejected %d spans: %.200s", partial.rejected_spans, partial.error_message)


def _why(error: urllib3.exceptions.HTTPError) -> str:
    """Why no answer came, in the system's words where it has some: `Connection refused`."""
    cause = error.__cause__
    said = cause.strerror if isinstance(cause, OSError) else None
    return said or type(error).__name__
