"""Every row of the table of keys, with the example beside it: sent as an attribute, it lands where the row says."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from causeline.otlp.receiver import from_json
from causeline.otlp.receiver.content_store import Keeper
from causeline.otlp.receiver.drafts import Draft
from causeline.otlp.receiver.encoding import encoded, kept
from causeline.otlp.receiver.kinds import kind_of
from causeline.otlp.receiver.rules import Rules
from causeline.otlp.receiver.values import READERS, plain
from causeline.producers.artifacts import ArtifactStore
from causeline.schemas.otel_names import KIND_ROWS, ROWS, Row
from causeline.schemas.vocabulary import EventType
from tests.unit.otlp.requests import span_json, traces_json

RULES = Rules(project="tests", user_key=b"a key")
_KINDS: Mapping[str, str] = {"evidence": "evidence", "review": "review", "eval": "eval", "fallback": "fallback"}
_BESIDE: Mapping[str, Mapping[str, Any]] = {
    "evidence": {"causeline.evidence.field": "$.total"},
    "fallback": {"causeline.fallback.kind": "stop"},
    "review": {"causeline.review.outcome": "approved"},
    "eval": {"causeline.eval.case_id": "case-1"},
    "evaluation": {"gen_ai.evaluation.name": "Relevance"},
    "call": {"mlflow.spanType": "CHAT_MODEL"},
    "step": {"gen_ai.operation.name": "chat"},
}
"""What a span must say besides, for the row's field to be said at all."""


def _sent(row: Row, folder: Path) -> tuple[Draft, ArtifactStore]:
    table = row.goes.partition(".")[0]
    key = row.key[:-1] + "0.content" if row.is_prefix else row.key.partition("#")[0]
    attributes: dict[str, Any] = {**_BESIDE.get(table, {})}
    if table in _KINDS:
        attributes["causeline.step.kind"] = _KINDS[table]
    if row.goes.startswith("content.documents"):
        attributes["openinference.span.kind"] = "RETRIEVER"
    resource = {"service.name": "shop"}
    if table == "resource":
        resource[key] = row.example
    else:
        attributes[key] = row.example
    received = from_json.traces(traces_json(span_json("step", attributes=attributes), resource=resource))
    store = ArtifactStore.open(folder)
    drafts = kept(received, RULES, Keeper(store))
    assert len(encoded(drafts, received)) >= 3
    assert received.rejected == 0
    [draft] = drafts
    return draft, store


def _said(draft: Draft, kind: EventType) -> dict[str, Any]:
    return next(event.fields for event in draft.events if event.kind is kind)


_EVENTS = {
    "evidence": EventType.EVIDENCE_CHECKED,
    "fallback": EventType.FALLBACK_TAKEN,
    "review": EventType.REVIEW_RECORDED,
    "eval": EventType.EVAL_RECORDED,
    "evaluation": EventType.EVALUATION_RECORDED,
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.key}>{row.goes}")
def test_each_key_lands_where_the_table_says(tmp_path: Path, row: Row) -> None:  # noqa: C901, PLR0912 - a place a branch
    table, _, name = row.goes.partition(".")
    if table == "aside":
        return  # what reads them is tested with the kinds and with the runs
    draft, store = _sent(row, tmp_path)
    inner = json.loads(row.example)[row.key.partition("#")[2]] if "#" in row.key else row.example
    value = READERS[row.type](plain(inner))
    match table:
        case "step" if name == "finish_reason":
            assert _said(draft, EventType.STEP_FINISHED)["labels"]["model.finish_reason"] == "stop"
        case "step" if name == "level":
            assert _said(draft, EventType.STEP_FINISHED)["status"] == "error"
        case "step" | "call":
            assert _said(draft, EventType.STEP_FINISHED)[name] == value
        case "evaluation":
            said = _said(draft, EventType.EVALUATION_RECORDED)
            if name == "explanation_ref":
                assert said[name] == value
            elif name == "explanation":
                assert store.get(said["explanation_ref"]) == row.example.encode()
            else:
                assert said[name if name == "evaluator" else f"evaluation_{name}"] == value
        case "evidence" | "fallback" | "review" | "eval":
            assert _said(draft, _EVENTS[table])[name] == value
        case "label":
            assert _said(draft, EventType.STEP_FINISHED)["labels"][row.key] == value
        case "content" if name.startswith("documents"):
            assert _said(draft, EventType.STEP_FINISHED)["context_refs"]
        case "content":
            field = {"input": "input_ref", "output": "raw_output_ref", "description": "attributes_ref"}[name]
            assert row.example in store.get(_said(draft, EventType.STEP_FINISHED)[field]).decode()
        case "run":
            _of_run(name, draft, row)
        case "resource":
            started = _said(draft, EventType.RUN_STARTED)
            found = {"project": draft.project, "service": draft.workflow, "label": started["labels"].get(row.key)}
            assert found[name] == value
        case _:
            raise AssertionError(f"{row.goes} is no place")


def _of_run(name: str, draft: Draft, row: Row) -> None:
    started = _said(draft, EventType.RUN_STARTED)
    match name:
        case "workflow":
            assert (draft.workflow, started.get("workflow_source")) == (row.example, None)
        case "agent":
            assert (draft.workflow, started["workflow_source"]) == (row.example, "agent")
        case "session":
            assert started["session_id"] == row.example
        case "user_hash":
            assert started["user_hash"] == row.example
        case "user":
            assert started["user_hash"] == RULES.hashed(row.example)
        case "tags":
            assert any(key.startswith("tag.") for key in started["labels"])


@pytest.mark.parametrize("row", KIND_ROWS, ids=lambda row: f"{row.key}={row.word}")
def test_each_word_for_a_kind_is_read_whatever_its_case(row: Any) -> None:
    for said in (row.word, row.word.upper(), json.dumps(row.word)):
        kind, original = kind_of({row.key: said})
        assert kind == row.kind
        assert original in ({None} if row.key == "causeline.step.kind" else {row.word})


def test_a_word_that_nobody_documents_is_kept_as_the_client_s_own() -> None:
    assert kind_of({"openinference.span.kind": "MEMORY", "gen_ai.operation.name": "chat"}) == ("model_call", "memory")
    assert kind_of({"openinference.span.kind": "Ann's salary"}) == ("custom", None)


def test_no_row_stands_twice_and_each_names_its_client() -> None:
    assert len({(row.key, row.goes) for row in ROWS}) == len(ROWS)
    assert all(row.client and row.goes and row.type in READERS for row in ROWS)
    assert all(row.example for row in ROWS if row.goes != "aside")
