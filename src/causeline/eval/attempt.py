"""One try at one case, in a process of its own: whatever the application does in it, others go on.

The process gets the case as JSON on its stdin. What it traces goes into a file, by `CAUSELINE_TRACE_FILE`, and every
run that it begins is labelled with the case, by `CAUSELINE_EVAL_CASE_ID`. A command prints its answer as JSON, or
nothing; a function returns it.

Decided in ADR 18.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from causeline.eval.case import EvalCase
from causeline.schemas.errors import UsageError
from causeline.schemas.run import Run
from causeline.schemas.wire.batch_file import read_batches

Assemble = Callable[[Sequence[bytes]], list[Run]]
"""From batches of events to their runs; raises CauselineError."""
_ANSWER_FILE = "CAUSELINE_EVAL_ANSWER"
_MAX_ANSWER_BYTES = 4 * 1024 * 1024
_MAX_TOLD = 300
_WITHOUT = frozenset({"CAUSELINE_DISABLED", "CAUSELINE_EMITTER_SAMPLE", "CAUSELINE_EMITTER_SPOOL"})
"""Of the surroundings: a gate needs every trace, and what a spool holds is for the broker."""
_FUNCTION = re.compile(r"\w+(\.\w+)*:\w+")


@dataclass(frozen=True, slots=True)
class Target:
    """What answers: `function` as module:function, or a shell-like `command`; raises UsageError for what is neither."""

    function: str | None = None
    command: str | None = None

    def __post_init__(self) -> None:
        if (self.function is None) == (self.command is None):
            raise UsageError("Who answers the cases?", hint="A function as module:function, or a command; not both.")
        if self.function is not None and not _FUNCTION.fullmatch(self.function):
            raise UsageError(f"The target {self.function[:80]!r} is not module:function.")
        try:
            words = shlex.split(self.command or "")
        except ValueError as error:
            raise UsageError(f"The command cannot be taken apart: {error}.", hint="Check its quotes.") from None
        if self.command is not None and not words:
            raise UsageError("The command is empty.")

    def words(self) -> list[str]:
        """The command line of one try."""
        if self.function is not None:
            return [sys.executable, "-m", "causeline.eval.answer_case", self.function]
        return shlex.split(self.command or "")


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a try: a run and an answer. With a `problem` it is no answer, though there may be a run even so."""

    run: Run | None
    answer: object
    batches: tuple[bytes, ...]
    problem: str | None
    seconds: float


def attempt(
    case: EvalCase,
    target: Target,
    assemble: Assemble,
    *,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> Answered:
    """Let the target answer the case once."""
    with tempfile.TemporaryDirectory(prefix="causeline-eval-") as folder:
        trace, answer = Path(folder) / "trace", Path(folder) / "answer"
        around = os.environ if environment is None else environment
        variables = {
            **{name: value for name, value in around.items() if name.upper() not in _WITHOUT},
            "CAUSELINE_TRACE_FILE": str(trace),
            "CAUSELINE_EVAL_CASE_ID": case.id,
            _ANSWER_FILE: str(answer),
        }
        began = time.monotonic()
        problem, printed = _run(target, case, variables, timeout_s)
        seconds = time.monotonic() - began
        batches = tuple(read_batches(trace))
        said = None
        if problem is None:
            said, problem = _answer(answer.read_bytes() if answer.exists() else printed)
    runs = [run for run in assemble(batches) if run.workflow == case.workflow] if batches else []
    if problem is None and len(runs) != 1:
        many = "no run" if not runs else f"{len(runs)} runs"
        problem = f"The target traced {many} of workflow {case.workflow}, not one."
    return Answered(runs[0] if len(runs) == 1 else None, said, batches, problem, seconds)


def _run(target: Target, case: EvalCase, variables: Mapping[str, str], timeout_s: float) -> tuple[str | None, bytes]:
    """What went wrong, or None, and what was printed."""
    try:
        process = subprocess.Popen(
            target.words(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(variables),
            start_new_session=True,
        )
    except OSError as error:
        return f"The target cannot be started: {error.strerror}.", b""
    with process:
        try:
            printed, told = process.communicate(case.model_dump_json().encode(), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return f"The target has not answered within {timeout_s:g} s.", b""
        finally:
            with suppress(ProcessLookupError):  # with all that it started
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        last = told.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
        how = f"ended with {process.returncode}" if process.returncode > 0 else f"died of signal {-process.returncode}"
        return f"The target {how}: {last[0][:_MAX_TOLD]}", b""
    return None, printed


def _answer(data: bytes) -> tuple[object, str | None]:
    if not data.strip():
        return None, None
    if len(data) > _MAX_ANSWER_BYTES:
        return None, f"The target's answer is larger than {_MAX_ANSWER_BYTES} bytes."
    try:
        return json.loads(data), None
    except (ValueError, RecursionError):
        return None, "The target's answer is no JSON."
