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
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from causeline.schemas.errors import CheckFailed, Unreachable, UsageError

TIMEOUT_S = 5.0
BACK_OFF_S = (1.0, 4.0)
"""Waits between the attempts of one pass."""
SIGNATURE, DELIVERY = "Causeline-Signature", "Causeline-Delivery"

_TRANSLATED = [ipaddress.IPv6Network(each) for each in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48")]
_NOBODYS = ("fec0::/10", "2001::/32", "100.64.0.0/10", "192.0.0.0/24", "240.0.0.0/4")
_NEVER = [ipaddress.ip_network(each) for each in _NOBODYS]
"""Site-local, Teredo, carriers' own, and protocols' own addresses: not public, and nobody's private network here."""
_METADATA = frozenset({"169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "168.63.129.16", "100.100.100.200"})
"""Where clouds answer with credentials."""
ATTEMPT_S = 10.0
"""One attempt from its connection to the answer's status, however it is spread over small waits."""

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
    inner = _carried(parsed)
    if inner is not None:
        return allowed(str(inner), private=private)
    if parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified:
        return False
    if str(parsed) in _METADATA or any(parsed in network for network in _NEVER if network.version == parsed.version):
        return False
    return parsed.is_global or (private and parsed.is_private)


def _carried(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a gateway makes of an IPv6 one: mapped, compatible, NAT64 or 6to4."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address.sixtofour is not None or address.ipv4_mapped is not None:
        return address.ipv4_mapped or address.sixtofour
    if any(address in network for network in _TRANSLATED) and int(address) > 1:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


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
            headers = _headers(target, parts, body, delivery, int(clock()))
            status = _send(parts, _checked(parts, target, resolve), body, headers)
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
    copy = raw.dup()
    deadline = threading.Timer(ATTEMPT_S, _shut, (copy,))
    deadline.daemon = True
    deadline.start()
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
        deadline.cancel()
        copy.close()


def _shut(connection: socket.socket) -> None:
    """End a connection that another thread waits on; its descriptor is a copy, so it is never somebody else's."""
    with suppress(OSError):  # it has ended by itself
        connection.shutdown(socket.SHUT_RDWR)


def _headers(target: Target, parts: SplitResult, body: bytes, delivery: str, at_s: int) -> Mapping[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "causeline",
        DELIVERY: delivery,
        SIGNATURE: signature(target.secret, at_s, body),
    }


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)
