"""The policies that have judged: which there are, and one with its text and from where on it judged."""

import json

from fastapi import APIRouter, Request
from fastapi.responses import Response

from causeline.console.policies import kept_policies, kept_policy, uses_of
from causeline.web.site import TheSite, TheStore

router = APIRouter(prefix="/policies", include_in_schema=False)
_USES = 200


@router.get("")
def policies(request: Request, site: TheSite, store: TheStore) -> Response:
    """Every policy that has judged, the newest first."""
    return site.pages(request, "policies.html", here="pipeline", policies=kept_policies(store))


@router.get("/{policy_hash}")
def policy(request: Request, site: TheSite, store: TheStore, policy_hash: str) -> Response:
    """A policy: its text, and from which message of which partition on it judged."""
    kept = kept_policy(store, policy_hash)
    uses = uses_of(store, kept.policy_hash)
    return site.pages(
        request,
        "policy.html",
        here="pipeline",
        policy=kept,
        text=json.dumps(json.loads(kept.text), indent=2, ensure_ascii=False),
        uses=uses[-_USES:],
        all_uses=len(uses),
    )
