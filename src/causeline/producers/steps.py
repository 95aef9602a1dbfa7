"""A step of a run, as the application holds it.

It ends `ok` unless it is told otherwise; an exception that leaves it makes it `error` with the exception's class, never
its message, and goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from causeline.producers import fields as f
from causeline.producers.context import STEP, current_step, leave
from causeline.producers.recording import Recording
from causeline.schemas import ids
from causeline.schemas.vocabulary import EventType, StepKind

if TYPE_CHECKING:
    from causeline.producers.runs import Run

_MAX_NAME = 256


class Step:
    """One step of a run. Made by the run's methods; a context manager, sync and async."""

    __slots__ = (
        "_announce", "_fields", "_parent", "_token", "is_left", "kind", "name", "outer", "run", "started_at", "step_id",
    )  # fmt: skip

    def __init__(self, run: Recording, kind: StepKind | str, name: str, fields: Any, *, announce: bool = False) -> None:
        self.run = cast("Run", run)
        self.kind = kind
        self.name = name
        self.step_id = ids.new_step_id()
        self.started_at = 0
        self._fields: dict[str, Any] = fields
        self._announce = announce
        self._parent: str | None = None
        self._token: Token[Step | None] | None = None
        self.outer: Step | None = None
        """The step that was current before."""
        self.is_left = False

    def set(self, **fields: Unpack[f.StepFields]) -> Self:
        """Say more of the step; a later word replaces an earlier one, labels are added."""
        before = self._fields
        if not before:
            self._fields = cast("dict[str, Any]", fields)
            return self
        if "labels" in fields and isinstance(said := before.get("labels"), Mapping):
            more = fields["labels"]
            if isinstance(more, Mapping):
                fields["labels"] = {**said, **more}
        before.update(fields)
        return self

    def label(self, labels: Mapping[str, object]) -> Self:
        """Add labels, as text."""
        if not isinstance(labels, Mapping):
            return self.set(labels=labels)  # the end of the step leaves it out, and says so
        return self.set(labels={key: _as_text(value) for key, value in labels.items()})

    def __enter__(self) -> Self:
        run = self.run
        self.started_at = run.clock()
        current = STEP.get()
        if current is not None and current.is_left:
            current = current_step()
        if current is not self:
            self.outer = current
        self.is_left = False
        self._parent = parent_within(run, self.outer)
        self._token = STEP.set(self)
        if self._announce:
            run.say(EventType.STEP_STARTED, self.started_at, self._identity())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_left = True
        token, self._token = self._token, None
        if token is not None:
            leave(STEP, token)
        error_type = class_name(kind) if is_failure(kind, error) else None
        self.run.step_over(self, self._parent, self._fields, error_type)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Where it is unpickled it is a step like it that may be begun there: this one ends here."""
        return Step, (self.run, self.kind, self.name, dict(self._fields))

    def _identity(self) -> dict[str, Any]:
        return {
            "step_id": self.step_id,
            "parent_step_id": self._parent,
            "step_kind": self.kind,
            "step_name": self.name,
            "started_at": self.started_at,
        }


def parent_within(run: Recording, step: Step | None) -> str | None:
    """What a new step of `run` has for its parent where `step` is current."""
    return step.step_id if step is not None and step.run is run else run.parent_step_id


def is_failure(kind: type[BaseException] | None, error: BaseException | None) -> bool:
    """Whether an exception ends a run or a step as an error; that a consumer wants no more items does not, nor that the
    process is to end well."""
    if kind is None or issubclass(kind, GeneratorExit):
        return False
    return not (isinstance(error, SystemExit) and error.code in (None, 0))


def class_name(kind: type[BaseException] | None) -> str | None:
    """The name of an exception's class."""
    return None if kind is None else cut(kind.__name__, _MAX_NAME)


def cut(text: object, most: int) -> str:
    """`text` as the contract can take it, for what must not fail."""
    return str(text)[:most].encode("utf-8", "replace").decode() or "?"


def _as_text(value: object) -> Any:
    """Of a plain value its text; of any other the end of the step makes one, where that can be."""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, int) else value
