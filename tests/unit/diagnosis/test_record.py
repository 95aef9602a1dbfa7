"""Which model call answered before a moment, or before a step: found at once, and the one that a search would find."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from causeline.diagnosis.record import Record
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.run import Run, Step

BEGAN = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
MOMENTS = st.none() | st.integers(0, 9).map(lambda seconds: BEGAN + timedelta(seconds=seconds))
STEPS = st.lists(
    st.builds(
        Step,
        step_kind=st.sampled_from(["model_call", "tool"]),
        status=st.sampled_from(["ok", "error", None]),
        started_at=MOMENTS,
    ),
    max_size=12,
)


def _answered(step: Step) -> bool:
    return step.step_kind == "model_call" and step.status != "error"


def _record(steps: list[Step]) -> Record:
    return Record(Run(run_id="1" * 32, workflow="w", steps=tuple(steps)), DEFAULT_POLICY.rules("w"))


@given(STEPS, MOMENTS)
def test_the_last_call_before_a_moment_is_found_in_whatever_order_they_began(
    steps: list[Step], at: datetime | None
) -> None:
    fits = [
        step for step in steps if _answered(step) and (at is None or step.started_at is None or step.started_at <= at)
    ]

    assert _record(steps).call_before(at) is (fits[-1] if fits else None)


@given(STEPS, st.integers(0, 12))
def test_the_last_call_ahead_of_a_step_is_found(steps: list[Step], place: int) -> None:
    fits = [step for step in steps[:place] if _answered(step)]

    assert _record(steps).call_ahead_of(place) is (fits[-1] if fits else None)
