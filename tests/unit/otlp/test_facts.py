"""What the door tells of content without a word of it: how much, of which form, how it went, whether it is the same."""

from collections.abc import Mapping
from typing import Any

import pytest

from causeline.otlp.receiver import from_json, mapping
from causeline.otlp.receiver.rules import Rules
from causeline.schemas.events import MAX_LABELS
from causeline.schemas.vocabulary import EventType
from tests.unit.otlp.requests import event_json, span_json, traces_json

_KEYED = Rules(user_key=b"a key", marks=True)
_ANSWER = '[{"role":"assistant","parts":[{"type":"text","content":%s}],"finish_reason":"stop"}]'


def _labels(attributes: Mapping[str, Any], rules: Rules = _KEYED, **more: Any) -> dict[str, str]:
    received = from_json.traces(traces_json(span_json("step", attributes=attributes, **more)))
    [span] = received.spans
    draft = mapping.of_span(span, rules)
    [step] = [event.fields for event in draft.events if event.kind is EventType.STEP_FINISHED]
    labels: dict[str, str] = step["labels"]
    return labels


@pytest.mark.parametrize(
    ("said", "form", "chars"),
    [
        ({"output.value": "Thirty days."}, "text", "12"),
        ({"output.value": ""}, "empty", "0"),
        ({"output.value": "[]"}, "empty", "0"),
        ({"gen_ai.output.messages": _ANSWER % '"Thirty days."'}, "text", "12"),
        ({"gen_ai.output.messages": _ANSWER % '""'}, "empty", "0"),
        ({"gen_ai.output.messages": _ANSWER % '"{\\"days\\": 30}"'}, "json", "12"),
        ({"gen_ai.output.messages": _ANSWER % '"{\\"days\\": 30"'}, "broken_json", "11"),
        (
            {"llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": ""},
            "empty",
            "0",
        ),
        ({"output.value": "```json\n{}\n```"}, "json", "14"),
    ],
)
def test_an_answers_form_and_length(said: dict[str, str], form: str, chars: str) -> None:
    labels = _labels(said)
    assert (labels["output.form"], labels["output.chars"]) == (form, chars)


def test_what_goes_in_is_counted() -> None:
    assert _labels({"input.value": "How long is the notice?"})["input.chars"] == "23"


def test_an_answer_says_how_it_went_and_not_what_it_is() -> None:
    said = (
        '{"status": "REJECTED", "approved": false, "errors": ["ann@example.org"], "confidence": 0.4, "total": 1204.5,'
    )
    labels = _labels({"output.value": said + ' "owner": "ann", "reason": "she earns too little"}'})
    told = {key: text for key, text in labels.items() if key.startswith("output.")}
    assert told.pop("output.keys")[0] == "~"
    assert told == {
        "output.status": "rejected",
        "output.approved": "false",
        "output.errors.items": "1",
        "output.confidence": "0.4",
        "output.members": "7",
        "output.form": "text",
        "output.chars": str(len("REJECTEDann@example.organnshe earns too little")),
    }


def test_a_lone_word_of_an_outcome_is_told() -> None:
    assert _labels({"openinference.span.kind": "GUARDRAIL", "output.value": "Blocked"})["output.word"] == "blocked"
    assert "output.word" not in _labels({"output.value": "Bloggs"})


def test_another_schema_is_another_mark() -> None:
    def keys(said: str) -> str:
        return _labels({"output.value": said})["output.keys"]

    assert keys('{"a": 1, "b": "x"}') == keys('{"b": "y", "a": 2}') != keys('{"a": 1, "c": "x"}')


def test_words_under_keys_that_nobody_documents_are_told_by_marks() -> None:
    first, same, other = (_labels({"shop.form": word})["shop.form"] for word in ("motor", "motor", "home"))
    assert first == same != other
    assert first[0] == "~"
    assert "motor" not in first
    assert _labels({"shop.form": "motor"}, Rules(user_key=b"another", marks=True))["shop.form"] != first


@pytest.mark.parametrize(
    "text",
    ["ann@example.org", "a sentence of words", "0123456789abcdef0123456789abcdef", "sk-live-0123456789", "x" * 65],
)
def test_a_person_a_sentence_or_an_id_has_no_mark(text: str) -> None:
    assert "shop.note" not in _labels({"shop.note": text})


def test_a_key_of_our_own_has_no_mark() -> None:
    assert "causeline.project" not in _labels({"causeline.project": "shop"})


def test_without_a_key_that_lasts_there_are_no_marks() -> None:
    """A key of one process would make every restart look like a release."""
    labels = _labels({"shop.form": "motor", "output.value": '{"a": 1}'}, Rules())
    assert "shop.form" not in labels
    assert "output.keys" not in labels


def test_members_of_json_under_such_keys_are_told_as_attributes_are() -> None:
    said = (
        '{"confidence": 0.31, "retried": true, "outcome": "Partial", "form": "motor", "errors": [1, 2], "password": 7}'
    )
    labels = _labels({"metadata": said})
    assert labels["metadata.form"][0] == "~"
    assert {key: labels[key] for key in labels if key != "metadata.form"} == {
        "metadata.confidence": "0.31",
        "metadata.retried": "true",
        "metadata.outcome": "partial",
        "metadata.errors.items": "2",
    }
    assert _labels({"app.outcome": "failed"}) == {"app.outcome": "failed"}
    assert _labels({"validation.errors": ["$.total: missing"]}) == {"validation.errors.items": "1"}


def test_a_search_says_how_many_it_found_and_the_best_score() -> None:
    found = {
        "openinference.span.kind": "RETRIEVER",
        "retrieval.documents.0.document.id": "doc:1",
        "retrieval.documents.0.document.score": 0.25,
        "retrieval.documents.1.document.id": "doc:2",
        "retrieval.documents.1.document.score": 0.75,
    }
    labels = _labels(found)
    assert (labels["retrieve.matches"], labels["retrieve.top_score"]) == ("2", "0.75")


@pytest.mark.parametrize(
    "said",
    [
        {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": "[]"},
        {"openinference.span.kind": "RETRIEVER", "output.value": '{"documents": []}'},
    ],
)
def test_a_search_that_says_it_found_nothing(said: dict[str, str]) -> None:
    assert _labels(said)["retrieve.matches"] == "0"


def test_a_search_that_says_nothing_is_not_counted() -> None:
    assert "retrieve.matches" not in _labels({"openinference.span.kind": "RETRIEVER"})


def test_events_are_counted_by_name_with_their_outcomes() -> None:
    events = [event_json("check failed", {"passed": False, "why": "it is too dear"})] * 2
    assert _labels({}, events=events) == {"event.check_failed": "2", "event.check_failed.passed": "false"}


def test_facts_leave_room_and_never_displace_what_is_said() -> None:
    said = {f"shop.n{place}": place for place in range(MAX_LABELS)}
    labels = _labels({**said, "output.value": '{"ok": true}', "shop.form": "motor"})
    assert labels == {key: str(value) for key, value in said.items()}
