"""SQL for people: the questions that come with the console, free SQL under the reader's bounds, a plot, a file."""

import json
from collections.abc import Iterator

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from causeline.console.questions import MARK, question, questions
from causeline.console.read_only_sql import Bounds, SqlResult, as_separated, plain
from causeline.schemas.errors import CauselineError, UsageError
from causeline.web.site import Site, TheSite
from causeline.web.views.plot import Line, line

router = APIRouter(prefix="/sql", include_in_schema=False)
_PAGE = Bounds(rows=500, seconds=15)
_FILE = Bounds(rows=100_000, seconds=60)
_FORMS = ("csv", "tsv", "json")


@router.get("")
def page(request: Request, site: TheSite, q: str = "") -> Response:
    """The questions; where one is asked, or some SQL, its answer."""
    answer, wrong, text = None, None, q.strip()
    asked = _parameters(request)
    chosen = None
    try:
        chosen = question(text) if text.startswith(MARK) else None
        if text:
            answer = _answer(site, text, asked, _PAGE)
    except CauselineError as error:
        wrong = error
    return site.pages(
        request,
        "sql.html",
        here="sql",
        status=400 if wrong else 200,
        q=q,
        asked=asked,
        chosen=chosen,
        questions=[each for each in questions().values() if not any(one.default is None for one in each.parameters)],
        answer=answer,
        rows=[[_cell(value) for value in row] for row in answer.rows] if answer else [],
        plot=_plot(answer) if answer else None,
        wrong=wrong,
        most=_PAGE.rows,
    )


@router.get("/file")
def file(request: Request, site: TheSite, q: str, form: str = "csv") -> Response:
    """The same answer as a file, of at most 100,000 rows."""
    if form not in _FORMS:
        raise UsageError(f"{form[:20]!r} is no form of a file.", hint=f"One of {', '.join(_FORMS)}.")
    answer = _answer(site, q.strip(), _parameters(request), _FILE)
    headers = {"content-disposition": f'attachment; filename="causeline.{form}"'}
    if form == "json":
        return StreamingResponse(_json_lines(answer), media_type="application/x-ndjson", headers=headers)
    lines = as_separated(answer, "," if form == "csv" else "\t")
    return StreamingResponse(
        lines, media_type="text/csv" if form == "csv" else "text/tab-separated-values", headers=headers
    )


def _parameters(request: Request) -> dict[str, str]:
    return {name.removeprefix("p."): value for name, value in request.query_params.items() if name.startswith("p.")}


def _answer(site: Site, text: str, asked: dict[str, str], bounds: Bounds) -> SqlResult:
    if text.startswith(MARK):
        found = question(text)
        return site.sql(found.sql, found.values(asked, now_us=site.clock()), bounds)
    return site.sql(text, asked, bounds)


def _cell(value: object) -> str:
    shown = plain(value)
    return (
        json.dumps(shown, ensure_ascii=False, default=str)
        if isinstance(shown, list | dict)
        else str("" if shown is None else shown)
    )


def _json_lines(answer: SqlResult) -> Iterator[str]:
    for row in answer.rows:
        fields = {name: plain(value) for name, value in zip(answer.columns, row, strict=True)}
        yield json.dumps(fields, ensure_ascii=False, default=str) + "\n"


def _plot(answer: SqlResult) -> tuple[str, Line] | None:
    """The last column with numbers as a line, where the rows are many enough to have a course."""
    if not 3 <= len(answer.rows) <= _PAGE.rows:
        return None
    for index in range(len(answer.columns) - 1, -1, -1):
        values = [row[index] for row in answer.rows]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            return answer.columns[index], line([float(value) for value in values if isinstance(value, int | float)])
    return None
