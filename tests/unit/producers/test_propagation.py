"""W3C headers, read without trusting them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.producers.propagation import RemoteRun, extract, inject, parse_traceparent
from tests.unit.schemas import strategies

VALID = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@given(strategies.run_ids, strategies.step_ids, st.text(min_size=1, max_size=50), st.integers(0, 10**17 - 1))
def test_what_is_injected_is_extracted(run_id: str, step_id: str, name: str, started: int) -> None:
    headers: dict[str, str] = {}
    remote = RemoteRun(run_id, step_id, project=name, workflow=name, run_started_at=started)

    inject(headers, remote)

    assert extract({key.title(): value for key, value in headers.items()}) == remote


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        VALID.upper(),
        VALID[:-1],
        VALID + "-more",
        "ff" + VALID[2:],
        VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        VALID.replace("00f067aa0ba902b7", "0" * 16),
        VALID + " " * 10_000,
    ],
)
def test_what_is_no_traceparent_is_none(text: str) -> None:
    assert parse_traceparent(text) is None


def test_a_later_version_may_say_more() -> None:
    assert parse_traceparent("01" + VALID[2:] + "-more") is not None


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_headers_are_read_or_ignored(traceparent: str, baggage: str) -> None:
    extract({"traceparent": traceparent, "baggage": baggage})
    found = extract({"traceparent": VALID, "baggage": baggage})
    assert found is not None
    assert found.run_id == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("name", ["", "n" * 257])
def test_a_name_that_no_event_could_have_is_not_taken_from_headers(name: str) -> None:
    found = extract({"traceparent": VALID, "baggage": f"causeline.workflow={name},causeline.project={name}"})
    assert found is not None
    assert (found.workflow, found.project) == (None, None)


def test_a_start_that_is_no_time_is_not_taken_from_headers() -> None:
    found = extract({"traceparent": VALID, "baggage": "causeline.started=soon"})
    assert found is not None
    assert found.run_started_at is None
