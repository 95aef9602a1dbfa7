"""Services are started by one worker, which keeps to the files that stand on them."""

import pytest

from tests.distribution import ALONE, NOTHING, end_between, next_file, services_of

STACK = ["tests/integration/test_readme.py", "tests/integration/test_registry.py"]
BROKER = ["tests/integration/sinks/test_loader.py", "tests/integration/cli/test_topics.py"]
OF_ITS_OWN = ["tests/integration/stack/test_supervisor.py", "tests/integration/test_compose_commands.py"]
UNITS = ["tests/unit/cli/test_root.py", "tests/unit/test_distribution.py"]
EVERYTHING = [*UNITS, *BROKER, *OF_ITS_OWN, *STACK]


@pytest.mark.parametrize("files", [STACK, BROKER, OF_ITS_OWN, UNITS])
def test_files_that_share_services_are_known_by_what_their_tests_ask_for(files: list[str]) -> None:
    assert len({services_of(file) for file in files}) == 1


def test_what_differs_is_told_apart() -> None:
    assert len({services_of(file) for file in EVERYTHING}) == 4
    assert services_of(OF_ITS_OWN[0]) == ALONE
    assert services_of(UNITS[0]) == NOTHING


def test_two_workers_begin_at_different_services() -> None:
    first = next_file(EVERYTHING, None, [])
    second = next_file([file for file in EVERYTHING if file != first], None, [first])
    assert NOTHING not in {services_of(first), services_of(second)}
    assert services_of(first) != services_of(second)


def test_a_worker_keeps_to_its_services_while_there_are_files_that_stand_on_them() -> None:
    assert next_file(EVERYTHING, STACK[0], [BROKER[0]]) == STACK[0]
    assert next_file([*UNITS, *BROKER, *OF_ITS_OWN], STACK[0], [BROKER[0]]) in OF_ITS_OWN


def test_it_starts_what_another_worker_has_only_when_nothing_else_is_left() -> None:
    assert next_file([*BROKER, *UNITS], STACK[0], [BROKER[0]]) in UNITS
    assert next_file(BROKER, UNITS[0], [BROKER[0]]) in BROKER


@pytest.mark.parametrize(
    ("last", "following", "ended"),
    [(STACK, STACK, False), (STACK, BROKER, True), (STACK, UNITS, True), (UNITS, STACK, False), (UNITS, UNITS, False)],
)
def test_services_end_where_files_begin_that_stand_on_others(
    last: list[str], following: list[str], ended: bool
) -> None:
    assert end_between(services_of(last[0]), services_of(following[1])) is ended


def test_services_end_with_the_session() -> None:
    assert end_between(services_of(STACK[0]), NOTHING)
