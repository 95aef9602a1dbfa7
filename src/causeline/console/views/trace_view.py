"""A trace map on a terminal, or in a pipe: nothing of it is said by colour alone."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from causeline.console.views.notes import Note, Tone
from causeline.console.views.run_findings import Finding
from causeline.console.views.trace_map import Fact, MapStep, TraceMap
from causeline.console.views.waterfall import NOTED, Hidden, bar
from causeline.console.words import count, dollars, duration
from causeline.runtime.text import shortened, visible

_STYLES = {Tone.PLAIN: "", Tone.GOOD: "green", Tone.DOUBTFUL: "yellow", Tone.BAD: "red"}
_MARKS = {Tone.PLAIN: "·", Tone.GOOD: "✓", Tone.DOUBTFUL: "!", Tone.BAD: "✗"}
_STATUS = {"ok": ("ok", "green"), "error": ("ERROR", "bold red"), "skipped": ("skipped", "yellow"), NOTED: ("", "")}
_BAR_WIDTH = 24
_LEAST_BAR = 8
_NAME_WIDTH = 44
_LEAST_NAME = 20
_DURATION_WIDTH = 9
_STATUS_WIDTH = 7
_GAPS = 6
"""Blanks of a step's line: before the name, around the bar, and before the status."""
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
    longest = max((len(_name(each)) for each in map_.steps if isinstance(each, MapStep)), default=0)
    for each in map_.steps:
        if isinstance(each, Hidden):
            yield Text(f"  … {count(each.steps, 'step')} not shown", style="dim")
        else:
            yield _StepLine(each, map_.span_us, longest)
            yield from _step_notes(each, full=full)


def _indent(step: MapStep) -> str:
    depth = step.place.depth
    return "  " * depth if 2 * depth <= _MAX_INDENT else f"{f'[{depth}]':>{_MAX_INDENT - 1}} "


def _name(step: MapStep) -> str:
    return f"{_indent(step)}{visible(step.place.step.full_name)}"


@dataclass(frozen=True, slots=True)
class _StepLine:
    """A step on one line of the screen, whatever its width; what has no room stands in lines of its own below."""

    step: MapStep
    whole_us: int
    longest: int
    """Of the names of all steps."""

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        line, rest = self._line(options.max_width), list(_rest(self.step))
        tail = "".join(f"  {text}" for _, text in rest)
        if line.cell_len + Text(tail).cell_len <= options.max_width:
            yield line.append(tail, style="yellow" if self.step.place.odd else "")
        else:
            yield line
            yield _grid(self.step, ((label, Text(text)) for label, text in rest))

    def _line(self, width: int) -> Text:
        place, record = self.step.place, self.step.place.step
        room = width - _GAPS - _DURATION_WIDTH - _STATUS_WIDTH
        name_width = min(self.longest, _NAME_WIDTH, max(_LEAST_NAME, room - _LEAST_BAR))
        bar_width = min(_BAR_WIDTH, max(_LEAST_BAR, room - name_width))
        status, style = _STATUS.get(record.status or "", (visible(record.status or "no end"), "yellow"))
        line = Text("  ", no_wrap=True)
        name = shortened(_name(self.step), name_width).ljust(name_width)
        line.append(name, style="bold" if record.status in {"ok", NOTED} else f"bold {style}")
        line.append(f" {bar(place.offset_us, record.duration_us, self.whole_us, bar_width)} ", style="cyan")
        line.append(("" if record.status == NOTED else duration(record.duration_us)).rjust(_DURATION_WIDTH))
        return line.append(f"  {status}", style=style)


def _rest(step: MapStep) -> Iterator[tuple[str, str]]:
    """What else a step's line says, with its label where it stands by itself."""
    record = step.place.step
    if record.error_type:
        yield "error", visible(record.error_type)
    spent = [dollars(record.cost_usd)]
    if record.input_tokens is not None or record.output_tokens is not None:
        spent.append(f"{record.input_tokens or 0:,d}→{record.output_tokens or 0:,d} tokens")
    if record.retry_count:
        spent.append(count(record.retry_count, "retry", "retries"))
    if text := "  ".join(each for each in spent if each):
        yield "spent", text
    for odd in step.place.odd:
        yield "odd", f"! {odd.value}"


def _step_notes(step: MapStep, *, full: bool) -> Iterator[RenderableType]:
    if step.notes:
        notes = ((note.label, Text(_note(note, full=full), style=_STYLES[note.tone])) for note in step.notes)
        yield _grid(step, notes)


def _grid(step: MapStep, rows: Iterable[tuple[str, Text]]) -> Padding:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=_LABEL_WIDTH, no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(Text(label, style="dim"), text)
    return Padding(grid, (0, 0, 0, 4 + len(_indent(step))))


def _note(note: Note, *, full: bool) -> str:
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
