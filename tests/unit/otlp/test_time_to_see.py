"""How long a trace takes to be a run, by a clock that the test holds: entered here or elsewhere, in any order."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from causeline.streams.runs.records import record_of
from causeline.streams.worker.assembler import Assembler
from causeline.streams.worker.settings import Limits
from tests.unit.otlp.endpoint import Door
from tests.unit.otlp.requests import span_json, traces_json
from tests.unit.streams.build import CORE

_SECOND = 1_000_000
_SOON_S = 5
_REMOTE = 0x300
_CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5"}
_INNER = span_json("chat gpt-5", span=2, parent=1, attributes=_CHAT, at_ms=(100, 400))


def _entry(**more: Any) -> dict[str, Any]:
    return span_json("POST /ask", span=1, parent=0x99, **more)


def _seen(folder: Path, spans: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], float]:
    """The run of spans that come a second apart, and how many seconds after the last of them it closes."""
    door = Door(folder)
    assembler = Assembler(Limits(), core=CORE)
    try:
        for second, span in enumerate(spans):
            before = len(door.messages)
            assert door.post(traces_json(span), json=True).status_code == 200
            assembler.take(CORE.read(door.messages[before:]).shares, now_us=second * _SECOND)
    finally:
        door.close()
    last_us = (len(spans) - 1) * _SECOND
    due_us = assembler.next_deadline_us()
    assert due_us is not None
    closed = assembler.close(max(due_us, last_us))
    [(_, run)] = closed.written
    return dict(record_of(run.item)), (max(due_us, last_us) - last_us) / _SECOND


@pytest.mark.parametrize("entry", [{"flags": _REMOTE}, {"kind": 2}, {"kind": 5}], ids=["flags", "server", "consumer"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_trace_behind_a_gateway_that_is_traced_elsewhere_is_seen_soon_and_whole(
    tmp_path: Path, entry: dict[str, Any], is_first: bool
) -> None:
    outer = _entry(**entry)
    run, after_s = _seen(tmp_path, [outer, _INNER] if is_first else [_INNER, outer])
    assert after_s <= _SOON_S
    assert (run["verdict"], run["final_state"], run["missing"], len(run["steps"])) == ("complete", "answered", [], 2)


def test_an_entry_that_nothing_marks_waits_because_its_parent_may_still_come(tmp_path: Path) -> None:
    """Neither flags nor kind: it looks as any step does whose parent has not ended yet, and is no run until idle."""
    door, assembler = Door(tmp_path), Assembler(Limits(), core=CORE)
    try:
        door.post(traces_json(_INNER, _entry(kind=1)), json=True)
        assembler.take(CORE.read(door.messages).shares, now_us=0)
    finally:
        door.close()
    assert assembler.close(59 * _SECOND).keys == ()
    [fragment] = assembler.close(60 * _SECOND).fragments
    assert sum(map(len, fragment.parts)) == 2
