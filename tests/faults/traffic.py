"""`python -m tests.faults.traffic LEDGER SEED`: short runs, long ones, and some that stay open, until told to stop.

It emits by whichever release is on the path, so it asks for nothing but what all of them have. The ledger is a file
that `tests.faults.emitting.read_ledger` reads. Told to stop (SIGTERM) it ends its runs, and then itself once the broker
has them. Settings and broker come from the environment.
"""

import os
import random
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any

PROJECT = "planted"
_SHORT, _LONG, _OPEN = 3, 2, 2
"""Threads of runs of tenths of a second, of some ten seconds, and of runs that end with the process."""
_REVIEWED = 0.1
_FLUSH_S = 60


def _emitter_class() -> Any:
    try:
        found = import_module("causeline.producers.emitter.emitter")
    except ModuleNotFoundError:  # before the emitter had a room of its own
        found = import_module("causeline.producers.emitter")
    return found.Emitter


class Traffic:
    """See the module."""

    def __init__(self, ledger: str, seed: int) -> None:
        self._handle = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._seed = seed
        self._enough = threading.Event()
        kind = _emitter_class()
        emitter = self._watched(kind)(on_delivered=self._note)
        self._reviewed = _REVIEWED if hasattr(kind, "decisions") else 0.0
        self._tracer = import_module("causeline").Tracer(PROJECT, emitter=emitter, enabled=True)

    def run(self) -> bool:
        """Emit until told to stop; whether the broker has all of it."""
        signal.signal(signal.SIGTERM, lambda *_: self._enough.set())
        spans = [(0.02, 0.2)] * _SHORT + [(2.0, 4.0)] * _LONG + [(1.0, 2.0)] * _OPEN
        threads = [
            threading.Thread(
                target=self._work, args=(span, number >= _SHORT + _LONG, random.Random(self._seed + number))
            )
            for number, span in enumerate(spans)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return not self._tracer.flush(_FLUSH_S)

    def _work(self, pause_s: tuple[float, float], stays_open: bool, dice: random.Random) -> None:
        while not self._enough.is_set():
            with self._tracer.run("w") as run:
                number = 0
                while not self._enough.wait(dice.uniform(*pause_s)):
                    with run.step("tool", f"s{number}"):
                        pass
                    number += 1
                    if number >= 4 and not stays_open:
                        break
            if dice.random() < self._reviewed:
                self._tracer.record_review(run.run_id, "w", "approved", run_started_at=run.started_at)
            self._write(f"r {run.run_id}\n")

    def _watched(self, kind: Any) -> Any:
        """An emitter, and with it that of decisions, where there is one, which notes what it is handed."""
        write = self._write

        def emit(self: Any, run_id: str, event_id: str, item: bytes) -> bool:
            write(f"e {run_id} {event_id}\n")
            return bool(kind.emit(self, run_id, event_id, item))

        made: dict[str, Any] = {"emit": emit}
        if hasattr(kind, "decisions"):

            def decisions(self: Any) -> Any:
                others = kind.decisions.fget(self)
                if others is not self:
                    others.__class__ = watched
                return others

            made["decisions"] = property(decisions)
        watched = type("Watched", (kind,), made)
        return watched

    def _note(self, event_ids: Sequence[str]) -> None:
        self._write("".join(f"a {each}\n" for each in event_ids))

    def _write(self, text: str) -> None:
        os.write(self._handle, text.encode())


if __name__ == "__main__":
    sys.exit(not Traffic(sys.argv[1], int(sys.argv[2])).run())
