"""What the console can reach: a short look at each service, remembered for a moment so that probes cost nothing."""

import asyncio
import contextlib
import os
import ssl
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import TypeAlias

from causeline.runtime.connections import ClickHouseConnection, KafkaConnection

Probe: TypeAlias = Callable[[], Awaitable[bool]]

_TIMEOUT_S = 2.0
_REMEMBERED_S = 2.0


class Health:
    """Asks every probe, at most once in `_REMEMBERED_S` however many ask; a probe that fails or hangs is a no."""

    def __init__(self, probes: Mapping[str, Probe], clock: Callable[[], float] = monotonic) -> None:
        self._probes = probes
        self._clock = clock
        self._asked_at = float("-inf")
        self._answers: dict[str, bool] = {}
        self._one_at_a_time = asyncio.Lock()

    async def reachable(self) -> dict[str, bool]:
        """Each service's name, and whether it answers."""
        async with self._one_at_a_time:
            if self._clock() - self._asked_at >= _REMEMBERED_S:
                answers = await asyncio.gather(*(_ask(probe) for probe in self._probes.values()))
                self._answers = dict(zip(self._probes, answers, strict=True))
                self._asked_at = self._clock()
            return dict(self._answers)


async def _ask(probe: Probe) -> bool:
    try:
        return await asyncio.wait_for(probe(), _TIMEOUT_S)
    except (OSError, TimeoutError, ValueError):
        return False


def probes_from_environment() -> dict[str, Probe]:
    """A probe for each service that the environment names: Kafka, ClickHouse, and the console where one is served."""
    probes: dict[str, Probe] = {}
    if os.environ.get("CAUSELINE_KAFKA_BOOTSTRAP_SERVERS"):
        probes["kafka"] = kafka_probe(KafkaConnection.from_environment())
    if os.environ.get("CAUSELINE_CLICKHOUSE_URL"):
        probes["clickhouse"] = clickhouse_probe(ClickHouseConnection.from_environment())
    return probes


def console_probe(port: int) -> Probe:
    """Whether the console on this machine answers /healthz."""
    return _http_probe(f"http://127.0.0.1:{port}/healthz")


def kafka_probe(connection: KafkaConnection) -> Probe:
    """Whether one of the bootstrap servers accepts a connection."""
    servers = [server.rpartition(":") for server in connection.bootstrap_servers.split(",")]

    async def probe() -> bool:
        for host, _, port in servers:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(host.strip("[] "), int(port))
                writer.close()
                await writer.wait_closed()
                return True
        return False

    return probe


def clickhouse_probe(connection: ClickHouseConnection) -> Probe:
    """Whether ClickHouse answers /ping."""
    scheme = "https" if connection.secure else "http"
    host = f"[{connection.host}]" if ":" in connection.host else connection.host
    return _http_probe(f"{scheme}://{host}:{connection.port}/ping", connection.ca_cert)


def _http_probe(url: str, ca_cert: str | None = None) -> Probe:
    def ping() -> bool:
        trusted = ssl.create_default_context(cafile=ca_cert) if url.startswith("https:") else None
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S, context=trusted) as answer:  # noqa: S310 - http(s), as validated
            return bool(answer.status == 200)

    async def probe() -> bool:
        return await asyncio.to_thread(ping)

    return probe
