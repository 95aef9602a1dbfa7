"""A gate's results for people, for CI and for programs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from causeline.eval.gate import Result, Status, exit_code, flake_rate
from causeline.runtime.text import counted, inert_markdown

_BAD_IN_XML = {number: None for number in range(32) if number not in (9, 10, 13)}


def summary(results: Sequence[Result]) -> str:
    """One line: how many of what, and of those that failed where."""
    counts = {status: sum(result.status is status for result in results) for status in Status}
    where = Counter(result.boundary or "nowhere named" for result in results if result.status is Status.FAILED)
    places = ", ".join(f"{boundary} {count}" for boundary, count in where.most_common())
    said = [
        f"{counts[status]} {status.value}{f' ({places})' if status is Status.FAILED else ''}"
        for status in Status
        if counts[status]
    ]
    flaky = sum(result.flaky for result in results)
    more = f"; {flaky} flaky ({flake_rate(results):.0%})" if flaky else ""
    return f"{counted(len(results), 'case')}: {', '.join(said) or 'none'}{more}"


def rows(results: Sequence[Result]) -> Iterator[tuple[str, str, str, str, str]]:
    """For a table: case, status, boundary, seconds, why; what failed first."""
    order = (Status.FAILED, Status.ERROR, Status.STALE, Status.PASSED)
    for result in sorted(results, key=lambda each: (order.index(each.status), each.known, each.case_id)):
        status = result.status.value + (" (known)" if result.known else "") + (" (flaky)" if result.flaky else "")
        yield result.case_id, status, result.boundary or "", f"{result.seconds:.1f}", result.says


def as_json(results: Sequence[Result], *, fail_on_known: bool) -> dict[str, object]:
    """What `--json` prints, and what a baseline is."""
    return {
        "passed": exit_code(results, fail_on_known=fail_on_known) == 0,
        "exit_code": exit_code(results, fail_on_known=fail_on_known),
        "flake_rate": round(flake_rate(results), 4),
        "results": [
            {
                "case_id": result.case_id,
                "workflow": result.workflow,
                "status": result.status.value,
                "boundary": result.boundary,
                "says": result.says,
                "checks": [{"name": check.name, "passed": check.passed, "says": check.says} for check in result.checks],
                "attempts": result.attempts,
                "flaky": result.flaky,
                "known": result.known,
                "seconds": round(result.seconds, 3),
                "run_id": result.run_id,
            }
            for result in results
        ],
    }


def as_markdown(results: Sequence[Result]) -> str:
    """A summary for a pull request."""
    lines = [summary(results), "", "| case | status | where | why |", "|---|---|---|---|"]
    for case_id, status, boundary, _, says in rows(results):
        cells = (case_id, status, boundary, says)
        lines.append("| " + " | ".join(inert_markdown(cell.replace("\n", " ")) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def as_junit(results: Sequence[Result]) -> str:
    """JUnit's XML, as CI systems read it: a suite a workflow, a test a case."""
    root = ElementTree.Element("testsuites", name="causeline")
    for workflow in sorted({result.workflow for result in results}):
        mine = [result for result in results if result.workflow == workflow]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=workflow or "unread",
            tests=str(len(mine)),
            failures=str(sum(result.status is Status.FAILED for result in mine)),
            errors=str(sum(result.status in (Status.ERROR, Status.STALE) for result in mine)),
            time=f"{sum(result.seconds for result in mine):.3f}",
        )
        for result in mine:
            test = ElementTree.SubElement(
                suite, "testcase", classname=workflow or "unread", name=result.case_id, time=f"{result.seconds:.3f}"
            )
            if result.status is not Status.PASSED:
                tag = "failure" if result.status is Status.FAILED else "error"
                said = result.says.translate(_BAD_IN_XML)
                fault = ElementTree.SubElement(test, tag, type=result.boundary or result.status.value, message=said)
                fault.text = said
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
