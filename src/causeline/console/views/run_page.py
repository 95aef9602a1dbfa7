"""A run as the page and the API show it: what went wrong on top, then every step in its place with the causes on it.

Takes a run, its live gaps and its diagnosis; gives `RunPage`. Rows are slim, so that 5,000 of them travel; what there
is to say of one step is asked of a `StepPanel`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from causeline.console.answers import LiveGap
from causeline.console.views.notes import Context, Note, Tone, is_notable, step_notes
from causeline.console.views.trace_map import DEFAULT_STEPS, Fact, TraceMap, trace_map
from causeline.console.views.waterfall import Hidden, Placed, moments, placed_steps, span_us
from causeline.console.views.why_view import first_line
from causeline.console.words import dollars, duration
from causeline.diagnosis import Diagnosis, Finding
from causeline.schemas.run import Run
from causeline.schemas.vocabulary import StepKind

ROWS = 60
"""Rows of a run that has too many for a page: what a screen holds, and more. The browser draws the others as they come
into view; each that stands in the page costs it time before anybody can do anything."""


@dataclass(frozen=True, slots=True)
class Tied:
    """What followed from a cause, and by which tie."""

    boundary: str
    headline: str
    tie: str
    step_id: str | None


@dataclass(frozen=True, slots=True)
class ShownCause:
    """A cause with the number that it has on the waterfall."""

    number: int
    boundary: str
    headline: str
    fix: str
    step_id: str | None
    step_name: str
    facts: tuple[str, ...]
    then: tuple[Tied, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One step in its place. `marks` are the numbers of causes at it; `follows` those it follows from."""

    step_id: str
    name: str
    kind: str
    depth: int
    offset_us: int | None
    duration_us: int | None
    took: str
    status: str
    tone: Tone
    marks: tuple[int, ...] = ()
    follows: tuple[int, ...] = ()
    odd: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows that are left out at this place."""

    steps: int


@dataclass(frozen=True, slots=True)
class RunPage:
    """All of a run's page but the details of a step. `span_us` is the length of the waterfall."""

    run: Run
    lead: str
    fix: str
    is_wrong: bool
    causes: tuple[ShownCause, ...]
    head: tuple[Fact, ...]
    span_us: int
    rows: tuple[Row | Gap, ...]
    steps: int
    hidden: int


def run_page(run: Run, live: Sequence[LiveGap], diagnosis: Diagnosis, *, full: bool = False) -> RunPage:
    """The page of `run`; bounded to the rows that matter unless `full`."""
    causes = shown_causes(run, diagnosis)
    marks, follows = _numbers(causes)
    most = ROWS if len(run.steps) > DEFAULT_STEPS else DEFAULT_STEPS
    bounded = trace_map(run, live, full=full, most=most, named=marks)
    first = diagnosis.first_cause
    return RunPage(
        run=run,
        lead=first_line(diagnosis),
        fix=first.finding.fix if first else "",
        is_wrong=first is not None,
        causes=causes,
        head=bounded.head,
        span_us=bounded.span_us,
        rows=tuple(_rows(bounded, marks, follows)),
        steps=sum(each.steps if isinstance(each, Hidden) else 1 for each in bounded.steps),
        hidden=bounded.hidden_steps,
    )


def shown_causes(run: Run, diagnosis: Diagnosis) -> tuple[ShownCause, ...]:
    """The causes of a diagnosis, numbered in its order."""
    rows = _RowsOf(run)
    return tuple(
        ShownCause(
            number=number,
            boundary=cause.finding.boundary,
            headline=cause.finding.headline,
            fix=cause.finding.fix,
            step_id=rows.of(cause.finding),
            step_name=rows.names.get(rows.of(cause.finding) or "", ""),
            facts=tuple(f"{fact.where}: {fact.name} = {fact.value}" for fact in cause.finding.facts),
            then=tuple(
                Tied(
                    boundary=item.finding.boundary,
                    headline=item.finding.headline,
                    tie="the same run" if item.link.kind == "run" else f"{item.link.kind} {item.link.value}",
                    step_id=rows.of(item.finding),
                )
                for item in cause.consequences
            ),
        )
        for number, cause in enumerate(diagnosis.causes, 1)
    )


class _RowsOf:
    """Which row of the waterfall a finding stands at: its step's, or that of the check or fallback that it is about."""

    def __init__(self, run: Run) -> None:
        noted = moments(run)
        self.names = {step.step_id: step.full_name for step in (*run.steps, *noted)}
        events = {step.step_id for step in noted}
        self._checks = {each.step_id: each.event_id for each in run.evidence if each.event_id in events}
        said = [each for each in reversed(run.fallbacks) if each.event_id in events and not each.inferred]
        self._fallbacks = {each.kind: each.event_id for each in said}

    def of(self, finding: Finding) -> str | None:
        """The id of the row; None where the run has no such row."""
        if finding.step_id is not None:
            return finding.step_id if finding.step_id in self.names else self._checks.get(finding.step_id)
        kind, _, name = finding.thing.partition(" ")
        return self._fallbacks.get(name) if kind == StepKind.FALLBACK else None


