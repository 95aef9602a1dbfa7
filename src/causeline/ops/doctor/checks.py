"""The checks: from what was found to what it means. No I/O; the bounds stand beside what they bound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from causeline.console.words import duration
from causeline.ops.copies import Copies
from causeline.ops.doctor.model import Level, Line
from causeline.schemas.wire.native import State

_LAG_S = (60.0, 600.0)
"""A consumer whose oldest unread message is older: a warning, a failure."""
_SKEW_S = (1.0, 60.0)
_PARTS = (300, 1000)
"""Active parts of one partition; ClickHouse delays inserts at 1,000 and refuses them at 3,000."""
_DEAD_SHARE = (0.001, 0.01)
_LOSS_SHARE = (0.0, 0.001)
_FREE_SHARE = (0.1, 0.03)
_FREE_BYTES = 512 * 1024 * 1024
_SPOOL_SHARE = (0.25, 0.9)
_NAMED = 4


def _level(value: float, bounds: tuple[float, float]) -> Level:
    warning, failure = bounds
    return Level.FAILED if value > failure else Level.WARNING if value > warning else Level.OK


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic against the catalogue: whether it is there, its partitions, and the settings that differ."""

    name: str
    exists: bool
    partitions: int
    wanted_partitions: int
    differing: tuple[str, ...] = ()


def topics(states: Sequence[TopicState]) -> Line:
    """Whether every topic is as the catalogue has it."""
    missing = [each.name for each in states if not each.exists]
    if missing:
        says = f"{len(missing)} topics are missing: {_listed(missing)}."
        return Line("topics", Level.FAILED, says, "causeline topics apply")
    other = [each.name for each in states if each.partitions != each.wanted_partitions]
    if other:
        says = f"The partitions of {_listed(other)} are not those of the events topic."
        fewer = all(each.partitions < each.wanted_partitions for each in states if each.name in other)
        way_out = "causeline topics apply" if fewer else "Make the topic anew: partitions cannot be taken away."
        return Line("topics", Level.FAILED, says, way_out)
    differing = [f"{each.name} ({', '.join(each.differing)})" for each in states if each.differing]
    if differing:
        return Line("topics", Level.WARNING, f"Settings differ: {_listed(differing)}.", "causeline topics apply")
    return Line("topics", Level.OK, f"{len(states)} topics are as the catalogue has them.")


def copies(found: Copies) -> Line:
    """Whether a broker could be lost without a loss, and whether one is away."""
    if found.refusing or found.lagging:
        level = Level.FAILED if found.refusing else Level.WARNING
        way_out = "Start what is away again; for a broker that will not come back, kafka-reassign-partitions."
        return Line("copies", level, found.says, way_out)
    if found.most == 1 and found.brokers > 1:
        says = f"There is one copy of each partition on {found.brokers} brokers: with a broker goes what it has."
        return Line("copies", Level.WARNING, says, "CAUSELINE_REPLICATION=3 for new topics; kafka-reassign-partitions.")
    return Line("copies", Level.OK, found.says)


@dataclass(frozen=True, slots=True)
class Behind:
    """How far a group is behind on a topic; `oldest_s` is the age of the first message that it has not read."""

    group: str
    topic: str
    messages: int
    oldest_s: float | None
    is_ours: bool = True
    """Whether the group is one of this product's; another's lag is its own affair."""


def lag(found: Sequence[Behind]) -> list[Line]:
    """Whether consumers keep up: by the age of what they have not read, since counts say little."""
    if not found:
        return [Line("lag", Level.WARNING, "No worker or loader has read anything yet.", "Start them: causeline up")]
    lines = []
    for each in found:
        if not each.messages or each.oldest_s is None:
            lines.append(Line("lag", Level.OK, f"{each.group} has read all of {each.topic}."))
            continue
        age = duration(round(each.oldest_s * 1e6))
        if not each.is_ours:
            says = f"{each.group}, no group of ours, is {each.messages:,d} messages behind on {each.topic}."
            lines.append(Line("lag", Level.OK, says))
            continue
        says = f"{each.group} is {each.messages:,d} messages behind on {each.topic}, the oldest of {age} ago."
        lines.append(
            Line("lag", _level(each.oldest_s, _LAG_S), says, f"One more member of {each.group}, up to one a partition.")
        )
    return lines


def skew(what: str, seconds: float, *, within_s: float = 0.0) -> Line:
    """Whether a clock agrees with this machine's; `within_s` is how exact the measurement was."""
    level = _level(max(0.0, abs(seconds) - within_s), _SKEW_S)
    if level is Level.OK:
        return Line("clock", level, f"{what}'s clock agrees with this machine's.")
    ahead = "ahead of" if seconds > 0 else "behind"
    return Line(
        "clock", level, f"{what}'s clock is {abs(seconds):.1f} s {ahead} this machine's.", "Keep clocks by NTP."
    )


def migrations(applied: set[int], wanted: Mapping[int, str]) -> Line:
    """Whether the tables are those of this release."""
    lacking = [name for version, name in wanted.items() if version not in applied]
    if lacking:
        says = f"{len(lacking)} migrations are not applied: {_listed(lacking)}."
        return Line("tables", Level.FAILED, says, "causeline migrate")
    newer = applied - wanted.keys()
    if newer:
        says = f"The tables are of a newer release than this command (migration {max(newer)})."
        return Line("tables", Level.WARNING, says, "Use the same release everywhere.")
    return Line("tables", Level.OK, f"All {len(wanted)} migrations are applied.")


