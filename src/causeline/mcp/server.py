"""Serves the tools over stdin and stdout with the protocol's own SDK, until the client hangs up."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import Any

from mcp import types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server

from causeline.console.read_only_sql import Bounds, SqlResult, ask
from causeline.console.store import ClickHouseStore, open_store
from causeline.mcp.bounds import written
from causeline.mcp.tools import INSTRUCTIONS, TOOLS, Site, call
from causeline.runtime.clock import Clock, system_clock
from causeline.runtime.connections import ClickHouseConnection
from causeline.runtime.text import visible
from causeline.schemas.errors import CauselineError

log = logging.getLogger(__name__)
_READS = types.ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_MOST_SENTENCE = 1_000


class ClickHouseSite:
    """The site behind a ClickHouse; a connection is opened for each question, so that a restart of it is no matter.

    An agent's own SQL goes by `reader`, who may only read; our questions, which are SELECTs, by `connection`.
    """

    def __init__(self, connection: ClickHouseConnection, reader: ClickHouseConnection) -> None:
        self._connection = connection
        self._reader = reader

    def store(self) -> AbstractContextManager[ClickHouseStore]:
        """The store, for the length of a block."""
        return open_store(self._connection)

    def sql(self, text: str, parameters: Mapping[str, str], bounds: Bounds) -> SqlResult:
        """The answer to one statement that reads."""
        return ask(self._reader, text, parameters, bounds)


def create_server(site: Site, clock: Clock = system_clock) -> Server[Any]:
    """The server of the tools over `site`, bound to no transport yet."""

    async def list_tools(
        _: ServerRequestContext[Any], __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        tools = [
            types.Tool(
                name=name, description=each.says, input_schema=each.given.model_json_schema(), annotations=_READS
            )
            for name, each in TOOLS.items()
        ]
        return types.ListToolsResult(tools=tools)

    async def call_tool(_: ServerRequestContext[Any], asked: types.CallToolRequestParams) -> types.CallToolResult:
        text, is_error = await asyncio.to_thread(answered, asked.name, asked.arguments or {}, site, clock)
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=is_error)

    return Server(
        "causeline",
        version=version("causeline"),
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def answered(name: str, given: Mapping[str, object], site: Site, clock: Clock) -> tuple[str, bool]:
    """What a call is answered with, and whether that is a refusal: one sentence, and the way out."""
    try:
        return written(call(name, given, site, clock)), False
    except CauselineError as error:
        return visible(f"{error.message[:_MOST_SENTENCE]} {(error.hint or '')[:_MOST_SENTENCE]}".strip()), True
    except Exception as error:
        log.exception("%s failed", name)
        said = f"{name[:60]} failed with {type(error).__name__}, which is a fault of causeline's."
        return visible(f"{said} Its stderr has the traceback; other calls go on."), True


def run_server(connection: ClickHouseConnection, reader: ClickHouseConnection) -> None:
    """Serve over stdin and stdout until stdin ends; `reader` is for the SQL of agents."""
    asyncio.run(_serve(create_server(ClickHouseSite(connection, reader))))


async def _serve(server: Server[Any]) -> None:
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())
