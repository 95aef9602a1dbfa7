"""Runs, steps and events as Arrow, pandas or polars, for notebooks: nothing is asked until the rows are wanted.

    from causeline import read

    frame = read.runs(workflow="invoice", since="7d").polars()

These are methods of `Site`; the functions here are those of the site that the environment names, see `site`.
"""

from collections.abc import Mapping
from typing import Unpack

from causeline.read.rows import Rows
from causeline.read.site import Site, Wanted, site

__all__ = ["Rows", "Site", "Wanted", "events", "runs", "site", "sql", "steps"]


def runs(**wanted: Unpack[Wanted]) -> Rows:
    """Runs of the view `runs`, one a row; see `Wanted`."""
    return site().runs(**wanted)


def steps(**wanted: Unpack[Wanted]) -> Rows:
    """Steps of the runs that are wanted, one a row, of the view `steps`; see `Wanted`."""
    return site().steps(**wanted)


def events(**wanted: Unpack[Wanted]) -> Rows:
    """Events of the runs that are wanted, one a row, of the view `events`; see `Wanted`."""
    return site().events(**wanted)


def sql(statement: str, parameters: Mapping[str, str] | None = None) -> Rows:
    """The rows of one statement that reads; `{name:Type}` in it stands for a parameter."""
    return site().sql(statement, parameters)
