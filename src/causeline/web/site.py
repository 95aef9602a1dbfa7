"""What routes share: the store, the artifacts, the pages and the clock, taken from the app by each request."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from causeline.console.read_only_sql import Bounds, SqlResult
from causeline.console.store import Store
from causeline.drift.store import RowStore
from causeline.ops.lag import Lag
from causeline.producers.artifacts import ArtifactStore
from causeline.reviews.leases import LeaseStore
from causeline.runtime.clock import Clock
from causeline.sinks.dead.messages import DeadMessage, DeadMessages
from causeline.web.identity import Person, Role
from causeline.web.live import Live
from causeline.web.reading import Reading
from causeline.web.render import Pages


@dataclass(frozen=True, slots=True)
class Site:
    """The parts of the service. What gives a store raises Unreachable while ClickHouse is away."""

    store: Callable[[], Store]
    """Answers SQL, as a reader."""
    leases: Callable[[], LeaseStore]
    """Takes the leases of reviewers."""
    marks: Callable[[], RowStore]
    """Takes what people say about alerts."""
    sql: Callable[[str, Mapping[str, str], Bounds], SqlResult]
    """Answers one statement that somebody wrote, within bounds."""
    dead: Callable[[], DeadMessages]
    """The dead messages."""
    replay: Callable[[Sequence[DeadMessage]], int]
    """Sends messages again; how many Kafka took."""
    lags: Callable[[], list[Lag]]
    """How far each group is behind; raises Unreachable while Kafka is away."""
    artifacts: Callable[[], ArtifactStore]
    pages: Pages
    reading: Reading
    live: Live
    clock: Clock


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


async def site_of(request: Request) -> Site:  # async, as is what checks a right: none of them is worth a thread's turn
    """The parts behind a request."""
    return _site(request)


def store_of(request: Request) -> Store:
    """The store behind a request; raises Unreachable."""
    return _site(request).store()


def person_of(request: Request) -> Person:
    """Who asks."""
    person: Person = request.state.person
    return person


def needs(role: Role) -> Callable[[Request], Awaitable[Person]]:
    """A dependency that lets only those pass who have `role`."""

    async def check(request: Request) -> Person:
        person = person_of(request)
        if not person.may(role):
            raise HTTPException(403, f"This needs the right of a {role.value}, which you do not have.")
        return person

    return check


TheSite = Annotated[Site, Depends(site_of)]
TheStore = Annotated[Store, Depends(store_of)]
Reviewer = Annotated[Person, Depends(needs(Role.REVIEWER))]
Operator = Annotated[Person, Depends(needs(Role.OPERATOR))]
ContentReader = Annotated[Person, Depends(needs(Role.CONTENT))]
