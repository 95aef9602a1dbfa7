"""Servers of others, run for as long as they are asked: a process on loopback, and a client of it once it is well."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from causeline.schemas.errors import EnvironmentFault
from causeline.stack.waiting import wait_until

START_TIMEOUT_S = 120


@contextmanager
def serving(
    name: str, command: Sequence[str], *, port: int, well: str, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[httpx.Client]:
    """The server `name` until the block ends; `well` is the path that answers 200 once it is ready.

    Raises EnvironmentFault where it ends while it starts, or does not become ready.
    """
    with log.open("wb") as written:
        process = subprocess.Popen(command, env=environment, stdout=written, stderr=written)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
                wait_until(
                    lambda: _is_well(name, process, client, well),
                    timeout_s=START_TIMEOUT_S,
                    what=f"{name} does not answer",
                )
                yield client
        finally:
            process.terminate()
            process.wait(30)


def _is_well(name: str, process: "subprocess.Popen[bytes]", client: httpx.Client, path: str) -> bool:
    if process.poll() is not None:
        raise EnvironmentFault(f"{name} ended with {process.returncode} while it started.", hint="Its log says why.")
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False
