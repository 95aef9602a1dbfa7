"""Which core reads messages and writes runs: the compiled one where it is installed, else the readable one."""

from causeline.schemas.registry import Schemas
from causeline.schemas.wire.native import CORE
from causeline.streams.runs.compiled import CompiledCore
from causeline.streams.runs.core import Core
from causeline.streams.runs.readable import ReadableCore


def core(schemas: Schemas) -> Core:
    """The core that is used; `CAUSELINE_CORE=python` leaves the compiled one aside."""
    return ReadableCore(schemas) if CORE is None else CompiledCore(CORE, schemas)
