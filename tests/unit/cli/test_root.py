"""The root lists its commands without loading them, and what it lists is what there is."""

import json
import subprocess
import sys

import pytest

from causeline.cli.commands import COMMANDS, Entry
from causeline.cli.root import commands_of

HEAVY = ("pydantic", "rich", "clickhouse_connect", "confluent_kafka", "polars", "fastapi", "fastavro")


def modules_after(*words: str, **environment: str) -> set[str]:
    """The modules that a process has loaded once it has answered."""
    code = (
        "import atexit, json, os, sys; sys.argv = ['causeline', *json.loads(os.environ['WORDS'])]\n"
        "atexit.register(lambda: sys.stderr.write(json.dumps(sorted(sys.modules))))\n"
        "from causeline.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "/usr/bin:/bin", "WORDS": json.dumps(words), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr))


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_what_is_listed_is_what_the_command_says_of_itself(entry: Entry) -> None:
    assert commands_of(entry.module)[entry.name].get_short_help_str(200) == entry.help


def test_every_command_is_listed() -> None:
    """By name and module: two modules that register one name would hide each other's commands."""
    listed = sorted((entry.name, entry.module) for entry in COMMANDS)
    modules = {entry.module for entry in COMMANDS}
    assert listed == sorted((name, module) for module in modules for name in commands_of(module))
    assert len({name for name, _ in listed}) == len(listed)


def test_help_and_completion_load_nothing_heavy() -> None:
    asked = {"_CAUSELINE_COMPLETE": "complete_bash", "COMP_WORDS": "causeline r", "COMP_CWORD": "1"}
    for loaded in (modules_after("--help"), modules_after(**asked)):
        assert not loaded & set(HEAVY)
    assert "typer" not in modules_after(**asked)
