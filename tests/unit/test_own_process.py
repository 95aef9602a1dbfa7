"""Of what one test leaves behind, the next one sees nothing: each pair is one that leaves and one that looks."""

import gc
import logging
import os
import signal
import sys
from pathlib import Path

import pytest

from causeline import Tracer
from causeline.producers.context import RUN
from causeline.producers.emitter.shared import SHARED

_LEFT: dict[str, object] = {}


def _state() -> dict[str, object]:
    return {
        "folder": Path.cwd(),
        "garbage": gc.get_threshold(),
        "hook": sys.excepthook,
        "level": logging.getLogger().level,
        "run": RUN.get(),
        "setting": os.environ.get("CAUSELINE_TRACE_FILE"),
        "signal": signal.getsignal(signal.SIGTERM),
        "emitters": len(SHARED._shared),
    }


@pytest.mark.parametrize("turn", ["leaves", "looks"])
def test_nothing_is_left_to_the_next_test(turn: str, tmp_path: Path) -> None:
    if turn == "looks":
        assert _state() == _LEFT
        return
    _LEFT.update(_state())
    os.chdir(tmp_path)
    gc.set_threshold(7)
    sys.excepthook = lambda *_: None
    logging.getLogger().setLevel(1)
    os.environ["CAUSELINE_TRACE_FILE"] = str(tmp_path / "events")
    signal.signal(signal.SIGTERM, lambda *_: None)
    tracer = Tracer("left")
    tracer.run("left").__enter__()
    assert not any(_state()[name] == _LEFT[name] for name in _LEFT)
