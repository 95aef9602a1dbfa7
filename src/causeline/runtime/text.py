"""Text made fit to show: what could move a cursor, hide or turn text is shown as its escape; ids by their ends."""

import re
from typing import Final

SHORT_ID_DIGITS: Final = 8
"""So many of an id's last digits are shown: the first are a time, and alike for what came within an hour."""
_NO_WIDTH = "&#8288;"
_MARKUP = re.compile(r"[\\`*_{}\[\]()#+\-!|>~=$]")
_LIVE = re.compile(r"@|\\#|:(?=//)|\bwww(?=\.)", re.IGNORECASE)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    """`text` with every character that does not print as itself (controls, bidi marks, zero widths) escaped.

    Printable is Unicode's notion as Python has it (`str.isprintable`); letters of every script stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def inert_markdown(text: str) -> str:
    """`text` as Markdown that shows it and does nothing: no markup, link, mention, picture, heading or table cell.

    What GitHub and GitLab find in plain text (`@name`, `#12`, addresses) is broken by a character without width, which
    no escape could do.
    """
    escaped = _MARKUP.sub(r"\\\g<0>", visible(text).replace("&", "&amp;").replace("<", "&lt;"))
    return _LIVE.sub(f"\\g<0>{_NO_WIDTH}", escaped)


def inert_json(text: str) -> str:
    """A JSON document that means the same and moves no terminal: what is no letter in it is escaped."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else _json_escape(each) for each in text)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))


def shortened(text: str, width: int) -> str:
    """`text` in at most `width` characters, its middle left out: the ends of a reference tell most."""
    if len(text) <= width or width < 5:
        return text if len(text) <= width else text[: max(width, 0)]
    head = (width - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def _escape(character: str) -> str:
    if named := _NAMED.get(character):
        return named
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def short_id(text: str) -> str:
    """The end of an id, by which people name it, and which commands and pages accept."""
    return text[-SHORT_ID_DIGITS:]


def counted(number: int, word: str) -> str:
    """A number and what it counts: `1 case`, `1,200 cases`."""
    return f"{number:,d} {word}{'' if number == 1 else 's'}"
