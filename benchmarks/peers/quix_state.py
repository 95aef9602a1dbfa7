"""The stateful join of Quix Streams: a message an event, keyed by run id, each event a key of the state.

`python -m benchmarks.peers.quix_state SERVERS EVENTS RUNS GROUP STATE_DIR`, in an environment with `quixstreams`.
State in RocksDB with changelog topics and at-least-once, as by default. Tuned as its guides have it: larger fetches,
producer batches that linger and are compressed, one event a key of the state (a list would be read and written whole
with each event), `orjson`, which it brings along.
"""

import sys
from typing import Any

from quixstreams import Application, State


def main() -> None:
    """Join until told to stop."""
    servers, events_name, runs_name, group, folder = sys.argv[1:6]
    app = Application(
        servers,
        consumer_group=group,
        auto_offset_reset="earliest",
        state_dir=folder,
        loglevel="ERROR",
        consumer_extra_config={"fetch.min.bytes": 65536, "fetch.wait.max.ms": 50},
        producer_extra_config={"linger.ms": 20, "compression.type": "zstd"},
    )

    def join(event: dict[str, Any], state: State) -> dict[str, Any] | None:
        at = int(state.get("count", 0))
        if event["event_type"] != "run_finished":
            state.set(f"{at}", event)
            state.set("count", at + 1)
            return None
        known = [*(state.get(f"{place}") for place in range(at)), event]
        for place in range(at):
            state.delete(f"{place}")
        state.delete("count")
        costs = [each["cost_usd"] for each in known if each.get("cost_usd") is not None]
        routes = [each["route"] for each in known if each.get("route") is not None]
        return {
            "run_id": event["run_id"],
            "events": len({each["event_id"] for each in known}),
            "route": routes[-1] if routes else None,
            "cost_usd": sum(costs),
            "final_state": event["final_state"],
            "steps": [each for each in known if each["event_type"] == "step_finished"],
        }

    frame = app.dataframe(app.topic(events_name, key_deserializer="str", value_deserializer="json"))
    joined = frame.apply(join, stateful=True).filter(lambda run: run is not None)
    joined.to_topic(app.topic(runs_name, key_serializer="str", value_serializer="json"))
    app.run()


if __name__ == "__main__":
    main()
