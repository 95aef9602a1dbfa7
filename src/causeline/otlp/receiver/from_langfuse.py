"""Langfuse's scores: `POST /api/public/scores`, one score, and the batches of its SDKs, of which the scores are taken.

A score becomes the evaluation that it would be as a GenAI log record. Its comment is content. Of two that are the same,
one stands, whenever they come.
"""

from datetime import datetime
from typing import Any, Final

from pydantic_core import from_json

from causeline.otlp.receiver.identity import span_id_in, trace_id_in
from causeline.otlp.receiver.telemetry import LogRecord, Malformed, Origin, Received, Value
from causeline.runtime.clock import Clock, system_clock
from causeline.schemas import otel_names as names
from causeline.schemas.ids import derived_id

_SCORE: Final = "score-create"
_OWN: Final = frozenset(
    {"id", "traceId", "observationId", "name", "value", "comment", "timestamp", "dataType", "source"}
)
_MOST: Final = 10_000


class Scores:
    """Reads scores; `clock` tells the time of those that say none, in microseconds."""

    def __init__(self, clock: Clock = system_clock) -> None:
        self._clock = clock

    def one(self, body: bytes) -> Received:
        """A lone score; raises Malformed."""
        received = Received()
        said = _object(body)
        if not self._take(said, said.get("timestamp"), received):
            raise Malformed("A score has a name, a value and a traceId of 32 hex digits.")
        return received

    def batch(self, body: bytes) -> Received:
        """The scores of an ingestion batch; what else it has is counted as rejected. Raises Malformed."""
        received = Received()
        items = _object(body).get("batch")
        if not isinstance(items, list):
            raise Malformed("The body is not a batch of Langfuse's: it has no list `batch`.")
        for item in items[:_MOST]:
            event = item if isinstance(item, dict) else {}
            said = event.get("body")
            if event.get("type") != _SCORE or not isinstance(said, dict):
                received.reject("an event that is no score: traces come by /api/public/otel/v1/traces")
            elif not self._take(said, event.get("timestamp"), received):
                received.reject("a score without a name, a value or a traceId of 32 hex digits")
        return received

    def _take(self, said: dict[str, Any], at: object, received: Received) -> bool:
        trace_id = trace_id_in(str(said.get("traceId") or "").replace("-", ""))
        name, value = said.get("name"), said.get("value")
        if trace_id is None or not isinstance(name, str) or not isinstance(value, int | float | str):
            return False
        attributes: dict[str, Value] = {f"langfuse.{key}": each for key, each in said.items() if key not in _OWN}
        attributes |= {"gen_ai.evaluation.name": name, "gen_ai.evaluation.explanation": said.get("comment")}
        is_word = isinstance(value, str)
        attributes[f"gen_ai.evaluation.score.{'label' if is_word else 'value'}"] = value
        if said.get("dataType") == "BOOLEAN":
            attributes["gen_ai.evaluation.score.scale"] = "0..1"
        if isinstance(said.get("source"), str):
            attributes["gen_ai.evaluation.evaluator"] = said["source"]
        identity = derived_id(trace_id, str(said.get("id")), name, str(value), str(said.get("comment")))
        observation = span_id_in(said.get("observationId")) or ""
        at_us = _micros(at) or self._clock()
        received.logs.append(
            LogRecord(trace_id, observation, names.EVALUATION_EVENT, at_us, None, attributes, Origin({}), identity)
        )
        return True


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = from_json(body)
    except ValueError as error:
        raise Malformed("The body is not JSON.") from error
    if not isinstance(document, dict):
        raise Malformed("The body is not a JSON object.")
    return document


def _micros(said: object) -> int | None:
    try:
        return max(0, round(datetime.fromisoformat(str(said)).timestamp() * 1e6)) if said else None
    except (ValueError, OverflowError):
        return None
