"""The stack of a demo, for benchmarks that want what the pipeline itself makes."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.stack.endpoints import Endpoints


@contextmanager
def demo_stack(folder: Path | None, runs: int) -> Iterator[Path]:
    """The state folder of a stack with the runs of a demo in it: `folder` if one is named, which is left up."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="causeline-benchmark-") as made:
        state = Path(made) / "state"
        causeline = [sys.executable, "-m", "causeline.cli"]
        subprocess.run(
            [*causeline, "demo", "--runs", str(runs), "--state-dir", str(state)], check=True, stdout=sys.stderr
        )
        try:
            yield state
        finally:
            subprocess.run([*causeline, "down", "--state-dir", str(state)], check=True, stdout=sys.stderr)


def clickhouse_of(folder: Path) -> ClickHouseConnection:
    """Its ClickHouse."""
    return ClickHouseConnection.from_environment(Endpoints.load(folder).environment())


def kafka_of(folder: Path) -> KafkaConnection:
    """Its Kafka."""
    return KafkaConnection.from_environment(Endpoints.load(folder).environment())
