"""The standing oracle: what was acknowledged against what can be seen, as pure functions over ids.

Each broken promise has a letter, by which tests and people name it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

MEANING: Mapping[str, str] = {
    "C": "acknowledged, and neither visible nor a dead letter",
    "D": "visible twice",
    "I": "visible, and never emitted",
    "E": "a run that is not what was emitted of it",
    "L": "a fresh run that does not complete in time",
    "M": "a process above its memory cap",
}
COMPLETE = "complete"
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Ledger:
    """The producer's side. `emitted` has the run of each event handed over; `acknowledged` is what the broker has."""

    emitted: Mapping[str, str]
    acknowledged: frozenset[str]
    runs: frozenset[str]


@dataclass(frozen=True, slots=True)
class RunSeen:
    """One row of the runs view."""

    run_id: str
    verdict: str
    events: int
    events_lost: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The reader's side, row by row as the views give them; `dead` are the events found in dead letters."""

    event_ids: Sequence[str]
    runs: Sequence[RunSeen]
    dead: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured after the faults: seconds to a fresh run, None if it never came; peak bytes by process."""

    fresh_run_s: float | None
    peak_rss: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: its letter, the event, run or process, and what is wrong with it."""

    letter: str
    subject: str
    what: str


def judge(ledger: Ledger, seen: Seen) -> list[Violation]:
    """Every violation of C, D, I and E; empty when all promises are kept."""
    return [
        *_completeness(ledger, seen),
        *_duplicates(seen),
        *_intruders(ledger, seen),
        *_run_differences(ledger, seen),
    ]


def judge_measures(measured: Measured, *, fresh_within_s: float, rss_cap: int) -> list[Violation]:
    """Every violation of L and M."""
    found = []
    if measured.fresh_run_s is None:
        found.append(Violation("L", "fresh run", "never became complete"))
    elif measured.fresh_run_s > fresh_within_s:
        found.append(Violation("L", "fresh run", f"took {measured.fresh_run_s:.1f} s, not {fresh_within_s:g} s"))
    for name, peak in sorted(measured.peak_rss.items()):
        if peak > rss_cap:
            found.append(Violation("M", name, f"held {peak >> 20} MiB, more than {rss_cap >> 20} MiB"))
    return found


def judge_stored(rows: Mapping[str, tuple[int, int]]) -> list[Violation]:
    """D below the views: each table that holds more rows than distinct keys, from its rows and distinct keys."""
    return [
        Violation("D", table, f"holds {count} rows of {distinct} keys")
        for table, (count, distinct) in sorted(rows.items())
        if count != distinct
    ]


def report(violations: Sequence[Violation], whereabouts: Mapping[str, str] | None = None) -> str:
    """The violations by letter, a few of each with where they were last seen; one line each."""
    known = whereabouts or {}
    lines = []
    for letter, meaning in MEANING.items():
        of_letter = [each for each in violations if each.letter == letter]
        if not of_letter:
            continue
        lines.append(f"{letter}: {len(of_letter)} times {meaning}")
        lines += [
            f"   {each.subject}: {each.what}; {known.get(each.subject, 'no trace of it was looked for')}"
            for each in of_letter[:_SHOWN]
        ]
    return "\n".join(lines)


def _completeness(ledger: Ledger, seen: Seen) -> Iterable[Violation]:
    for event_id in sorted(ledger.acknowledged - set(seen.event_ids) - seen.dead):
        yield Violation("C", event_id, f"an acknowledged event of run {ledger.emitted.get(event_id, 'unknown')}")


def _duplicates(seen: Seen) -> Iterable[Violation]:
    for what, ids in (("event", seen.event_ids), ("run", [run.run_id for run in seen.runs])):
        for subject, times in sorted(Counter(ids).items()):
            if times > 1:
                yield Violation("D", subject, f"this {what} is shown {times} times")


def _intruders(ledger: Ledger, seen: Seen) -> Iterable[Violation]:
    for event_id in sorted(set(seen.event_ids) - ledger.emitted.keys()):
        yield Violation("I", event_id, "an event that nobody emitted")
    for run_id in sorted({run.run_id for run in seen.runs} - ledger.runs):
        yield Violation("I", run_id, "a run that nobody began")


def _run_differences(ledger: Ledger, seen: Seen) -> Iterable[Violation]:
    """A run all of whose events were acknowledged is complete, with as many events; any other is at least there."""
    emitted = Counter(ledger.emitted.values())
    acknowledged = Counter(ledger.emitted[each] for each in ledger.acknowledged if each in ledger.emitted)
    shown = {run.run_id: run for run in seen.runs}
    for run_id in sorted(ledger.runs):
        run = shown.get(run_id)
        if run is None:
            if acknowledged[run_id]:
                yield Violation("E", run_id, f"a run with {acknowledged[run_id]} acknowledged events is not there")
            continue
        if acknowledged[run_id] == emitted[run_id] and (run.verdict, run.events, run.events_lost) != (
            COMPLETE,
            emitted[run_id],
            0,
        ):
            yield Violation(
                "E",
                run_id,
                f"{run.verdict} with {run.events} events and {run.events_lost} lost,"
                f" emitted were {emitted[run_id]}, all acknowledged",
            )
