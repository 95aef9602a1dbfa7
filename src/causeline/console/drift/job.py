"""The watch as a job: a pass now and then, until it is told to stop."""

import logging
import threading

from causeline.console.drift.settings import DriftSettings
from causeline.console.drift.store import open_drift_store
from causeline.console.drift.watch import Pass, watch_once
from causeline.schemas.connections import ClickHouseConnection
from causeline.schemas.errors import CauselineError
from causeline.schemas.policy import Policy

log = logging.getLogger("causeline.watch")


def one_pass(connection: ClickHouseConnection, settings: DriftSettings, policy: Policy) -> Pass:
    """Bring roll-ups, judgements and alerts up to date, once."""
    with open_drift_store(connection) as store:
        return watch_once(store, settings.plan(), policy)


def follow(connection: ClickHouseConnection, settings: DriftSettings, policy: Policy, stop: threading.Event) -> None:
    """A pass every `settings.every_s`, until `stop` is set; one that fails is told and tried again at the next."""
    log.info("ready: a pass every %g s", settings.every_s)
    while not stop.is_set():
        try:
            done = one_pass(connection, settings, policy)
        except CauselineError as error:
            log.warning("this pass failed: %s", error.message)
        else:
            if done.counted or done.judged:
                log.info("counted %d windows and judged %d, up to %s", done.counted, done.judged, done.until)
        stop.wait(settings.every_s)
