"""Secrets that nobody should ever meet again, planted on purpose, and the ways in which bytes could spell them."""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from causeline.schemas.events import ConflictSide

API_KEY: Final = "sk-canary-9fK2vQ7xLw3ZbT8nR5mJ"
JWT: Final = "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOiJ0d2VldCJ9.c2lnbmVkLWJ5LW5vYm9keS1hdC1hbGw"
PEM: Final = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIcanaryKeyOfNobody42\n-----END PRIVATE KEY-----\n"
EMAIL: Final = "greta.kanarienvogel@nobody.example"
CANARIES: Final = {"API key": API_KEY, "JWT": JWT, "PEM": PEM.splitlines()[1], "e-mail": EMAIL}
"""What to look for: of the PEM its one line of key, since line ends are written in many ways."""
ALL: Final = f"key {API_KEY} token {JWT} pem {PEM} mail {EMAIL}"

_SECRET: Final = re.compile(
    r"sk-[\w-]{10,}|eyJ[\w-]+\.[\w-]+\.[\w-]+|-----BEGIN [\s\S]*?END [A-Z ]+-----|[\w.]+@[\w.]+\.\w+"
)


def _spellings(text: str) -> set[bytes]:
    raw = text.encode()
    # The middle of each of the three alignments that base64 can have within a longer text.
    base64ed = {base64.b64encode(b"\0" * pad + raw)[4:-8] for pad in range(3)}
    return {raw, raw[::-1], raw.hex().encode(), raw.hex().upper().encode(), text.encode("utf-16-le"), *base64ed}


_SPELLINGS: Final = [(name, form) for name, text in CANARIES.items() for form in sorted(_spellings(text))]


def canaries_in(data: bytes) -> set[str]:
    """The names of the canaries that some bytes spell: plainly, backwards, as hex, base64 or UTF-16."""
    return {name for name, form in _SPELLINGS if form in data}


def masked(value: Any) -> Any:
    """A value of an event with every secret in its texts replaced, as an application's own masking would do it."""
    if isinstance(value, str):
        return _SECRET.sub("[masked]", value)
    if isinstance(value, Mapping):
        return {masked(key): masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    if isinstance(value, ConflictSide):
        return ConflictSide(**{name: masked(getattr(value, name)) for name in ConflictSide.__dataclass_fields__})
    return value


def as_json(**values: object) -> bytes:
    """A document as an application would store it."""
    return json.dumps(values).encode()
