"""The stateful join of Bytewax: a message an event, keyed by run id, the run's events held as the state of its key.

`SERVERS`, `EVENTS` and `RUNS` are variables; `python -m bytewax.run benchmarks.peers.bytewax_map`, where there are
`bytewax`, `confluent-kafka` and `orjson`. One worker; `stateful_flat_map`, which is `stateful_map` for what gives
something only now and then. Recovery is off, as by default: nothing is kept on disk, the cheapest that it has.
"""

import os
from collections.abc import Iterable
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow

_BROKERS = [os.environ["SERVERS"]]
Event = dict[str, Any]


def _keyed(message: KafkaSourceMessage[bytes, bytes]) -> tuple[str, Event]:
    return message.key.decode(), orjson.loads(message.value)


def _join(known: list[Event] | None, event: Event) -> tuple[list[Event] | None, Iterable[Event]]:
    known = [] if known is None else known
    known.append(event)
    if event["event_type"] != "run_finished":
        return known, ()
    costs = [each["cost_usd"] for each in known if each.get("cost_usd") is not None]
    routes = [each["route"] for each in known if each.get("route") is not None]
    joined = {
        "run_id": event["run_id"],
        "events": len({each["event_id"] for each in known}),
        "route": routes[-1] if routes else None,
        "cost_usd": sum(costs),
        "final_state": event["final_state"],
        "steps": [each for each in known if each["event_type"] == "step_finished"],
    }
    return None, (joined,)


def _out(run: tuple[str, Event]) -> KafkaSinkMessage[bytes, bytes]:
    return KafkaSinkMessage(run[0].encode(), orjson.dumps(run[1]))


flow = Dataflow("join")
source = kafka.input(
    "in", flow, brokers=_BROKERS, topics=[os.environ["EVENTS"]], batch_size=1000,
    add_config={"fetch.min.bytes": "65536", "fetch.wait.max.ms": "50"},
)  # fmt: skip
joined_runs = op.stateful_flat_map("join", op.map("keyed", source.oks, _keyed), _join)
kafka.output(
    "out", op.map("message", joined_runs, _out), brokers=_BROKERS, topic=os.environ["RUNS"],
    add_config={"compression.type": "zstd"},
)  # fmt: skip