def _numbers(
    causes: Sequence[ShownCause],
) -> tuple[Mapping[str, tuple[int, ...]], Mapping[str, tuple[int, ...]]]:
    marks: dict[str, tuple[int, ...]] = {}
    follows: dict[str, tuple[int, ...]] = {}
    for cause in causes:
        if cause.step_id is not None:
            marks[cause.step_id] = (*marks.get(cause.step_id, ()), cause.number)
        for step_id in {item.step_id for item in cause.then if item.step_id is not None} - {cause.step_id}:
            follows[step_id] = (*follows.get(step_id, ()), cause.number)
    return marks, follows


def _rows(
    bounded: TraceMap, marks: Mapping[str, tuple[int, ...]], follows: Mapping[str, tuple[int, ...]]
) -> list[Row | Gap]:
    context = Context.of(bounded.run, ())
    rows: list[Row | Gap] = []
    for each in bounded.steps:
        if isinstance(each, Hidden):
            rows.append(Gap(each.steps))
        else:
            step_id = each.place.step.step_id
            rows.append(_row(each.place, context, marks.get(step_id, ()), follows.get(step_id, ())))
    return rows


def _row(place: Placed, context: Context, marks: tuple[int, ...], follows: tuple[int, ...]) -> Row:
    step = place.step
    tone = Tone.PLAIN
    if step.status == "error" or marks:
        tone = Tone.BAD
    elif place.odd or follows or is_notable(step, context):
        tone = Tone.DOUBTFUL
    return Row(
        step_id=step.step_id,
        name=step.step_name,
        kind=step.step_kind,
        depth=place.depth,
        offset_us=place.offset_us,
        duration_us=step.duration_us,
        took=duration(step.duration_us),
        status=step.status or "no end",
        tone=tone,
        marks=marks,
        follows=follows,
        odd=tuple(odd.value for odd in place.odd),
    )


@dataclass(frozen=True, slots=True)
class StepDetails:
    """Everything there is to say of one step."""

    step_id: str
    name: str
    status: str
    error_type: str | None
    took: str
    cost: str
    notes: tuple[Note, ...]
    causes: tuple[ShownCause, ...]
    previous_id: str | None
    next_id: str | None


class StepPanel:
    """Gives the details of the steps of one run; what they share is made once."""

    def __init__(self, run: Run, live: Sequence[LiveGap], diagnosis: Diagnosis) -> None:
        self._places = placed_steps(run)
        self._at = {place.step.step_id: index for index, place in reversed([*enumerate(self._places)])}
        self._context = Context.of(run, live)
        self._causes = shown_causes(run, diagnosis)

    def details(self, step_id: str) -> StepDetails | None:
        """What is said of a step; None where the run has no such step."""
        at = self._at.get(step_id)
        if at is None:
            return None
        places, step = self._places, self._places[at].step
        return StepDetails(
            step_id=step_id,
            name=step.full_name,
            status=step.status or "no end",
            error_type=step.error_type,
            took=duration(step.duration_us),
            cost=dollars(step.cost_usd),
            notes=tuple(step_notes(step, self._context)),
            causes=tuple(cause for cause in self._causes if cause.step_id == step_id),
            previous_id=places[at - 1].step.step_id if at else None,
            next_id=places[at + 1].step.step_id if at + 1 < len(places) else None,
        )


def step_columns(run: Run, diagnosis: Diagnosis) -> dict[str, object]:
    """Every step as columns of equal length, in the order of the waterfall: what the virtual list draws."""
    places = placed_steps(run)
    marks, follows = _numbers(shown_causes(run, diagnosis))
    context = Context.of(run, ())
    rows = [
        _row(place, context, marks.get(place.step.step_id, ()), follows.get(place.step.step_id, ())) for place in places
    ]
    return {
        "span_us": span_us(run, places),
        "id": [row.step_id for row in rows],
        "name": [row.name for row in rows],
        "kind": [row.kind for row in rows],
        "depth": [row.depth for row in rows],
        "offset_us": [row.offset_us for row in rows],
        "duration_us": [row.duration_us for row in rows],
        "took": [row.took for row in rows],
        "status": [row.status for row in rows],
        "tone": [row.tone.value for row in rows],
        "marks": {index: row.marks for index, row in enumerate(rows) if row.marks},
        "follows": {index: row.follows for index, row in enumerate(rows) if row.follows},
    }
