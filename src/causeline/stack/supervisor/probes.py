"""Asking a service whether it is ready: one question a probe, none of which waits long."""

import asyncio
import contextlib
from urllib.parse import urlsplit

from causeline.stack.supervisor.output import Output
from causeline.stack.supervisor.service import HttpProbe, LogLineProbe, Probe, StartedProbe, TcpProbe

_ATTEMPT_TIMEOUT_S = 2.0
_MAX_ANSWER_BYTES = 64 * 1024


async def answers(probe: Probe, output: Output) -> bool:
    """Whether the service answers its probe now."""
    match probe:
        case TcpProbe(host=host, port=port):
            return await _exchange(host, port, b"") is not None
        case HttpProbe(url=url, body=body):
            parts = urlsplit(url)
            path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
            request = f"GET {path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode()
            answer = await _exchange(parts.hostname or "127.0.0.1", parts.port or 80, request)
            return answer is not None and _is_good(answer, body)
        case LogLineProbe():
            return output.ready_line_seen.is_set()
        case StartedProbe():
            return True


async def _exchange(host: str, port: int, request: bytes) -> bytes | None:
    """The answer to `request`, empty when there is none to wait for; None when nothing listens or answers."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_ATTEMPT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request)
                return await reader.read(_MAX_ANSWER_BYTES) if request else b""
            finally:
                writer.close()
    return None


def _is_good(answer: bytes, body: str) -> bool:
    head, _, content = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    return status == [b"200"] and body in content.decode(errors="replace")
