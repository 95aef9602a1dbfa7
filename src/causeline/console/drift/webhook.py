"""Posts alerts to a webhook: signed, retried, and only to addresses that it may reach.

The name is resolved once, each address that it has is checked, and the connection is made to the checked address, so
that an answer that changes in between leads nowhere. Redirects are not followed.
"""

import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from causeline.schemas.errors import CheckFailed, Unreachable, UsageError

TIMEOUT_S = 5.0
BACK_OFF_S = (1.0, 4.0)
"""Waits between the attempts of one pass."""
SIGNATURE, DELIVERY = "Causeline-Signature", "Causeline-Delivery"

Resolve = Callable[[str, int], Sequence[str]]
"""The addresses of a host; raises OSError."""


def addresses(host: str, port: int) -> Sequence[str]:
    """The addresses that the system knows of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Target:
    """Where to post to, and how it is signed."""

    url: str
    secret: str
    private: bool = False
    """Private and loopback addresses may be posted to."""

    def parts(self) -> SplitResult:
        """The URL, taken apart; raises UsageError for one that cannot be meant."""
        found = urlsplit(self.url)
        if found.scheme not in ("http", "https") or not found.hostname or found.username is not None:
            raise UsageError(
                "CAUSELINE_DRIFT_WEBHOOK_URL is not an http or https URL without a user.",
                hint="E.g. https://alerts.example.com/causeline.",
            )
        if not self.secret:
            raise UsageError(
                "A webhook needs a secret to sign with.",
                hint="Set CAUSELINE_DRIFT_WEBHOOK_SECRET or CAUSELINE_DRIFT_WEBHOOK_SECRET_FILE.",
            )
        return found


def allowed(address: str, *, private: bool) -> bool:
    """Whether an address may be posted to: public ones; private and loopback ones only if that was said; no others."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified:
        return False
    return parsed.is_global or (private and parsed.is_private)


def signature(secret: str, at_s: int, body: bytes) -> str:
    """`t=…,v1=…`: HMAC-SHA256 of the second of sending, a dot and the body, so that an old one cannot be sent again."""
    signed = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={signed}"


def post(
    target: Target,
    document: Mapping[str, object],
    *,
    delivery: str,
    clock: Callable[[], float],
    stop: threading.Event,
    resolve: Resolve = addresses,
) -> None:
    """Post one document, at most three times; `delivery` is the same for each, so that the receiver can tell.

    Raises Unreachable when nobody takes it, CheckFailed when it is refused for good, UsageError for a wrong target.
    """
    parts = target.parts()
    body = json.dumps(document, ensure_ascii=False).encode()
    problem = ""
    for wait_s in (*BACK_OFF_S, None):
        try:
            address = _checked(parts, target, resolve)
            status = _send(parts, address, body, _headers(target, parts, body, delivery, int(clock())))
        except OSError as error:
            problem = f"{type(error).__name__}"
        except http.client.HTTPException as error:
            problem = f"{type(error).__name__}"
        else:
            if status < 300:
                return
            problem = f"status {status}"
            if status < 500 and status not in (408, 425, 429):
                raise CheckFailed(
                    f"The webhook refuses alerts with status {status}.", hint="Redirects are not followed."
                )
        if wait_s is None or stop.wait(wait_s):
            break
    raise Unreachable(f"The webhook takes no alerts ({problem}).", hint="They are posted again with the next pass.")


def _checked(parts: SplitResult, target: Target, resolve: Resolve) -> str:
    """The first address of the host, when all of them are allowed."""
    found = resolve(parts.hostname or "", _port(parts))
    if not found:
        raise OSError("no address")
    for address in found:
        if not allowed(address, private=target.private):
            raise CheckFailed(
                f"The webhook's host {parts.hostname} is at {address}, which may not be posted to.",
                hint="CAUSELINE_DRIFT_WEBHOOK_PRIVATE=true allows private addresses; link-local ones never are.",
            )
    return found[0]


def _send(parts: SplitResult, address: str, body: bytes, headers: Mapping[str, str]) -> int:
    raw = socket.create_connection((address, _port(parts)), timeout=TIMEOUT_S)
    try:
        if parts.scheme == "https":
            raw = ssl.create_default_context().wrap_socket(raw, server_hostname=parts.hostname)
        connection = http.client.HTTPConnection(parts.hostname or "", _port(parts), timeout=TIMEOUT_S)
        connection.sock = raw
        path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        connection.request("POST", path, body=body, headers=dict(headers))
        return connection.getresponse().status
    finally:
        raw.close()


def _headers(target: Target, parts: SplitResult, body: bytes, delivery: str, at_s: int) -> Mapping[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "causeline",
        DELIVERY: delivery,
        SIGNATURE: signature(target.secret, at_s, body),
    }


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)
