"""`python -m tests.faults.loading EVENTS_PER_S SEED`: publishes runs at a steady pace until it is told to stop.

Says then, as JSON, how many runs it made and how many of their events the broker took, and how long that was. A process
of its own, so that who is tested beside it has theirs to themselves. Settings and broker come from the environment.
"""

import json
import random
import signal
import sys
import time
from collections.abc import Sequence
from threading import Event

from causeline.producers.emitter.emitter import Emitter
from causeline.producers.tracer import Tracer
from tests.faults.site import PROJECT, emit_runs

_LOT = 20
_FLUSH_S = 120


def main() -> None:
    """Publish until SIGTERM."""
    per_s, dice = float(sys.argv[1]), random.Random(int(sys.argv[2]))
    stopping, taken, runs = Event(), 0, 0

    def note(event_ids: Sequence[str]) -> None:
        nonlocal taken
        taken += len(event_ids)

    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    began = time.monotonic()
    with Tracer(PROJECT, emitter=Emitter(on_delivered=note), enabled=True) as tracer:
        while not stopping.is_set():
            runs += len(emit_runs(tracer, _LOT, dice))
            due_s = tracer.stats().accepted / per_s
            stopping.wait(max(0.0, due_s - (time.monotonic() - began)))
        left = bool(tracer.flush(_FLUSH_S))
    sys.stdout.write(json.dumps({"runs": runs, "events": taken, "left": left, "took_s": time.monotonic() - began}))


if __name__ == "__main__":
    main()
