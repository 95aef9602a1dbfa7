"""Runs of many steps, deep ones and ones with hostile names: shown whole, drawn in bounds, asked for by few queries."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from causeline.schemas.run import Run, Step
from causeline.stack.waiting import wait_until
from tests.browser.conftest import PATIENCE_S
from tests.browser.served import FixedStores, console_of

BEGAN = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
SHAPES = {"5,000 steps": (5_000, 1), "100,000 steps": (100_000, 1), "depth 10,000": (10_000, 10_000)}
NAMES = {"10 kB": "n" * 10_000, "right to left": "שלום\u202egnp.exe", "zero width": "a\u200bb\u2060c"}


def long_run(number: int, steps: int, depth: int, name: str = "call") -> Run:
    made = []
    for at in range(steps):
        begin = BEGAN + timedelta(milliseconds=at)
        made.append(
            Step(
                step_id=f"{at + 1:016x}",
                parent_step_id=f"{at:016x}" if at % depth else None,
                step_kind="tool",
                step_name=name if at else "first",
                status="error" if at == steps - 2 else "ok",
                error_type="Broken" if at == steps - 2 else None,
                started_at=begin,
                finished_at=begin + timedelta(milliseconds=1),
                duration_us=1000,
            )
        )
    return Run(
        run_id=f"{number:032x}", workflow="long", verdict="complete", started_at=BEGAN, final_state="failed",
        status="error", duration_us=steps * 1000, events=steps + 2, steps=tuple(made),
    )  # fmt: skip


@dataclass(frozen=True)
class Long:
    base: str
    stores: FixedStores
    ids: dict[str, str]


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Long]:
    """A console that holds one run of each shape, and one of each kind of name."""
    shapes = {name: long_run(at, *shape) for at, (name, shape) in enumerate(SHAPES.items(), 1)}
    named = {name: long_run(at, 4, 1, text) for at, (name, text) in enumerate(NAMES.items(), 11)}
    runs = shapes | named
    stores = FixedStores(list(runs.values()))
    with console_of(stores, tmp_path_factory.mktemp("artifacts")) as base:
        yield Long(base, stores, {name: run.run_id for name, run in runs.items()})


@pytest.fixture
def reader(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_S * 1000)
    yield context.new_page()
    context.close()


def _opened(reader: Page, address: str) -> bool:
    answer = reader.goto(address)
    assert answer is not None
    assert answer.status in {200, 503}
    return answer.ok


@pytest.mark.parametrize("shape", SHAPES)
def test_a_long_run_is_scrolled_to_its_end_with_few_nodes(reader: Page, long: Long, shape: str) -> None:
    wait_until(  # a machine that is busy says so after a minute, and has the page a moment later
        lambda: _opened(reader, f"{long.base}/runs/{long.ids[shape]}"), timeout_s=3 * PATIENCE_S, what="no page comes"
    )
    box = reader.locator(".virtual")
    box.wait_for()

    assert reader.evaluate("document.getElementsByTagName('*').length") <= 3_000
    box.evaluate("(box) => { box.scrollTop = box.scrollHeight; }")
    last = f"{SHAPES[shape][0]:016x}"
    expect(reader.locator(f"[id='step-{last}']")).to_be_visible()
    reader.locator(f"[id='step-{last}'] a.step").click()
    expect(reader.locator("#details")).to_contain_text(last)
    assert reader.evaluate("document.getElementsByTagName('*').length") <= 3_000


@pytest.mark.parametrize("kind", NAMES)
def test_a_name_that_would_break_the_page_stays_within_its_row(reader: Page, long: Long, kind: str) -> None:
    reader.goto(f"{long.base}/runs/{long.ids[kind]}")

    assert reader.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    text = reader.locator("main").inner_text()
    assert not set(text) & {"\u202e", "\u200b", "\u2060"}


def test_a_run_is_asked_for_by_few_queries(reader: Page, long: Long) -> None:
    """Of the page itself: a browser that shows it asks again whenever its parts load and while it follows."""
    path = f"{long.base}/runs/{long.ids['5,000 steps']}"
    reader.request.get(path)
    long.stores.asked.clear()

    assert reader.request.get(path).ok
    assert len([sql for sql in long.stores.asked if "run_texts" not in sql]) <= 3
