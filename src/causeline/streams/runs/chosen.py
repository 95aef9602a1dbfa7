"""Which core reads messages and writes runs."""

from causeline.schemas.registry import Schemas
from causeline.streams.runs.core import Core
from causeline.streams.runs.readable import ReadableCore


def core(schemas: Schemas) -> Core:
    """The core that is used."""
    return ReadableCore(schemas)