def parts(most: Mapping[str, int]) -> Line:
    """Whether ClickHouse keeps up with merging; `most` has, by table, the parts of its fullest partition."""
    if not most:
        return Line("parts", Level.OK, "No table has parts yet.")
    table, count = max(most.items(), key=lambda item: item[1])
    level = _level(count, _PARTS)
    says = f"{table} has {count:,d} parts in one partition." if level is not Level.OK else "Tables are merged well."
    way_out = (
        None if level is Level.OK else "Larger inserts: CAUSELINE_LOADER_LINGER_S, CAUSELINE_LOADER_MAX_BLOCK_ROWS."
    )
    return Line("parts", level, says, way_out)


def dead_letters(dead: int, events: int) -> Line:
    """Whether messages can be read: the share of dead ones in a day."""
    share = dead / max(dead + events, 1)
    level = _level(share, _DEAD_SHARE) if dead else Level.OK
    if not dead:
        return Line("dead letters", level, "No message of the last day was unreadable.")
    says = f"{dead:,d} messages of the last day could not be read ({share:.2%})."
    return Line("dead letters", level, says, "causeline dead list says why; causeline dead replay sends them again.")


def losses(lost: int, emitted: int) -> Line:
    """Whether what was emitted was joined: of runs old enough to be settled."""
    share = lost / max(emitted, 1)
    level = Level.OK if not lost else _level(share, _LOSS_SHARE)
    if not emitted:
        return Line("losses", level, "No run is old enough to say what it lost: --settle says when it is.")
    if not lost:
        return Line("losses", level, f"Settled runs lost none of {emitted:,d} events.")
    says = f"Settled runs lost {lost:,d} of {emitted:,d} events on their way ({share:.3%})."
    return Line("losses", level, says, "SELECT * FROM emission_ledger says where; dead letters and the spool, why.")


def bounds(overflowed: int, runs: int) -> Line:
    """Whether runs are closed by their end, and not by a bound of the worker."""
    if not overflowed:
        return Line("bounds", Level.OK, "No run of the last day was closed by a bound.")
    says = f"{overflowed:,d} of {runs:,d} runs of the last day were closed before their end, by a bound of the worker."
    return Line(
        "bounds",
        Level.WARNING,
        says,
        "CAUSELINE_WORKER_MAX_RUN_EVENTS, CAUSELINE_WORKER_MAX_OPEN_EVENTS; more workers.",
    )


@dataclass(frozen=True, slots=True)
class Restarted:
    """A service of the local stack that was started again, and how it last ended; `is_down`: it was given up."""

    name: str
    times: int
    last_fault: str
    is_down: bool = False


def restarts(found: Sequence[Restarted]) -> list[Line]:
    """Whether the services of the local stack have stayed up since they were started."""
    if not found:
        return [Line("services", Level.OK, "No service was started again.")]
    lines = []
    for each in found:
        level = Level.FAILED if each.is_down else Level.WARNING
        did = "is down" if each.is_down else f"was started again {each.times} times"
        says = f"{each.name} {did}; it {each.last_fault or 'ended'}"
        lines.append(Line("services", level, says.rstrip(".") + ".", f"Its log says more: logs/{each.name}.log."))
    return lines


def disk(what: str, free: int, total: int) -> Line:
    """Whether there is room."""
    share = free / max(total, 1)
    level = Level.OK
    if share < _FREE_SHARE[0]:
        level = Level.FAILED if share < _FREE_SHARE[1] or free < _FREE_BYTES else Level.WARNING
    says = f"{what}: {free / 2**30:.1f} GiB free of {total / 2**30:.1f}."
    return Line("disk", level, says, None if level is Level.OK else "Make room, or shorten retention and TTLs.")


def policy(named: str | None, content_hash: str, judging: str | None) -> Line:
    """Whether the policy of this environment is the one that workers judge by."""
    which = f"The policy {named}" if named else "The built-in policy"
    if judging is None:
        return Line("policy", Level.OK, f"{which} ({content_hash}) is sound; no worker has judged yet.")
    if judging != content_hash:
        says = f"{which} ({content_hash}) is sound, and workers judge by another ({judging})."
        return Line(
            "policy", Level.WARNING, says, "Give workers the same CAUSELINE_POLICY; causeline policy show HASH."
        )
    return Line("policy", Level.OK, f"{which} ({content_hash}) is the one that workers judge by.")


def core(state: State, *, is_used: bool) -> Line:
    """What writes the events of this environment: the compiled core, or Python."""
    writer = "the compiled core" if is_used else "Python"
    line = Line("core", Level.OK, f"Events are written by {writer} (compiled core: {state.says}).")
    if state.is_well:
        return line
    return replace(line, level=Level.WARNING, way_out="make setup builds it anew; pip uninstall causeline-core.")


def spool(waiting: int, at_most: int) -> Line:
    """Whether the broker takes what is emitted; bytes that wait on disk, of those that may."""
    if not waiting:
        return Line("spool", Level.OK, "Nothing waits in the spool.")
    level = Level.FAILED if waiting / at_most > _SPOOL_SHARE[1] else Level.WARNING
    says = f"{waiting / 2**20:.1f} MiB wait in the spool, of {at_most / 2**20:.0f} that may."
    return Line("spool", level, says, "causeline spool drain, once Kafka answers.")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
