"""The bare engine: a process that reads Avro containers from files into the table, and nothing else.

    python -m benchmarks.store.bare FOLDER FILE…

Makes the tables in FOLDER, waits for a line on stdin, inserts every file, and prints its CPU and wall seconds as JSON;
so for each further line, the table emptied before.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from causeline.schemas import catalogue
from causeline.schemas.tables import EVENTS
from causeline.sinks.loader.inserting import INSERT_SETTINGS
from causeline.sinks.migrate import migrations, statements


def main() -> int:
    """See the module."""
    folder, files = Path(sys.argv[1]), sys.argv[2:]
    engine: Any = importlib.import_module("chdb._chdb").connect(str(folder))
    engine.query(b"CREATE DATABASE causeline ENGINE = Atomic", "Null")
    engine.query(b"USE causeline", "Null")
    for migration in migrations():
        for statement in statements(migration.text):
            engine.query(statement.encode(), "Null")
    columns = EVENTS.columns(catalogue.latest(EVENTS.subject))
    names = ", ".join(column.name for column in columns)
    structure = ", ".join(f"{column.name} {column.input_type}" for column in columns).replace("'", "\\'")
    for name, value in {**INSERT_SETTINGS, "insert_deduplicate": 0}.items():
        engine.query(f"SET {name} = {value}".encode(), "Null")
    for name in ("max_insert_block_size", "min_insert_block_size_rows", "min_insert_block_size_bytes"):
        engine.query(f"SET {name} = {1 << 40}".encode(), "Null")
    engine.query(b"SYSTEM STOP MERGES narrow_event_rows", "Null")
    print("ready", flush=True)
    for _ in sys.stdin:
        engine.query(b"TRUNCATE TABLE narrow_event_rows", "Null")
        cpu, wall = time.process_time(), time.perf_counter()
        for file in files:
            sql = f"INSERT INTO event_rows ({names}) SELECT {names} FROM file('{file}', Avro, '{structure}')"
            engine.query(sql.encode(), "Null")
        spent = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        spent["rows"] = int(engine.query(b"SELECT count() FROM narrow_event_rows", "TSV").bytes())
        print(json.dumps(spent), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
