"""Completion that answers at once: commands, run ids, workflows and `@questions`, by the standard library alone.

What asks is the script that `causeline --install-completion` installs. Options, and whatever is not known here, are
left to typer, which takes half a second to load. A completion never fails: where ClickHouse does not answer, nothing is
offered.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from causeline.cli.commands import COMMANDS
from causeline.runtime.text import short_id

VARIABLE: Final = "_CAUSELINE_COMPLETE"
_TIMEOUT_S: Final = 1.0
_TAKE_RUNS: Final = frozenset({"show", "why", "compare", "amend", "open"})
_RUN_OPTIONS: Final = frozenset({"--run"})
_WORKFLOW_OPTIONS: Final = frozenset({"--workflow", "-w"})
_RUNS: Final = (
    "SELECT run_id, concat(workflow, ', ', ifNull(final_state, verdict), ', ',"
    " formatDateTime(started_at, '%m-%d %H:%i'))"
    " FROM runs WHERE started_at > now() - INTERVAL 7 DAY ORDER BY started_at DESC LIMIT 200 FORMAT TSV"
)
_WORKFLOWS: Final = (
    "SELECT workflow, concat(toString(count()), ' runs') FROM runs GROUP BY workflow ORDER BY 1 FORMAT TSV"
)

Ask = Callable[[str], list[list[str]]]
"""Rows of a SELECT that ends in FORMAT TSV."""


class Candidate(NamedTuple):
    """What may be typed, and what it is."""

    value: str
    help: str


def answer(environment: Mapping[str, str], ask: Ask) -> tuple[str, int] | None:
    """What to print for the shell that asks, and the exit code; None where typer has to answer."""
    shell = environment.get(VARIABLE, "").removeprefix("complete_")
    if shell == "bash":
        before, incomplete = _bash_words(environment)
    elif shell in {"zsh", "fish"}:
        before, incomplete = _typed_words(environment.get("_TYPER_COMPLETE_ARGS", ""))
    else:
        return None
    found = candidates(before, incomplete, ask)
    if found is None:
        return None
    if shell == "bash":
        # readline replaces what follows the last of COMP_WORDBREAKS, and @ is one of them
        return "\n".join(each.value.removeprefix("@") for each in found), 0
    if shell == "zsh":
        pairs = "\n".join(f'"{_quoted(each.value)}":"{_quoted(each.help)}"' for each in found)
        return (f"_arguments '*: :(({pairs}))'" if found else "_files"), 0
    if environment.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        return "", 0 if found else 1
    return "\n".join(f"{each.value}\t{each.help}" for each in found), 0


def candidates(before: Sequence[str], incomplete: str, ask: Ask) -> list[Candidate] | None:
    """What may stand for `incomplete` after the words `before`, the program's name among them; None: not known here."""
    if incomplete.startswith("-"):
        return None
    if len(before) <= 1:
        return [Candidate(each.name, each.help) for each in COMMANDS if each.name.startswith(incomplete)]
    command, last = before[1], before[-1]
    if last in _WORKFLOW_OPTIONS:
        return [each for each in _named(ask(_WORKFLOWS)) if each.value.startswith(incomplete)]
    if command == "sql" and (incomplete.startswith("@") or last == "@"):
        return [Candidate(f"@{name}", "") for name in questions() if name.startswith(incomplete.removeprefix("@"))]
    if last in _RUN_OPTIONS or (command in _TAKE_RUNS and not last.startswith("-")):
        return _run_ids(incomplete, _named(ask(_RUNS)))
    return None


def questions() -> list[str]:
    """The names of the questions that come with the console."""
    import causeline

    folder = Path(str(causeline.__file__)).parent / "console" / "queries"
    return sorted(file.stem for file in folder.glob("*.sql"))


def ask_clickhouse(query: str) -> list[list[str]]:
    """The rows of a query, asked of whatever `causeline runs` would ask; none where it does not answer in a second."""
    from urllib.error import URLError
    from urllib.parse import quote, urlsplit
    from urllib.request import Request, urlopen

    try:
        url, password = _place(os.environ)
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"}:
            return []
        asked = Request(  # noqa: S310 - http or https, as looked at above
            f"{parts.scheme}://{parts.hostname}:{parts.port or 8123}/?database={quote(parts.path.strip('/'))}",
            query.encode(),
            {"X-ClickHouse-User": parts.username or "default", "X-ClickHouse-Key": password},
        )
        with urlopen(asked, timeout=_TIMEOUT_S) as got:  # noqa: S310
            text = got.read().decode("utf-8", "replace")
    except (OSError, ValueError, KeyError, URLError):
        return []
    return [line.split("\t") for line in text.splitlines()]


def _place(environment: Mapping[str, str]) -> tuple[str, str]:
    """URL and password; the local stack's reader where no other is named. Raises OSError, ValueError or KeyError."""
    if url := environment.get("CAUSELINE_CLICKHOUSE_URL"):
        file = environment.get("CAUSELINE_CLICKHOUSE_PASSWORD_FILE")
        said = environment.get("CAUSELINE_CLICKHOUSE_PASSWORD")
        return url, said or (Path(file).read_text("utf-8").strip() if file else "")
    folder = Path(environment.get("CAUSELINE_STATE_DIR") or ".causeline")
    endpoints = json.loads((folder / "endpoints.json").read_text("utf-8"))
    url = re.sub("//[^@/]*@", "//reader@", endpoints["clickhouse_url"])
    return url, Path(endpoints["clickhouse_reader_password_file"]).read_text("utf-8").strip()


def _run_ids(incomplete: str, known: Sequence[Candidate]) -> list[Candidate]:
    """Short ids where they begin as what is typed does, else whole ones."""
    wanted = incomplete.lower()
    short = [Candidate(short_id(each.value), each.help) for each in known if short_id(each.value).startswith(wanted)]
    return short or [each for each in known if each.value.startswith(wanted)]


def _named(rows: Iterable[Sequence[str]]) -> list[Candidate]:
    return [Candidate(row[0], row[1] if len(row) > 1 else "") for row in rows if row]


def _bash_words(environment: Mapping[str, str]) -> tuple[list[str], str]:
    words = environment.get("COMP_WORDS", "").split()
    at = environment.get("COMP_CWORD", "")
    place = int(at) if at.isdecimal() else len(words)
    return words[:place], words[place] if place < len(words) else ""


def _typed_words(line: str) -> tuple[list[str], str]:
    words = line.split()
    if not words or line[-1].isspace():
        return words, ""
    return words[:-1], words[-1]


def _quoted(text: str) -> str:
    """Text within zsh's quotes within quotes: what could end them, or run, is left out."""
    return re.sub(r"[\"'`$\\():\n]", " ", text)
