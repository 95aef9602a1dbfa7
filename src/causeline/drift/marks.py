"""What people say: about an alert, and about what a workflow is held against."""

from causeline.drift.alerts import Alert
from causeline.drift.judgements import Pin
from causeline.drift.lifecycle import Mark
from causeline.drift.store import RowStore
from causeline.schemas.tables import MARKS_TABLE, PINS_TABLE


def put_mark(store: RowStore, alert: Alert, mark: Mark, reason: str) -> None:
    """Say something about an alert; the last word counts."""
    store.put_rows(MARKS_TABLE, [{"alert_id": alert.alert_id, "mark": mark.value, "reason": reason}])


def put_pin(store: RowStore, pin: Pin) -> None:
    """Make a release the reference of a workflow; the last pin counts."""
    row = {
        "workflow": pin.workflow,
        "release": pin.release,
        "pinned_from": f"{pin.span.start:%Y-%m-%d %H:%M:%S}",
        "pinned_to": f"{pin.span.end:%Y-%m-%d %H:%M:%S}",
    }
    store.put_rows(PINS_TABLE, [row])
