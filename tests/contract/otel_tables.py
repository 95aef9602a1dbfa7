"""The tables of docs/opentelemetry.md, made from the mapping's own: `python -m tests.contract.otel_tables`."""

import tempfile
from pathlib import Path

from causeline.otlp.exporter.span_attributes import OPENINFERENCE
from causeline.otlp.exporter.span_kinds import RUN, STEPS
from causeline.otlp.receiver import kinds
from causeline.schemas import otel_names as names
from interop import matrix
from tests.unit.otlp.test_round_trip import CANNOT_SURVIVE

PAGE = Path(__file__).parents[2] / "docs" / "opentelemetry.md"
BEGIN, END = "<!-- tables: made by tests/contract/otel_tables.py -->\n", "<!-- end of tables -->\n"
_KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT"}


def tables() -> str:
    """Every mapping as Markdown."""
    parts = [*_clients(), *_keys(), *_kinds(), *_out(), *_lost()]
    return "\n".join(parts) + "\n"


def _clients() -> list[str]:
    with tempfile.TemporaryDirectory() as scratch:
        found = matrix.rows(Path(scratch))
    return [
        "### What each recorded client gives\n",
        "One question asked of a model by a program of each, recorded as it was sent; `errors` is what the same",
        "program gives where the model answers with an error, `why` what is blamed for the good run and for that one.",
        "`leaks`: of a secret in every place of its requests, in three shapes, how many are met outside the artifact",
        "store; `tests/integration/otlp/test_canaries.py` sweeps a whole stack for them.\n",
        *matrix.as_markdown(found),
        "",
    ]


_TITLES = {
    "step": "What a span says of its step", "call": "What only the content of a model call says",
    "run": "What a span says of its run", "resource": "What a resource says of its runs",
    "evidence": "Of evidence (a step of kind `evidence`, or a span event `causeline.evidence.checked`)",
    "fallback": "Of a fallback (any span, or a span event `causeline.fallback`)", "review": "Of a review",
    "eval": "Of an eval case",
    "evaluation": "Of an evaluation (an evaluator's span, a span event or a log record `gen_ai.evaluation.result`)",
    "content": "Content, which goes to the artifact store", "label": "Labels: a word, a number, true or false",
}  # fmt: skip
_TYPES = {
    "word": "one word: letters, digits, `._:/+-`", "name": "a name, cut to its template", "text": "a text of our own",
    "phrase": "a phrase of our own", "ref": "a reference", "own_ref": "a reference of our own", "score": "0 to 1",
    "amount": "a number, not negative", "number": "a number", "whole": "a whole number", "count": "a count",
    "flag": "true or false", "refs": "references", "phrases": "phrases", "finish": "the first of a list of words",
    "tags": "words", "label": "a word, a number, true or false", "session": "one word, else its hash",
    "user": "its keyed hash", "content": "whatever it is", "next_step": "a next step of the policy",
}  # fmt: skip


def _keys() -> list[str]:
    lines = []
    for table, title in _TITLES.items():
        rows = [row for row in names.ROWS if row.goes.partition(".")[0] == table]
        lines += [
            f"### {title}\n",
            "| field | attribute, the first that fits stands | sent by | read as |",
            "|---|---|---|---|",
        ]
        lines += [_key(row) for row in rows]
        lines.append("")
    return lines


def _key(row: names.Row) -> str:
    field = row.goes.partition(".")[2] or "label"
    return f"| `{field}` | `{row.key.replace('*', '…')}` | {row.client} | {_TYPES[row.type]} |"


def _kinds() -> list[str]:
    rows = []
    for key, words in kinds.BY_KEY:
        by_kind: dict[str, list[str]] = {}
        for word, kind in words.items():
            by_kind.setdefault(kind.value, []).append(word)
        told = "; ".join(f"{kind}: {', '.join(said)}" for kind, said in by_kind.items())
        rows.append(f"| `{key}` | {told} |")
    return [
        "### Which step a span is\n",
        "| attribute, in order of precedence | step kind: values |",
        "|---|---|",
        *rows,
        "",
        "Else a span with a tool's name is a `tool`, one with a model's name a `model_call`, one of a vector store a",
        "`retrieve`, any other `custom`. The client's own word stays in `original_kind`.",
        "",
    ]


def _out() -> list[str]:
    kinds_out = [("run", RUN), *STEPS.items()]
    rows = [
        f"| {kind} | {_KINDS[each.otel]} | {f'`{each.operation}`' if each.operation else ''} | {each.openinference} |"
        for kind, each in kinds_out
    ]
    doubles = [f"| `{name}` | `{names.STEP[name].keys[0]}` | `{key}` |" for name, key in OPENINFERENCE.items()]
    return [
        "### What a step is as a span\n",
        "| step | span kind | `gen_ai.operation.name` | OpenInference kind |",
        "|---|---|---|---|",
        *rows,
        "",
        "A field is written under the first of its names above, and these under OpenInference's besides:",
        "",
        "| field | first name | OpenInference |",
        "|---|---|---|",
        *doubles,
        "",
    ]


def _lost() -> list[str]:
    rows = [f"| `{name}` | {reason} |" for name, reason in CANNOT_SURVIVE.items()]
    return ["### What does not survive the way out and in\n", "| field of a run | why |", "|---|---|", *rows, ""]


def main() -> None:
    """Write the tables into their place in the page."""
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n{tables()}{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
