"""What a span's content is like, told without a word of it: how much there is, of which form, and how it went.

Diagnosis reads events, and content stays out of them. So the door says beside a reference what can be said of what
lies there: lengths, counts, scores, whether it can be parsed, words of a closed list under names of a closed list, and
keyed marks of other words, by which equal words can be told and nothing else. Pure.
"""

from collections.abc import Iterable
from typing import Any, Final

from pydantic_core import from_json

from causeline.otlp.receiver import plain_words
from causeline.otlp.receiver.rules import Rules
from causeline.otlp.receiver.telemetry import SpanEvent, Value
from causeline.otlp.receiver.values import READERS, number, small_number
from causeline.schemas import measures
from causeline.schemas import otel_names as names
from causeline.schemas.events import MAX_LABELS
from causeline.schemas.vocabulary import (
    BAD_LABELS,
    GOOD_LABELS,
    EvalOutcome,
    FallbackKind,
    FinalState,
    NextStep,
    ReviewOutcome,
    Status,
)

_Parts = list[tuple[str, Value]]

OUTCOMES: Final = GOOD_LABELS | BAD_LABELS | frozenset(
    word.value
    for words in (EvalOutcome, FallbackKind, FinalState, NextStep, ReviewOutcome, Status)
    for word in words
) | frozenset(
    {
        "aborted", "accept", "accepted", "allow", "allowed", "block", "blocked", "cancelled", "complete", "completed",
        "corrupt", "degraded", "denied", "deny", "done", "down", "dropped", "empty", "exhausted", "expired", "failure",
        "flagged", "found", "high", "incomplete", "invalid", "length", "low", "medium", "mismatch", "missing",
        "negative", "neutral", "none", "not_found", "open", "outdated", "overflow", "positive", "refusal", "refused",
        "reopened", "resolved", "retry", "skip", "stale", "success", "succeeded", "timed_out", "timeout", "tripped",
        "truncated", "unavailable", "unknown", "unresolved", "up", "valid", "violation", "warn", "warning",
    }
)  # fmt: skip
"""Words that say how something went and nothing of whom or what: a closed list, so that no content is among them."""
_TOLD: Final = frozenset(
    {
        "accepted", "action", "allowed", "answered", "approved", "attempts", "blocked", "complete", "confidence",
        "correct", "count", "decision", "done", "empty", "error", "errors", "flagged", "found", "grounded", "hits",
        "is_error", "is_valid", "iserror", "issues", "items", "matches", "missing", "ok", "outcome", "pages",
        "pages_read", "passed", "reason", "refused", "rejected", "relevant", "result", "results", "retries", "rows",
        "safe", "score", "severity", "state", "status", "success", "total", "triggered", "tripwire_triggered",
        "truncated", "valid", "validation_errors", "verdict", "warnings",
    }
)  # fmt: skip
"""Members of an answer in JSON by which programs say how it went."""
_COUNTED: Final = frozenset(
    {"attempts", "confidence", "count", "hits", "matches", "pages", "pages_read", "retries", "score", "severity"}
)
"""Those of them that may be numbers: any other number in an answer is what was asked for."""
_INPUT_CHARS, _OUTPUT_CHARS, _OUTPUT_WORD = "input.chars", "output.chars", "output.word"
_OUTPUT_MEMBERS, _OUTPUT_KEYS = "output.members", "output.keys"
_SHAPELESS: Final = frozenset({"role", "type", "id", "name", "finish_reason", "mime_type", "tool_call_id", "index"})
_OURS: Final = "causeline."
_JSON: Final = frozenset({"{", "["})
_NOTHING: Final = frozenset({"", "null", "[]", "{}", '""'})
_MOST_PARSED: Final = 16_384
_MOST_MEMBERS: Final = 16
_MOST_MARKS: Final = 12
_LONGEST_MARKED: Final = 64
_EVENT_TOKENS: Final = 3


def of_unheard(said: Iterable[tuple[str, Value]], rules: Rules, labels: dict[str, str]) -> None:
    """What can be told of texts and lists under keys that nobody documents."""
    for key, value in said:
        if len(labels) >= MAX_LABELS:
            return
        if key.startswith(_OURS):
            continue  # of our own keys each has its place
        members = _opened(value) if isinstance(value, str) and value[:1] == "{" else value
        if isinstance(members, dict):
            for name, inner in list(members.items())[:_MOST_MEMBERS]:
                if plain_words.key(name) and not name.lower().endswith(names.NEVER_LABELS):
                    _member(f"{key}.{name}", inner, rules, labels)
        else:
            _member(key, value, rules, labels)


def of_events(events: Iterable[SpanEvent], placed: frozenset[str], labels: dict[str, str]) -> None:
    """Span events that have no place of their own: how often each came, and how it went."""
    for event in events:
        if event.name in placed or event.name == names.EXCEPTION_EVENT:
            continue
        name = (READERS["name"](event.name) or "").replace(" ", "_")
        if not name or name.count("_") >= _EVENT_TOKENS + 1 or not plain_words.key(name) or len(labels) >= MAX_LABELS:
            continue
        key = f"event.{name}"
        labels[key] = str(int(labels.get(key, "0")) + 1)
        for inner, value in event.attributes.items():
            told = _outcome(value)
            if told is not None and plain_words.key(inner) and len(labels) < MAX_LABELS:
                labels[f"{key}.{inner}"] = told


