"""Causes as a report: Markdown for a ticket or a mail, HTML by itself without anything from elsewhere."""

from collections.abc import Sequence
from html import escape

from causeline.console.stored_causes import WeighedCause
from causeline.runtime.text import inert_markdown, visible

HEAD = ("cause", "workflow", "runs", "share (95 %)", "cost", "trend", "against before", "certainty", "example")
_BARS = " ▁▂▃▄▅▆▇█"


def cells(cause: WeighedCause) -> tuple[str, ...]:
    """A cause as one row, in the order of HEAD."""
    return (
        f"{'NEW: ' if cause.is_new else ''}{visible(cause.sentence)}",
        visible(cause.workflow),
        f"{cause.runs:,d}",
        share(cause),
        f"{cause.cost_usd:,.2f} USD",
        bars(cause.trend),
        against(cause),
        cause.certainty,
        cause.examples[0] if cause.examples else "",
    )


def share(cause: WeighedCause) -> str:
    """The share with the interval it lies in."""
    low, high = cause.interval
    return f"{cause.share:.1%} ({low:.1%} to {high:.1%})"


def against(cause: WeighedCause) -> str:
    """The share against that of the window before."""
    if not cause.of_before:
        return "new" if cause.is_new else "no runs before"
    return f"{cause.change}, {cause.runs_before:,d} of {cause.of_before:,d} before"


def bars(trend: Sequence[int]) -> str:
    """Counts as a row of bars; nothing is a blank."""
    most = max(trend, default=0)
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] if most else _BARS[0] for count in trend)


def markdown(found: Sequence[WeighedCause], title: str, note: str) -> str:
    """The report for a ticket."""
    lines = [f"# {inert_markdown(title)}", "", inert_markdown(note), ""]
    lines += [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    lines += [f"| {' | '.join(inert_markdown(cell) for cell in cells(cause))} |" for cause in found]
    lines += ["", *(f"- {inert_markdown(cause.thing)}: {inert_markdown(cause.fix)}" for cause in found[:10])]
    return "\n".join(lines) + "\n"


def html(found: Sequence[WeighedCause], title: str, note: str) -> str:
    """The report as a page."""
    head = "".join(f"<th>{name}</th>" for name in HEAD)
    rows = "".join(
        f"<tr{' class=new' if cause.is_new else ''}>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells(cause))
        + "</tr>\n"
        for cause in found
    )
    fixes = "".join(
        f"<li><b>{escape(visible(cause.thing))}</b>: {escape(visible(cause.fix))}</li>" for cause in found[:10]
    )
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n"
        f"<h1>{escape(title)}</h1>\n<p>{escape(note)}</p>\n<table><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody>"
        f"</table>\n<h2>What to touch</h2>\n<ul>{fixes}</ul>\n</html>\n"
    )


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem;color:#1c2330}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;"
    "border-bottom:1px solid #d8dde6}th{font-weight:600}.new td:first-child{border-left:4px solid #b42318}"
)
