"""The review queue: items by urgency, one item beside its reason and its sources, and the reviewer's decision.

Whoever decides is who signed in, never what a form says. A corrected value goes to the artifact store, its reference on
record.
"""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from causeline.console import lookups
from causeline.reviews.decision import decided
from causeline.reviews.leases import hold, lease_next, release
from causeline.reviews.queue import Item, Wanted, item_by_id, items, stats
from causeline.reviews.record import LEASE_S, record
from causeline.schemas.errors import CauselineError, NotFound, NotVisibleYet, UsageError
from causeline.schemas.run import Run
from causeline.schemas.vocabulary import ReviewOutcome
from causeline.web.identity import Role
from causeline.web.routes.entry import require_our_form
from causeline.web.site import Reviewer, Site, TheSite, TheStore, person_of
from causeline.web.views.artifact import Excerpt, excerpt, image_type, is_text
from causeline.web.views.evidence import evidence_view

router = APIRouter(prefix="/reviews", include_in_schema=False)
LISTED = 100
_EXCERPTS = 4
_PATIENCE_S = 15.0
_STATES = ("open", "resolved", "all")
Csrf = Annotated[str, Form(max_length=200)]


@router.get("")
def queue(request: Request, site: TheSite, store: TheStore, state: str = "open", workflow: str = "") -> Response:
    """The items of a state, the most urgent first."""
    if state not in _STATES:
        raise UsageError(f"{state[:20]!r} is no state.", hint=f"One of {', '.join(_STATES)}.")
    wanted = Wanted(state=None if state == "all" else state, workflow=workflow or None)
    return site.pages(
        request,
        "reviews.html",
        here="reviews",
        items=items(store, wanted, limit=LISTED),
        most=LISTED,
        state=state,
        states=_STATES,
        workflow=workflow,
        stats=stats(store, Wanted(state=None, workflow=workflow or None)),
        reviewer_ref=_me(request),
    )


@router.post("/next")
def following(
    request: Request, site: TheSite, person: Reviewer, csrf: Csrf, workflow: Annotated[str, Form()] = ""
) -> Response:
    """Take the most urgent free item."""
    require_our_form(request, csrf)
    item = lease_next(site.leases(), _me(request), Wanted(workflow=workflow or None), lease_s=LEASE_S)
    return _to(request, f"reviews/{item.item_id}" if item else "reviews")


@router.get("/{item_id}")
def one(request: Request, site: TheSite, store: TheStore, item_id: str) -> Response:
    """An item: what is asked, why, what the run says of it, and what its sources hold where the reader may see that."""
    return _item_page(request, site, item_by_id(store, item_id))


@router.post("/{item_id}/take")
def take(request: Request, site: TheSite, person: Reviewer, item_id: str, csrf: Csrf) -> Response:
    """Lease an item."""
    require_our_form(request, csrf)
    store = site.leases()
    hold(store, item_by_id(store, item_id), _me(request), lease_s=LEASE_S)
    return _to(request, f"reviews/{item_id}")


@router.post("/{item_id}/give-back")
def give_back(request: Request, site: TheSite, person: Reviewer, item_id: str, csrf: Csrf) -> Response:
    """End one's lease of an item."""
    require_our_form(request, csrf)
    store = site.leases()
    item = item_by_id(store, item_id)
    if item.leased_by == _me(request):
        release(store, item, _me(request))
    return _to(request, "reviews")


@router.post("/{item_id}/resolve")
def resolve(
    request: Request,
    site: TheSite,
    person: Reviewer,
    item_id: str,
    csrf: Csrf,
    outcome: Annotated[ReviewOutcome, Form()],
    value: Annotated[str, Form(max_length=100_000)] = "",
    note: Annotated[str, Form(max_length=20_000)] = "",
) -> Response:
    """Record a decision, and go on to the next item; what cannot be meant is said on the item's page, the text kept."""
    require_our_form(request, csrf)
    store = site.leases()
    item = item_by_id(store, item_id)
    try:
        if outcome is ReviewOutcome.OVERRIDDEN and not value.strip():
            raise UsageError("A correction needs the value that is right.", hint="Write it into the field.")
        put = site.artifacts().put
        decision = decided(
            item,
            _run_of(site, item),
            outcome=outcome,
            reviewer_ref=_me(request),
            field=None,
            override_ref=put(value.encode()) if outcome is ReviewOutcome.OVERRIDDEN else None,
            note_ref=put(note.encode()) if note.strip() else None,
        )
        record(store, item, decision, patience_s=_PATIENCE_S)
    except NotVisibleYet as error:
        return _item_page(request, site, item_by_id(store, item_id), wrong=error, is_sent=True, status=202)
    except CauselineError as error:
        return _item_page(request, site, item_by_id(store, item_id), wrong=error, value=value, note=note, status=409)
    return _to(request, f"reviews/{item_id}")


def _item_page(
    request: Request,
    site: Site,
    item: Item,
    *,
    wrong: CauselineError | None = None,
    is_sent: bool = False,
    value: str = "",
    note: str = "",
    status: int = 200,
) -> Response:
    run = _run_of(site, item)
    live = lookups.gaps_of(site.store(), item.run_id) if run else []
    fields = evidence_view(run, live, only=item.field_path or "") if run else ()
    may_read = person_of(request).may(Role.CONTENT)
    refs = list(dict.fromkeys([*item.links, *(ref for each in fields for ref in (*each.refs, *each.conflicting))]))
    return site.pages(
        request,
        "review.html",
        here="reviews",
        status=status,
        item=item,
        run=run,
        run_id=item.run_id,
        fields=fields,
        refs=refs,
        sources=[(ref, _source(site, ref)) for ref in refs[:_EXCERPTS]] if may_read else [],
        may_read=may_read,
        may_review=person_of(request).may(Role.REVIEWER),
        is_mine=item.leased_by == _me(request),
        wrong=wrong,
        is_sent=is_sent,
        value=value,
        note=note,
    )


def _source(site: Site, ref: str) -> Excerpt | str:
    """The text that a reference points to; a sentence where it has none to show."""
    base, _, fragment = ref.partition("#")
    try:
        data = site.artifacts().get(base)
    except CauselineError as error:
        return error.message
    if image_type(data) or not is_text(data):
        return "It is no text; open it to look at it."
    return excerpt(data, fragment)


def _run_of(site: Site, item: Item) -> Run | None:
    try:
        return lookups.run_by_id(site.store(), item.run_id)
    except NotFound:
        return None


def _me(request: Request) -> str:
    ref: str = request.state.identities.reviewer_ref(person_of(request))
    return ref


def _to(request: Request, path: str) -> RedirectResponse:
    return RedirectResponse(f"{request.scope.get('root_path', '')}/{path}", 303)