def of_content(inputs: _Parts, outputs: _Parts, rules: Rules, labels: dict[str, str]) -> None:
    """How long what went in is; how long, of which form and how good what came out is."""
    if inputs:
        labels[_INPUT_CHARS] = str(sum([len(value) for _, value in inputs if isinstance(value, str)]))
    if outputs:
        given = [_opened(value) for key, value in outputs if key.rpartition(".")[2] not in _SHAPELESS]
        texts: list[str] = []
        for value in given:
            _texts(value, texts)
        labels[_OUTPUT_CHARS] = str(sum(map(len, texts)))
        _form(texts, given, rules, labels)


def of_documents(count: int, scores: Iterable[Value], labels: dict[str, str]) -> None:
    """How many documents a search gave, and the best score."""
    labels.setdefault(measures.RETRIEVE_MATCHES, str(count))
    found = [score for each in scores if (score := number(each)) is not None]
    if found:
        labels.setdefault(measures.RETRIEVE_TOP_SCORE, f"{max(found):g}")


def is_nothing(outputs: _Parts) -> bool:
    """Whether an output is there and says that there is none."""
    return bool(outputs) and all(_is_nothing(_opened(value)) for _, value in outputs)


def _is_nothing(value: object) -> bool:
    if isinstance(value, str):
        return value.strip() in _NOTHING
    if isinstance(value, dict):
        return all(map(_is_nothing, value.values()))
    return value is None or value == []


def _opened(value: Any) -> Any:
    """A value, parsed where it is JSON of a size that costs little."""
    if isinstance(value, str) and value[:1] in ("{", "[", '"') and len(value) <= _MOST_PARSED:
        try:
            return from_json(value)
        except ValueError:
            return value
    return value


def _texts(value: Any, found: list[str]) -> None:
    """The texts in an answer, whatever they are wrapped in."""
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in _SHAPELESS:
                _texts(inner, found)
    elif isinstance(value, list):
        for inner in value[:_MOST_MEMBERS]:
            _texts(inner, found)


def _form(texts: list[str], given: list[Any], rules: Rules, labels: dict[str, str]) -> None:
    starts = [text.lstrip()[:3] for text in texts]
    if not any(starts) and (texts or all(map(_is_nothing, given))):
        labels[measures.OUTPUT_FORM] = "empty"
        return
    said: Any = None
    answer = next(
        (text for text, start in zip(texts, starts, strict=True) if start[:1] in _JSON or start == "```"), None
    )
    if answer is None:
        said = given[0] if isinstance(given[0], dict) else None
        labels[measures.OUTPUT_FORM] = "text"
        if len(texts) == 1 and len(texts[0]) <= _LONGEST_MARKED and (word := texts[0].strip().lower()) in OUTCOMES:
            labels[_OUTPUT_WORD] = word
    elif len(answer) <= _MOST_PARSED:
        said = _opened(_unfenced(answer))
        labels[measures.OUTPUT_FORM] = "broken_json" if isinstance(said, str) else "json"
    if isinstance(said, dict):
        _answer(said, rules, labels)


def _unfenced(text: str) -> str:
    text = text.strip()
    return text.strip("`").removeprefix("json").strip() if text[:3] == "```" else text


def _answer(said: dict[str, Any], rules: Rules, labels: dict[str, str]) -> None:
    labels[_OUTPUT_MEMBERS] = str(len(said))
    if rules.marks:
        labels[_OUTPUT_KEYS] = rules.mark(",".join(sorted(map(str, said))))
    for name, value in list(said.items())[:_MOST_MEMBERS]:
        lower = name.lower()
        if lower not in _TOLD or len(labels) >= MAX_LABELS:
            continue
        if isinstance(value, list):
            labels[f"output.{lower}.items"] = str(len(value))
        elif (isinstance(value, bool | str) or lower in _COUNTED) and (told := _outcome(value)) is not None:
            labels[f"output.{lower}"] = told


def _member(key: str, value: object, rules: Rules, labels: dict[str, str]) -> None:
    if len(labels) >= MAX_LABELS:
        return
    if isinstance(value, list):
        labels[f"{key}.items"] = str(len(value))
    elif (told := _outcome(value)) is not None:
        labels[key] = told
    elif isinstance(value, str) and rules.marks and not key.endswith("id"):
        _mark(key, value, rules, labels)


def _outcome(value: object) -> str | None:
    """True or false, a small number, a word of the closed list."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        lower = value.lower()
        return lower if lower in OUTCOMES else None
    return small_number(value) if isinstance(value, int | float) else None


def _mark(key: str, text: str, rules: Rules, labels: dict[str, str]) -> None:
    if len(text) > _LONGEST_MARKED or plain_words.word(text) is None or plain_words.is_id(text):
        return
    if sum(said[:1] == "~" for said in labels.values()) < _MOST_MARKS:
        labels[key] = rules.mark(text)
