"""One emitter for all tracers of a process that would make the same: a tracer a request is no thread a request.

The emitter closes with the last of its tracers that is closed; one that was forgotten is none of them any more.
Whatever is left at the end of the process closes then, as every emitter does.

Decided in ADR 38.
"""

import os
import threading
from dataclasses import dataclass, field
from weakref import WeakSet

from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.file_transport import FileTransport
from causeline.producers.emitter.settings import EmitterSettings
from causeline.runtime.connections import KafkaConnection


@dataclass(slots=True, eq=False)
class _Shared:
    key: tuple[EmitterSettings, KafkaConnection, str | None]
    emitter: Emitter
    users: WeakSet[object] = field(default_factory=WeakSet)


class SharedEmitters:
    """The emitters of this process that come from its environment. Safe for threads and fork."""

    def __init__(self) -> None:
        self._shared: list[_Shared] = []
        self.lock = threading.Lock()

    def join(self, user: object) -> Emitter:
        """The emitter that the environment asks for: to Kafka, or into the file that CAUSELINE_TRACE_FILE names, where
        a gate reads what its target traced."""
        file = os.environ.get("CAUSELINE_TRACE_FILE")
        key = (EmitterSettings.from_environment(), KafkaConnection.from_environment(), file)
        with self.lock:
            shared = next((each for each in self._shared if each.key == key), None)
            if shared is None:
                made = Emitter(key[0], kafka=key[1], transport=(lambda: FileTransport(file)) if file else None)
                shared = _Shared(key, made)
                self._shared.append(shared)
            shared.users.add(user)
            return shared.emitter

    def leave(self, emitter: Emitter, user: object) -> bool:
        """Whether `user` was the last of an emitter's, which is to be closed then."""
        with self.lock:
            shared = next((each for each in self._shared if each.emitter is emitter), None)
            if shared is None:
                return False
            shared.users.discard(user)
            if shared.users:
                return False
            self._shared.remove(shared)
            return True


SHARED = SharedEmitters()


def _after_fork() -> None:
    SHARED.lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
