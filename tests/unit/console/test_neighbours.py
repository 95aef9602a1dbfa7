"""What is made of the rows that ClickHouse gives for the neighbours of a run: each run once, and no more than count."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from causeline.console.neighbours import AFTER, BEFORE, OLDER, SHARED, Neighbours, Place, rows_around
from causeline.diagnosis.traits import Row
from causeline.schemas.policy import DEFAULT_POLICY
from tests.unit.console.samples import clean_run

AT_US = 1_000_000_000


def row(number: int, piece: str, at_us: int, version: int = 1, *, blemished: bool = False) -> dict[str, object]:
    text = Row(f"{number:032x}", at_us / 1e6, {}).to_text()
    return {
        "run_id": f"{number:032x}",
        "at_us": at_us,
        "version": version,
        "blemished": blemished,
        "traits": text,
        "piece": piece,
    }


class Answering:
    """A store that answers with rows of its own."""

    def __init__(self, rows: Sequence[Mapping[str, object]]) -> None:
        self.rows = rows
        self.asked = 0

    def ask(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, is_small: bool = False
    ) -> Sequence[Mapping[str, object]]:
        self.asked += 1
        return self.rows


def around(*rows: Mapping[str, object]) -> list[Row]:
    return rows_around(Answering(rows), "chat", AT_US)


def test_a_run_that_is_shown_twice_counts_once_and_as_it_was_said_last() -> None:
    [only] = around(row(1, "at", AT_US - 5, version=2, blemished=True), row(1, "at", AT_US - 5, version=1))
    assert not only.well


def test_of_each_piece_the_runs_nearest_to_its_moment_count() -> None:
    before = [row(n, "at", AT_US - n) for n in range(1, 2 * BEFORE)]
    after = [row(10_000 + n, "until", AT_US + n) for n in range(1, 2 * AFTER)]
    older = [row(20_000 + n, "back_0", AT_US - 10_000 - n) for n in range(2 * OLDER)]
    found = {int(each.run_id, 16) for each in around(*older, *after, *before)}
    assert found == {
        *range(1, BEFORE + 1),
        *(10_000 + n for n in range(1, AFTER + 1)),
        *(20_000 + n for n in range(OLDER)),
    }


def test_a_run_of_two_pieces_counts_once() -> None:
    assert len(around(row(1, "at", AT_US - 9), row(1, "back_0", AT_US - 9))) == 1


def test_a_place_near_by_in_the_same_workflow_under_the_same_policy_does_as_well() -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    own = Place("chat", "a", noon)
    near, nearer = (Place("chat", "a", noon - timedelta(minutes=minutes)) for minutes in (20, 5))
    others = [Place("mail", "a", noon), Place("chat", "b", noon), Place("chat", "a", None)]

    assert own.nearest([near, *others, nearer]) == nearer
    assert own.nearest([*others, Place("chat", "a", noon + SHARED)]) == own
    assert Place("chat", "a", None).nearest([near]) == Place("chat", "a", None)


def test_runs_that_start_near_each_other_are_asked_about_once() -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    store = Answering([row(n, "at", AT_US - n) for n in range(1, 2 * BEFORE)])
    neighbours = Neighbours(store)

    def asked_after(since: timedelta) -> int:
        neighbours.of(clean_run(policy_hash=None, started_at=noon + since), DEFAULT_POLICY)
        return store.asked

    assert [asked_after(timedelta(minutes=minutes)) for minutes in (0, 5, 10, 0)] == [1, 1, 1, 1]
    assert asked_after(SHARED) == 2
