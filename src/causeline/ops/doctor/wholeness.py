"""Whether what was stored is still there: from what `ops.stored` found to what it means. No I/O."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from causeline.ops.doctor.model import Level, Line
from causeline.ops.stored import Aside, Held

_NAMED = 4
_MARGIN = timedelta(minutes=10)
"""Messages of a run may have been produced before the moment that its clock tells."""


def events(held: Held) -> Line:
    """Runs against their events."""
    if not held.short:
        return Line("stored", Level.OK, f"{held.looked_at:,d} runs have all the events that they were assembled of.")
    says = (
        f"{held.missing:,d} events that were joined are no longer stored: {held.short:,d} of {held.looked_at:,d} runs"
        f" have fewer than they were assembled of, e.g. {held.examples[0]}."
    )
    return Line("stored", Level.FAILED, says, load_again(held.since_us))


def runs(held: Held, whole: Sequence[str] = ()) -> Line:
    """Ends against runs; `whole` are those runs among the short whose events are all stored."""
    if not held.short:
        return Line("joined", Level.OK, f"{held.looked_at:,d} runs that ended are all joined.")
    again = load_again(held.since_us)
    if not whole:
        says = f"{held.short:,d} of {held.looked_at:,d} runs have ended and are no rows of runs: {_listed(held)}."
        return Line("joined", Level.FAILED, says, again)
    named = ", ".join(whole[:_NAMED]) + (f" and {len(whole) - _NAMED:,d} more" if len(whole) > _NAMED else "")
    says = (
        f"{held.short:,d} of {held.looked_at:,d} runs have ended and are no rows of runs. Of {len(whole):,d} every"
        f" event is stored: {named}."
    )
    join = " ".join(whole) if len(whole) <= _NAMED else f"--unjoined {_moment(held.since_us)}"
    return Line("joined", Level.FAILED, says, f"causeline amend {join}; for rows that were lost, and the rest: {again}")


def topics(held: Held) -> Line:
    """The topics against the tables."""
    if not held.looked_at:
        return Line("topics stored", Level.OK, "Kafka holds nothing of this stretch that loaders have read.")
    if not held.short:
        says = f"{held.looked_at:,d} records, picked from all over the topics, are stored."
        return Line("topics stored", Level.OK, says)
    says = f"{held.missing:,d} of {held.looked_at:,d} records picked from the topics were loaded and are not stored."
    return Line("topics stored", Level.FAILED, says, load_again(held.since_us))


def parts_set_aside(aside: Sequence[Aside], *, is_whole: bool) -> Line:
    """Parts that the engine could not read; `is_whole`: nothing is missing as far as was looked."""
    if not aside:
        return Line("parts set aside", Level.OK, "ClickHouse could read every part.")
    count = sum(len(each.parts) for each in aside)
    named = ", ".join(f"{each.table} ({', '.join(each.parts[:2])})" for each in aside)
    says = f"ClickHouse could not read {count} parts and has set them aside, with their rows: {named}."
    if not is_whole:
        return Line("parts set aside", Level.FAILED, says, "causeline load --again SINCE, as said above.")
    first = aside[0]
    way_out = (
        "Nothing is missing of what was looked at. When that was loaded again, drop them: ALTER TABLE"
        f" {first.table} DROP DETACHED PART '{first.parts[0]}' SETTINGS allow_drop_detached = 1"
    )
    return Line("parts set aside", Level.WARNING, says, way_out)


def load_again(since_us: int | None) -> str:
    """The command that brings back what was produced since then."""
    return f"causeline load --again {_moment(since_us)}"


def _moment(since_us: int | None) -> str:
    if since_us is None:
        return "1d"
    return f"{datetime.fromtimestamp(since_us / 1e6, UTC) - _MARGIN:%Y-%m-%dT%H:%M}"


def _listed(held: Held) -> str:
    more = f" and {held.short - len(held.examples)} more" if held.short > len(held.examples) else ""
    return ", ".join(held.examples) + more
