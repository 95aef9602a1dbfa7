"""Text from elsewhere, made safe to show: what could move a cursor, hide or turn text is shown as its escape."""

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    """`text` with every character that does not print as itself (controls, bidi marks, zero widths) escaped.

    Printable is Unicode's notion as Python has it (`str.isprintable`); letters of every script stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


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
