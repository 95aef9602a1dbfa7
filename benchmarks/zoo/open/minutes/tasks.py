"""What a list of tasks must be."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any


def _fits(task: dict[str, Any], people: Sequence[str], dates: str) -> list[str]:
    found = [] if task["owner"] in people else ["unknown_owner"]
    if not task["due"] or task["due"].startswith("<"):
        found.append("missing_due")
    elif not re.fullmatch(dates, task["due"]):
        found.append("due_unreadable")
    return found


def minds_of(tasks: Sequence[dict[str, Any]], people: Sequence[str], dates: str) -> list[str]:
    """Codes and paths of all that does not hold."""
    at = {"unknown_owner": "owner", "missing_due": "due", "due_unreadable": "due"}
    errors = [f"{code}:$.tasks[{n}].{at[code]}" for n, t in enumerate(tasks) for code in _fits(t, people, dates)]
    twice = Counter((t["what"], t["due"]) for t in tasks)
    return errors + ["duplicate:$.tasks"] * any(count > 1 for count in twice.values())


def fit(tasks: Sequence[dict[str, Any]], people: Sequence[str], dates: str) -> list[dict[str, Any]]:
    """The tasks that hold, each once."""
    held = [t for t in tasks if not _fits(t, people, dates)]
    return list({(t["what"], t["due"]): t for t in held}.values())
