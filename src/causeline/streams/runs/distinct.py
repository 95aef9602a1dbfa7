"""The same event delivered again is the same event: the first to arrive is kept."""

from dataclasses import dataclass

import polars as pl

RUN = "_run"
"""A run's number within one call: 0, 1, 2… in no particular order."""
_DIGEST = "_digest"


@dataclass(frozen=True, slots=True)
class Repeats:
    """`is_new`: for each row of `coming`, whether its event is new. `conflicting`: repeats that say something else."""

    is_new: pl.Series
    duplicates: int
    conflicting: int

    @classmethod
    def none(cls, height: int) -> "Repeats":
        """Of so many rows, each is new."""
        return cls(pl.Series([True]).new_from_index(0, height), 0, 0)


def all_distinct(events: pl.DataFrame) -> bool:
    """Whether no event id comes twice, whatever run it is of: then nothing needs a closer look."""
    return events["event_id"].n_unique() == events.height


def identities(events: pl.DataFrame) -> pl.DataFrame:
    """What tells events apart: the run's number, the event's id and a digest of all it says."""
    said = [name for name in events.columns if not name.startswith("_")]
    return events.select(RUN, "event_id", events.select(said).hash_rows().alias(_DIGEST))


def repeats(coming: pl.DataFrame, held: pl.DataFrame | None = None) -> Repeats:
    """Which events of `coming` are new to `held` and to those before them; both as `identities` gives them."""
    everything = coming if held is None else pl.concat([held, coming])
    already = everything.height - coming.height
    first = everything.with_row_index("_row").unique([RUN, "event_id"], keep="first", maintain_order=True)
    is_new = pl.Series([False]).new_from_index(0, everything.height).scatter(first["_row"], values=True)[already:]
    again = coming.filter(~is_new)
    conflicting = again.join(first, on=[RUN, "event_id"], suffix="_first").filter(
        pl.col(_DIGEST) != pl.col(f"{_DIGEST}_first")
    )
    return Repeats(is_new, again.height, conflicting.height)
