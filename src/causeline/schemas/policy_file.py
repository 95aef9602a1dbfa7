"""Policy files: read, checked, and refused with the line and the key that are wrong."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from causeline.schemas.errors import UsageError
from causeline.schemas.policy import Policy

MAX_POLICY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a policy file. `line` counts from 1; 0 when the key stands nowhere."""

    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.key}: {self.message}" if self.key else f"{where}{self.message}"


class InvalidPolicy(UsageError):
    """A policy file says what no policy can mean; `problems` holds all of it."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{name}: {problems[0]}{more}.", hint="`causeline policy check FILE` lists everything.")
        self.problems = tuple(problems)


def read_policy(path: Path) -> Policy:
    """The policy of a file; raises UsageError when it cannot be read, InvalidPolicy when it cannot be meant."""
    try:
        if path.stat().st_size > MAX_POLICY_BYTES:
            raise UsageError(f"{path} is larger than the {MAX_POLICY_BYTES} bytes that a policy may have.")
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not text in UTF-8.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    return parse_policy(text, path.name)


def parse_policy(text: str, name: str = "policy") -> Policy:
    """The policy of a TOML text; raises InvalidPolicy with every problem, its line and its key."""
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a ValueError of its own, or Python's for a number of 5,000 digits
        raise InvalidPolicy(name, [Problem(0, "", _toml_message(error))]) from None
    try:
        return Policy.model_validate(tables)
    except ValidationError as error:
        problems = [
            Problem(_line_of(text, found["loc"]), ".".join(map(str, found["loc"])), _message(found["msg"]))
            for found in error.errors(include_url=False, include_input=False)
        ]
        raise InvalidPolicy(name, problems) from None


def _toml_message(error: Exception) -> str:
    return "not TOML: nested too deep" if isinstance(error, RecursionError) else f"not TOML: {error}"


def _message(text: str) -> str:
    return text.removeprefix("Value error, ").removesuffix(".")


def _line_of(text: str, location: tuple[int | str, ...]) -> int:
    """The line of the deepest part of `location` that stands in the text.

    tomllib gives no positions, so they are found again: a text that differs from the real one only in that the lines
    after N are gone has the key if and only if the key begins at or before N.
    """
    lines = text.splitlines()
    for depth in range(len(location), 0, -1):
        path = location[:depth]
        if _has(text, path):
            return _first_line_with(lines, path)
    return 0


def _first_line_with(lines: list[str], path: tuple[int | str, ...]) -> int:
    low, high = 1, len(lines)
    while low < high:
        middle = (low + high) // 2
        if _has("\n".join(lines[:middle]), path):
            high = middle
        else:
            low = middle + 1
    return low


def _has(text: str, path: tuple[int | str, ...]) -> bool:
    node: object = _tables(text)
    for part in path:
        if isinstance(node, list):
            node = dict(enumerate(node))
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True


def _tables(text: str) -> dict[str, object]:
    """The text's tables; where it was cut within a value, those of its longest prefix of whole lines that parse."""
    lines = text.splitlines()
    for end in range(len(lines), -1, -1):
        try:
            return tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
    return {}
