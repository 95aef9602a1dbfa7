"""What pages show, made of records: cursors, excerpts with the cited place marked, and lines."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.schemas.errors import UsageError
from causeline.schemas.run import Run
from causeline.web.views.artifact import PAGE_BYTES, excerpt, image_type, is_text
from causeline.web.views.plot import line
from causeline.web.views.run_list import Cursor, run_list

MOMENT = datetime(2026, 1, 31, 8, 0, 0, 123456, tzinfo=UTC)


def run(number: int) -> Run:
    return Run(run_id=f"{number:032x}", started_at=MOMENT, workflow="w")


def test_a_cursor_goes_through_a_link_and_back() -> None:
    cursor = Cursor(MOMENT, "0" * 31 + "f")

    assert Cursor.of(cursor.text()) == cursor


@pytest.mark.parametrize("text", ["", "x", "2026-01-31T08:00:00.1.zz", "2026-01-31T08:00:00.123456.", "." * 80])
def test_a_link_that_is_not_whole_is_said_so(text: str) -> None:
    with pytest.raises(UsageError, match="not whole"):
        Cursor.of(text)


def test_a_page_has_a_next_one_only_where_there_is_more() -> None:
    assert run_list([run(1), run(2)], limit=2, searched="").following is None

    page = run_list([run(1), run(2), run(3)], limit=2, searched="")
    assert [each.run_id for each in page.lines] == [run(1).run_id, run(2).run_id]
    assert page.following == Cursor(MOMENT, run(2).run_id).text()


def test_the_short_id_is_the_end_because_ids_of_one_hour_begin_alike() -> None:
    (shown,) = run_list([Run(run_id="01a223a389857624ae76fd5ff7b5f26c")], limit=5, searched="").lines

    assert shown.short_id == "f7b5f26c"


def test_cited_characters_are_marked() -> None:
    shown = excerpt(b"Annual premium: 300 EUR.", "chars=16-19")

    assert (shown.before, shown.marked, shown.after) == ("Annual premium: ", "300", " EUR.")


def test_a_cited_page_is_marked() -> None:
    shown = excerpt(b"one\ftwo\fthree", "page=2")

    assert (shown.before, shown.marked, shown.after) == ("one\f", "two", "\fthree")


@pytest.mark.parametrize("fragment", ["chars=5-999", "chars=9-2", "page=7", "page=0", "chunk=3", "nonsense", "chars=é"])
def test_what_cannot_be_marked_is_said_and_the_text_is_shown(fragment: str) -> None:
    shown = excerpt(b"short", fragment)

    assert shown.before == "short"
    assert shown.marked == ""
    assert shown.note


@given(st.binary(max_size=400), st.integers(0, 500), st.integers(0, 500))
def test_no_bytes_and_no_place_break_an_excerpt(data: bytes, begin: int, end: int) -> None:
    shown = excerpt(data, f"chars={begin}-{end}")

    assert shown.before + shown.marked + shown.after == data.decode("utf-8", "replace")


def test_a_long_text_is_a_page_around_what_is_cited() -> None:
    text = "x" * (PAGE_BYTES * 2) + "HERE" + "y" * PAGE_BYTES
    at = PAGE_BYTES * 2

    shown = excerpt(text.encode(), f"chars={at}-{at + 4}")

    assert shown.marked == "HERE"
    assert len(shown.before + shown.after) < PAGE_BYTES


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"), (b"RIFF1234WEBP", "image/webp"),
        (b"<svg onload=alert(1)>", None), (b"%PDF-1.7", None), (b"", None),
    ],
)  # fmt: skip
def test_only_pictures_that_run_nothing_are_shown_as_pictures(data: bytes, media_type: str | None) -> None:
    assert image_type(data) == media_type


def test_bytes_that_are_no_text_are_told() -> None:
    assert is_text("Größe".encode())
    assert not is_text(b"\x00\x01")
    assert not is_text(b"\xff\xfe\x00")


@given(st.lists(st.floats(-1e9, 1e9), max_size=50))
def test_a_line_stays_in_its_picture(values: list[float]) -> None:
    drawn = line(values, width=100, height=50)

    for point in drawn.points.split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= 100.1
        assert 0 <= y <= 50
