"""The loader as a program for tests: as it is, or killed at the moment named by the only argument."""

import logging
import os
import signal
import sys
from typing import Any

from confluent_kafka import TopicPartition

from causeline.schemas import catalogue
from causeline.schemas.errors import CauselineError
from causeline.schemas.registry import Schemas
from causeline.sinks.loader import LoaderSettings, run_loader
from causeline.sinks.loader.loop import Loader

NEW_ID = 0x00FFFFF0


class DiesBeforeCommit(Loader):
    """Killed after its first insert was acknowledged, before anything is committed."""

    def _commit(self, place: TopicPartition, next_offset: int, *, wait_for_broker: bool) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class KnowsMore(Loader):
    """Reads a schema id of a registry's: the fix after which dead letters can be read."""

    def __init__(self, settings: LoaderSettings, **parts: Any) -> None:
        known = Schemas(registered={NEW_ID: catalogue.latest("trace-batch")})
        super().__init__(settings, **{**parts, "schemas": known})


KINDS: dict[str, type[Loader]] = {"": Loader, "dies-before-commit": DiesBeforeCommit, "knows-more": KnowsMore}

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    try:
        sys.exit(run_loader(LoaderSettings.from_environment(), kind=KINDS[sys.argv[1]]))
    except CauselineError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
