"""The workflow's decision and the stream's gap are one judgement: 100,000 pieces of evidence through both."""

import random
from typing import Any

import pytest

from causeline.producers.runs import Decision
from causeline.producers.tracer import Tracer
from causeline.schemas.judge import Judgement
from causeline.schemas.policy_file import parse_policy
from causeline.streams.definition.findings import judged
from tests.unit.producers.recording import RecordingTransport, emitter_over
from tests.unit.streams.both import arrived
from tests.unit.streams.build import in_partition

EVIDENCE, RUNS = 100_000, 200
POLICY = parse_policy(
    """
    version = 1
    [defaults]
    threshold = 0.8
    next_steps = { weak_provenance = ["search", "review"] }
    [workflow.strict]
    threshold = 0.95
    support_floor = 0.5
    authority = ["schedule"]
    next_steps = { source_conflict = ["apply_authority", "escalate"], missing_citation = ["retry", "safe_stop"] }
    evidence."$.a" = { threshold = 0.6 }
    evidence."$.b" = { required = false }
    evidence."$.c" = { support_floor = 0.9, next_steps = { unsupported_field = ["partial_output"] } }
    [workflow.lax]
    threshold = 0.1
    support_floor = 0.05
    """
)


def evidence(dice: random.Random) -> dict[str, Any]:
    edges = (0.0, 0.05, 0.1, 0.3, 0.5, 0.6, 0.8, 0.9, 0.95, 1.0)
    return {
        "field": dice.choice(["$.a", "$.b", "$.c", "$.d"]),
        "refs": dice.choice([(), ("x",), ("x", "y")]),
        "score": dice.choice([None, dice.random(), dice.choice(edges)]),
        "required": dice.random() < 0.7,
        "conflicting_refs": dice.choice([(), (), (), ("z",)]),
        "attempts": dice.choice([0, 0, 1, 2, 5]),
    }


@pytest.mark.slow
def test_what_the_workflow_was_told_is_what_the_stream_tells() -> None:
    dice = random.Random(41)
    transport = RecordingTransport(partitions=1)
    roomy = emitter_over(transport, buffer_events=2 * EVIDENCE, buffer_bytes=512 * 1024 * 1024)
    tracer = Tracer("tests", emitter=roomy, policy=POLICY)
    told: list[Decision] = []
    for number in range(RUNS):
        with tracer.run(("strict", "lax", "other")[number % 3]) as run:
            told += [run.evidence(**evidence(dice)) for _ in range(EVIDENCE // RUNS)]
    assert not tracer.flush(60)
    tracer.close()

    events = [arrival.event for arrival in arrived(in_partition(value for _, value in transport.sent))]
    checks = [event for event in events if event.event_type == "evidence_checked"]
    found = [judged(event, POLICY) for event in checks]

    assert len(checks) == len(told) == EVIDENCE
    assert 0.3 < sum(gap is not None for gap in found) / EVIDENCE < 0.9
    differing = [
        (event.event_id, decision)
        for event, gap, decision in zip(checks, found, told, strict=True)
        if _said(gap) != (decision.kind, decision.next_step, decision.threshold)
    ]
    assert differing == []


def _said(gap: Judgement | None) -> tuple[str | None, str | None, float | None]:
    return (None, None, None) if gap is None else (gap.kind, gap.next_step, gap.threshold)
