"""Pages in one process: below a proxy's path, and by how many questions a run is told."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from causeline.console.answers import Record
from causeline.schemas.run import Run, Step
from causeline.web.app import create_app
from causeline.web.health import Health
from causeline.web.reading import Reading
from causeline.web.settings import ServeSettings
from causeline.web.stores import Stores
from tests.unit.web.test_remembered import Later

PREFIX = "/tools/causeline"
BEGAN = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
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
