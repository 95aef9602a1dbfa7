"""A diagnosis on a terminal, in a ticket, and as JSON: the first line is for everybody, the rest for who mends it."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum

from rich.padding import Padding
from rich.text import Text

from causeline.diagnosis.model import Cause, Certainty, Diagnosis, Fact, Finding, Link, Role
from causeline.runtime.text import inert_markdown, visible

_FACTS_SHOWN = 6
_CONSEQUENCES_SHOWN = 6
_CAUSES_SHOWN = 4
_DUTIES_SHOWN = 4
_STYLES = {Certainty.CERTAIN: "bold red", Certainty.LIKELY: "yellow", Certainty.POSSIBLE: "yellow"}


def first_line(diagnosis: Diagnosis) -> str:
    """What went wrong, in one sentence, and how sure that is; what is not known accuses nobody."""
    cause = diagnosis.first_cause
    if cause is None:
        return f"Nothing went wrong: {diagnosis.outcome}."
    if cause.certainty is Certainty.CERTAIN:
        return cause.finding.headline
    return f"{cause.certainty.value.capitalize()}: {cause.finding.headline}"


def render(diagnosis: Diagnosis) -> Iterator[Text | Padding]:
    """What `causeline why` prints."""
    first = diagnosis.first_cause
    yield Text(visible(first_line(diagnosis)), style="bold" if first else "green")
    if first is not None:
        yield _indented(f"Fix: {first.finding.fix}", 2)
    yield Text()
    yield Text(f"Run {visible(diagnosis.run_id)}, workflow {visible(diagnosis.workflow)}", style="dim")
    if first is not None:
        yield from _symptoms(diagnosis)
        for place, cause in enumerate(diagnosis.causes[:_CAUSES_SHOWN]):
            yield Text()
            yield Text(f"{'First cause' if place == 0 else 'Besides'} ({cause.certainty.value})", style="bold")
            yield from _cause(cause, first=place == 0)
        if len(diagnosis.causes) > _CAUSES_SHOWN:
            yield _indented(f"and {len(diagnosis.causes) - _CAUSES_SHOWN} more findings: --json has them", 2)
    yield from _rest(diagnosis)


def _symptoms(diagnosis: Diagnosis) -> Iterator[Text | Padding]:
    told = {id(cause.finding) for cause in diagnosis.causes[:1]}
    told |= {id(item.finding) for cause in diagnosis.causes[:1] for item in cause.consequences}
    rest = [each for each in diagnosis.symptoms if id(each) not in told][:3]
    if rest:
        yield Text()
        yield Text("What made the run bad", style="bold")
        for each in rest:
            yield _indented(each.headline, 2)


def _rest(diagnosis: Diagnosis) -> Iterator[Text | Padding]:
    if diagnosis.nearest is not None:
        yield Text()
        yield Text(f"The nearest run that went well: {visible(diagnosis.nearest.run_id)}", style="bold")
        for text in diagnosis.nearest.differs[:4]:
            yield _indented(text, 2, "dim")
    if diagnosis.alerts:
        yield Text()
        yield Text("Drift alerts that touch this run", style="bold")
        for alert in diagnosis.alerts:
            yield _indented(f"{alert.headline} causeline drift show {alert.alert_id[:12]}", 2)
    if diagnosis.left_to_do:
        yield Text()
        yield Text("Left to do", style="bold")
        for duty in diagnosis.left_to_do[:_DUTIES_SHOWN]:
            yield _indented(f"{duty.says} {duty.fix}", 2)
        if len(diagnosis.left_to_do) > _DUTIES_SHOWN:
            yield _indented(f"and {len(diagnosis.left_to_do) - _DUTIES_SHOWN} more", 2)
    if diagnosis.unknown:
        yield Text()
        yield Text("What could not be told", style="bold")
        for sentence in diagnosis.unknown:
            yield _indented(sentence, 2, "dim")


def _cause(cause: Cause, *, first: bool) -> Iterator[Padding]:
    yield _indented(f"{_spaced(cause.finding)}: {cause.finding.headline}", 2, _STYLES[cause.certainty])
    for fact in cause.finding.facts[:_FACTS_SHOWN]:
        yield _indented(_fact(fact), 4, "dim")
    if not first:
        yield _indented(f"fix: {cause.finding.fix}", 4)
    for consequence in cause.consequences[:_CONSEQUENCES_SHOWN]:
        yield _indented(f"→ {_spaced(consequence.finding)}: {consequence.finding.headline}", 4)
        yield _indented(f"tied by {tie(consequence.link)}", 6, "dim")
    if len(cause.consequences) > _CONSEQUENCES_SHOWN:
        yield _indented(f"→ and {len(cause.consequences) - _CONSEQUENCES_SHOWN} more", 4)


def tie(link: Link) -> str:
    """A tie in words."""
    return {
        "run": "the same run",
        "time": f"time: it came after {link.value}",
        "parent": f"the step around {link.value}",
        "decision": f"what {link.value} decided",
        "reference": f"what {link.value} made",
    }.get(link.kind, f"{link.kind} {link.value}")


def _spaced(finding: Finding) -> str:
    return str(finding.boundary).replace("_", " ")


def _fact(fact: Fact) -> str:
    return f"{fact.where}: {fact.name} = {fact.value}"


def _indented(text: str, indent: int, style: str = "") -> Padding:
    return Padding(Text(visible(text), style=style), (0, 0, 0, indent))


def markdown(diagnosis: Diagnosis) -> str:
    """The diagnosis for a ticket."""
    lines = [f"**{_plain(first_line(diagnosis))}**", ""]
    lines += [f"Run `{diagnosis.run_id}`, workflow `{_plain(diagnosis.workflow)}`.", ""]
    for place, cause in enumerate(diagnosis.causes[:_CAUSES_SHOWN]):
        lines += [
            f"### {'First cause' if place == 0 else 'Besides'}: {_spaced(cause.finding)} ({cause.certainty.value})",
            "",
        ]
        lines += [_plain(cause.finding.headline), "", f"- Fix: {_plain(cause.finding.fix)}"]
        lines += [f"- {_plain(_fact(fact))}" for fact in cause.finding.facts]
        lines += [f"- then {_spaced(item.finding)}: {_plain(item.finding.headline)}" for item in cause.consequences]
        lines.append("")
    for title, texts in (
        ("Left to do", [f"{duty.says} {duty.fix}" for duty in diagnosis.left_to_do]),
        ("What could not be told", list(diagnosis.unknown)),
    ):
        if texts:
            lines += [f"### {title}", "", *(f"- {_plain(text)}" for text in texts), ""]
    return "\n".join(lines).rstrip() + "\n"


def _plain(text: str) -> str:
    return inert_markdown(text)


def as_json(diagnosis: Diagnosis) -> dict[str, object]:
    """The diagnosis as plain data, with its first line as `summary`."""
    data = _plain_data(diagnosis)
    return {"summary": first_line(diagnosis), **data} if isinstance(data, dict) else {}


def one_line(diagnosis: Diagnosis) -> dict[str, object]:
    """A diagnosis as one line of `causeline causes --runs`."""
    cause = diagnosis.first_cause
    return {
        "run_id": diagnosis.run_id,
        "workflow": diagnosis.workflow,
        "first_cause": None
        if cause is None
        else {
            "layer": str(cause.finding.boundary),
            "step": cause.finding.step,
            "kind": cause.finding.rule,
            "certainty": cause.certainty.value,
            "thing": cause.finding.thing,
        },
        "symptoms": [each.rule for each in diagnosis.symptoms if each.role is not Role.HINT],
        "sentence": first_line(diagnosis),
        "fix": cause.finding.fix if cause is not None else "",
    }


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
