"""What of a foreign text may travel in events: words, names and references, never a sentence, an address or a secret.

Whoever instruments an application decides what its spans say; nobody decides that it is content. So a text travels only
in a shape that content does not have, and under a key that the table names. What has another shape is kept whole in the
artifact store. Pure; each function gives what may travel, or None.
"""

import re
from collections.abc import Collection
from typing import Final

_LONGEST_WORD: Final = 128
_LONGEST_REF: Final = 512
_LONGEST_NAME: Final = 120
_MOST_TOKENS: Final = 6
_WORD: Final = re.compile(r"[@/]?[\w][\w.:/+{}\-]*")
_REF: Final = re.compile(r"[\w.~:/#=+,&%\-]+")
_TOKEN: Final = re.compile(r"(?:[\w.:/<>()\[\],+#&\-]|\{[\w.:]*\})+")
_ID: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{8}-[0-9a-fA-F-]{18,27}|(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{12,})(?![0-9A-Za-z])"
    r"|[0-9]{4,}|(?<![0-9A-Za-z])(?=[A-Za-z]*[0-9])[0-9A-Za-z]{16,}(?![0-9A-Za-z])"
)
"""Identifiers within a name: a UUID, hexadecimal digits, a long number, a long mix of letters and digits."""
_SECRET: Final = re.compile(
    r"(?i)\b(?:sk|pk|rk|ghp|gho|xox[a-z]|akia|eyj|glpat|hf)[-_][\w-]{6,}|\beyJ[\w-]{8,}|\bAKIA\w{8,}"
)
_ADDRESS: Final = re.compile(r"\S+@\S+\.\S+|://[^\s/]*@")
_QUERY: Final = re.compile(r"^(?:SELECT|INSERT|UPDATE|DELETE|WITH|MERGE|CALL|DROP|ALTER|CREATE|MATCH)$")
_TEMPLATE: Final = "{id}"


def word(text: str) -> str | None:
    """A text without blanks, of letters, digits and `._:/+-`: a model, a provider, a class, an enum's member."""
    if len(text) > _LONGEST_WORD or not _WORD.fullmatch(text) or "://" in text or _SECRET.search(text):
        return None
    return text


def name(text: str, known: Collection[str | None] = ()) -> str:
    """The template of a name: what varies in it is `{id}`, and it ends before what is no name. May be empty.

    `known` are words that stand in other fields already, such as the model's: they stay as they are.
    """
    kept: list[str] = []
    for token in text[: _LONGEST_NAME * 4].split()[:_MOST_TOKENS]:
        if token in known:
            kept.append(token)
            continue
        if not _TOKEN.fullmatch(token) or "://" in token or _SECRET.search(token):
            break
        kept.append(_ID.sub(_TEMPLATE, token))
    if len(kept) > 1 and _QUERY.match(kept[0]) and (len(kept) > 2 or len(kept) < len(text.split())):
        del kept[1:]
    return " ".join(kept)[:_LONGEST_NAME]


def reference(text: str) -> str | None:
    """A reference: no blanks, no query, no name and password."""
    if not 0 < len(text) <= _LONGEST_REF or not _REF.fullmatch(text) or _SECRET.search(text):
        return None
    return text


def phrase(text: str) -> str | None:
    """A phrase that the application says to Causeline itself: any, unless it holds an address or a key."""
    return None if _ADDRESS.search(text) or _SECRET.search(text) else text


def key(text: str) -> bool:
    """Whether an attribute's key is one that may travel: as programs write them."""
    is_one = len(text) <= _LONGEST_WORD and _WORD.fullmatch(text) is not None
    return is_one and not _ID.search(text) and not _SECRET.search(text)


def is_id(text: str) -> bool:
    """Whether a word is an identifier, or has one in it."""
    return _ID.search(text) is not None
