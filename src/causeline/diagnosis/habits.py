"""Six habits of tracing that leave a bad answer unexplained, as checks over runs: no I/O.

A habit is looked for where it could show: of a workflow that validates nothing, nobody can say what follows from its
validation errors. Each comes with the code that ends it, which is tested to end it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from causeline.diagnosis import foreign_words
from causeline.diagnosis.diagnose import diagnose
from causeline.diagnosis.model import Certainty
from causeline.diagnosis.record import Record
from causeline.diagnosis.unknown import measures_lacking
from causeline.schemas.otel_names import SCOPE_LABEL
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.run import Run, Step
from causeline.schemas.vocabulary import FinalState, ReviewOutcome, StepKind

_ONLY_ANSWERS = frozenset({StepKind.MODEL_CALL.value, StepKind.OUTPUT.value, StepKind.INPUT.value})
_REFERENCES = (".input_ref", ".parsed_artifact_ref", ".raw_output_ref")
_CORRECTED = frozenset({ReviewOutcome.OVERRIDDEN.value, ReviewOutcome.REJECTED.value})
_OF_OPENAI = frozenset({"system_fingerprint"})
"""What no other provider's answers have."""
_MAX_EXAMPLES = 3
_MAX_MEASURES = 3


@dataclass(frozen=True, slots=True)
class Habit:
    """One habit: `applies` says where it could show, `shows` whether it does; `add` is the code that ends it."""

    name: str
    says: str
    add: str
    applies: Callable[[Run], bool]
    shows: Callable[[Run], bool]
    waits: Callable[[Run], bool] = lambda _: False
    """Whether what is lacking may still come: such runs count only where it has come for no run of the workflow."""


@dataclass(frozen=True, slots=True)
class Found:
    """A habit of a workflow: in how many of the runs where it could show it does, and some of them."""

    habit: Habit
    workflow: str
    of_runs: int
    runs: int
    examples: tuple[str, ...]
    attributes: tuple[str, ...] = ()
    """What to set on the spans, where the runs are traces of foreign instrumentation: it has no `Tracer`."""

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.runs / self.of_runs if self.of_runs else 0.0


@dataclass(frozen=True, slots=True)
class Lint:
    """What was looked at and what was found; `missing_anchors` counts runs by workflow and anchor.

    `cost_answers` are by workflow the measures whose absence cost an answer, each with the way to record it and how
    many runs went wrong without a certain cause for the lack of it.
    """

    runs: Mapping[str, int]
    found: tuple[Found, ...]
    missing_anchors: Mapping[str, Mapping[str, int]]
    cost_answers: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)


def lint(runs: Iterable[Run]) -> Lint:
    """The habits that show in `runs`, by workflow, the most common first."""
    sizes: Counter[str] = Counter()
    could: Counter[tuple[str, str]] = Counter()
    does: dict[tuple[str, str], list[str]] = {}
    waiting: dict[tuple[str, str], list[str]] = {}
    anchors: dict[str, Counter[str]] = {}
    scopes: dict[str, str] = {}
    costs: dict[str, Counter[str]] = {}
    for run in runs:
        if lacking := _cost_its_answer(run):
            costs.setdefault(run.workflow, Counter()).update(lacking)
        sizes[run.workflow] += 1
        anchors.setdefault(run.workflow, Counter()).update(_sayable(run))
        if run.is_foreign:
            scopes.setdefault(run.workflow, run.labels.get(SCOPE_LABEL, ""))
        for habit in HABITS:
            if habit.waits(run):
                waiting.setdefault((run.workflow, habit.name), []).append(run.run_id)
            elif habit.applies(run):
                could[run.workflow, habit.name] += 1
                if habit.shows(run):
                    does.setdefault((run.workflow, habit.name), []).append(run.run_id)
    for key, ids in waiting.items():
        if not could[key]:
            could[key], does[key] = len(ids), ids
    by_name = {habit.name: habit for habit in HABITS}
    found = [
        Found(
            by_name[name],
            workflow,
            could[workflow, name],
            len(ids),
            tuple(ids[:_MAX_EXAMPLES]),
            foreign_words.attributes(name, anchors[workflow], scopes[workflow]) if workflow in scopes else (),
        )
        for (workflow, name), ids in does.items()
    ]
    found.sort(key=lambda each: (each.workflow, -each.share, each.habit.name))
    return Lint(
        dict(sizes),
        tuple(found),
        {name: dict(each.most_common()) for name, each in anchors.items() if each},
        {name: each.most_common(_MAX_MEASURES) for name, each in costs.items()},
    )


def _cost_its_answer(run: Run) -> list[str]:
    """What a run lacks that went wrong and whose cause is not certain."""
    found = diagnose(run)
    if found.first_cause is None or found.first_cause.certainty is Certainty.CERTAIN:
        return []
    return list(measures_lacking(Record(run, DEFAULT_POLICY.rules(run.workflow))))


# --- the checks


def _calls(run: Run) -> Sequence[Step]:
    return [step for step in run.steps if step.step_kind == StepKind.MODEL_CALL]


def _only_the_answer(run: Run) -> bool:
    return all(step.step_kind in _ONLY_ANSWERS for step in run.steps)


