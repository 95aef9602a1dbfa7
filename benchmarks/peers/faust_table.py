"""The textbook join: a Faust agent with a Table, a message an event, keyed by run id.

`python -m benchmarks.peers.faust_table SERVERS EVENTS RUNS GROUP`. As Faust's guide to tables has it: the agent adds
each event to its run's list in the table, every change goes to the table's changelog topic, and when the run's end is
seen the joined run is sent on and the key deleted. Tables are in memory (no RocksDB, which would be slower); at least
once, as by default.
"""

import sys
from typing import Any

import faust


def main() -> None:
    """Join until told to stop."""
    servers, events_name, runs_name, group = sys.argv[1:5]
    app = faust.App(
        group,
        broker=f"kafka://{servers}",
        store="memory://",
        topic_partitions=4,
        topic_replication_factor=1,
        producer_linger=0.005,
        stream_buffer_maxsize=16384,
        web_enabled=False,
    )
    events = app.topic(events_name, key_type=str, value_serializer="json", partitions=4)
    runs = app.topic(runs_name, key_type=str, value_serializer="json", partitions=4)
    table = app.Table("open_runs", default=list, partitions=4)

    async def join(stream: Any) -> None:
        async for event in stream:
            run_id = event["run_id"]
            known = table[run_id]
            known.append(event)
            if event["event_type"] != "run_finished":
                table[run_id] = known
                continue
            del table[run_id]
            costs = [each["cost_usd"] for each in known if each.get("cost_usd") is not None]
            routes = [each["route"] for each in known if each.get("route") is not None]
            joined = {
                "run_id": run_id,
                "events": len({each["event_id"] for each in known}),
                "route": routes[-1] if routes else None,
                "cost_usd": sum(costs),
                "final_state": event["final_state"],
                "steps": [each for each in known if each["event_type"] == "step_finished"],
            }
            await runs.send(key=run_id, value=joined)

    app.agent(events, name="join")(join)
    worker = faust.Worker(app, loglevel="ERROR")
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
