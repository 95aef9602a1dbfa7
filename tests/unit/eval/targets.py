"""Applications that answer eval cases, well and badly."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from causeline.eval.answer_case import AskedCase
from causeline.producers.tracer import Tracer


def good(case: AskedCase, tracer: Tracer, route: str = "motor") -> dict[str, Any]:
    """Answers as it should."""
    with tracer.run(case.workflow, input_ref=case.input_ref) as run:
        with run.route("kind", route_policy_version="3") as step:
            step.set(route=route, route_reason="words", route_confidence=0.95)
        run.evidence("$.total", refs=["ref:doc"], score=0.95)
    return {"total": "300"}


def wrong_route(case: AskedCase, tracer: Tracer) -> dict[str, Any]:
    return good(case, tracer, "home")


def unsupported(case: AskedCase, tracer: Tracer) -> dict[str, Any]:
    with tracer.run(case.workflow, input_ref=case.input_ref) as run:
        run.evidence("$.total", refs=[], score=None)
        run.fallback("partial_answer", reason="no support")
        run.finish("partial")
    return {"total": 300}


def raises(case: AskedCase, tracer: Tracer) -> None:
    raise RuntimeError("no such model")


def raises_in_its_run(case: AskedCase, tracer: Tracer) -> None:
    with tracer.run(case.workflow, input_ref=case.input_ref):
        raise RuntimeError("no such model")


def hangs(case: AskedCase, tracer: Tracer) -> None:
    time.sleep(600)


def hangs_with_a_child(case: AskedCase, tracer: Tracer) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(os.environ["CHILD_FILE"]).write_text(str(child.pid))
    time.sleep(600)


def exits(case: AskedCase, tracer: Tracer) -> None:
    os._exit(7)


def wrong_type(case: AskedCase, tracer: Tracer) -> object:
    good(case, tracer)
    return object()


def no_trace(case: AskedCase, tracer: Tracer) -> dict[str, Any]:
    return {"total": "300"}


def two_traces(case: AskedCase, tracer: Tracer) -> dict[str, Any]:
    good(case, tracer)
    return good(case, tracer)


def flaky(case: AskedCase, tracer: Tracer) -> dict[str, Any]:
    """Wrong the first time, right from then on."""
    seen = Path(os.environ["FLAKY_FILE"])
    first = not seen.exists()
    seen.touch()
    return good(case, tracer, "home" if first else "motor")
