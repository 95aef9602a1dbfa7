"""The tables of docs/opentelemetry.md, made from the mapping's own: `python -m tests.contract.otel_tables`."""

from collections.abc import Mapping
from pathlib import Path

from causeline.producers.otlp import kinds
from causeline.schemas import otel_names as names
from causeline.schemas.otel_names import Alias
from causeline.sinks.otlp.span_attributes import OPENINFERENCE
from causeline.sinks.otlp.span_kinds import RUN, STEPS
from tests.unit.otlp.test_round_trip import CANNOT_SURVIVE

PAGE = Path(__file__).parents[2] / "docs" / "opentelemetry.md"
BEGIN, END = "<!-- tables: made by tests/contract/otel_tables.py -->\n", "<!-- end of tables -->\n"
_KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT"}


def tables() -> str:
    """Every mapping as Markdown."""
    parts = [
        *_fields("What a span says of its step", names.STEP),
        *_fields(
            "Of evidence (a step of kind `evidence`, or a span event `causeline.evidence.checked`)", names.EVIDENCE
        ),
        *_fields("Of a fallback (any span, or a span event `causeline.fallback`)", names.FALLBACK),
        *_fields("Of a review", names.REVIEW),
        *_fields("Of an eval (besides span events and log records `gen_ai.evaluation.result`)", names.EVAL),
        *_kinds(),
        *_content(),
        *_out(),
        *_lost(),
    ]
    return "\n".join(parts) + "\n"


def _fields(title: str, table: Mapping[str, Alias]) -> list[str]:
    rows = [f"| `{name}` | {', '.join(f'`{key}`' for key in alias.keys)} |" for name, alias in table.items()]
    return [f"### {title}\n", "| field | attributes, the first that fits stands |", "|---|---|", *rows, ""]


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
        "Else a span with a tool's name is a `tool`, one with a model's name a `model_call`, any other `custom`.",
        "",
    ]


def _content() -> list[str]:
    def told(keys: tuple[str, ...], prefixes: tuple[str, ...]) -> str:
        return ", ".join([*(f"`{key}`" for key in keys), *(f"`{prefix}…`" for prefix in prefixes)])

    prefixes = names.RETRIEVED_PREFIXES
    retrieved = (names.RETRIEVED_BY_ID, names.RETRIEVED_AS_OUTPUT)
    return [
        "### Content, which goes to the artifact store\n",
        "| reference | attributes |",
        "|---|---|",
        f"| `input_ref` | {told(names.INPUT_CONTENT, names.INPUT_CONTENT_PREFIXES)} |",
        f"| `raw_output_ref` | {told(names.OUTPUT_CONTENT, names.OUTPUT_CONTENT_PREFIXES)} |",
        f"| `context_refs` (a document's id, else its content) | {told(retrieved, prefixes)} |",
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
