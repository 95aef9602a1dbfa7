"""Stop a run that is still going on because its evidence has a gap: the workflow only publishes, a consumer decides.

    eval "$(causeline env)" && python examples/pause_on_gap.py

A workflow that asks (`decision = run.evidence(…)`) knows the gap at once, without a network. This is for one that does
not ask: it says what it found, and a consumer of the gaps topic, here a thread and as well another process, tells it to
stop before it does what cannot be taken back.
"""

import os
import threading

from confluent_kafka import Consumer

from causeline import Tracer
from causeline.schemas.registry import Schemas
from causeline.schemas.wire import decode_datum

gaps: dict[str, str] = {}
"""By run, what the policy wants done about its gap."""
ready, told = threading.Event(), threading.Event()


def watch() -> None:
    """Ten lines: every gap of every run, within a second of its evidence."""
    prefix = os.environ.get("CAUSELINE_TOPIC_PREFIX", "causeline")
    brokers = os.environ["CAUSELINE_KAFKA_BOOTSTRAP_SERVERS"]
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": f"pause-{os.getpid()}", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([f"{prefix}.gaps"], on_assign=lambda *_: ready.set())
    while True:
        if (message := consumer.poll(0.1)) is not None and message.error() is None:
            gap = decode_datum(message.value(), "gap", Schemas())
            gaps[str(gap["run_id"])] = f"{gap['kind']} of {gap['field_path']}: {gap['next_step']}"
            told.set()


def main() -> None:
    """Pay an invoice, unless its total has no source."""
    threading.Thread(target=watch, daemon=True).start()
    ready.wait(60)
    tracer = Tracer(project="accounts")
    with tracer.run("payments") as run:
        print(f"run {run.run_id} reads the invoice")
        with run.model_call("extract", model_name="acme-large") as step:
            step.set(raw_output_ref="blob:answer")
        run.evidence("$.total", refs=[])  # said, and not asked
        print("run goes on: it looks up the supplier, which takes a while")
        while run.run_id not in gaps and told.wait(10):
            told.clear()
        if gap := gaps.get(run.run_id):
            print(f"run is stopped before it pays: {gap}")
            run.fallback("stop", reason=gap)
            run.finish("stopped")
        else:
            with run.tool("pay"):
                print("paid")
    tracer.close()
    print(f"causeline show {run.run_id}")


if __name__ == "__main__":
    main()
