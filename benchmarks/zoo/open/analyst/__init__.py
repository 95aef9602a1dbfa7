"""An analyst that answers questions from a warehouse by SQL."""

from collections.abc import Callable
from typing import Any

from benchmarks.zoo.open.analyst.flow import Analyst
from benchmarks.zoo.open.analyst.knobs import FAULTS, knobs_of
from benchmarks.zoo.open.kit.record import Recorder, Traced, kept
from benchmarks.zoo.protocol import Fault, Form, Surroundings, Workflow

KEEP = {
    "run": kept(team="team"),
    "input": kept(),
    "route": kept("route"),
    "model_call": kept("model_name input_tokens output_tokens retry_count"),
    "validate:check sql": kept("validation_errors", name="sql lint"),
    "tool:run sql": kept("raw_output_ref status error_type", name="warehouse", rows="sql__rows"),
    "review": kept(),
    "finish": kept(kind="kind"),
}

POLICY = """
version = 1

[workflow.analyst]
routes = ["total", "ranking", "trend", "share"]
confidence_floor = 0.65
context_expected = true

[[workflow.analyst.expect]]
step = "tool:run sql"

[workflow.analyst.evidence."$.answer"]
threshold = 0.8
support_floor = 0.4

[workflow.analyst.evidence."$.definition"]
threshold = 0.5

[[workflow.analyst.review]]
name = "no answer"
question = "What is the figure, and why did we not find it?"
when = { final_state = "handed_over" }
priority = 2
"""


def run(form: Form, planted: Fault | None, around: Surroundings) -> str:
    """One question."""
    knobs = knobs_of(planted)
    rec: Recorder
    if form is Form.OTEL:
        from benchmarks.zoo.open.analyst.spans import Warehouse  # noqa: PLC0415 - not in every environment

        rec = Warehouse(around, "analyst-agent")
    else:
        rec = Traced(around, KEEP if form is Form.PARTIAL else None)
    analyst = Analyst(rec, knobs, around)
    labels = {"team": around.random.choice(("sales", "finance", "board")), "session": f"s{around.number // 3}"}
    with rec.run("analyst", analyst.asked.text, labels):
        analyst.work()
    return rec.run_id


def _instrument(provider: Any) -> Callable[[], None]:
    from benchmarks.zoo.open.kit.inference import instrument_openai  # noqa: PLC0415

    return instrument_openai(provider)


WORKFLOW = Workflow(name="analyst", shape="sql", faults=FAULTS, run=run, policy=POLICY, prepare_otel=_instrument)
