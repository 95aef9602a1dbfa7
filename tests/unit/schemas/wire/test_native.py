"""The compiled pen, where it is installed, takes every plain event, and leaves everything odd to Python's own way."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings

from causeline.schemas import catalogue, wire
from causeline.schemas.events import ConflictSide, TraceEvent, to_record
from causeline.schemas.vocabulary import EventType, Status, StepKind
from causeline.schemas.wire import native, writer
from causeline.schemas.wire.writer import OF_EVERY_STEP, RunWriter
from tests.unit.schemas import strategies

SCHEMA = catalogue.latest("trace-batch")
RUN = {"run_id": "a" * 32, "project": "p", "workflow": "w", "emitter_id": "e", "run_started_at": 1}
STEP = (10**15, "c" * 16, None, StepKind.MODEL_CALL, "n", Status.OK)
FIELDS = {"prompt_id": "p", "temperature": 0, "input_ref": "artifact:1", "context_refs": ["a:1"], "labels": {"k": "v"}}


def _written_natively(core: native.Core, event: TraceEvent) -> bytes | None:
    said = dict(event)
    run = RunWriter(**{name: said.pop(name) for name in RUN}, core=core)
    layout = writer._LAYOUTS[event.event_type].native
    assert run._pen is not None
    assert layout is not None
    event_id, seq, at = (said.pop(name) for name in ("event_id", "seq", "occurred_at"))
    return run._pen.encode(layout, event_id, seq, at, said)


@settings(max_examples=300)
@given(strategies.any_event())
def test_the_pen_takes_every_event_that_the_models_make(event: TraceEvent) -> None:
    written = event_of_fastavro = wire.encode_item(SCHEMA, to_record(event))
    if native.CORE is not None:
        written = _written_natively(native.CORE, event) or b"refused"
    assert written == event_of_fastavro


def _steps(core: native.Core | None, fixed: tuple[object, ...], fields: dict[str, Any]) -> list[bytes | str]:
    """The item of a step's end without its event's id, or the refusal; often enough that a function was generated."""
    run = RunWriter(**RUN, core=core)  # type: ignore[arg-type]
    found: list[bytes | str] = []
    for _ in range(3):
        try:
            event_id, item = run.write_step(3, 10**15, fixed, fields)
        except Exception as error:  # noqa: BLE001 - what it raises is what is compared
            found.append(f"{type(error).__name__}: {error}")
        else:
            assert item[1:33] == event_id.encode()
            found.append(item[33:])
    return found


class _Text(str):
    """A text derived of str, with a mind of its own."""

    __slots__ = ()

    def __len__(self) -> int:
        return 1

    def encode(self, *_: object) -> bytes:
        return b"?"


class _Number(int):
    """A number derived of int."""


_ODD: list[tuple[object, object]] = [
    ("prompt_id", _Text("p")), ("prompt_id", StepKind.PARSE), ("prompt_id", "\ud800"), ("prompt_id", b"p"),
    ("retry_count", _Number(1)), ("retry_count", True), ("seed", 2**70), ("temperature", 2**60), ("temperature", -0.0),
    ("refusal", 1), ("context_refs", {"a:1"}), ("context_refs", ("a:1", None)), ("context_refs", ["a:1"] * 1001),
    ("labels", [("k", "v")]), ("labels", {"k": 1}), ("labels", {str(n): "v" for n in range(33)}), ("status", "ok"),
    ("unheard_of", 1), (1, 2), ("conflict_sides", (ConflictSide("a:1"),)), ("raw_output_ref", "a: b"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), _ODD)
def test_what_is_odd_goes_as_it_goes_without_the_pen(name: Any, value: object) -> None:
    fields = FIELDS | {name: value}
    assert _steps(native.CORE, STEP, fields) == _steps(None, STEP, fields)


@pytest.mark.parametrize("place", range(len(OF_EVERY_STEP)))
@pytest.mark.parametrize("value", [None, "", -1, "retrieve", "f" * 16, "0" * 16, 2**62, object])
def test_what_every_step_says_is_checked_by_both(place: int, value: object) -> None:
    step = (*STEP[:place], value, *STEP[place + 1 :])
    assert _steps(native.CORE, step, FIELDS) == _steps(None, step, FIELDS)


def test_a_step_that_is_too_large_is_refused_by_both() -> None:
    fields = FIELDS | {"context_refs": ["a:" + "r" * 2046] * 200}
    (first, *_) = _steps(native.CORE, STEP, fields)
    assert [first] * 3 == _steps(None, STEP, fields)
    assert str(first).startswith("EventTooLarge")


def test_ids_go_on_when_a_draw_is_used_up_and_are_drawn_anew_each_second() -> None:
    for core in {id(each): each for each in (None, native.CORE)}.values():
        run = RunWriter(**RUN, core=core)  # type: ignore[arg-type]
        at = 10**15 >> 20 << 20
        ids = [run.write_step(0, at, STEP, {})[0] for _ in range(4097)]
        ids.append(run.write_step(0, at + (1 << 20), STEP, {})[0])
        prefixes = [each[:29] for each in ids]
        assert [ids[0][29:], ids[4095][29:], ids[4096][29:], ids[4097][29:]] == ["000", "fff", "000", "000"]
        assert (len(set(ids)), len(set(prefixes))) == (4098, 3)


def _state_with(folder: Any, text: str | None, **environment: str) -> str:
    """What a process says of the core that finds a module of this text first."""
    if text is not None:
        (folder / "causeline_core.py").write_text(text)
    ask = "from causeline.schemas.wire.native import CORE, CORE_STATE; print(CORE is None, CORE_STATE.says)"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); {ask}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()


def test_a_core_that_cannot_be_used_is_said_and_left_aside(tmp_path: Any) -> None:
    assert _state_with(tmp_path, "SEAM = 0\n__version__ = '9'") == "True version 9 is of another causeline"
    assert _state_with(tmp_path, "raise ImportError('no such symbol')") == "True damaged: it cannot be loaded"
    assert _state_with(tmp_path, "", CAUSELINE_CORE="python") == "True left aside by CAUSELINE_CORE"
    assert _state_with(tmp_path, "raise ModuleNotFoundError") == "True not installed"


def test_no_event_type_is_without_its_layout() -> None:
    has = {kind: writer._LAYOUTS[kind].native is not None for kind in EventType}
    assert has == dict.fromkeys(EventType, native.CORE is not None)
