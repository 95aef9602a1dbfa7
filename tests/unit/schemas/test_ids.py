"""Ids are W3C trace and span ids, and nothing else passes for one."""

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.schemas import ids
from causeline.schemas.errors import MalformedId


def test_a_new_run_id_is_a_uuid_of_version_7_and_a_w3c_trace_id() -> None:
    run_id = ids.new_run_id()

    assert ids.is_run_id(run_id)
    assert run_id[12] == "7"
    assert run_id[16] in "89ab"


def test_run_ids_sort_by_the_time_of_their_making() -> None:
    made = [ids.new_run_id() for _ in range(1000)]

    assert [run_id[:12] for run_id in made] == sorted(run_id[:12] for run_id in made)
    assert len(set(made)) == len(made)


def test_new_step_ids_are_w3c_span_ids_and_no_two_are_alike() -> None:
    made = [ids.new_step_id() for _ in range(2000)]

    assert all(map(ids.is_step_id, made))
    assert len(set(made)) == len(made)


def test_event_ids_are_uuids_of_version_7_in_the_order_of_their_making() -> None:
    some = ids.EventIds()
    made = [some.new(10**15 + at) for at in range(0, 4_000_000, 400)]

    assert all(map(ids.is_run_id, made))
    assert {(event_id[12], event_id[16] in "89ab") for event_id in made} == {("7", True)}
    assert len(set(made)) == len(made)
    assert [event_id[:12] for event_id in made] == sorted(event_id[:12] for event_id in made)


def test_event_ids_that_threads_draw_at_once_are_no_two_alike() -> None:
    some = ids.EventIds()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: [some.new(10**15) for _ in range(2000)], range(16)))

    assert len({event_id for each in made for event_id in each}) == 16 * 2000


def test_step_ids_that_threads_draw_at_once_are_no_two_alike() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: [ids.new_step_id() for _ in range(500)], range(16)))

    assert len({step_id for some in made for step_id in some}) == 16 * 500


def test_a_forked_child_draws_step_ids_of_its_own() -> None:
    script = """
        import os
        from causeline.schemas import ids
        ids.new_step_id()
        child = os.fork()
        os.write(1, f"{ids.new_step_id()}\\n".encode())  # in one piece, beside the other process
        if child:
            os.waitpid(child, 0)
        """
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(script)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.split()

    assert len(set(said)) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 32,
        "0" * 16,
        "g" * 32,
        "../../etc",
        "' OR 1=1--",
        "a" * 33,
        "A" * 32,
        "\x00" * 32,
        "\u0660" * 32,
        "a" * 32 + "\n",
    ],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    assert not ids.is_run_id(text)
    assert not ids.is_step_id(text)


def test_a_run_id_may_be_given_as_a_uuid_in_any_case() -> None:
    assert ids.parse_run_id("0190F3A2-7B1C-7D3E-8F40-123456789ABC") == "0190f3a27b1c7d3e8f40123456789abc"


@pytest.mark.parametrize("text", ["", "nope", "0" * 32, "x" * 1_000_000])
def test_a_malformed_run_id_is_named_shortly_with_the_way_out(text: str) -> None:
    with pytest.raises(MalformedId) as caught:
        ids.parse_run_id(text)

    assert len(caught.value.message) < 100
    assert caught.value.hint
    assert caught.value.exit_code == 2


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_a_derived_id_is_the_same_for_the_same_parts_and_well_formed(parts: list[str]) -> None:
    assert ids.derived_id(*parts) == ids.derived_id(*parts)
    assert ids.is_run_id(ids.derived_id(*parts))


def test_derived_ids_do_not_run_parts_together() -> None:
    assert ids.derived_id("ab", "c") != ids.derived_id("a", "bc")
