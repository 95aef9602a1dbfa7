"""What a span says of its whole run: whether it enters it, who it belongs to, what its workflow is called."""

from typing import Any, Final, NamedTuple

from causeline.otlp.receiver import plain_words
from causeline.otlp.receiver.attributes import Sorted, resource_label
from causeline.otlp.receiver.rules import Rules, UserIds
from causeline.otlp.receiver.telemetry import Origin, Span, SpanKind
from causeline.otlp.receiver.values import READERS, find
from causeline.schemas import otel_names as names
from causeline.schemas.vocabulary import WorkflowSource

_PROJECT: Final = names.keys_of("resource.project")
_SERVICE: Final = names.keys_of("resource.service")
_RESOURCE_LABELS: Final = tuple(row for row in names.ROWS if row.goes == "resource.label")
_OWN_KEYS: Final = frozenset(row.key for row in _RESOURCE_LABELS) | {*_PROJECT, *_SERVICE}
_UNKNOWN: Final = "unknown"
_UNKNOWN_SERVICE: Final = "unknown_service"
"""What SDKs say, with the program's name behind it, where nobody named the service."""
_MOST_TAGS: Final = 8


class Workflow(NamedTuple):
    """A workflow's name, and who gave it; None: the span says it outright."""

    name: str
    source: WorkflowSource | None


def enters(span: Span) -> bool:
    """Whether a span begins a run here: a root, one whose parent is in another process, or its application's own root.

    The flags of newer SDKs say whether the parent is remote; without them the kinds SERVER and CONSUMER do.
    """
    if span.parent_id is None or span.attributes.get(names.APP_ROOT) is True:
        return True
    if span.is_remote is not None:
        return span.is_remote
    return span.kind in (SpanKind.SERVER, SpanKind.CONSUMER)


def project_of(origin: Origin, default: str) -> str:
    """Whose run it is."""
    known = origin.known
    if "project" not in known:
        known["project"] = READERS["name"](find(origin.resource, _PROJECT))
    return known["project"] or default


def service_of(origin: Origin) -> str | None:
    """The service's name; None where nobody gave it one."""
    known = origin.known
    if "service" not in known:
        said: str | None = READERS["name"](find(origin.resource, _SERVICE))
        known["service"] = None if said is None or said.startswith(_UNKNOWN_SERVICE) else said
    found: str | None = known["service"]
    return found


def workflow_of(span: Span, found: Sorted, step_name: str) -> Workflow:
    """What the span's run is called, as far as this span can tell: the strongest of all spans' words stands."""
    said = found.run
    if "workflow" in said:
        return Workflow(said["workflow"], None)
    if "agent" in said:
        return Workflow(said["agent"], WorkflowSource.AGENT)
    service = service_of(span.origin)
    if service is not None:
        return Workflow(service, WorkflowSource.SERVICE)
    return Workflow(step_name if enters(span) else _UNKNOWN, WorkflowSource.SPAN)


def of_every_event(found: Sorted, rules: Rules, workflow: Workflow) -> dict[str, Any]:
    """`session_id`, `user_hash` and `workflow_source`, each where it is known."""
    said: dict[str, Any] = {}
    if (session := found.run.get("session")) is not None:
        said["session_id"] = rules.session(session)
    if (hashed := found.run.get("user_hash")) is not None:
        said["user_hash"] = hashed
    elif (user := found.run.get("user")) is not None and (known := rules.user(user)) is not None:
        said["user_hash"] = known
    if workflow.source is not None:
        said["workflow_source"] = workflow.source
    return said


def run_labels(span: Span, found: Sorted, rules: Rules) -> dict[str, str]:
    """The labels of a run that enters here: its service, its scope, its conversation, and what the table allows."""
    origin = span.origin
    if "labels" not in origin.known:
        origin.known["labels"] = {
            "service.name": service_of(origin),
            names.SCOPE_LABEL: plain_words.word(origin.scope) or names.UNKNOWN_SCOPE,
            **{row.key: resource_label(row, origin.resource) for row in _RESOURCE_LABELS if row.key in origin.resource},
        }
    said = dict(origin.known["labels"])
    if rules.user_ids is UserIds.KEEP:
        said["user.id"] = found.run.get("user")
    for tag in found.run.get("tags", ())[:_MOST_TAGS]:
        said[f"tag.{tag}"] = "true"
    return {key: text for key, text in said.items() if text}


def rest_of_origin(origin: Origin) -> list[tuple[str, Any]]:
    """What a resource and a scope say that has no place of its own."""
    rest = [(f"resource:{key}", value) for key, value in origin.resource.items() if key not in _OWN_KEYS]
    if origin.scope and plain_words.word(origin.scope) is None:
        rest.append(("scope", origin.scope))
    rest += [(f"scope:{key}", value) for key, value in origin.scope_attributes.items()]
    # What a rule refused of those that have a place is kept as well.
    rest += [
        (f"resource:{row.key}", origin.resource[row.key])
        for row in _RESOURCE_LABELS
        if row.key in origin.resource and resource_label(row, origin.resource) is None
    ]
    for key in (*_PROJECT, *_SERVICE):
        said = origin.resource.get(key)
        if said is not None and READERS["name"](find(origin.resource, (key,))) != said:
            rest.append((f"resource:{key}", said))
    return rest
