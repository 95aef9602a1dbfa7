"""Supervise the stack of a state folder: `python -m causeline.stack.supervisor STATE_DIR [--foreground]`."""

import argparse
import asyncio
import logging
import logging.handlers
import os
import sys
from pathlib import Path

from causeline.schemas.errors import CauselineError
from causeline.stack.supervisor.daemon import Supervisor
from causeline.stack.supervisor.state import LOGS_DIR, PRIVATE

_LOG_BYTES = 1024 * 1024

log = logging.getLogger("causeline.stack.supervisor")


def main() -> int:
    """Detach unless told otherwise, then run to the end of the stack."""
    parser = argparse.ArgumentParser(prog="python -m causeline.stack.supervisor", description=__doc__)
    parser.add_argument("state_dir", type=Path)
    parser.add_argument("--foreground", action="store_true", help="stay attached, and log to stderr")
    options = parser.parse_args()
    folder: Path = options.state_dir.absolute()
    os.umask(PRIVATE)  # of every service that it starts, too
    if not options.foreground:
        detach()
    _log_to(None if options.foreground else folder / LOGS_DIR / "supervisor.log")
    try:
        asyncio.run(_supervise(folder))
    except CauselineError as error:
        log.error("error: %s", error.message)  # noqa: TRY400
        return error.exit_code
    except Exception:
        log.exception("the supervisor ends by a fault of its own")
        return 5
    return 0


async def _supervise(folder: Path) -> None:
    await Supervisor(folder).run()


def detach() -> None:
    """Leave the caller: a new session, no terminal, parent of nobody's shell."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


def _log_to(file: Path | None) -> None:
    handler: logging.Handler = (
        logging.handlers.RotatingFileHandler(file, maxBytes=_LOG_BYTES, backupCount=1)
        if file
        else logging.StreamHandler(sys.stderr)
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


if __name__ == "__main__":
    sys.exit(main())
