"""What each tool says, from what was read: causes first, then the calls that go on from there. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import islice

from causeline.console.answers import LiveGap
from causeline.console.compare.runs import Difference
from causeline.console.questions import Question
from causeline.console.read_only_sql import SqlResult, plain
from causeline.console.stored_causes import Weighed
from causeline.console.views.run_page import Gap, Row, StepDetails, run_page
from causeline.console.views.why_view import first_line, tie
from causeline.console.words import duration
from causeline.diagnosis import Cause, Diagnosis
from causeline.drift.alerts import Alert
from causeline.mcp.bounds import Answer, Call, Page
from causeline.schemas.run import Run

ROWS = 100
"""Rows of an answer to SQL."""
_SHOWN_SHARES = 8


def explanation(diagnosis: Diagnosis, start: int = 0) -> Answer:
    """What went wrong in a run and what to touch; its causes from `start` on."""
    first, run = diagnosis.first_cause, {"run": diagnosis.run_id}
    nearest = diagnosis.nearest
    data = {
        "summary": first_line(diagnosis),
        "fix": first.finding.fix if first else None,
        "run_id": diagnosis.run_id,
        "workflow": diagnosis.workflow,
        "outcome": diagnosis.outcome,
        "causes": [_cause(each) for each in diagnosis.causes[start:]],
        "symptoms": [each.headline for each in diagnosis.symptoms],
        "nearest_run_that_went_well": nearest and {"run_id": nearest.run_id, "differs": nearest.differs},
        "drift": [{"alert_id": each.alert_id, "headline": each.headline} for each in diagnosis.alerts],
        "left_to_do": [f"{each.says} {each.fix}" for each in diagnosis.left_to_do],
        "could_not_be_told": diagnosis.unknown,
    }
    calls = [Call("run_outline", run, "see every step with the causes on it")]
    if nearest is not None:
        calls.insert(0, Call("compare_runs", {"left": nearest.run_id, "right": diagnosis.run_id}, "see what differs"))
    if first is not None and first.finding.step_id:
        calls.insert(0, Call("step", run | {"step_id": first.finding.step_id}, "see the step of the first cause"))
    page = Page("causes", lambda kept: Call("explain_run", run | {"start": start + kept}, "see further causes"))
    return Answer(_said(data), tuple(calls), page)


def _cause(cause: Cause) -> Mapping[str, object]:
    finding = cause.finding
    return _said(
        {
            "headline": finding.headline,
            "certainty": cause.certainty,
            "fix": finding.fix,
            "boundary": finding.boundary,
            "step": finding.step,
            "step_id": finding.step_id,
            "facts": [f"{fact.where}: {fact.name} = {fact.value}" for fact in finding.facts],
            "then": [
                _said({"headline": each.finding.headline, "tied_by": tie(each.link), "step_id": each.finding.step_id})
                for each in cause.consequences
            ],
        }
    )


def run_list(runs: Sequence[Run], asked: Mapping[str, object], limit: int) -> Answer:
    """Runs of a filter, in its order; `asked` are the arguments that were given."""
    rows = [
        _said(
            {
                "run_id": run.run_id,
                "workflow": run.workflow,
                "started_at": run.started_at,
                "record": run.verdict,
                "final_state": run.final_state,
                "status": run.status,
                "error": run.error_type,
                "error_step": run.error_step,
                "gaps": run.gap_kinds,
                "fallback": run.fallback_taken,
                "review": run.review_outcome,
                "took": duration(run.duration_us),
                "cost_usd": run.cost_usd,
            }
        )
        for run in runs
    ]
    calls = (
        (Call("explain_run", {"run": runs[0].run_id}, "learn what went wrong in the first of them"),) if runs else ()
    )

    def following(kept: int) -> Call:
        if asked.get("order") in {"slowest", "costliest"}:
            return Call("find_runs", {}, "narrow the same question, e.g. by since and until: this order has no pages")
        last = runs[kept - 1].run_id if kept else asked.get("after", "")
        return Call("find_runs", {**asked, "after": last}, "see the runs that follow")

    goes_on = len(runs) >= limit
    told = (f"runs: only the first {limit} were asked for",) if goes_on else ()
    return Answer({"runs": rows}, calls, Page("runs", following, goes_on), told)


def outline(
    run: Run, live: Sequence[LiveGap], diagnosis: Diagnosis, *, every_step: bool = False, start: int = 0
) -> Answer:
    """The steps of a run in the order of the waterfall, with the numbers of the causes at them, from `start` on."""
    page = run_page(run, live, diagnosis, full=every_step)
    asked = {"run": run.run_id, "every_step": every_step}
    data = {
        "summary": page.lead,
        "run_id": run.run_id,
        "about": {each.label: each.text for each in page.head},
        "causes": [{"number": each.number, "headline": each.headline} for each in page.causes],
        "steps_in_all": page.steps,
        "steps": [_row(each) for each in page.rows[start:]],
    }
    told = (f"steps: {page.hidden} that nothing is to be said of",) if page.hidden else ()
    marked = next((row.step_id for row in page.rows if isinstance(row, Row) and row.marks), None)
    calls = [Call("explain_run", {"run": run.run_id}, "learn what went wrong")]
    if marked:
        calls.insert(0, Call("step", {"run": run.run_id, "step_id": marked}, "see the step of the first cause"))
    if page.hidden:
        calls.append(Call("run_outline", {"run": run.run_id, "every_step": True}, "see every step"))
    following = Page("steps", lambda kept: Call("run_outline", asked | {"start": start + kept}, "see further steps"))
    return Answer(_said(data), tuple(calls), following, told)


def _row(row: Row | Gap) -> Mapping[str, object]:
    if isinstance(row, Gap):
        return {"left_out": row.steps}
    return _said(
        {
            "step_id": row.step_id,
            "name": row.name,
            "kind": row.kind,
            "depth": row.depth,
            "took": row.took,
            "status": row.status,
            "causes": row.marks,
            "follows_from": row.follows,
            "odd": row.odd,
        }
    )


def step(run_id: str, details: StepDetails) -> Answer:
    """One step: what went in and came out by reference, what was decided, versions, cost and the causes at it."""
    data = {
        "run_id": run_id,
        "step_id": details.step_id,
        "name": details.name,
        "status": details.status,
        "error_type": details.error_type,
        "took": details.took,
        "cost": details.cost,
        "causes": [{"headline": each.headline, "fix": each.fix, "facts": each.facts} for each in details.causes],
        "notes": [_said({"label": each.label, "text": each.text, "refs": each.refs}) for each in details.notes],
    }
    around = ((details.next_id, "see the step after it"), (details.previous_id, "see the step before it"))
    calls = [Call("step", {"run": run_id, "step_id": step_id}, to) for step_id, to in around if step_id]
    return Answer(_said(data), (*calls, Call("explain_run", {"run": run_id}, "learn what went wrong")))


def comparison(left: Run, right: Run, differences: Sequence[Difference], start: int = 0) -> Answer:
    """What differs between two runs, from `start` on."""
    asked = {"left": left.run_id, "right": right.run_id}
    data = {
        **{
            side: _said({"run_id": run.run_id, "workflow": run.workflow, "final_state": run.final_state})
            for side, run in (("left", left), ("right", right))
        },
        "differ_in": len(differences),
        "differences": [asdict(each) for each in differences[start:]],
    }
    calls = tuple(Call("explain_run", {"run": run.run_id}, "learn what went wrong in it") for run in (right, left))
    page = Page("differences", lambda kept: Call("compare_runs", asked | {"start": start + kept}, "see the others"))
    return Answer(data, calls, page)


def alerts(found: Sequence[Alert], watched: Sequence[str], asked: Mapping[str, object], start: int = 0) -> Answer:
    """Drift alerts, the newest first, and how well the workflows are watched, in sentences."""
    data = {
        "alerts": [
            {
                "alert_id": each.alert_id,
                "state": each.state,
                "headline": each.headline,
                "since": each.since,
                "advice": each.advice,
            }
            for each in found[start:]
        ],
        "watched": watched or ("No window of runs has been judged yet: drift takes hours of runs.",),
    }
    calls = (Call("drift", {"alert": found[0].alert_id}, "see what moved, and runs of both sides"),) if found else ()
    page = Page("alerts", lambda kept: Call("drift", {**asked, "start": start + kept}, "see older alerts"))
    return Answer(data, calls or (Call("find_runs", {"has_gap": True}, "find runs with a gap"),), page)


def causes(found: Weighed, asked: Mapping[str, object], start: int = 0) -> Answer:
    """What went wrong over many runs, by cause, new ones first and then the commonest, from `start` on."""
    data = {
        "runs_diagnosed": found.diagnosed,
        "runs_that_went_wrong": found.went_wrong,
        "runs_not_diagnosed_yet": found.not_diagnosed,
        "causes": [
            {
                "sentence": each.sentence,
                "fix": each.fix,
                "workflow": each.workflow,
                "step": each.step,
                "certainty": each.certainty,
                "runs": each.runs,
                "share": round(each.share, 4),
                "share_lies_within": [round(bound, 4) for bound in each.interval],
                "against_the_window_before": each.change,
                "cost_usd": round(each.cost_usd, 6),
                "examples": each.examples,
            }
            for each in found.causes[start:]
        ],
    }
    calls = (
        (Call("explain_run", {"run": found.causes[0].examples[0]}, "learn the evidence of the first of them"),)
        if found.causes
        else (Call("find_runs", {"status": "error"}, "find runs that ended with an error"),)
    )
    page = Page("causes", lambda kept: Call("causes", {**asked, "start": start + kept}, "see the rarer causes"))
    return Answer(data, calls, page)


def one_alert(alert: Alert, before: Sequence[str], after: Sequence[str]) -> Answer:
    """A drift alert with its shares, its anchors and runs of both sides."""
    data = {
        "headline": alert.headline,
        "advice": alert.advice,
        "alert_id": alert.alert_id,
        "state": alert.state,
        "workflow": alert.workflow,
        "dimension": alert.dimension,
        "since": alert.since,
        "runs_before": alert.before_runs,
        "runs_after": alert.after_runs,
        "anchors": [asdict(each) for each in alert.anchors],
        "shares": [asdict(each) for each in alert.shares[:_SHOWN_SHARES]],
        "examples_before": before,
        "examples_after": after,
    }
    calls = [Call("explain_run", {"run": run_id}, "learn what went wrong in a run of after") for run_id in after[:1]]
    if before and after:
        calls.append(Call("compare_runs", {"left": before[0], "right": after[0]}, "compare a run of each side"))
    if not calls:
        calls = [Call("drift", {"workflow": alert.workflow}, "see the alerts of its workflow")]
    left_out = max(len(alert.shares) - _SHOWN_SHARES, 0)
    return Answer(data, tuple(calls), left_out=(f"shares: {left_out} left out",) if left_out else ())


def question_list(questions: Sequence[Question], start: int = 0) -> Answer:
    """The questions that come along, from `start` on, with their parameters."""
    data = {
        "questions": [
            {
                "question": each.name,
                "asks": each.asks,
                "parameters": {
                    one.name: f"{one.help} ({'must be given' if one.default is None else f'default: {one.default!r}'})"
                    for one in each.parameters
                },
            }
            for each in questions[start:]
        ]
    }
    calls = (Call("ask", {"question": questions[0].name}, "ask the first of them"),) if questions else ()
    return Answer(data, calls, Page("questions", lambda kept: Call("ask", {"start": start + kept}, "see the others")))


def table(tool: str, result: SqlResult, start: int) -> Answer:
    """The rows of an answer to SQL, of which the first `start` are gone over, under their columns."""
    rows = [[_cell(value) for value in row] for row in islice(result.rows, start, start + ROWS)]
    told = (f"rows: only those up to {start + ROWS} were asked for",) if result.more else ()
    page = Page(
        "rows",
        lambda kept: Call(
            tool, {"start": start + kept}, "see the rows that follow: the same call otherwise; it needs an ORDER BY"
        ),
        result.more,
    )
    about = Call("sql", {"statement": "DESCRIBE runs"}, "learn what columns a view has, to name those of use")
    if tool == "ask" and not rows:
        about = Call("ask", {}, "see its parameters: the defaults may leave out what is too old or too few")
    return Answer({"columns": result.columns, "rows": rows}, (about,), page, told, frozenset({"columns"}))


def _cell(value: object) -> object:
    """A value as one cell: what is nested is JSON text, so that a row keeps as many cells as there are columns."""
    said = plain(value)
    return json.dumps(said, ensure_ascii=False, default=str) if isinstance(said, list | dict) else said


def _said(data: Mapping[str, object]) -> dict[str, object]:
    """Without what says nothing."""
    return {name: value for name, value in data.items() if value not in (None, "", (), [], {})}
