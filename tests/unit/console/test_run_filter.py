"""Filters become SQL with parameters; what a person typed is never part of the SQL."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.console.run_filter import MAX_LIMIT, RunFilter, checked_limit, id_text
from causeline.schemas.errors import MalformedId, UsageError

_words = st.lists(st.text(min_size=8), max_size=3).map(tuple)


def test_an_empty_filter_holds_everything() -> None:
    condition = RunFilter().condition()
    assert (condition.sql, dict(condition.parameters)) == ("1", {})


@given(
    workflows=_words,
    routes=_words,
    models=_words,
    gap_kinds=_words,
    labels=st.dictionaries(st.text(min_size=8), st.text(min_size=8), max_size=3),
)
def test_no_value_reaches_the_sql_and_every_parameter_is_named_in_it(
    workflows: tuple[str, ...],
    routes: tuple[str, ...],
    models: tuple[str, ...],
    gap_kinds: tuple[str, ...],
    labels: dict[str, str],
) -> None:
    wanted = RunFilter(workflows=workflows, routes=routes, models=models, gap_kinds=gap_kinds, labels=labels)
    condition = wanted.condition()
    shape = RunFilter(
        workflows=tuple("x" for _ in workflows),
        routes=tuple("x" for _ in routes),
        models=tuple("x" for _ in models),
        gap_kinds=tuple("x" for _ in gap_kinds),
        labels={str(number): "x" for number in range(len(labels))},
    ).condition()
    assert condition.sql == shape.sql
    assert set(re.findall(r"\{(\w+):", condition.sql)) == condition.parameters.keys()


def test_part_of_an_id_forgives_case_and_dashes() -> None:
    assert id_text(" 0198C1-ab ") == "0198c1ab"
    for bad in ("", "xyz", "0" * 33, "01%", "01_"):
        with pytest.raises(MalformedId):
            id_text(bad)


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1])
def test_a_list_is_neither_empty_nor_endless(limit: int) -> None:
    with pytest.raises(UsageError, match="The limit is 1 to"):
        checked_limit(limit)
    assert checked_limit(MAX_LIMIT) == MAX_LIMIT
