"""`causeline spool`: what waits on disk, and the way out where it cannot be delivered."""

import json
from pathlib import Path

from causeline.producers.emitter.segments import Segment
from causeline.stack.ports import free_ports
from tests.unit.cli.test_commands import run


def left_behind(folder: Path, events: int) -> None:
    segment = Segment.create(folder / "9-old.00000000.spool")
    assert segment is not None
    segment.append(0, [b"x" * 70] * events)
    segment.close()


def test_an_empty_spool_says_so(tmp_path: Path) -> None:
    result = run("spool", "status", "--folder", str(tmp_path))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "The spool is empty.\n")


def test_without_a_folder_the_way_out_is_named() -> None:
    for command in ("status", "drain"):
        result = run("spool", command)
        assert result.exit_code == 2
        assert "CAUSELINE_EMITTER_SPOOL" in result.stderr


def test_files_of_living_processes_and_of_those_that_are_gone_are_told_apart(tmp_path: Path) -> None:
    left_behind(tmp_path, 3)
    held = Segment.create(tmp_path / "1-new.00000000.spool")
    assert held is not None
    held.append(0, [b"y"])

    result = run("spool", "status", "--json", CAUSELINE_EMITTER_SPOOL=str(tmp_path))
    held.close()

    states = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(state["name"], state["events"], state["is_held"]) for state in states] == [
        ("1-new.00000000.spool", 1, True),
        ("9-old.00000000.spool", 3, False),
    ]
    assert result.exit_code == 1
    assert "3 events of processes that are gone wait on disk." in result.stderr
    assert "causeline spool drain" in result.stderr


def test_a_table_says_who_writes_a_file(tmp_path: Path) -> None:
    left_behind(tmp_path, 1200)
    result = run("spool", "status", "--folder", str(tmp_path))
    header, row = result.stdout.splitlines()
    assert header.split("\t") == ["file", "events", "bytes", "last written", "written by"]
    assert row.split("\t")[1] == "1,200"
    assert row.split("\t")[4] == "a process that is gone"


def test_a_drain_without_a_broker_ends_with_3_and_keeps_the_events(tmp_path: Path) -> None:
    left_behind(tmp_path, 3)
    broker = f"127.0.0.1:{free_ports(1)[0]}"
    result = run("spool", "drain", "--folder", str(tmp_path), "--timeout-s", "0.2", "--kafka", broker, "--json")
    assert result.exit_code == 3, result.output
    assert json.loads(result.stdout) == {"delivered": 0, "left": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["9-old.00000000.spool"]


def test_there_is_nothing_to_drain_in_an_empty_spool(tmp_path: Path) -> None:
    result = run("spool", "drain", "--folder", str(tmp_path))
    assert (result.exit_code, result.stdout) == (0, "0 events delivered, 0 left.\n")
