"""Loggers of the Kafka client, kept from flooding: while a broker is away they say the same thousands of times."""

import logging
import time
from collections.abc import Callable

_LOGGERS = ("aiokafka", "faust", "mode")
_EVERY_S = 10.0
_MOST_KINDS = 1000


class OncePerWhile(logging.Handler):
    """Passes each kind of message (its logger, level and template) on to the root's handlers once in `every_s`."""

    def __init__(self, every_s: float = _EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s = every_s
        self._clock = clock
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the record on, or count it."""
        kind = (record.name, record.levelno, str(record.msg))
        now = self._clock()
        told_at, suppressed = self._seen.get(kind, (None, 0))
        if told_at is not None and now - told_at < self._every_s:
            self._seen[kind] = (told_at, suppressed + 1)
            return
        if len(self._seen) >= _MOST_KINDS:
            self._seen.clear()
        self._seen[kind] = (now, 0)
        if suppressed:
            record.msg = f"{record.getMessage()} (and {suppressed} more like it)"
            record.args = None
        logging.getLogger().handle(record)


def quieten(level: int = logging.WARNING) -> None:
    """Give the clients' loggers `level` and a limit."""
    handler = OncePerWhile()
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.handlers = [handler]
        logger.propagate = False
