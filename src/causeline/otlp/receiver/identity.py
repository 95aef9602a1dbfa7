"""Trace and span ids as they are met in the wild, made what they should have been.

JSON says them in hex; clients that use protobuf's own JSON mapping send base64, and receivers that read hex as base64
pass on 24 and 12 bytes, from which the hex digits can be had back.
"""

import base64
import binascii

from causeline.schemas.ids import derived_id, is_run_id, is_step_id

_TRACE_BYTES, _SPAN_BYTES = 16, 8


def trace_id_of(raw: bytes) -> str | None:
    """A trace id from bytes; None when it is none, or all zero."""
    text = _hex_of(raw, _TRACE_BYTES)
    return text if text is not None and is_run_id(text) else None


def span_id_of(raw: bytes) -> str | None:
    """A span id from bytes; None when it is none, or all zero."""
    text = _hex_of(raw, _SPAN_BYTES)
    return text if text is not None and is_step_id(text) else None


def trace_id_in(text: object) -> str | None:
    """A trace id from JSON's hex, or base64; None when it is none, or all zero."""
    found = _text_of(text, _TRACE_BYTES)
    return found if found is not None and is_run_id(found) else None


def span_id_in(text: object) -> str | None:
    """A span id from JSON's hex, or base64; None when it is none, or all zero."""
    found = _text_of(text, _SPAN_BYTES)
    return found if found is not None and is_step_id(found) else None


def parent_of(raw: bytes) -> str | None:
    """A parent's id from bytes; None for none, or all zero. One that is no id is an id of its own: nobody's root."""
    if not raw.strip(b"\0"):
        return None
    return span_id_of(raw) or derived_id("parent", raw.hex())[: _SPAN_BYTES * 2]


def parent_in(text: object) -> str | None:
    """The same from JSON."""
    if text in (None, "") or (isinstance(text, str) and not text.strip("0")):
        return None
    return span_id_in(text) or derived_id("parent", str(text))[: _SPAN_BYTES * 2]


def _hex_of(raw: bytes, size: int) -> str | None:
    if len(raw) == size:
        return raw.hex()
    if len(raw) * 2 == size * 3:  # hex digits that somebody read as base64
        return base64.b64encode(raw).decode().lower()
    return None


def _text_of(text: object, size: int) -> str | None:
    if not isinstance(text, str):
        return None
    if len(text) == size * 2:
        return text.lower()
    try:
        return _hex_of(base64.b64decode(text, validate=True), size)
    except (binascii.Error, ValueError):
        return None
