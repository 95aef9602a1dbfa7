"""What the compiled core knows of events, `core/src/schema.rs`: made from the committed schemas, the contract's rules
and the words, so that nothing is said there that is not said here.

`python -m tests.contract.core_schema` writes it.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from causeline.schemas import catalogue, decisions, losses, otel_names, vocabulary
from causeline.schemas.contract import MUST_SAY, RULES, Form, Rule
from causeline.schemas.events import UNNUMBERED_EMITTER
from causeline.streams.definition import completeness, labels, steps
from causeline.streams.definition.anchors import ONLY_WHEN_OK, REQUIRED
from causeline.streams.definition.decisions import CONTEXT, MODEL, ON_THE_WAY, PROMPT, ROUTE, Decision
from causeline.streams.definition.events import SOURCES
from causeline.streams.definition.fallbacks import GAVE_LESS, TRIED_AGAIN
from causeline.streams.definition.records import EvidenceRecord, StepRecord
from causeline.streams.definition.run import ASSEMBLER_VERSION

PATH = Path(__file__).parents[2] / "core" / "src" / "schema.rs"
_HEAD = """//! What is known here of events, the contract and the words.
//!
//! Made by `python -m tests.contract.core_schema` of the committed schemas and of what Python says.

use crate::contract::Rule;
use crate::event::Kind;
"""
_KINDS = {"string": "Text", "long": "Long", "int": "Int", "double": "Double", "boolean": "Boolean"}
_WORDS = {
    "UNNUMBERED": UNNUMBERED_EMITTER,
    "LOSS_STEP": losses.LOSS_STEP,
    "LOSS_ERROR": losses.LOSS_ERROR,
    "LOST_EVENTS": losses.LOST_EVENTS,
    "DOUBLED": steps.DOUBLED,
    "SKEW_LABEL": vocabulary.SKEW_LABEL,
    "SCOPE_LABEL": otel_names.SCOPE_LABEL,
    "UNKNOWN_SCOPE": otel_names.UNKNOWN_SCOPE,
    "ROOTS_LABEL": otel_names.ROOTS_LABEL,
    "CLAIMS_LABEL": vocabulary.CLAIMS_LABEL,
    "FOREIGN_LABEL": vocabulary.FOREIGN_LABEL,
    "ASSEMBLER_VERSION": ASSEMBLER_VERSION,
}
_LISTS: dict[str, Iterable[str]] = {
    "AFTERTHOUGHTS": decisions.AFTERTHOUGHTS,
    "CLAIMED": decisions.CLAIMS.values(),
    "ON_THE_WAY": sorted(ON_THE_WAY),
    "TRIED_AGAIN": sorted(TRIED_AGAIN),
    "GAVE_LESS": sorted(GAVE_LESS),
}


def text() -> str:
    """The module."""
    item = catalogue.latest("trace-batch").item
    assert item is not None
    names = [field["name"] for field in item["fields"]]
    lines = [_HEAD]
    lines += ["/// How many fields an event has.", f"pub const FIELDS: usize = {len(names)};"]
    lines += [f"pub const {name.upper()}: usize = {place};" for place, name in enumerate(names)]
    lines += ["", "/// How each is written."]
    lines += [_table("KINDS", "Kind", [f"Kind::{_kind(field['type'])}" for field in item["fields"]], size="FIELDS")]
    lines += ["/// What the contract asks of those that are said."]
    lines += [_table("RULES", "(usize, Rule)", [f"({name.upper()}, {rule})" for name, rule in _rules()])]
    lines += ["/// What an event of a type must say."]
    lines += [
        _table("MUST_SAY", "(&[u8], &[usize])", [f"({_text(kind)}, {_fields(of)})" for kind, of in MUST_SAY.items()])
    ]
    lines += ["/// What a decision is called when it comes by the events topic."]
    lines += [_table("CLAIMS", "(&[u8], &[u8])", [f"({_text(a)}, {_text(b)})" for a, b in decisions.CLAIMS.items()])]
    lines += [
        "/// What a step must say so that it can be compared: its kind, the field, only when it ended well, and both."
    ]
    lines += [_table("REQUIRED", "(&[u8], usize, bool, &[u8])", list(_required()))]
    lines += ["/// A step's record: the fields that its events say, None for those that are found of it."]
    lines += [_table("STEP_RECORD", "Option<usize>", list(_of_record(StepRecord.__annotations__, names, "started_at")))]
    lines += ["/// The record of a piece of evidence."]
    lines += [_table("EVIDENCE_RECORD", "usize", [name.upper() for name in EvidenceRecord.__annotations__])]
    for name, decision in {"ROUTED": ROUTE, "PROMPTED": PROMPT, "MODELLED": MODEL, "SHOWN": CONTEXT}.items():
        lines += [_decision(name, decision)]
    lines += ["/// How far behind a word that is said outright each source of a workflow's name is."]
    lines += [_table("SOURCES", "(&[u8], u8)", [f"({_text(word)}, {rank})" for word, rank in SOURCES.items()])]
    lines += [_table(name, "&[u8]", [_text(word) for word in words]) for name, words in _LISTS.items()]
    lines += [f"pub const {name}: &[u8] = {_text(word)};" for name, word in _WORDS.items()]
    for enum in (vocabulary.EventType, vocabulary.StepKind, vocabulary.Status, vocabulary.Verdict,
                 vocabulary.CloseReason, vocabulary.FinalState, vocabulary.FallbackKind):  # fmt: skip
        prefix = {"EventType": "", "StepKind": "KIND_", "FallbackKind": "FALLBACK_"}.get(
            enum.__name__, f"{enum.__name__.upper()}_"
        )
        lines += ["", f"// {enum.__name__}"]
        lines += [f"pub const {_word_name(prefix, each.name)}: &[u8] = {_text(each.value)};" for each in enum]
    lines += ["", f"pub const MOST_LOST: i128 = {completeness.MOST_LOST};"]
    lines += [f"pub const SKEW_FROM_S: i64 = {labels.SKEW_FROM_S};"]
    return "\n".join(lines) + "\n"


def _word_name(prefix: str, name: str) -> str:
    return f"TYPE_{name}" if not prefix else prefix + name


def _text(word: str) -> str:
    return f'b"{word}"'


def _table(name: str, of: str, rows: list[str], *, size: str = "") -> str:
    shape = f"[{of}; {size}]" if size else f"&[{of}]"
    lead = "" if size else "&"
    body = "".join(f"    {row},\n" for row in rows)
    return f"pub const {name}: {shape} = {lead}[\n{body}];"


def _kind(avro: Any) -> str:
    if isinstance(avro, list):
        return f"Maybe{_KINDS[next(each for each in avro if each != 'null')]}"
    if isinstance(avro, str):
        return _KINDS[avro]
    item = avro["items"]
    return (
        {"Label": "Labels", "ConflictSide": "Sides"}[item["name"].rpartition(".")[2]]
        if isinstance(item, dict)
        else "Texts"
    )


def _rules() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield from ((name, _rule(rule)) for name in rule.columns)


def _rule(rule: Rule) -> str:
    low, high = int(rule.low), int(rule.high or 0)
    made = {
        Form.HEX: f"Hex({high})",
        Form.CHARS: f"Chars({low}, {high})",
        Form.ITEMS: f"Items({high})",
        Form.MOMENT: f"Whole({low}, {high})",
        Form.REFERENCE: f"Reference({high})",
        Form.REFERENCES: f"References({high})",
        Form.NUMBER: f"Number({float(low)}, {'f64::MAX' if rule.high is None else float(high)})",
    }
    return f"Rule::{made[rule.form]}"


def _fields(names: Iterable[str]) -> str:
    return f"&[{', '.join(name.upper() for name in names)}]"


def _required() -> Iterator[str]:
    for kind, name in REQUIRED:
        only = str((kind, name) in ONLY_WHEN_OK).lower()
        yield f"({_text(kind)}, {name.upper()}, {only}, {_text(f'{kind}.{name}')})"


def _of_record(record: Iterable[str], names: list[str], *found: str) -> Iterator[str]:
    for name in record:
        yield f"Some({name.upper()})" if name in names and name not in found else "None"


def _decision(name: str, decision: Decision) -> str:
    ranks = ", ".join(f"({_text(kind)}, {rank})" for kind, rank in decision.ranks.items())
    return (
        f"pub const {name}: crate::run::decisions::Decision = crate::run::decisions::Decision {{\n"
        f"    says: {_fields(decision.says)},\n    ranks: &[{ranks}],\n    well: {str(decision.well).lower()},\n}};"
    )


if __name__ == "__main__":
    PATH.write_text(text(), "utf-8")
