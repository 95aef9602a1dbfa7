"""Which worker of a parallel session runs which file, so that a stack is started once and idles for nobody.

A file is one unit. Those that stand on the same services follow each other on one worker, first; files that need
none fill the end. `pytest -n` only: what a file gets is the same without.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

ROOT = Path(__file__).parents[1]
_STACK = "the stack"
_OF_FOLDERS = (("tests/contract/sinks/", "the engine of the contract"), ("tests/integration/console/", "the console's"))
_OF_PARAMETERS = (
    (r"\bstack: Endpoints\b", _STACK),
    (r"\b(kafka: KafkaConnection|(clickhouse|database): ClickHouseConnection|rig: Rig)\b", "broker and engine"),
)
ALONE = "alone"
"""Starts processes of its own, or many."""
NOTHING = ""


@cache
def services_of(file: str) -> str:
    """What the tests of `file` (a path below the root) share with those of other files; `NOTHING` is a unit test's."""
    for folder, services in _OF_FOLDERS:
        if file.startswith(folder):
            return services
    if not file.startswith("tests/integration/"):
        return NOTHING
    text = (ROOT / file).read_text("utf-8")
    return next((services for pattern, services in _OF_PARAMETERS if re.search(pattern, text)), ALONE)


def end_between(mine: str, following: str) -> bool:
    """Whether the services of a test end with it, when those of the next test are `following`: not because one test
    among others does not ask for them itself."""
    return mine not in (NOTHING, following)


def next_file(waiting: Iterable[str], last: str | None, elsewhere: Iterable[str]) -> str:
    """Of the files `waiting`, that which a worker takes that ran `last`, while others are at the files `elsewhere`.

    What its own services are for; then what no other worker has services for; then what needs none; then any.
    """
    mine = services_of(last) if last else NOTHING
    taken = {services_of(file) for file in elsewhere} - {ALONE}

    def rank(file: str) -> int:
        services = services_of(file)
        if services == NOTHING:
            return 2
        if services == mine:
            return 0
        return 3 if services in taken else 1

    return min(waiting, key=rank)


class ByServices(LoadScopeScheduling):  # type: ignore[misc]  # it comes without types
    """Files as units, each to a worker that has what they stand on."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("::", 1)[0]

    def _assign_work_unit(self, node: WorkerController) -> None:
        last = {each: next(reversed(units), None) for each, units in self.assigned_work.items()}
        file = next_file(self.workqueue, last.get(node), (at for each, at in last.items() if at and each is not node))
        self.workqueue.move_to_end(file, last=False)
        super()._assign_work_unit(node)
