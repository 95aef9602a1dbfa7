"""`python -m causeline.eval.answer_case module:function`: answers one eval case from stdin in this process.

What an eval gate starts. The function is called as `function(case, tracer)`; what it returns is the answer, as JSON or
None. Its trace goes where CAUSELINE_TRACE_FILE says.
"""

import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from causeline.producers.emitter.stats import Left
from causeline.producers.tracer import Tracer

_FAILED = 3
ANSWER_FILE = "CAUSELINE_EVAL_ANSWER"
"""The variable that names the file where the answer goes."""


@dataclass(frozen=True, slots=True)
class AskedCase:
    """What an application needs of a case; `whole` is all that its file says."""

    id: str
    workflow: str
    input_ref: str
    whole: Mapping[str, Any]


Answer = Callable[[AskedCase, Tracer], Any]


def load(name: str) -> Answer:
    """The function that `module:function` names; raises ValueError saying what is wrong."""
    module_name, colon, function = name.partition(":")
    if not (module_name and colon and function):
        raise ValueError(f"{name!r} is not module:function")
    sys.path.insert(0, str(Path.cwd()))
    found = getattr(importlib.import_module(module_name), function, None)
    if found is None:
        raise ValueError(f"{module_name} has no function {function}")
    return cast("Answer", found)


def _require_whole(left: Left) -> None:
    if left:
        raise RuntimeError("its trace could not be written")


def main() -> int:
    """Answer the case; the last line on stderr says what went wrong."""
    whole = json.load(sys.stdin.buffer)
    case = AskedCase(whole["id"], whole["workflow"], whole["input_ref"], whole)
    try:
        function = load(sys.argv[1])
        with Tracer() as tracer:
            answer = function(case, tracer)
            _require_whole(tracer.flush(30))
    except Exception as error:  # noqa: BLE001 - whatever the application raises is an answer to the gate
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 - what the gate reads
        return _FAILED
    try:
        said = json.dumps(answer, allow_nan=False)
    except (TypeError, ValueError):
        print(f"it returned a {type(answer).__name__}, which is no JSON", file=sys.stderr)  # noqa: T201
        return _FAILED
    if answer is not None:
        Path(os.environ[ANSWER_FILE]).write_text(said, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
