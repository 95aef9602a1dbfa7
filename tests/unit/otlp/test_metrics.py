"""What the receiver tells of itself is what it has done."""

from pathlib import Path

from causeline.otlp.receiver.metrics import ReceiverMetrics, complaint
from tests.unit.otlp.endpoint import Door
from tests.unit.otlp.requests import Recorded


def test_it_tells_what_came_and_what_is_delivered(tmp_path: Path) -> None:
    door = Door(tmp_path)
    try:
        app = Recorded()
        with app.span("answer"):
            pass
        assert door.post(app.body()).status_code == 200
        told = ReceiverMetrics(door.intake).registry
        names = ("requests_total", "spans_total", "refused_total", "emitter_waiting", "emitter_spooled")
        assert [told.get_sample_value(f"causeline_receiver_{name}") for name in names] == [1, 1, 0, 0, 0]
        events = told.get_sample_value("causeline_receiver_events_total")
        assert told.get_sample_value("causeline_receiver_emitter_delivered_total") == events
        assert complaint(door.intake, 60) is None
    finally:
        door.close()


def test_it_complains_once_it_has_refused_all_for_too_long(tmp_path: Path) -> None:
    door = Door(tmp_path)
    try:
        door.intake.refusing_since = 100.0
        assert complaint(door.intake, 60, now=lambda: 160.0) is None
        assert "refuse every request for 61 s" in str(complaint(door.intake, 60, now=lambda: 161.0))
        app = Recorded()
        with app.span("answer"):
            pass
        assert door.post(app.body()).status_code == 200
        assert complaint(door.intake, 60, now=lambda: 1000.0) is None
    finally:
        door.close()
