"""What is different for the emitter of decisions: all are on record, and its spool is a folder of its own.

A spool's files do not say of which topic they are; whoever finds them publishes them where its own events go.
"""

from pathlib import Path

from causeline.producers.emitter.segments import SUFFIX
from causeline.producers.emitter.settings import EmitterSettings

SPOOL_FOLDER = "decisions"
"""Within the spool of the emitter beside it."""


def decisions_settings(settings: EmitterSettings) -> EmitterSettings:
    """The settings of the emitter of decisions beside one with these."""
    spool = settings.spool / SPOOL_FOLDER if settings.spool is not None else None
    return settings.model_copy(update={"sample": 1.0, "spool": spool})


def has_segments(folder: Path | None) -> bool:
    """Whether there are files of a spool; not where that cannot be read, which whoever writes there will say."""
    try:
        return folder is not None and any(folder.glob(f"*{SUFFIX}"))
    except OSError:
        return False
