"""What there is to say of one step: what went in, what came out, what was decided, under which versions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from causeline.console.answers import LiveGap
from causeline.console.views.waterfall import NOTED
from causeline.console.words import count, listed, number
from causeline.schemas.run import Evaluation, Evidence, Fallback, Run, RunGap, Step
from causeline.schemas.vocabulary import is_bad


class Tone(StrEnum):
    """How a line is meant."""

    PLAIN = "plain"
    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Note:
    """One line below a step: `text`, then references, which a view may shorten."""

    label: str
    text: str
    refs: tuple[str, ...] = ()
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Context:
    """What of a run belongs to which step, or to a moment of its own, gathered once."""

    run: Run
    evidence: Mapping[str, Sequence[Evidence]]
    """By the step's id; by the event's own where its step is not in the record."""
    fallbacks: Mapping[str, Sequence[Fallback]]
    """As `evidence`."""
    gaps: Mapping[str, RunGap]
    live: Mapping[str, LiveGap]
    anchors: Mapping[str, Sequence[str]]
    """Step kind → anchors that its steps never recorded."""

    @classmethod
    def of(cls, run: Run, live_gaps: Sequence[LiveGap]) -> "Context":
        """The context of a run."""
        known = {step.step_id for step in run.steps}
        evidence: dict[str, list[Evidence]] = {}
        for each in run.evidence:
            evidence.setdefault(each.step_id if each.step_id in known else each.event_id, []).append(each)
        fallbacks: dict[str, list[Fallback]] = {}
        for taken in run.fallbacks:
            fallbacks.setdefault(taken.step_id if taken.step_id in known else taken.event_id, []).append(taken)
        anchors: dict[str, list[str]] = {}
        for anchor in run.missing_anchors:
            kind, _, field = anchor.partition(".")
            anchors.setdefault(kind, []).append(field)
        return cls(
            run=run,
            evidence=evidence,
            fallbacks=fallbacks,
            gaps={gap.event_id: gap for gap in run.gaps},
            live={gap.event_id: gap for gap in live_gaps},
            anchors=anchors,
        )


def step_notes(step: Step, context: Context) -> list[Note]:
    """Every line there is to say of `step`."""
    return [
        *_went_in(step),
        *_decided(step),
        *_model(step),
        *_versions(step),
        *_came_out(step),
        *_checks(step),
        *(evidence_note(each, context) for each in context.evidence.get(step.step_id, ())),
        *(fallback_note(each) for each in context.fallbacks.get(step.step_id, ())),
        *(evaluation_note(each) for each in context.run.evaluations if each.step_id == step.step_id),
        *(() if context.run.is_foreign else _never_recorded(step, context)),
        *_labels(step),
    ]


def is_notable(step: Step, context: Context) -> bool:
    """Whether a reader who looks for what went wrong must see this step."""
    return (
        step.status not in {"ok", NOTED}
        or bool(step.validation_errors)
        or bool(step.refusal)
        or step.step_id in context.fallbacks
        or any(each.event_id in context.gaps for each in context.evidence.get(step.step_id, ()))
    )


def evaluation_in_words(each: Evaluation) -> str:
    """`Relevance: off_topic, 0.2 on 0..1, by judge-1`."""
    parts = [each.label] if each.label else []
    if each.score is not None:
        parts.append(number(each.score) + (f" on {each.scale}" if each.scale else ""))
    if each.evaluator:
        parts.append(f"by {each.evaluator}")
    return f"{each.name}: {', '.join(parts) or 'judged'}"


def evaluation_note(each: Evaluation) -> Note:
    """An evaluation as a line below the step it judges."""
    tone = {True: Tone.BAD, False: Tone.GOOD, None: Tone.PLAIN}[is_bad(each.label)]
    return Note("judged", evaluation_in_words(each), (each.explanation_ref,) if each.explanation_ref else (), tone)


def _went_in(step: Step) -> Iterator[Note]:
    if step.input_ref:
        yield Note("in", "", (step.input_ref,))
    if step.context_refs and step.step_kind != "retrieve":
        yield Note("context", count(len(step.context_refs), "reference"), step.context_refs)


def _came_out(step: Step) -> Iterator[Note]:
    if step.context_refs and step.step_kind == "retrieve":
        yield Note("out", count(len(step.context_refs), "piece") + " of context", step.context_refs)
    refs = [("parsed", step.parsed_artifact_ref), ("output", step.raw_output_ref)]
    for word, ref in refs:
        if ref:
            yield Note("out", word, (ref,))
    if step.attributes_ref:
        yield Note("rest", "all else that its span says", (step.attributes_ref,))
    if step.evidence_refs:
        yield Note("out", count(len(step.evidence_refs), "citation"), step.evidence_refs)


def _decided(step: Step) -> Iterator[Note]:
    if step.route is not None:
        parts = [f"route {step.route}"]
        if step.route_reason is not None:
            parts.append(f"because {step.route_reason}")
        if step.route_confidence is not None:
            parts.append(f"(confidence {number(step.route_confidence)})")
        if step.route_policy_version is not None:
            parts.append(f"by rules {step.route_policy_version}")
        yield Note("decided", " ".join(parts))
    elif step.route_reason is not None:
        yield Note("decided", f"because {step.route_reason}")
    if step.refusal:
        yield Note("decided", "the model declined to answer", tone=Tone.BAD)


def _model(step: Step) -> Iterator[Note]:
    if step.prompt_id is not None or step.prompt_version is not None:
        yield Note("prompt", f"{step.prompt_id or '?'} version {step.prompt_version or '?'}")
    names = "/".join(name for name in (step.model_provider, step.model_name) if name)
    sampling = [
        f"{word} {number(value)}"
        for word, value in (
            ("temperature", step.temperature),
            ("top_p", step.top_p),
            ("seed", step.seed),
            ("confidence", step.confidence),
        )
        if value is not None
    ]
    parts = [names] if names else []
    if step.model_policy is not None:
        parts.append(f"chosen by {step.model_policy}")
    parts += sampling
    if step.system_fingerprint is not None:
        parts.append(f"fingerprint {step.system_fingerprint}")
    if parts:
        yield Note("model" if names else "result", ", ".join(parts))


def _versions(step: Step) -> Iterator[Note]:
    versions = [
        f"{word} {version}"
        for word, version in (("parser", step.parser_version), ("schema", step.schema_version))
        if version is not None
    ]
    if versions:
        yield Note("version", ", ".join(versions))


def _checks(step: Step) -> Iterator[Note]:
    if step.validation_errors:
        errors = count(len(step.validation_errors), "error")
        yield Note("invalid", f"{errors}: {listed(step.validation_errors)}", tone=Tone.BAD)


def _never_recorded(step: Step, context: Context) -> Iterator[Note]:
    fields = [name for name in context.anchors.get(step.step_kind, ()) if getattr(step, name, None) in (None, ())]
    if fields:
        yield Note("unknown", f"never recorded: {listed(fields)}", tone=Tone.DOUBTFUL)


def _labels(step: Step) -> Iterator[Note]:
    if step.labels:
        yield Note("labels", "  ".join(f"{key}={value}" for key, value in sorted(step.labels.items())))


def evidence_note(each: Evidence, context: Context) -> Note:
    """What the check of one field found, what the policy wants of a gap, and what the workflow did."""
    live = context.live.get(each.event_id)
    gap = context.gaps.get(each.event_id)
    parts = [f"{each.field_path or 'a field'} ({'required' if each.evidence_required else 'optional'}):"]
    parts.append(_score(each, live))
    refs = each.evidence_refs + each.conflicting_refs
    if each.conflicting_refs:
        parts.append(f"{count(len(each.conflicting_refs), 'source')} disagreeing;")
    kind = gap.kind if gap else live.kind if live else None
    if kind is None:
        return Note("evidence", " ".join(parts).rstrip(";"), refs, Tone.GOOD if each.evidence_refs else Tone.PLAIN)
    asked = (gap.next_step if gap else None) or (live.next_step if live else None)
    parts.append(f"gap {kind}")
    if asked:
        parts.append(f"→ policy says {asked}")
    if each.next_step:
        parts.append(
            "and so did the workflow" if each.next_step == asked else f"but the workflow chose {each.next_step}"
        )
    return Note("evidence", " ".join(parts), refs, Tone.BAD if each.evidence_required else Tone.DOUBTFUL)


def _score(each: Evidence, live: LiveGap | None) -> str:
    if not each.evidence_refs:
        return "no reference;"
    if each.provenance_score is None:
        return f"{count(len(each.evidence_refs), 'reference')}, never scored;"
    asked = f", {number(live.threshold)} asked" if live and live.threshold is not None else ""
    return f"{count(len(each.evidence_refs), 'reference')}, score {number(each.provenance_score)}{asked};"


def fallback_note(taken: Fallback) -> Note:
    """What the workflow did in place of what it meant to do."""
    because = f" because {taken.reason}" if taken.reason else ", no reason recorded"
    seen = " (seen in its steps, not said)" if taken.inferred else ""
    return Note("fallback", f"{taken.kind}{because}{seen}", tone=Tone.DOUBTFUL)
