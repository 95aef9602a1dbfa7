"""The emitting process: `python -m benchmarks.flow.emitting SERVERS PREFIX`; a number of runs a line on its input."""

import sys

from benchmarks.emit_contenders import pool
from benchmarks.joining.runs import STEPS
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.tracer import Tracer
from causeline.runtime.connections import KafkaConnection

_AT_ONCE = 1000
"""Runs emitted before the buffer is let empty: what is measured is what it costs, not what a full buffer does."""
_PATIENCE_S = 120.0


def main() -> None:
    """Emit as many runs as asked, say so, and wait for the next number."""
    servers, prefix = sys.argv[1:3]
    settings = EmitterSettings(topic_prefix=prefix)
    tracer = Tracer("bench", emitter=Emitter(settings, kafka=KafkaConnection(bootstrap_servers=servers)))
    steps = pool()
    place = 0
    print("ready", flush=True)
    for line in sys.stdin:
        for number in range(1, int(line) + 1):
            with tracer.run("invoice") as run:
                for _ in range(STEPS):
                    name, fields = steps[place]
                    place = (place + 1) % len(steps)
                    with run.model_call(name) as step:
                        step.set(**fields)
            if number % _AT_ONCE == 0 and (left := tracer.flush(_PATIENCE_S)):
                raise SystemExit(f"{left.events} events were not delivered.")
        if left := tracer.flush(_PATIENCE_S):
            raise SystemExit(f"{left.events} events were not delivered.")
        print("done", flush=True)


if __name__ == "__main__":
    main()
