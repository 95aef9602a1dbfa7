"""What each recorded client gives, a row a client, read off the runs that its recordings become.

A cell is what stands in the run, or why it cannot: `WHY_NOT` has the reasons, and a cell that lacks its fact without
one is an error of ours, which `missing` names.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from causeline.diagnosis.diagnose import diagnose
from causeline.otlp.receiver import from_json, from_protobuf
from causeline.otlp.receiver.content_store import Keeper
from causeline.otlp.receiver.encoding import encoded, kept
from causeline.otlp.receiver.rules import Rules
from causeline.producers.artifacts import ArtifactStore
from causeline.schemas.run import Run, Step
from interop.recorder import Request, read_recording
from interop.run_clients import FAILURES, RECORDINGS, replayed
from tests.unit.otlp.planting import SHAPES, mark, planted

COLUMNS: Final = (
    "client", "spans = steps", "kinds", "model", "provider", "tokens", "cost", "prompt and answer", "session", "errors",
    "evaluations", "leaks", "why",
)  # fmt: skip
_SAYS_NONE: Final = "says none"
_PLAIN: Final = frozenset({"js_json", "js_proto", "otel_grpc", "otel_http", "otel_java"})
"""Programs that set attributes by hand, and no content."""
_WITH_SESSION: Final = frozenset(
    {"google_adk", "langgraph", "openai_agents", "otel_java", "pydantic_ai", "strands"}
)  # fmt: skip
_WITH_COST: Final = frozenset({"pydantic_ai", "openlit"})
WHY_NOT: Final[Mapping[str, Mapping[str, str]]] = {
    "provider": dict.fromkeys(("langfuse", "langfuse_js", "mlflow"), _SAYS_NONE),
    "prompt and answer": dict.fromkeys(_PLAIN, "sets no content") | {"google_adk": "keeps messages out of its spans"},
    "errors": dict.fromkeys(
        ("js_json", "js_proto", "langfuse_js", "otel_grpc", "otel_http"), "asks no model, and never fails"
    ),
}
"""By column and client, why a cell says nothing; session, cost and evaluations say `says none` by themselves."""


@dataclass(frozen=True, slots=True)
class Row:
    """One client's cells, by column."""

    client: str
    cells: Mapping[str, str]

    def missing(self) -> Iterator[str]:
        """The columns that say nothing, and no reason."""
        yield from (f"{self.client}: {column}" for column, text in self.cells.items() if not text)


def names() -> list[str]:
    """The recorded clients."""
    return sorted(folder.name for folder in RECORDINGS.iterdir())


def rows(scratch: Path) -> list[Row]:
    """All of them."""
    return [row(name, scratch) for name in names()]


def row(name: str, scratch: Path) -> Row:
    """One client's."""
    requests = read_recording(RECORDINGS / name)
    [run] = replayed(requests, scratch / name)
    failed = FAILURES / name
    broken = replayed(read_recording(failed), scratch / f"{name}.failing") if failed.exists() else ()
    calls = [step for step in run.steps if step.step_kind == "model_call"]
    cells = {
        "spans = steps": f"{spans_of(requests)} = {len(run.steps)}" if spans_of(requests) == len(run.steps) else "",
        "kinds": ", ".join(f"{kind} {times}" for kind, times in Counter(step.step_kind for step in run.steps).items()),
        "model": run.model_name or "",
        "provider": run.model_provider or _why("provider", name),
        "tokens": "" if run.input_tokens is None else f"{run.input_tokens} → {run.output_tokens}",
        "cost": "" if name in _WITH_COST and run.cost_usd is None else _cost(run),
        "prompt and answer": _content(calls) or _why("prompt and answer", name),
        "session": run.session_id or ("" if name in _WITH_SESSION else _SAYS_NONE),
        "errors": ", ".join(_error(each) for each in broken) or _why("errors", name),
        "evaluations": ", ".join(each.name for each in run.evaluations) or _SAYS_NONE,
        "leaks": _leaks(requests, scratch / f"{name}.planted"),
        "why": "; ".join([_blamed(run) or "quiet", *(f"failing: {_blamed(each) or 'quiet'}" for each in broken)]),
    }
    return Row(name, cells)


def spans_of(requests: list[Request]) -> int:
    """How many spans were sent, each counted once."""
    found = set()
    for request in requests:
        if request.signal == "traces":
            received = (from_json if request.json else from_protobuf).traces(request.body)
            found |= {(span.trace_id, span.span_id) for span in received.spans}
    return len(found)


def _why(column: str, name: str) -> str:
    return WHY_NOT[column].get(name, "")


def _cost(run: Run) -> str:
    return _SAYS_NONE if run.cost_usd is None else f"${run.cost_usd:.8f}".rstrip("0").rstrip(".")


def _content(calls: list[Step]) -> str:
    kept = [bool(step.input_ref) and bool(step.raw_output_ref) for step in calls]
    return f"{sum(kept)} of {len(kept)}" if kept and all(kept) else ""


def _error(run: Run) -> str:
    return f"{run.error_type or 'no class said'} at {run.error_step}" if run.status == "error" else ""


def _leaks(requests: list[Request], folder: Path) -> str:
    """How many of the secrets that are planted in every place, in each shape, are met on the wire."""
    leaked = swept = 0
    keeper = Keeper(ArtifactStore.open(folder))
    for shape in SHAPES.values():
        made, secrets = planted(requests, shape)
        wire = b""
        for request in made:
            received = getattr(from_protobuf, request.signal)(request.body)
            items = encoded(kept(received, Rules(user_key=b"a key", marks=True), keeper), received)
            wire += b"".join(item.data for item in items)
        leaked += sum(mark(secret) in wire for secret in secrets)
        swept += len(secrets)
    return f"{leaked} of {swept}"


def _blamed(run: Run) -> str:
    first = diagnose(run).first_cause
    if first is None:
        return ""
    error = next((fact.value for fact in first.finding.facts if fact.name == "error_type"), "")
    return f"{first.finding.step}{f', {error}' if error else ''}"


def as_markdown(found: list[Row]) -> list[str]:
    """The table."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    return lines + [
        f"| `{each.client}` | {' | '.join(each.cells[column] for column in COLUMNS[1:])} |" for each in found
    ]
