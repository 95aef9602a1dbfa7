"""What becomes of a service's output."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from causeline.stack.supervisor.output import KEPT_LINES, Output, RotatingLog, telling


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RotatingLog]:
    log = RotatingLog(tmp_path / "a.log")
    yield log
    log.close()


def test_a_log_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    file = tmp_path / "broker.log"
    log = RotatingLog(file, max_bytes=100)
    for number in range(1000):
        log.write(b"line %04d\n" % number)
    log.close()
    assert {each.name for each in tmp_path.iterdir()} == {"broker.log", "broker.log.1"}
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) <= 200
    assert file.read_text().endswith("line 0999\n")


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    for word in (b"one\n", b"two\n"):
        log = RotatingLog(tmp_path / "a.log")
        log.write(word)
        log.close()
    assert (tmp_path / "a.log").read_text() == "one\ntwo\n"


def test_a_full_disk_does_not_stop_the_service_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    log = RotatingLog(Path("/dev/full"))
    log.write(b"lost")
    log.write(b"lost too")
    log.close()
    [record] = caplog.records
    assert record.getMessage() == "full cannot be written: No space left on device"


def test_the_ready_line_is_found_across_chunks(log: RotatingLog) -> None:
    output = Output(log, ready_pattern=r"\bready\b")
    output.take(b"not alread")
    output.take(b"y there\nnow re")
    assert not output.ready_line_seen.is_set()
    output.take(b"ady\n")
    assert output.ready_line_seen.is_set()


def test_the_last_lines_are_kept_also_one_without_an_end(log: RotatingLog) -> None:
    output = Output(log)
    output.take(b"".join(b"%d\n" % number for number in range(100)) + b"cut sho")
    assert output.last_lines[-2:] == ["99", "cut sho"]
    assert len(output.last_lines) == KEPT_LINES
    output.take(b"x" * 1_000_000)
    assert max(map(len, output.last_lines)) <= 16 * 1024


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["starting", "error: The port is taken.", "hint: Choose another."], "The port is taken"),
        (["2026-11-28 22:36:23,120 ERROR causeline.clickhouse: The disk is full.", "bye"], "The disk is full"),
        (["[2026-11-28] CRITICAL causeline.worker: No topics.", ""], "No topics"),
        (["no", "  such thing "], "such thing"),
        ([], "nothing"),
    ],
)
def test_what_a_service_had_to_say_is_its_last_error_by_itself_or_its_last_line(lines: list[str], says: str) -> None:
    assert telling(lines) == says
