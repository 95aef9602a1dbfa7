"""A diagnosis on a terminal, in a ticket, and as JSON: the first line is for everybody, the rest for who mends it."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum

from rich.padding import Padding
from rich.text import Text

from causeline.console.diagnosis.model import ASKED, Answer, Cause, Diagnosis, Fact, Finding, Health
from causeline.console.safe_text import visible

_STYLES = {Health.OK: "green", Health.SUSPECT: "yellow", Health.FAILED: "bold red", Health.UNKNOWN: "dim"}
_FACTS_SHOWN = 6
_CONSEQUENCES_SHOWN = 8


def first_line(diagnosis: Diagnosis) -> str:
    """What went wrong, in one sentence; what is not known is not called well."""
    cause = diagnosis.first_cause
    if cause is not None:
        sure = cause.finding.health is Health.FAILED or any(
            item.finding.health is Health.FAILED for item in cause.consequences
        )
        return cause.finding.headline if sure else f"Nothing failed, but: {cause.finding.headline}"
    unknown = [answer for answer in diagnosis.answers if answer.health is Health.UNKNOWN]
    if len(unknown) > len(diagnosis.answers) // 2:
        return "Too little was recorded to tell what happened."
    return "Nothing is wrong as far as the record goes."


def render(diagnosis: Diagnosis) -> Iterator[Text | Padding]:
    """What `causeline why` prints."""
    yield Text(visible(first_line(diagnosis)), style="bold")
    if diagnosis.first_cause is not None:
        yield _indented(f"Fix: {diagnosis.first_cause.finding.fix}", 2)
    yield Text()
    yield Text(f"Run {visible(diagnosis.run_id)}, workflow {visible(diagnosis.workflow)}", style="dim")
    for place, cause in enumerate(diagnosis.causes):
        yield Text()
        yield Text("First cause" if place == 0 else "Another cause", style="bold")
        yield from _cause(cause)
    yield Text()
    yield Text("The six questions", style="bold")
    for number, answer in enumerate(diagnosis.answers, 1):
        yield from _answer(number, answer)


def _cause(cause: Cause) -> Iterator[Padding]:
    yield from _finding(cause.finding, 2)
    yield _indented(f"fix: {cause.finding.fix}", 4)
    for consequence in cause.consequences[:_CONSEQUENCES_SHOWN]:
        finding, tie = consequence.finding, consequence.link
        shown = "the same run" if tie.kind == "run" else f"{tie.kind} {tie.value}"
        yield _indented(f"→ {finding.boundary.value}: {finding.headline}", 4, finding.health)
        yield _indented(f"tied by {shown}", 6, Health.UNKNOWN)
    if len(cause.consequences) > _CONSEQUENCES_SHOWN:
        yield _indented(f"→ and {len(cause.consequences) - _CONSEQUENCES_SHOWN} more", 4)


def _finding(finding: Finding, indent: int) -> Iterator[Padding]:
    yield _indented(f"{finding.boundary.value}: {finding.headline}", indent, finding.health)
    for fact in finding.facts[:_FACTS_SHOWN]:
        yield _indented(_fact(fact), indent + 2, Health.UNKNOWN)


def _answer(number: int, answer: Answer) -> Iterator[Padding]:
    line = Text(f"{number} {ASKED[answer.question]} ")
    line.append(answer.health.value.upper(), style=_STYLES[answer.health])
    yield Padding(line, (0, 0, 0, 2))
    for finding in answer.findings:
        yield _indented(f"{finding.health.value}: {finding.headline}", 6)
    for fact in answer.because[:_FACTS_SHOWN] if answer.health is Health.OK else ():
        yield _indented(_fact(fact), 6, Health.UNKNOWN)
    for sentence in answer.unknown[:_FACTS_SHOWN]:
        yield _indented(f"unknown: {sentence}", 6, Health.UNKNOWN)


def _fact(fact: Fact) -> str:
    return f"{fact.where}: {fact.name} = {fact.value}"


def _indented(text: str, indent: int, health: Health | None = None) -> Padding:
    return Padding(Text(visible(text), style=_STYLES[health] if health else ""), (0, 0, 0, indent))


def markdown(diagnosis: Diagnosis) -> str:
    """The diagnosis for a ticket."""
    lines = [f"**{_plain(first_line(diagnosis))}**", ""]
    lines += [f"Run `{diagnosis.run_id}`, workflow `{_plain(diagnosis.workflow)}`.", ""]
    for place, cause in enumerate(diagnosis.causes):
        lines += [f"### {'First cause' if place == 0 else 'Another cause'}: {cause.finding.boundary.value}", ""]
        lines += [_plain(cause.finding.headline), "", f"- Fix: {_plain(cause.finding.fix)}"]
        lines += [f"- `{_plain(_fact(fact))}`" for fact in cause.finding.facts]
        lines += [
            f"- then {item.finding.boundary.value}: {_plain(item.finding.headline)}" for item in cause.consequences
        ]
        lines.append("")
    lines += ["| question | answer | why |", "|---|---|---|"]
    for answer in diagnosis.answers:
        mark = "" if answer.health is Health.UNKNOWN else "unknown: "
        why = [finding.headline for finding in answer.findings] or [f"{mark}{text}" for text in answer.unknown]
        lines.append(f"| {ASKED[answer.question]} | {answer.health.value} | {_plain(' '.join(why))} |")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return visible(text).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def as_json(diagnosis: Diagnosis) -> dict[str, object]:
    """The diagnosis as plain data, with its first line as `summary`."""
    data = _plain_data(diagnosis)
    return {"summary": first_line(diagnosis), **data} if isinstance(data, dict) else {}


def _plain_data(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain_data(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple | list):
        return [_plain_data(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain_data(item) for key, item in value.items()}
    return value
