"""A trace map on a terminal, or in a pipe: nothing of it is said by colour alone."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from causeline.console.notes import Note, Tone
from causeline.console.run_findings import Finding
from causeline.console.safe_text import shortened, visible
from causeline.console.trace_map import Fact, MapStep, TraceMap
from causeline.console.waterfall import NOTED, Hidden, bar
from causeline.console.words import count, dollars, duration

_STYLES = {Tone.PLAIN: "", Tone.GOOD: "green", Tone.DOUBTFUL: "yellow", Tone.BAD: "red"}
_MARKS = {Tone.PLAIN: "·", Tone.GOOD: "✓", Tone.DOUBTFUL: "!", Tone.BAD: "✗"}
_STATUS = {"ok": ("ok", "green"), "error": ("ERROR", "bold red"), "skipped": ("skipped", "yellow"), NOTED: ("", "")}
_BAR_WIDTH = 24
_NAME_WIDTH = 34
_LABEL_WIDTH = 9
_MAX_INDENT = 20
_REF_WIDTH = 44
_REFS_SHOWN = 3
_TEXT_WIDTH = 400


def render(map_: TraceMap, *, full: bool = False) -> Iterator[RenderableType]:
    """What to print, from the run's head to the commands to try next; `full` shortens no reference."""
    yield Text(f"Run {visible(map_.run.run_id)}", style="bold")
    yield _facts(map_.head)
    yield Text()
    yield from _steps(map_, full=full)
    yield Text()
    yield from _findings(map_, full=full)
    yield Text()
    yield Text("Next:", style="dim")
    for command in map_.next_commands:
        yield Text(f"  {visible(command)}", style="dim")


def _facts(head: Sequence[Fact]) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=_LABEL_WIDTH, no_wrap=True)
    grid.add_column(overflow="fold")
    for fact in head:
        grid.add_row(Text(fact.label, style="dim"), Text(_bounded(fact.text), style=_STYLES[fact.tone]))
    return Padding.indent(grid, 2)  # type: ignore[return-value]


def _steps(map_: TraceMap, *, full: bool) -> Iterator[RenderableType]:
    if not map_.steps:
        yield Text("No step was recorded.", style="yellow")
        return
    shown = sum(1 for each in map_.steps if isinstance(each, MapStep))
    noted = sum(1 for each in map_.steps if isinstance(each, MapStep) and each.place.step.status == NOTED)
    shown -= noted
    hidden = f", {map_.hidden_steps:,d} not shown (--full shows more)" if map_.hidden_steps else ""
    yield Text(f"Steps: {count(shown + map_.hidden_steps, 'step')} over {duration(map_.span_us)}{hidden}", style="bold")
    for each in map_.steps:
        if isinstance(each, Hidden):
            yield Text(f"  … {count(each.steps, 'step')} not shown", style="dim")
        else:
            yield _step_line(each, map_.span_us)
            yield from _step_notes(each, full=full)


def _indent(step: MapStep) -> str:
    depth = step.place.depth
    return "  " * depth if 2 * depth <= _MAX_INDENT else f"{f'[{depth}]':>{_MAX_INDENT - 1}} "


def _step_line(step: MapStep, whole_us: int) -> Text:
    place, record = step.place, step.place.step
    width = _NAME_WIDTH + _MAX_INDENT // 2
    name = shortened(f"{_indent(step)}{visible(record.full_name)}", width).ljust(width)
    status, style = _STATUS.get(record.status or "", (visible(record.status or "no end"), "yellow"))
    line = Text("  ")
    line.append(name, style="bold" if record.status in {"ok", NOTED} else f"bold {style}")
    line.append(f" {bar(place.offset_us, record.duration_us, whole_us, _BAR_WIDTH)} ", style="cyan")
    line.append(("" if record.status == NOTED else duration(record.duration_us)).rjust(9))
    line.append(f"  {status}", style=style)
    extras = [visible(record.error_type) if record.error_type else "", dollars(record.cost_usd)]
    if record.input_tokens is not None or record.output_tokens is not None:
        extras.append(f"{record.input_tokens or 0:,d}→{record.output_tokens or 0:,d} tokens")
    if record.retry_count:
        extras.append(count(record.retry_count, "retry", "retries"))
    line.append("".join(f"  {extra}" for extra in extras if extra))
    line.append("".join(f"  ! {odd.value}" for odd in place.odd), style="yellow")
    return line


def _step_notes(step: MapStep, *, full: bool) -> Iterator[RenderableType]:
    if not step.notes:
        return
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=_LABEL_WIDTH, no_wrap=True)
    grid.add_column(overflow="fold")
    for note in step.notes:
        text = Text(style=_STYLES[note.tone])
        text.append(_said(note, full=full))
        grid.add_row(Text(note.label, style="dim"), text)
    yield Padding(grid, (0, 0, 0, 4 + len(_indent(step))))


def _said(note: Note, *, full: bool) -> str:
    mark = "" if note.tone is Tone.PLAIN else f"{_MARKS[note.tone]} "
    refs = _refs(note.refs, full=full)
    return f"{mark}{_bounded(note.text, full=full)}{'  ' if note.text and refs else ''}{refs}"


def _findings(map_: TraceMap, *, full: bool) -> Iterator[RenderableType]:
    if not map_.findings:
        yield Text("Nothing stands out: no error, gap, fallback or missing anchor.", style="green")
        return
    yield Text("What stands out, in the order in which causes flow:", style="bold")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=1)
    grid.add_column(width=10, no_wrap=True)
    grid.add_column(overflow="fold")
    for finding in map_.findings:
        grid.add_row(*_finding(finding, full=full))
    yield Padding.indent(grid, 2)
    if map_.hidden_findings:
        yield Text(f"  … {map_.hidden_findings:,d} more (--full shows them)", style="dim")


def _finding(finding: Finding, *, full: bool) -> tuple[Text, Text, Text]:
    style = _STYLES[finding.tone]
    refs = _refs(finding.refs, full=full)
    text = f"{_bounded(finding.text, full=full)}{'  ' if refs else ''}{refs}"
    return (
        Text(_MARKS[finding.tone], style=style),
        Text(visible(finding.boundary), style="dim"),
        Text(text, style=style),
    )


def _refs(refs: Sequence[str], *, full: bool) -> str:
    if full:
        return "  ".join(visible(ref) for ref in refs)
    shown = "  ".join(shortened(visible(ref), _REF_WIDTH) for ref in refs[:_REFS_SHOWN])
    return f"{shown}  +{len(refs) - _REFS_SHOWN}" if len(refs) > _REFS_SHOWN else shown


def _bounded(text: str, *, full: bool = False) -> str:
    return visible(text) if full else shortened(visible(text), _TEXT_WIDTH)
