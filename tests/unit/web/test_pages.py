"""Pages in one process: below a proxy's path, and by how many questions a run is told."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from causeline.console.answers import Record
from causeline.schemas.run import Run, Step
from causeline.web.app import create_app
from causeline.web.health import Health
from causeline.web.reading import Read, Reading
from causeline.web.settings import ServeSettings
from causeline.web.stores import Stores
from tests.unit.web.test_remembered import Later

PREFIX = "/tools/causeline"
BEGAN = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
STEPS = 3_000


class OneRun(Stores):
    """The stores of a console that holds one long run, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.run = Run(
            run_id="a" * 32, workflow="long", verdict="complete", started_at=BEGAN, status="error",
            policy_hash="b" * 16,
            steps=tuple(
                Step(
                    step_id=f"{at:016x}", step_kind="tool", step_name="call", duration_us=1000,
                    started_at=BEGAN + timedelta(milliseconds=at), status="error" if at == STEPS - 2 else "ok",
                )
                for at in range(STEPS)
            ),
        )  # fmt: skip

    def store(self) -> "OneRun":  # type: ignore[override]
        return self

    def ask(self, sql: str, parameters: Mapping[str, object] | None = None, *, is_small: bool = False) -> list[Record]:
        self.asked.append(sql)
        return [asdict(self.run)] if sql.startswith("SELECT * FROM runs WHERE run_id = ") else []


def client(stores: Stores, root_path: str = "") -> TestClient:
    settings = ServeSettings(token=SecretStr("t"), free_reading=True, root_path=root_path)
    headers = {"accept": "text/html"}
    return TestClient(
        create_app(settings, Health({}), stores=stores),
        base_url="http://127.0.0.1",
        headers=headers,
        follow_redirects=False,
    )


@pytest.mark.parametrize("kept", ["", PREFIX])
def test_a_proxy_may_take_its_prefix_off_or_leave_it_on(kept: str) -> None:
    asked = client(OneRun(), PREFIX)

    page = asked.get(f"{kept}/runs/{'a' * 32}")
    assert page.status_code == 200
    assert f'href="{PREFIX}/static/app.css' in page.text
    assert asked.get(f"{kept}/static/app.css").status_code == 200
    assert asked.get(f"{kept}/healthz").status_code == 200
    assert asked.get(f"{kept}/r?id={'a' * 32}").headers["location"].startswith(f"{PREFIX}/runs")


def test_a_page_of_many_steps_is_bounded_and_the_columns_have_them_all() -> None:
    asked = client(OneRun())

    page = asked.get(f"/runs/{'a' * 32}").text
    columns = asked.get(f"/api/v1/runs/{'a' * 32}/steps").json()

    assert page.count("<") // 2 <= 3_000, "elements of the page"
    assert len(columns["id"]) == len(columns["took"]) == STEPS


def test_a_run_that_was_just_shown_is_told_by_few_questions() -> None:
    stores, now, later = OneRun(), [0.0], Later()
    reading = Reading(lambda: now[0], later)
    reading.read(stores, "a" * 32)
    stores.asked.clear()

    now[0] = 4.0
    reading.read(stores, "a" * 32)
    assert not [sql for sql in stores.asked if "drift" in sql], "what drift says is taken as it was a moment ago"
    assert len(stores.asked) <= 3, "the run's text, its row where it has none, its policy where none is kept"

    now[0] = 6.0
    reading.read(stores, "a" * 32)
    assert not [sql for sql in stores.asked if "drift" in sql], "no page waits for it to be read again"
    later.work()
    assert [sql for sql in stores.asked if "drift" in sql], "and asked anew after that"


class Many(OneRun):
    """Runs of one workflow an hour apart, whose neighbours are not stored as rows of their own."""

    def __init__(self) -> None:
        super().__init__()
        one = replace(self.run, steps=self.run.steps[:2], gap_kinds=("low_provenance",))
        self.runs = {f"{at:032x}": replace(one, run_id=f"{at:032x}", started_at=BEGAN + at * HOUR) for at in range(30)}

    def ask(self, sql: str, parameters: Mapping[str, object] | None = None, *, is_small: bool = False) -> list[Record]:
        self.asked.append(sql)
        given = parameters or {}
        if "FROM run_texts" in sql:
            return [{"digest": given["run_id"], "text": "" if given["known"] == given["run_id"] else given["run_id"]}]
        if "AS neighbours" in sql:
            return [{"live": [], "neighbours": False, "watched": False, "alerts": 0}]
        return [asdict(run) for run in self.runs.values()] if sql.startswith("SELECT * FROM runs WHERE (") else []


def test_a_page_waits_for_three_questions_at_most_and_runs_near_each_other_share_their_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stores, now = Many(), [0.0]
    monkeypatch.setattr("causeline.console.run_text.record_of", lambda run_id: asdict(stores.runs[run_id]))
    reading = Reading(lambda: now[0], Later())

    def questions(run_id: str) -> int:
        stores.asked.clear()
        reading.read(stores, run_id)
        return len(stores.asked)

    first, later, *_ = stores.runs
    assert questions(first) == 3, "its text, what one question tells, and its neighbours"
    assert questions(later) == 3, "an hour later its neighbours are others"
    near = replace(stores.runs[first], run_id="f" * 32, started_at=BEGAN + timedelta(minutes=29))
    stores.runs[near.run_id] = near
    assert questions(near.run_id) == 2
    assert questions(near.run_id) == 2


def test_a_page_is_told_anew_when_its_neighbours_are_others_and_stands_where_they_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stores, now, beside = Many(), [0.0], Later()
    monkeypatch.setattr("causeline.console.run_text.record_of", lambda run_id: asdict(stores.runs[run_id]))
    reading = Reading(lambda: now[0], beside)
    run_id = next(iter(stores.runs))

    def after_a_minute() -> Read:
        now[0] += 61
        reading.read(stores, run_id)
        beside.work()
        return reading.read(stores, run_id)

    first = reading.read(stores, run_id)
    assert after_a_minute() is first
    stores.runs.popitem()
    assert after_a_minute() is not first
