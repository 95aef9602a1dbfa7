"""What a worker asks of Faust before it starts."""

import os
import subprocess
import sys

from causeline.schemas.errors import EnvironmentFault
from causeline.streams.worker.consumer import require_compiled_streams


def test_compiled_streams_are_there() -> None:
    require_compiled_streams()


def test_without_fausts_compiled_streams_no_worker_starts() -> None:
    """Its plain ones acknowledge what they skip."""
    code = "from causeline.streams.worker.consumer import require_compiled_streams as r\nr()"
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "NO_CYTHON": "1"}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert EnvironmentFault.__name__ in done.stderr
    assert "compiled streams are missing" in done.stderr
