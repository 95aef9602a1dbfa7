"""Articles of suppliers' feeds, made ready for a shop."""

import contextlib

from benchmarks.zoo.open.catalogue.flow import Enrichment
from benchmarks.zoo.open.catalogue.knobs import FAULTS, knobs_of
from benchmarks.zoo.open.catalogue.shop import FeedUnreadable
from benchmarks.zoo.open.kit.record import Recorder, Traced, kept
from benchmarks.zoo.protocol import Fault, Form, Surroundings, Workflow

KEEP = {
    "run": kept(supplier="supplier"),
    "parse": kept("status error_type", name="ingest", rows="parse__pages_read"),
    "classify": kept("route route_confidence"),
    "model_call": kept("model_name retry_count raw_output_ref"),
    "validate:business rules": kept("validation_errors", name="rules"),
    "route": kept("route", name="gate"),
    "tool:put article": kept("status error_type", name="shop upsert"),
    "review": kept(),
    "finish": kept(published="published", held="held"),
}

POLICY = """
version = 1

[workflow.catalogue]
confidence_floor = 0.5
parse_quality_floor = 0.9
threshold = 0.7
context_expected = true

[[workflow.catalogue.expect]]
step = "parse"

[[workflow.catalogue.review]]
name = "articles kept back"
question = "Why does the shop not take them?"
when = { final_state = "partial" }
priority = 2
"""


def run(form: Form, planted: Fault | None, around: Surroundings) -> str:
    """One delivery."""
    rec: Recorder
    if form is Form.OTEL:
        from benchmarks.zoo.open.catalogue.spans import Batch  # noqa: PLC0415 - not in every environment

        rec = Batch(around, "catalogue")
    else:
        rec = Traced(around, KEEP if form is Form.PARTIAL else None)
    work = Enrichment(rec, knobs_of(planted), around)
    labels = {"supplier": work.feed.supplier, "batch": str(around.number)}
    with contextlib.suppress(FeedUnreadable), rec.run("catalogue", work.feed.raw.decode(), labels):
        work.work()
    return rec.run_id


WORKFLOW = Workflow(name="catalogue", shape="extraction", faults=FAULTS, run=run, policy=POLICY)
