"""Runs held against the spans that a backend shows of them. Pure: what runs there are, and what was read back.

Kinds, times, parents and facts are told here from the run, without the exporter's code: an error of the exporter must
not be an error of its judge too.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from causeline.schemas.run import Run, Step

KINDS = {
    "parse": "TOOL", "tool": "TOOL", "mask": "GUARDRAIL", "validate": "GUARDRAIL", "retrieve": "RETRIEVER",
    "prompt": "PROMPT", "model_call": "LLM", "evidence": "EVALUATOR", "review": "EVALUATOR", "eval": "EVALUATOR",
}  # fmt: skip
"""OpenInference's kind of each kind of step; of any other it is CHAIN."""
FACTS = {
    "model_name": "llm.model_name",
    "model_provider": "llm.provider",
    "input_tokens": "llm.token_count.prompt",
    "output_tokens": "llm.token_count.completion",
    "cost_usd": "llm.cost.total",
    "prompt_id": "prompt.id",
    "temperature": "gen_ai.request.temperature",
    "system_fingerprint": "causeline.response.system_fingerprint",
}
"""What is compared of each model call: the field, and the attribute that a backend should show."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """A span as a backend shows it; ids are hexadecimal, kinds OpenInference's, events are named only."""

    trace_id: str
    span_id: str
    parent_id: str | None
    kind: str
    started_at: datetime
    finished_at: datetime
    failed: bool
    attributes: Mapping[str, object] = field(default_factory=dict)
    events: tuple[str, ...] = ()


def compare(runs: Sequence[Run], spans: Sequence[Seen]) -> dict[str, object]:
    """What was counted, each as [of the runs, at the backend], and what differs; `differing` is how much."""
    by_trace: dict[str, list[Seen]] = {}
    for span in spans:
        by_trace.setdefault(span.trace_id, []).append(span)
    known = {run.run_id for run in runs}
    later = [span for span in spans if span.trace_id not in known]
    differing = [line for run in runs for line in _of_run(run, by_trace.get(run.run_id, []))]
    differing += _of_afterthoughts(runs, later)
    kinds = Counter(kind for run in runs for kind in _kinds(run))
    kinds["EVALUATOR"] += sum(len(run.reviews) + len(run.evals) for run in runs)
    found = Counter(span.kind for span in spans)
    if kinds != found:
        differing.append(f"kinds are {dict(found)}, not {dict(kinds)}")
    gaps = [sum(len(run.gaps) for run in runs), sum(span.events.count("causeline.evidence.gap") for span in spans)]
    if gaps[0] != gaps[1]:
        differing.append(f"{gaps[1]} gaps, not {gaps[0]}")
    return {
        "runs": [len(runs), len(known & by_trace.keys())],
        "spans": [kinds.total(), len(spans)],
        "reviews_and_evals": [sum(len(run.reviews) + len(run.evals) for run in runs), len(later)],
        "gaps": gaps,
        "kinds": {kind: [kinds[kind], found[kind]] for kind in sorted(kinds | found)},
        "facts": sum(len(list(_facts(step))) for run in runs for step in run.steps),
        "differing": len(differing),
        "first": differing[:_SHOWN],
    }


def _kinds(run: Run) -> Iterator[str]:
    yield "CHAIN"
    for step in run.steps:
        yield KINDS.get(step.step_kind, "CHAIN")
    yield from ("EVALUATOR" for _ in _lone_evidence(run))


def _lone_evidence(run: Run) -> list[str | None]:
    """Evidence outside of any step: the exporter makes a span of each piece."""
    known = {step.step_id for step in run.steps}
    return [each.step_id for each in run.evidence if each.step_id not in known]


def _of_run(run: Run, spans: Sequence[Seen]) -> Iterator[str]:
    roots = [span for span in spans if span.parent_id is None]
    expected = 1 + len(run.steps) + len(_lone_evidence(run))
    if len(spans) != expected or len(roots) != 1:
        yield f"{run.run_id} has {len(spans)} spans and {len(roots)} roots, not {expected} and 1"
        return
    [root] = roots
    if (root.started_at, root.finished_at, root.failed) != (run.started_at, run.finished_at, run.status == "error"):
        yield f"{run.run_id} began, ended or came out otherwise"
    by_id = {span.span_id: span for span in spans}
    for step in run.steps:
        span = by_id.get(step.step_id)
        if span is None:
            yield f"{run.run_id} lacks {step.full_name}"
            continue
        yield from (f"{run.run_id} {step.full_name}: {what}" for what in _of_step(step, span, root.span_id))


def _of_step(step: Step, span: Seen, root_id: str) -> Iterator[str]:
    if span.kind != KINDS.get(step.step_kind, "CHAIN"):
        yield f"is a {span.kind}"
    if span.parent_id != (step.parent_step_id or root_id):
        yield "is under another span"
    if (span.started_at, span.finished_at) != (step.started_at, step.finished_at or step.started_at):
        yield "has other times"
    if span.failed is not (step.status == "error"):
        yield "failed here or there only"
    for key, said in _facts(step):
        shown = span.attributes.get(key)
        if shown != said:
            yield f"{key} is {shown!r}, not {said!r}"


def _facts(step: Step) -> Iterable[tuple[str, object]]:
    if step.step_kind == "model_call":
        yield from ((key, said) for name, key in FACTS.items() if (said := getattr(step, name)) is not None)


def _of_afterthoughts(runs: Sequence[Run], later: Sequence[Seen]) -> Iterator[str]:
    """Reviews and evals, each of which is a trace of its own that names its run."""
    wanted = Counter({run.run_id: len(run.reviews) + len(run.evals) for run in runs})
    named = Counter(str(span.attributes.get("causeline.linked.run.id")) for span in later)
    yield from (f"{run_id} has other reviews and evals" for run_id in wanted | named if wanted[run_id] != named[run_id])
