"""How a table fits: rows of one line, ids and numbers whole, the least important columns left out and named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.cli.tables import GAP, LEAST, layout

RUN, STATE, DETAIL = "12345678", "answered", "d" * 60
COLUMNS = ["run", "state", "detail"]
ROWS = [[RUN, STATE, DETAIL]]


def test_what_fits_is_shown_as_it_is() -> None:
    fitted = layout(COLUMNS, ROWS, 200)
    assert (fitted.widths, fitted.is_cut, fitted.left_out(COLUMNS)) == ({0: 8, 1: 8, 2: 60}, False, [])


def test_the_widest_column_of_words_is_cut_first() -> None:
    fitted = layout(COLUMNS, ROWS, 50)
    assert (fitted.widths, fitted.is_cut) == ({0: 8, 1: 8, 2: 28}, True)


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(36, []), (35, ["detail"]), (19, ["detail"]), (18, ["state", "detail"]), (1, ["state", "detail"])],
)
def test_before_a_column_cannot_be_read_the_least_important_is_left_out(width: int, left_out: list[str]) -> None:
    assert layout(COLUMNS, ROWS, width, optional=["state", "detail"]).left_out(COLUMNS) == left_out


def test_optional_columns_go_before_the_others_the_last_of_them_first() -> None:
    fitted = layout(COLUMNS, ROWS, 36 - 1, optional=["state"])
    assert fitted.left_out(COLUMNS) == ["state"]


def test_moments_are_whole() -> None:
    columns, rows = ["run", "started (UTC)", "why"], [[RUN, "2026-11-28 12:00:01", DETAIL]]
    assert layout(columns, rows, 60).widths[1] == 19
    assert layout(columns, rows, 30).left_out(columns) == ["why"]


def test_numbers_are_whole() -> None:
    fitted = layout(["run", "cost"], [[RUN, "9" * 30]], 30, whole={"cost"})
    assert fitted.left_out(["run", "cost"]) == ["cost"]


@given(
    st.lists(st.lists(st.text("x", max_size=90), min_size=5, max_size=5), max_size=4),
    st.integers(1, 200),
    st.lists(st.sampled_from("abcde"), unique=True),
)
def test_a_row_never_is_wider_than_the_screen_and_words_never_narrower_than_can_be_read(
    rows: list[list[str]], width: int, optional: list[str]
) -> None:
    columns = list("abcde")
    fitted = layout(columns, rows, width, optional=optional)
    taken = sum(fitted.widths.values()) + GAP * (len(fitted.widths) - 1)
    assert taken <= width or list(fitted.widths) == [0]
    for place, given_width in fitted.widths.items():
        natural = max([1, *(len(row[place]) for row in rows)])
        assert given_width <= natural
        assert given_width >= min(natural, LEAST)
