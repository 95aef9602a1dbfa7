"""`python -m tests.faults.emitting LEDGER SEED`: emits runs until it is killed, with a ledger that survives it.

Each line is written before the event is handed over (`e`), when it is acknowledged (`a`), or when its run has ended
(`r`): to a file that is open without a buffer, so a killed process leaves all of it.
"""

import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from causeline.producers.emitter.emitter import Emitter
from causeline.producers.tracer import Tracer
from tests.faults.oracle import Ledger
from tests.faults.site import PROJECT


class WritingEmitter(Emitter):
    """An emitter whose ledger is a file. Settings and broker come from the environment."""

    def __init__(self, ledger: Path) -> None:
        self._handle = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        super().__init__(on_delivered=self._note)

    def emit(self, run_id: str, event_id: str, item: bytes) -> bool:
        """Note the event, then take it."""
        self.write(f"e {run_id} {event_id}\n")
        return super().emit(run_id, event_id, item)

    def write(self, text: str) -> None:
        """Append to the ledger, at once."""
        os.write(self._handle, text.encode())

    def _note(self, event_ids: Sequence[str]) -> None:
        self.write("".join(f"a {each}\n" for each in event_ids))


def read_ledger(path: Path) -> Ledger:
    """What a process that may have been killed had noted; a run that it did not end has one event more, not emitted."""
    emitted: dict[str, str] = {}
    acknowledged: set[str] = set()
    ended: set[str] = set()
    for line in path.read_text("utf-8").splitlines():
        kind, *ids = line.split()
        if kind == "e":
            emitted[ids[1]] = ids[0]
        elif kind == "a":
            acknowledged.add(ids[0])
        else:
            ended.add(ids[0])
    runs = frozenset(emitted.values())
    emitted.update({f"the end of {run_id}": run_id for run_id in runs - ended})
    return Ledger(emitted, frozenset(acknowledged), runs)


def main() -> None:
    """Emit until killed."""
    dice = random.Random(int(sys.argv[2]))
    emitter = WritingEmitter(Path(sys.argv[1]))
    tracer = Tracer(PROJECT, emitter=emitter, enabled=True)
    while True:
        with tracer.run("w") as run:
            for number in range(dice.randint(1, 5)):
                with run.step("tool", f"s{number}"):
                    pass
        emitter.write(f"r {run.run_id}\n")


if __name__ == "__main__":
    main()
