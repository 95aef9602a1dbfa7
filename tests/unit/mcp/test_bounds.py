"""An answer is JSON of at most 8 KB, whatever was recorded, and says what was cut."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from causeline.mcp.bounds import MOST_BYTES, MOST_TEXT, NOTICE, Answer, Call, Page, written
from tests.examples import tried

PIECES = st.text(st.characters(exclude_categories=()), max_size=60)
TEXTS = PIECES | st.builds(lambda piece, times: piece * times, PIECES.filter(len), st.integers(15, 300))
"""Some shorter and some longer than a text may be."""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=60,
)
CALLS = st.builds(Call, st.sampled_from(["step", "sql"]), st.dictionaries(TEXTS, TEXTS, max_size=3), TEXTS)


def document(answer: Answer) -> dict[str, Any]:
    text = written(answer)
    assert len(text.encode()) <= MOST_BYTES
    assert text.isprintable()
    read: dict[str, Any] = json.loads(text, parse_constant=lambda word: (_ for _ in ()).throw(ValueError(word)))
    assert list(read) == ["notice", "data", "truncated", "next"]
    assert read["notice"] == NOTICE
    return read


@tried(100)
@given(st.dictionaries(TEXTS, VALUES, max_size=6), st.lists(CALLS, max_size=5), st.lists(TEXTS, max_size=3))
def test_whatever_was_recorded_an_answer_is_json_within_its_bound(
    data: dict[str, Any], calls: list[Call], left_out: list[str]
) -> None:
    document(Answer(data, tuple(calls), left_out=tuple(left_out)))


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 600))
def test_what_is_cut_is_counted_and_the_next_call_begins_behind_it(items: int, width: int) -> None:
    page = Page("rows", lambda kept: Call("sql", {"start": 7 + kept}, "see the others"))
    read = document(Answer({"about": "x", "rows": [{"text": "y" * width}] * items}, page=page))

    kept = len(read["data"]["rows"])
    cut = [each for each in read["truncated"] if each.startswith("rows: ")]
    assert cut == ([f"rows: {items - kept} left out"] if kept < items else [])
    assert [call["arguments"] for call in read["next"]] == ([{"start": 7 + kept}] if kept < items else [])
    assert (width > MOST_TEXT and items > 0) == any("longer than" in each for each in read["truncated"])


def test_an_answer_is_filled_before_it_is_cut() -> None:
    text = written(Answer({"rows": ["z" * 90] * 400}, page=Page("rows", lambda _: Call("sql", {}, "see the others"))))

    assert MOST_BYTES - 300 < len(text.encode()) <= MOST_BYTES


def test_a_row_keeps_its_cells_and_long_texts_lose_their_middle() -> None:
    table = {"columns": ["c"] * 40, "rows": [["a" * 350] * 40]}
    read = document(Answer(table, whole=frozenset({"columns"})))

    assert [len(row) for row in read["data"]["rows"]] == [40]
    assert read["data"]["rows"][0][0].startswith("aaa")
    assert read["truncated"] == ["texts: the middle of those longer than 100 characters"]


def test_a_row_that_does_not_fit_is_told_and_no_call_goes_round_in_a_circle() -> None:
    page = Page("rows", lambda kept: Call("sql", {"start": kept}, "see the others"))
    table = {"columns": ["c"] * 900, "rows": [["a" * 50] * 900] * 2}
    read = document(Answer(table, page=page, whole=frozenset({"columns"})))

    assert read["data"] == {"columns": ["c"] * 900}
    assert read["truncated"][0] == "rows: 2 left out"
    assert read["next"] == []


def test_text_that_could_hide_or_move_is_shown_as_its_escape() -> None:
    read = document(Answer({"name": "a\u202eb\x1b[2J\ud800\n", "number": float("nan"), "big": 2**60}))

    assert read["data"] == {"name": "a\\u202eb\\x1b[2J\\ud800\\n", "number": None, "big": str(2**60)}
