"""Minutes of meetings from recordings, part by part."""

import contextlib
from collections.abc import Callable
from typing import Any

from benchmarks.zoo.open.kit.model import ProviderError
from benchmarks.zoo.open.kit.record import Recorder, Traced, kept
from benchmarks.zoo.open.minutes.flow import Minutes
from benchmarks.zoo.open.minutes.knobs import FAULTS, knobs_of
from benchmarks.zoo.protocol import Fault, Form, Surroundings, Workflow

KEEP = {
    "run": kept(series="series"),
    "parse": kept("parsed_artifact_ref", name="speech to text"),
    "custom:diarise": kept(speakers="diarise__speakers", invited="diarise__invited"),
    "model_call": kept("model_name raw_output_ref output_tokens"),
    "validate:check tasks": kept("validation_errors"),
    "guardrail": kept(name="gdpr gate", verdict="guard__verdict"),
    "review": kept(),
    "fallback": kept(),
    "finish": kept(template="kind"),
}

POLICY = """
version = 1

[workflow.minutes]
routes = ["sales", "steering", "incident"]
confidence_floor = 0.6
parse_quality_floor = 0.8
threshold = 0.6
context_expected = false

[[workflow.minutes.expect]]
step = "guardrail"

[[workflow.minutes.review]]
name = "minutes in part"
question = "Which tasks are missing, and whose are they?"
when = { final_state = "partial" }
priority = 2
"""


def run(form: Form, planted: Fault | None, around: Surroundings) -> str:
    """One meeting."""
    rec: Recorder
    if form is Form.OTEL:
        from benchmarks.zoo.open.minutes.spans import Service  # noqa: PLC0415 - not in every environment

        rec = Service(around, "minutes")
    else:
        rec = Traced(around, KEEP if form is Form.PARTIAL else None)
    minutes = Minutes(rec, knobs_of(planted), around)
    labels = {"series": around.random.choice(("weekly", "board", "customer")), "session": f"m{around.number}"}
    text = f"recording {around.number} of {len(minutes.meeting.people)} people"
    with contextlib.suppress(ProviderError), rec.run("minutes", text, labels):
        minutes.work()
    return rec.run_id


def _instrument(provider: Any) -> Callable[[], None]:
    from benchmarks.zoo.open.kit.chains import instrument  # noqa: PLC0415

    return instrument(provider)


WORKFLOW = Workflow(name="minutes", shape="summary", faults=FAULTS, run=run, policy=POLICY, prepare_otel=_instrument)
