"""The hours of `demo --drift`: whole, over, and with a release and another backend in them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from causeline.demo import publish
from causeline.demo.course import AFTER, BEFORE, HOURS, Course, last_hours
from causeline.drift.watch import DEFAULT_PLAN
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.tracer import Tracer
from causeline.schemas.events import Record
from tests.unit.producers.recording import RecordingTransport, emitter_over

HOUR_US = 3_600_000_000


@given(now=st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1)), runs=st.integers(1, 5000), data=st.data())
def test_every_run_began_in_a_whole_hour_that_is_over(now: datetime, runs: int, data: st.DataObject) -> None:
    now_us = int(now.replace(tzinfo=UTC).timestamp()) * 1_000_000
    course = last_hours(now_us, runs)
    began = course.begin_us(data.draw(st.integers(0, runs - 1)))

    assert course.end_us % HOUR_US == 0
    assert course.end_us <= now_us - DEFAULT_PLAN.settle // timedelta(microseconds=1)
    assert course.end_us - HOURS * HOUR_US <= began < course.end_us


def test_the_release_comes_before_the_backend_changes(tmp_path: Path) -> None:
    transport = RecordingTransport()
    with Tracer("demo", emitter=emitter_over(transport)) as tracer:
        publish(
            tracer=tracer,
            artifacts=ArtifactStore.open(tmp_path / "a"),
            seed=7,
            runs=80,
            truth_file=tmp_path / "truth.jsonl",
            session_label="s",
            course=Course(1000 * HOUR_US, 80),
        )
    said = [Said(event) for event in transport.events()]
    before = [each.began_us for each in said if each.release == BEFORE]
    after = [each.began_us for each in said if each.release == AFTER]
    changed = [each.began_us for each in said if each.fingerprint.endswith("_r2")]

    assert max(before) < 998 * HOUR_US <= min(after)
    assert min(changed) >= 999 * HOUR_US


class Said:
    """What an event says of its run."""

    def __init__(self, event: Record) -> None:
        self.began_us = cast("int", event["run_started_at"])
        self.release = next(
            (each["value"] for each in cast("list[dict[str, str]]", event["labels"]) if each["key"] == "release"), None
        )
        self.fingerprint = str(event["system_fingerprint"])
