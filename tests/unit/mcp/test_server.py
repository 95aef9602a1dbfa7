"""The server as the SDK's own client sees it: in memory, and as a process over stdin and stdout."""

import asyncio
import json
import sys
from typing import Any

from mcp import Client, StdioServerParameters, types

from causeline.mcp.server import create_server
from causeline.mcp.tools import INSTRUCTIONS, TOOLS
from tests.unit.mcp.sites import FAILED, NOW_US, FakeSite


def text_of(result: types.CallToolResult) -> str:
    [block] = result.content
    assert isinstance(block, types.TextContent)
    return block.text


def test_a_client_is_told_to_explain_first_finds_tools_that_only_read_and_calls_them() -> None:
    async def session() -> None:
        async with Client(create_server(FakeSite(), lambda: NOW_US), read_timeout_seconds=30) as client:
            assert client.instructions == INSTRUCTIONS
            assert "Explain first" in INSTRUCTIONS
            listed = (await client.list_tools()).tools
            assert [tool.name for tool in listed] == list(TOOLS)
            for tool in listed:
                assert tool.annotations is not None
                assert tool.annotations.read_only_hint is True
                assert tool.input_schema["type"] == "object"
                assert tool.input_schema["additionalProperties"] is False
            explained = await client.call_tool("explain_run", {"run": FAILED.run_id})
            assert not explained.is_error
            assert json.loads(text_of(explained))["data"]["run_id"] == FAILED.run_id
            refused = await client.call_tool("explain_run", {"run": "0" * 32})
            assert refused.is_error
            assert text_of(refused).startswith("No run has the id")

    asyncio.run(session())


def test_the_command_serves_over_stdin_and_stdout_and_says_when_its_store_is_away() -> None:
    environment = {
        "CAUSELINE_CLICKHOUSE_URL": "http://reader@127.0.0.1:1/causeline",
        "CAUSELINE_STATE_DIR": "/nonexistent",
    }
    command = StdioServerParameters(command=sys.executable, args=["-m", "causeline.cli", "mcp"], env=environment)

    async def session() -> tuple[list[str], Any]:
        async with Client(command, read_timeout_seconds=60) as client:
            listed = (await client.list_tools()).tools
            return [tool.name for tool in listed], await client.call_tool("find_runs", {})

    names, found = asyncio.run(session())

    assert names == list(TOOLS)
    assert found.is_error
    assert "127.0.0.1" in text_of(found)
