"""A run across processes: W3C `traceparent` and `baggage`, out and in.

Sources: W3C Trace Context (version 00) and W3C Baggage. The trace id is the run id, the parent id the step's id; what a
second process needs besides to say the same run's name travels as baggage. Headers from outside are not to be trusted:
continue runs only of callers that may write into your traces.
"""

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from causeline.schemas.ids import derived_id, is_run_id, is_step_id

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_MAX_HEADER = 8192
_MAX_NAME = 256
_BAGGAGE = {
    "causeline.project": "project",
    "causeline.workflow": "workflow",
    "causeline.started": "run_started_at",
}


@dataclass(frozen=True, slots=True)
class RemoteRun:
    """What headers say of a run that goes on here; what they do not say is None."""

    run_id: str
    parent_step_id: str
    """The step that the headers were written in; outside a step, `root_of` the run."""
    project: str | None = None
    workflow: str | None = None
    run_started_at: int | None = None


def root_of(run_id: str) -> str:
    """The parent id that stands for a run itself, where it is called on outside a step; never a step's."""
    return derived_id(run_id)[:16]


def inject(headers: MutableMapping[str, str], remote: RemoteRun) -> None:
    """Write `remote` into headers; baggage of others is kept."""
    headers["traceparent"] = f"00-{remote.run_id}-{remote.parent_step_id}-01"
    said = {key: getattr(remote, name) for key, name in _BAGGAGE.items()}
    ours = [f"{key}={quote(str(value), safe='', errors='replace')}" for key, value in said.items() if value is not None]
    others = [part for part in headers.get("baggage", "").split(",") if part.partition("=")[0].strip() not in said]
    headers["baggage"] = ",".join([*(part.strip() for part in others if part.strip()), *ours])


def extract(headers: Mapping[str, str]) -> RemoteRun | None:
    """The run that headers speak of, or None when they speak of none, or not in the standard's form."""
    lowered = {str(key).lower(): value for key, value in headers.items() if isinstance(value, str)}
    parent = parse_traceparent(lowered.get("traceparent", ""))
    if parent is None:
        return None
    said = _baggage(lowered.get("baggage", ""))
    started = said.get("run_started_at", "")
    return RemoteRun(
        *parent,
        project=_name(said.get("project")),
        workflow=_name(said.get("workflow")),
        run_started_at=int(started) if started.isascii() and started.isdigit() and len(started) < 18 else None,
    )


def parse_traceparent(text: str | None) -> tuple[str, str] | None:
    """Trace id and parent id of a `traceparent`, or None when it is not one."""
    found = _TRACEPARENT.fullmatch(text.strip()) if isinstance(text, str) and len(text) < _MAX_HEADER else None
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return None
    return (found[2], found[3]) if is_run_id(found[2]) and is_step_id(found[3]) else None


def _name(text: str | None) -> str | None:
    return text if text and len(text) <= _MAX_NAME else None


def _baggage(text: str) -> dict[str, str]:
    pairs = (member.partition(";")[0].partition("=") for member in text[:_MAX_HEADER].split(","))
    return {_BAGGAGE[key.strip()]: unquote(value.strip()) for key, _, value in pairs if key.strip() in _BAGGAGE}
