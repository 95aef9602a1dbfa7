"""A run as a map of its boundaries: pure structure, which the terminal, and later the page, draws."""

from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from causeline.console.answers import LiveGap, Record
from causeline.console.views.notes import Context, Note, Tone, is_notable, step_notes
from causeline.console.views.run_findings import Finding, findings, verdict_in_words
from causeline.console.views.waterfall import Hidden, Placed, bounded, placed_steps, span_us
from causeline.console.words import count, dollars, duration, moment
from causeline.runtime.text import short_id
from causeline.schemas.run import Run

DEFAULT_STEPS = 200
FULL_STEPS = 10_000
MAX_FINDINGS = 60


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the head."""

    label: str
    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class MapStep:
    """A step in its place, and what there is to say of it."""

    place: Placed
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class TraceMap:
    """A run, ready to be drawn; `span_us` is the length of the waterfall."""

    run: Run
    head: tuple[Fact, ...]
    span_us: int
    steps: tuple[MapStep | Hidden, ...]
    findings: tuple[Finding, ...]
    hidden_findings: int
    next_commands: tuple[str, ...]

    @property
    def hidden_steps(self) -> int:
        """How many steps are not in `steps`."""
        return sum(each.steps for each in self.steps if isinstance(each, Hidden))


def trace_map(
    run: Run,
    live_gaps: Sequence[LiveGap] = (),
    *,
    full: bool = False,
    most: int = DEFAULT_STEPS,
    named: Container[str] = (),
) -> TraceMap:
    """The map of `run`; `full` holds as many steps as can be read at all, else the `most` that matter.

    `named` are ids of steps that something is said of elsewhere: they come before all others.
    """
    context = Context.of(run, live_gaps)
    places = placed_steps(run)
    shown = bounded(
        places,
        FULL_STEPS if full else most,
        rank=lambda place: (
            0 if place.step.step_id in named else 1 if place.odd or is_notable(place.step, context) else 2
        ),
    )
    found = findings(context)
    told = len(found) if full else MAX_FINDINGS
    return TraceMap(
        run=run,
        head=_head(run),
        span_us=span_us(run, places),
        steps=tuple(
            each if isinstance(each, Hidden) else MapStep(each, tuple(step_notes(each.step, context))) for each in shown
        ),
        findings=tuple(found[:told]),
        hidden_findings=max(len(found) - told, 0),
        next_commands=_next_commands(run, full=full),
    )


def _head(run: Run) -> tuple[Fact, ...]:
    verdict_tone = Tone.GOOD if run.verdict == "complete" else Tone.DOUBTFUL
    facts = [
        Fact("workflow", f"{run.workflow} (project {run.project})"),
        Fact("record", verdict_in_words(run), verdict_tone),
        Fact("outcome", _outcome(run), _outcome_tone(run)),
        Fact("when", _when(run)),
        Fact("cost", _cost(run)),
        Fact("revision", f"{run.revision}{', amended after its first close' if run.amended else ''}"),
    ]
    if run.session_id or run.user_hash:
        people = [("session", run.session_id), ("user", run.user_hash and run.user_hash[:12])]
        facts.append(
            Fact("session", ", ".join(text if word == "session" else f"user {text}" for word, text in people if text))
        )
    if run.input_ref:
        facts.append(Fact("input", run.input_ref))
    if run.slowest_step or run.costliest_step:
        slow = [("slowest", run.slowest_step), ("costliest", run.costliest_step)]
        facts.append(Fact("steps", ", ".join(f"{word} {name}" for word, name in slow if name)))
    if run.labels:
        facts.append(Fact("labels", "  ".join(f"{key}={value}" for key, value in sorted(run.labels.items()))))
    return tuple(facts)


def _outcome(run: Run) -> str:
    parts = [run.final_state or "end never seen"]
    if run.error_step or run.error_type:
        parts.append(f"{run.error_type or 'an error'} at {run.error_step or 'an unknown step'}")
    if run.fallback_taken:
        parts.append(f"last fallback {run.fallback_taken}")
    if run.review_outcome:
        parts.append(f"review {run.review_outcome}")
    return "; ".join(parts)


def _outcome_tone(run: Run) -> Tone:
    if run.final_state == "failed" or run.review_outcome in {"overridden", "rejected"}:
        return Tone.BAD
    clean = run.final_state == "answered" and run.status != "error" and not run.gap_kinds
    return Tone.GOOD if clean else Tone.DOUBTFUL


def _when(run: Run) -> str:
    return f"{moment(run.started_at) or 'start unknown'}, took {duration(run.duration_us) or 'unknown'}"


def _cost(run: Run) -> str:
    parts = [dollars(run.cost_usd) or "no cost recorded"]
    if run.input_tokens is not None or run.output_tokens is not None:
        parts.append(f"{run.input_tokens or 0:,d} tokens in, {run.output_tokens or 0:,d} out")
    if run.retry_count:
        parts.append(count(run.retry_count, "retry", "retries"))
    return "; ".join(parts)


def _next_commands(run: Run, *, full: bool) -> tuple[str, ...]:
    named = short_id(run.run_id)
    commands = [] if full else [(f"causeline show {named} --full", "whole references, every step")]
    commands.append((f"causeline why {named}", "the cause, and what to touch"))
    commands.append((f"causeline show {named} --events", "the events it was joined from"))
    if run.gap_kinds:
        commands.append((f"causeline runs --gap {run.gap_kinds[0]}", "others with this gap"))
    elif run.error_type:
        commands.append(("causeline runs --status error", "others that failed"))
    longest = max(len(command) for command, _ in commands)
    return tuple(f"{command:<{longest}}  # {what_for}" for command, what_for in commands)


def as_document(run: Run, live_gaps: Sequence[LiveGap], events: Sequence[Record] | None = None) -> dict[str, Any]:
    """The run as JSON has it: the columns of the `runs` view, `live_gaps`, `findings` and, if asked for, `events`."""
    context = Context.of(run, live_gaps)
    document = asdict(run)
    document["live_gaps"] = [asdict(gap) for gap in live_gaps]
    document["findings"] = [asdict(finding) for finding in findings(context)]
    if events is not None:
        document["events_listed"] = [dict(event) for event in events]
    return document
