"""The watch as a job: a pass now and then, until it is told to stop."""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping

from causeline.drift.alerts import alerts, examples
from causeline.drift.notifications import Told, news, record, told, value, withdrawal, withdrawn, word_of
from causeline.drift.publish import Publisher
from causeline.drift.settings import DriftSettings
from causeline.drift.store import DriftStore, open_drift_store
from causeline.drift.watch import Pass, watch_once
from causeline.drift.webhook import Target, post
from causeline.runtime.clock import Clock, system_clock
from causeline.runtime.connections import ClickHouseConnection
from causeline.runtime.health import part_health
from causeline.schemas.errors import CauselineError, CheckFailed
from causeline.schemas.policy import Policy
from causeline.schemas.registry import Schemas

log = logging.getLogger("causeline.watch")

_MOST_PENDING = 1000
_PASSES_TO_MISS = 3


class Watch:
    """The watch of one process. `publisher` None: alerts are found and stored, and nobody is told."""

    def __init__(
        self,
        settings: DriftSettings,
        policy: Policy,
        *,
        publisher: Publisher | None,
        schemas: Schemas | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._settings, self._policy, self._clock = settings, policy, clock
        self._publisher, self._schemas = publisher, schemas or Schemas()
        self._target = target_of(settings)
        self._told: dict[str, Told] = {}
        self._pending: deque[Mapping[str, object]] = deque(maxlen=_MOST_PENDING)

    def once(self, store: DriftStore, stop: threading.Event) -> Pass:
        """Bring roll-ups, judgements and alerts up to date, and tell what is new."""
        done = watch_once(store, self._settings.plan(), self._policy)
        if self._publisher is not None:
            self._tell(store, self._publisher)
            self._post(stop)
        return done

    def _tell(self, store: DriftStore, publisher: Publisher) -> None:
        """Publish what is new. It counts as told when the broker has it, before the loader has loaded it."""
        for name, last in told(store).items():
            if name not in self._told or last.revision >= self._told[name].revision:
                self._told[name] = last
        standing = alerts(store, ended=True)
        words: dict[str, Told] = {}
        posts: list[Mapping[str, object]] = []
        for item in news(standing, self._told):
            notification = record(item, examples(store, item.alert, self._policy), self._clock())
            publisher.publish(item.alert.alert_id, value(notification, self._schemas))
            words[item.alert.alert_id] = word_of(item)
            if item.turned and item.alert.state != "muted":
                posts.append(notification)
        for alert_id in withdrawn(standing, self._told):
            notification = withdrawal(store, alert_id, self._clock())
            publisher.publish(alert_id, value(notification, self._schemas))
            last = self._told[alert_id]
            words[alert_id] = Told(last.revision + 1, "withdrawn", last.window_start, last.effect, last.reason)
            posts.append(notification)
        publisher.deliver()
        self._told |= words
        self._pending.extend(posts)

    def _post(self, stop: threading.Event) -> None:
        """Post what people should hear; what is not taken stays for the next pass, in its order."""
        while self._target is not None and self._pending and not stop.is_set():
            notification = self._pending[0]
            try:
                post(
                    self._target,
                    notification,
                    delivery=f"{notification['alert_id']}-{notification['revision']}",
                    clock=time.time,
                    stop=stop,
                )
            except CheckFailed as error:
                log.warning("alert %s is not posted: %s", notification["alert_id"], error.message)
            except CauselineError as error:
                log.warning("%d alerts wait for the webhook: %s", len(self._pending), error.message)
                return
            self._pending.popleft()


def target_of(settings: DriftSettings) -> Target | None:
    """The webhook that the settings name, if they do; raises UsageError for one that cannot be meant."""
    if not settings.webhook_url:
        return None
    target = Target(settings.webhook_url, settings.secret(), settings.webhook_private)
    target.parts()
    return target


def follow(connection: ClickHouseConnection, watch: Watch, every_s: float, stop: threading.Event) -> None:
    """A pass every `every_s` seconds until `stop` is set; one that fails is told and tried again at the next.

    Tells its health as `CAUSELINE_HEALTH_…` says.
    """
    counts = {"passes": 0.0, "failed_passes": 0.0, "counted_windows": 0.0, "judged_windows": 0.0}
    with part_health("watch", lambda: counts, stall_after_s=_PASSES_TO_MISS * every_s) as pulse:
        log.info("ready: a pass every %g s", every_s)
        failed = False
        while not stop.is_set():
            pulse.beat(busy=failed)
            try:
                with open_drift_store(connection) as store:
                    done = watch.once(store, stop)
            except CauselineError as error:
                log.warning("this pass failed: %s", error.message)
                counts["failed_passes"] += 1
                failed = True
                pulse.hindered(type(error).__name__)
            else:
                failed = False
                pulse.done()
                counts["passes"] += 1
                counts["counted_windows"] += done.counted
                counts["judged_windows"] += done.judged
                if done.counted or done.judged:
                    log.info("counted %d windows and judged %d, up to %s", done.counted, done.judged, done.until)
            pulse.beat(busy=failed)
            stop.wait(every_s)
