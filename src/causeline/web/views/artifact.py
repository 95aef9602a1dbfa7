"""A bounded page of an artifact, with what a reference points to marked in it: bytes in, text and places out."""

import re
from dataclasses import dataclass

PAGE_BYTES = 256 * 1024
"""How much of an artifact one page shows."""
_IMAGES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))
_CHARS = re.compile(r"(\d{1,12})-(\d{1,12})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Text of an artifact from `start` on, in three pieces: before what is marked, that, and after it."""

    before: str
    marked: str
    after: str
    start: int
    """Characters of the whole text that stand before this page."""
    total: int
    note: str
    """What the fragment asked for, where it could not be marked; else empty."""


def image_type(data: bytes) -> str | None:
    """The media type of a picture that a browser may show, by its first bytes; None for anything else."""
    for magic, media_type in _IMAGES:
        if data.startswith(magic):
            return media_type
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def is_text(data: bytes) -> bool:
    """Whether the bytes read as UTF-8 text, of which the end may be cut."""
    try:
        data[: PAGE_BYTES * 4].decode()
    except UnicodeDecodeError as error:
        return len(data) > PAGE_BYTES * 4 and error.start > PAGE_BYTES * 4 - 4
    return b"\0" not in data[:4096]


def excerpt(data: bytes, fragment: str = "", *, start: int | None = None) -> Excerpt:
    """The page of a text that shows where `fragment` points (`chars=10-20`, `page=3`), or begins at `start`.

    Pages are told by form feeds; a text without them is one page.
    """
    text = data.decode("utf-8", "replace")
    begin, end, note = place_in(text, fragment)
    most = PAGE_BYTES // 2
    first = start if start is not None else max(begin - most // 4, 0) if begin is not None else 0
    first = min(max(first, 0), len(text))
    last = min(first + most, len(text))
    if begin is None or end is None or not first <= begin <= last:
        return Excerpt(text[first:last], "", "", first, len(text), note)
    end = min(end, last)
    return Excerpt(text[first:begin], text[begin:end], text[end:last], first, len(text), note)


def place_in(text: str, fragment: str) -> tuple[int | None, int | None, str]:
    """Where `fragment` points in a text: its first character and the one after its last, else a note that says why."""
    name, _, value = fragment.partition("=")
    if not fragment:
        return None, None, ""
    if name == "chars" and (found := _CHARS.fullmatch(value)):
        begin, end = int(found[1]), int(found[2])
        if begin < end <= len(text):
            return begin, end, ""
        return None, None, f"The reference points to characters {value}; the text has {len(text):,d}."
    if name == "page" and value.isdigit():
        return _page(text, int(value))
    return (
        None,
        None,
        f"The reference points to {fragment[:80]}; only the application that wrote it knows where that is.",
    )


def _page(text: str, number: int) -> tuple[int | None, int | None, str]:
    parts = text.split("\f")
    if not 1 <= number <= len(parts):
        return None, None, f"The reference points to page {number}; this text has {len(parts):,d}."
    begin = sum(len(part) + 1 for part in parts[: number - 1])
    return begin, begin + len(parts[number - 1]), ""
