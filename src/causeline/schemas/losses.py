"""How an emitter says that events of a run were lost: the loss is an event of the run itself."""

from typing import Final

LOST_EVENTS: Final = "lost.events"
"""From the emitter itself, on a step `LOSS_STEP` with the error `LOSS_ERROR`: so many events of the run were lost."""
LOSS_STEP: Final = "causeline.spool"
"""Name of the step that stands for events which a full spool has dropped."""
LOSS_ERROR: Final = "EventsLost"
"""Error of that step."""
