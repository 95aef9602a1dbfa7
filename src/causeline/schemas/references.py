"""References: what an event carries in place of content, as `scheme:…` without blanks.

A text that somebody wrote has blanks, a reference has none: so content that is put where a reference belongs is found
by its form. A reviewer is named by an id of the application's own, never by a name or an address.

Decided in ADR 36.
"""

import re
from typing import Final
from urllib.parse import quote

WHAT: Final = "a reference: `scheme:…` without blanks"
MAX_REFERENCE: Final = 2048
"""Characters."""
WHO: Final = "an id such as `reviewer:17`, never a name or an address"

BLANKS: Final = "\\x09-\\x0d\\x1c-\\x20\\x85\\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Python's `\\s` means, as a class that reads the same in its own expressions and in ClickHouse's."""
FORM: Final = f"[A-Za-z][A-Za-z0-9+.\\-]*:[^{BLANKS}]+"
"""The form of a reference, as an expression for the whole of a text."""
_REFERENCE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*+:\S+")
_ARTIFACT: Final = re.compile(r"artifact:sha256/[0-9a-f]{2}/[0-9a-f]{62}(#\S+)?", re.ASCII)
_ID: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*+:[A-Za-z0-9_.:\-]+", re.ASCII)
_ADDRESSES: Final = ("mailto:", "tel:", "sms:", "xmpp:", "acct:")


def is_reference(text: str) -> bool:
    """Whether `text` has the form of a reference."""
    return _REFERENCE.fullmatch(text) is not None


def is_cut_off(text: str) -> bool:
    """Whether `text` begins as the artifact store's references do, and is none: `artifact:sha256/51/9d3c`."""
    return text.startswith("artifact:sha256") and _ARTIFACT.fullmatch(text) is None


def named(text: str, scheme: str) -> str:
    """`text` where it is a reference, else the reference that the id `text` is within `scheme`."""
    return text if is_reference(text) else f"{scheme}:{quote(text, errors='replace')}"


def is_persons_id(text: str) -> bool:
    """Whether `text` may stand for a person: letters, digits and `_.:-` behind a scheme that is no address's."""
    return _ID.fullmatch(text) is not None and not text.lower().startswith(_ADDRESSES)
