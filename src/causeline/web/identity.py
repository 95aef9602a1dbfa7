"""Who asks, and what that person may do: pure rules over settings, the peer's address, headers and the session.

1. A session (a signed cookie, made at sign-in) says who somebody is until it ends.
2. A trusted proxy may say it in headers; the same headers from anybody else count for nothing.
3. The token, as `Authorization`, is a program's way in, with the token's roles.
4. Where only this machine can reach the service, and there is no token or reading is free, anybody may read; nobody
   acts or sees content.
"""

import base64
import binascii
import hmac
import ipaddress
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from causeline.runtime.http_auth import carries_token
from causeline.web.settings import ServeSettings

SESSION_COOKIE = "causeline_session"
SESSION_S = 12 * 3600
KEY_S = 60
"""For how long the link that `causeline open` makes opens the door."""


class Role(StrEnum):
    """What somebody may do; `content` stands apart from the others."""

    VIEWER = "viewer"  # read what is on record
    REVIEWER = "reviewer"  # take and decide review items
    OPERATOR = "operator"  # replay dead letters, acknowledge and mute alerts
    CONTENT = "content"  # read what artifacts hold


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks. `name` is empty for a reader who did not sign in."""

    name: str
    roles: frozenset[Role]

    def may(self, role: Role) -> bool:
        """Whether the person has a role."""
        return role in self.roles


NOBODY = Person("", frozenset())


class Identities:
    """Tells who asks, and makes the sessions; the clock is seconds since the epoch."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._token = settings.secret()
        self._key = _derived(self._token or secrets.token_hex(32), "session")
        self._proxies = tuple(ipaddress.ip_network(each, strict=False) for each in settings.trusted_proxies)
        named = settings.identity_secret()
        self._reviewer_key = _derived(named, "reviewer") if named else _derived(self._token or "causeline", "reviewer")

    @property
    def has_sign_in(self) -> bool:
        """Whether there is a token to sign in with."""
        return self._token is not None

    def person(self, headers: Mapping[str, str], cookie: str, peer: str, now_s: float) -> Person:
        """Who asks, by the rules of the module. Header names are lower-case."""
        if (signed_in := self._of_session(cookie, now_s)) is not None:
            return signed_in
        if (sent := self._of_proxy(headers, peer)) is not None:
            return sent
        if self._token is not None and carries_token(headers.get("authorization", ""), self._token):
            return Person("token", self._token_roles())
        is_free = self._settings.is_loopback and (self._token is None or self._settings.free_reading)
        return Person("", frozenset({Role.VIEWER})) if is_free else NOBODY

    def sign_in(self, token: str, name: str, now_s: float) -> str | None:
        """The session of somebody who gives the token and says a name; None for another token."""
        if self._token is None or not secrets.compare_digest(token.encode(), self._token.encode()):
            return None
        return self.session(Person(name, self._token_roles()), now_s)

    def enter(self, key: str, name: str, now_s: float) -> str | None:
        """The session of somebody who comes by the link of `causeline open`; None for one that is old or not ours."""
        if self._token is None or not is_link_key(self._token, key, now_s):
            return None
        return self.session(Person(name, self._token_roles()), now_s)

    def session(self, person: Person, now_s: float) -> str:
        """The cookie of a person, good for SESSION_S."""
        fields = {"name": person.name, "roles": sorted(person.roles), "until": int(now_s) + SESSION_S}
        body = base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()
        return f"{body}.{_mac(self._key, body)}"

    def csrf(self, cookie: str) -> str:
        """The token that a form of this session must carry."""
        return _mac(self._key, f"csrf:{cookie}")

    def reviewer_ref(self, person: Person) -> str:
        """How a person stands on record: an id that tells persons apart and names nobody."""
        return f"reviewer:{_mac(self._reviewer_key, person.name.casefold())[:16]}"

    def _token_roles(self) -> frozenset[Role]:
        return frozenset(Role(each) for each in self._settings.token_roles)

    def _of_session(self, cookie: str, now_s: float) -> Person | None:
        body, _, mac = cookie.partition(".")
        if not body or not secrets.compare_digest(mac.encode(), _mac(self._key, body).encode()):
            return None
        try:
            fields = json.loads(base64.urlsafe_b64decode(body))
            until, name, roles = fields["until"], fields["name"], frozenset(Role(each) for each in fields["roles"])
        except (ValueError, KeyError, TypeError, binascii.Error):  # signed by us, so of another version
            return None
        return Person(name, roles) if now_s < until else None

    def _of_proxy(self, headers: Mapping[str, str], peer: str) -> Person | None:
        settings = self._settings
        name = headers.get(settings.user_header.lower(), "").strip() if settings.user_header else ""
        if not name or not self._is_trusted(peer):
            return None
        sent = headers.get(settings.groups_header.lower(), "") if settings.groups_header else ""
        groups = {each.strip() for each in sent.split(",") if each.strip()}
        wanted = {
            Role.VIEWER: settings.viewer_groups,
            Role.REVIEWER: settings.reviewer_groups,
            Role.OPERATOR: settings.operator_groups,
            Role.CONTENT: settings.content_groups,
        }
        return Person(name, frozenset(role for role, some in wanted.items() if "*" in some or groups & set(some)))

    def _is_trusted(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)


def link_key(token: str, now_s: float) -> str:
    """What opens the door once the token is known to whoever makes the link: `until.mac`."""
    until = int(now_s) + KEY_S
    return f"{until}.{_mac(_derived(token, 'link'), str(until))}"


def is_link_key(token: str, key: str, now_s: float) -> bool:
    """Whether `key` was made by `link_key` with this token, and is still good."""
    until, _, mac = key.partition(".")
    if not secrets.compare_digest(mac.encode(), _mac(_derived(token, "link"), until).encode()):
        return False
    return until.isdigit() and now_s < int(until)


def _derived(secret: str, purpose: str) -> bytes:
    return hmac.new(secret.encode(), f"causeline {purpose}".encode(), sha256).digest()


def _mac(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), sha256).hexdigest()
