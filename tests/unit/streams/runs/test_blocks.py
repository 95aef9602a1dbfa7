"""Runs are written as they are, however their columns lie in memory, and whatever polars makes of them."""

import io
import logging
from itertools import combinations_with_replacement
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.schemas import catalogue, wire
from causeline.schemas.events import Record
from causeline.streams.runs.blocks import Block, blocks_of
from tests.examples import tried
from tests.unit.streams.both import assemble
from tests.unit.streams.build import event, frame, mixed_events, run_id, whole_run

SCHEMA = catalogue.latest("run-batch")


def runs_of(*workflows: str) -> list[pl.DataFrame]:
    """One frame of one run each, of the given workflows: frames of one row, whose values polars keeps once."""
    return [
        assemble(frame([record | {"workflow": name} for record in whole_run(n)]), closed_at_us=0).runs
        for n, name in enumerate(workflows, 1)
    ]


def records(block: Block) -> list[Record]:
    count, data = block
    return wire.decode_items(wire.Block(SCHEMA, count, data))


@pytest.mark.parametrize("workflows", list(combinations_with_replacement("abc", 3)))
def test_neighbours_that_say_the_same_in_one_column_and_not_in_another_are_written(workflows: tuple[str, ...]) -> None:
    blocks = blocks_of(runs_of(*workflows))
    assert [[record["run_id"] for record in records(block)] for block in blocks] == [
        [run_id(n)] for n in range(1, len(workflows) + 1)
    ]


@given(mixed_events(), st.data())
@tried(40)
def test_each_piece_comes_back_as_its_own_block(events: list[Record], data: st.DataObject) -> None:
    runs = assemble(frame(events), closed_at_us=0).runs
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, runs.height - 1)), max_size=2)) - {runs.height})
    pieces = [runs[a:b] for a, b in zip([0, *cuts], [*cuts, runs.height], strict=True)]
    given_rows = [list(piece.iter_rows(named=True)) for piece in pieces]
    assert [records(block) for block in blocks_of(pieces)] == given_rows


def test_a_text_that_looks_like_the_end_of_a_piece_is_a_text() -> None:
    [run] = runs_of("w")
    [(_, data)] = blocks_of([run])
    sly = run.with_columns(pl.lit(bytes(data).decode("latin-1")).alias("route_reason"))
    [block] = blocks_of([sly])
    assert records(block)[0]["route_reason"] == bytes(data).decode("latin-1")


@pytest.mark.parametrize("does", ["panics", "refuses", "leaves out", "adds"])
def test_what_polars_cannot_write_is_written_one_by_one(
    does: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pieces = runs_of("a", "b", "b")
    well = [records(block) for block in blocks_of(pieces)]
    write = pl.DataFrame.write_avro

    def fails(self: pl.DataFrame, file: io.BytesIO, *given: Any, **named: Any) -> None:
        if does == "panics":
            raise pl.exceptions.PanicException("a native part gave up")
        if does == "refuses":
            raise pl.exceptions.ComputeError("no")
        write(self[1:] if does == "leaves out" else pl.concat([self, self[:1]]), file, *given, **named)

    monkeypatch.setattr(pl.DataFrame, "write_avro", fails)
    with caplog.at_level(logging.WARNING):
        assert [records(block) for block in blocks_of(pieces)] == well
    assert "polars cannot write 3 runs as Avro" in caplog.text


def test_a_run_larger_than_an_event_may_be_is_written_exactly_too(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [event("step_finished", seq=n + 1, step_name=f"{n:0200d}", error_type="e" * 200) for n in range(1000)]
    [run] = [assemble(frame([event("run_started"), *steps]), closed_at_us=0).runs]
    [well] = blocks_of([run])

    def panics(*_: object, **__: object) -> None:
        raise pl.exceptions.PanicException("a native part gave up")

    monkeypatch.setattr(pl.DataFrame, "write_avro", panics)
    [exact] = blocks_of([run])
    assert len(exact[1]) > wire.MAX_EVENT_BYTES
    assert records(exact) == records(well)


def test_nothing_gives_nothing() -> None:
    assert blocks_of([]) == []
