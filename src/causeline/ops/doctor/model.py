"""What a check says: how it is, in a sentence, and the way out."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as OutOfTime
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic

from causeline.schemas.errors import CauselineError


class Level(StrEnum):
    """How something is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Line:
    """One check: `way_out` says what to do where it is not ok."""

    name: str
    level: Level
    says: str
    way_out: str | None = None


@dataclass(frozen=True, slots=True)
class Examination:
    """A check to be made; `look` may take long, fail or hang, and gives its lines."""

    name: str
    look: Callable[[], Sequence[Line]]


def examine(examinations: Sequence[Examination], *, within_s: float) -> list[Line]:
    """Every check's lines, in order; all are made at once, and what does not end in time failed."""
    pool = ThreadPoolExecutor(max(1, len(examinations)), thread_name_prefix="doctor")
    deadline = monotonic() + within_s
    try:
        futures = [(each, pool.submit(each.look)) for each in examinations]
        lines: list[Line] = []
        for each, future in futures:
            try:
                lines += future.result(max(0.0, deadline - monotonic()))
            except OutOfTime:
                says = f"No answer within {within_s:g} s."
                lines.append(Line(each.name, Level.FAILED, says, "causeline status shows which service hangs."))
            except CauselineError as error:
                lines.append(Line(each.name, Level.FAILED, error.message, error.hint))
            except Exception as error:  # noqa: BLE001 - one check that breaks must not hide the others
                lines.append(Line(each.name, Level.FAILED, f"The check broke: {type(error).__name__}.", None))
        return lines
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
