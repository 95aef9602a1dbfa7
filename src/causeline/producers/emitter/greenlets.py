"""Under gevent's monkey patching the emitter's thread is a greenlet, and what blocks in C stops the whole process."""

import sys
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def are_threads() -> bool:
    """Whether threads of this process are greenlets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def outside_the_hub(call: Callable[[], T]) -> T:
    """What `call` gives; it may block, and other greenlets go on meanwhile."""
    if not are_threads():
        return call()
    hub = sys.modules["gevent"].get_hub()
    given: T = hub.threadpool.apply(call)
    return given
