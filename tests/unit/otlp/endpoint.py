"""A receiver without a broker: the doors, the intake and the emitter are the real ones, its transport keeps batches."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from causeline.otlp.receiver.content_store import Keeper, MaskText
from causeline.otlp.receiver.http_endpoint import create_app
from causeline.otlp.receiver.intake import Intake
from causeline.otlp.receiver.settings import ReceiverSettings
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.emitter.emitter import Emitter
from causeline.schemas.run import Run
from causeline.streams.definition.reading import Message
from causeline.streams.definition.records import Event
from tests.unit.producers.recording import QUICK, RecordingTransport
from tests.unit.streams.both import arrived, assemble
from tests.unit.streams.build import in_partition


class Door:
    """One receiver: `client` speaks HTTP to it, `transport` has what it published."""

    def __init__(self, folder: Path, settings: ReceiverSettings | None = None, mask: MaskText | None = None) -> None:
        self.settings = settings or ReceiverSettings(durable_timeout_s=60)
        self.store = ArtifactStore.open(folder)
        self.transport = RecordingTransport()
        self.keeper = Keeper(self.store, mask)
        self.intake = Intake(
            lambda delivered: Emitter(QUICK, transport=lambda: self.transport, on_delivered=delivered),
            self.keeper,
            rules=replace(self.settings.rules(), project="tests", user_key=b"a key of the tests", marks=True),
            durable_timeout_s=self.settings.durable_timeout_s,
        )

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        app = httpx.ASGITransport(create_app(self.settings, self.intake))
        async with httpx.AsyncClient(transport=app, base_url="http://127.0.0.1:4318") as client:
            yield client

    def post(self, body: bytes, *, json: bool = False, path: str = "/v1/traces", **headers: Any) -> httpx.Response:
        """One request, from the outside."""

        async def send() -> httpx.Response:
            media_type = "application/json" if json else "application/x-protobuf"
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            async with self.client() as client:
                return await client.post(path, content=body, headers={"content-type": media_type, **named})

        return asyncio.run(send())

    def ask(self, method: str, path: str) -> httpx.Response:
        """A request without a body."""

        async def send() -> httpx.Response:
            async with self.client() as client:
                return await client.request(method, path)

        return asyncio.run(send())

    def close(self) -> None:
        self.intake.close()

    @property
    def messages(self) -> list[Message]:
        """All that the broker has."""
        return in_partition(value for _, value in self.transport.sent)

    @property
    def events(self) -> list[Event]:
        """All events the broker has, as the worker reads them."""
        return [arrival.event for arrival in arrived(self.messages)]

    @property
    def runs(self) -> dict[str, Run]:
        """The runs that are joined of them, by id."""
        return {record["run_id"]: Run.from_record(record) for record in assemble(self.messages).runs}