def _sayable(run: Run) -> Sequence[str]:
    """The anchors that a run lacks and that its instrumentation has words for."""
    if not run.is_foreign:
        return run.missing_anchors
    of_openai = any("openai" in (step.model_provider or "openai").lower() for step in _calls(run))
    fields = ((each, each.rpartition(".")[2]) for each in run.missing_anchors)
    return [each for each, field in fields if foreign_words.can_say(field) and (of_openai or field not in _OF_OPENAI)]


def _drops_a_version(run: Run) -> bool:
    return any(not anchor.endswith(_REFERENCES) for anchor in _sayable(run))


def _input_unknown(run: Run) -> bool:
    return any(not step.context_refs and step.input_ref is None for step in _calls(run))


def _errors(run: Run) -> bool:
    return any(step.validation_errors for step in run.steps)


def _nothing_follows(run: Run) -> bool:
    retried = bool(run.retry_count) or any(fallback.kind for fallback in run.fallbacks)
    return run.final_state == FinalState.ANSWERED and not retried and not run.reviews


def _handed_over(run: Run) -> bool:
    asked = any(fallback.kind == "human_review" for fallback in run.fallbacks)
    return asked or run.final_state == FinalState.HANDED_OVER or bool(run.reviews)


def _corrections_lost(run: Run) -> bool:
    overridden = [review for review in run.reviews if review.outcome == ReviewOutcome.OVERRIDDEN]
    return not run.reviews or any(review.override_ref is None for review in overridden)


def _awaits_review(run: Run) -> bool:
    return _handed_over(run) and not run.reviews


def _corrected(run: Run) -> bool:
    return any(review.outcome in _CORRECTED for review in run.reviews)


HABITS: tuple[Habit, ...] = (
    Habit(
        "only_the_answer",
        "Only the final answer and the raw response are recorded: what led to them cannot be told.",
        """\
with tracer.run("claims", input_ref=document) as run:
    with run.parse("text", parser_version="1.4") as step:
        step.set(parsed_artifact_ref=text)
    with run.retrieve("passages") as step:
        step.set(context_refs=[text])
    with run.model_call("extract", model_name="acme-large", context_refs=[text]) as step:
        step.set(raw_output_ref=answer)
    run.evidence("$.amount", refs=[text], score=0.93)
""",
        lambda run: bool(run.steps),
        _only_the_answer,
    ),
    Habit(
        "version_dropped",
        "A prompt, model, parser or schema version or the route decision is not recorded: no change of it shows.",
        """\
with tracer.run("claims", input_ref=document) as run:
    with run.parse("text", parser_version="1.4") as step:
        step.set(parsed_artifact_ref=text)
    with run.route("kind", route_policy_version="rules-12") as step:
        step.set(route="motor", route_reason="mentions a car", route_confidence=0.92)
    with run.model_call("extract", prompt_id="claim", prompt_version="7", model_provider="acme",
                        model_name="acme-large", model_policy="default", temperature=0.0, top_p=1.0, seed=7,
                        context_refs=[text]) as step:
        step.set(raw_output_ref=answer, system_fingerprint="fp-81")
    with run.validate("shape", schema_version="3"):
        pass
""",
        lambda run: bool(run.steps),
        _drops_a_version,
    ),
    Habit(
        "input_unknown",
        "Nothing says what input or context a model call saw: a wrong source looks like a wrong model.",
        """\
with tracer.run("claims", input_ref=document) as run:
    with run.model_call("extract", model_name="acme-large") as step:
        step.set(context_refs=[text], input_ref=prompt, raw_output_ref=answer)
""",
        lambda run: bool(_calls(run)),
        _input_unknown,
    ),
    Habit(
        "errors_without_consequence",
        "Validation errors are recorded and nothing follows from them: the answer is given all the same.",
        """\
with tracer.run("claims", input_ref=document) as run:
    with run.validate("shape", schema_version="3") as step:
        step.set(validation_errors=["type:$.amount"])
    run.fallback("partial_answer", reason="schema_error")
    run.finish("partial", raw_output_ref=answer)
""",
        _errors,
        _nothing_follows,
    ),
    Habit(
        "corrections_lost",
        "Reviewers' corrections do not reach the trace: no outcome, or no reference to what stands instead.",
        """\
with tracer.run("claims", input_ref=document) as run:
    run.fallback("human_review", reason="weak source")
    run.finish("handed_over")
tracer.record_review(run.run_id, "claims", "overridden", run_started_at=run.started_at, field="$.amount",
                     reviewer_ref="reviewer:17", override_ref=corrected)
""",
        _handed_over,
        _corrections_lost,
        _awaits_review,
    ),
    Habit(
        "closed_without_case",
        "Failures that a reviewer corrected are closed without an eval case: the next release may bring them back.",
        """\
with tracer.run("claims", input_ref=document) as run:
    run.finish("answered", raw_output_ref=answer)
tracer.record_review(run.run_id, "claims", "overridden", run_started_at=run.started_at, field="$.amount",
                     reviewer_ref="reviewer:17", override_ref=corrected)
tracer.record_eval(run.run_id, "claims", "claims-amount-currency", run_started_at=run.started_at)
""",
        _corrected,
        lambda run: not run.evals,
    ),
)
"""In the order in which a run meets them."""
