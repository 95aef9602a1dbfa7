"""A label that the assembler puts on runs stands alone, and only where it has something to say."""

import polars as pl

from causeline.streams.runs.labels import with_label


def labelled(labels: list[dict[str, str]] | None, value: str | None) -> list[dict[str, str]] | None:
    kind = pl.List(pl.Struct({"key": pl.String, "value": pl.String}))
    runs = pl.DataFrame({"labels": [labels]}, schema={"labels": kind})
    found: list[dict[str, str]] | None = with_label(runs, "ours", pl.Series([value], dtype=pl.String))[
        "labels"
    ].to_list()[0]
    return found


def test_it_stands_among_the_others_by_key() -> None:
    assert labelled([{"key": "z", "value": "1"}], "2") == [{"key": "ours", "value": "2"}, {"key": "z", "value": "1"}]
    assert labelled(None, "2") == [{"key": "ours", "value": "2"}]


def test_one_from_outside_gives_way() -> None:
    assert labelled([{"key": "ours", "value": "theirs"}], "2") == [{"key": "ours", "value": "2"}]


def test_a_run_of_which_there_is_nothing_to_say_keeps_what_it_has() -> None:
    assert labelled([{"key": "z", "value": "1"}], None) == [{"key": "z", "value": "1"}]
    assert labelled(None, None) is None
