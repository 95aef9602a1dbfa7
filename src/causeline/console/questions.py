"""The questions that come with the console: one file of SQL each in `queries/`, with what it answers at its head.

    -- What it asks? What the answer has.
    -- :name = default | what the parameter means
    -- :name ! | a parameter that must be given

A parameter stands in the SQL as ClickHouse has it, `{name:Type}`, and its value travels beside it. Moments are given
as people type them: `7d`, `2026-01-31`.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

from causeline.console.when import parse_moment
from causeline.schemas.errors import NotFound, UsageError

MARK = "@"
"""What stands before a question's name where SQL may stand too."""
_PARAMETER = re.compile(r"-- :(?P<name>\w+)\s*(?:=\s*(?P<default>[^|]*?)|(?P<must>!))\s*\|\s*(?P<help>.+)")
_TYPE = re.compile(r"\{(\w+):([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a question: `default` is None where it must be given, `type` is ClickHouse's."""

    name: str
    type: str
    default: str | None
    help: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question: what it asks in a sentence or two, the SQL, and its parameters."""

    name: str
    asks: str
    sql: str
    parameters: tuple[Parameter, ...]

    def values(self, given: Mapping[str, str], *, now_us: int) -> dict[str, str]:
        """A value for each parameter, as text for ClickHouse; raises UsageError for what cannot be one."""
        known = {parameter.name for parameter in self.parameters}
        for name in given:
            if name not in known:
                names = ", ".join(sorted(known)) or "none"
                raise UsageError(f"{MARK}{self.name} has no parameter {name}.", hint=f"It has: {names}.")
        return {each.name: self._value(each, given.get(each.name), now_us) for each in self.parameters}

    def _value(self, parameter: Parameter, given: str | None, now_us: int) -> str:
        value = parameter.default if given is None else given
        if value is None:
            raise UsageError(
                f"{MARK}{self.name} needs the parameter {parameter.name}: {parameter.help}",
                hint=f"causeline sql {MARK}{self.name} --param {parameter.name}=…",
            )
        if parameter.type.startswith("DateTime64"):
            moment = datetime.fromtimestamp(parse_moment(value, now_us=now_us) / 1e6, UTC)
            return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
        return value


@cache
def questions() -> Mapping[str, Question]:
    """Every question by its name, in order of the names."""
    folder = files("causeline.console") / "queries"
    texts = {each.name.removesuffix(".sql"): each.read_text("utf-8") for each in folder.iterdir() if _is_sql(each.name)}
    return {name: parse(name, texts[name]) for name in sorted(texts)}


def question(name: str) -> Question:
    """A question by its name, with or without the mark; raises NotFound naming the nearest."""
    wanted = name.removeprefix(MARK)
    found = questions().get(wanted)
    if found is None:
        near = difflib.get_close_matches(wanted, questions(), n=3, cutoff=0.4)
        more = f"Did you mean {', '.join(MARK + each for each in near)}? " if near else ""
        raise NotFound(f"There is no question {MARK}{wanted[:60]}.", hint=f"{more}causeline sql --list has them all.")
    return found


def parse(name: str, text: str) -> Question:
    """A file as a question; raises ValueError where head and SQL do not agree."""
    head, lines = [], text.splitlines()
    while lines and lines[0].startswith("--"):
        head.append(lines.pop(0))
    declared = [match for line in head if (match := _PARAMETER.fullmatch(line))]
    asks = " ".join(line.removeprefix("--").strip() for line in head if not line.startswith("-- :"))
    sql = "\n".join(lines).strip()
    types = dict(_TYPE.findall(sql))
    if not asks or len(declared) != sum(line.startswith("-- :") for line in head) or set(types) != _names(declared):
        raise ValueError(f"the head of {name}.sql does not say what its SQL asks")
    parameters = (
        Parameter(each["name"], types[each["name"]], None if each["must"] else each["default"], each["help"])
        for each in declared
    )
    return Question(name, asks, sql, tuple(parameters))


def _names(declared: Iterable[re.Match[str]]) -> set[str]:
    return {each["name"] for each in declared}


def _is_sql(name: str) -> bool:
    return name.endswith(".sql")
