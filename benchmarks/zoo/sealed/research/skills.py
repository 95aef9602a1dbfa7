"""What the models of the report desk can do: read their prompt, and write."""

import json
import re

from benchmarks.zoo.sealed.research.world import AGENT_OF

TASK = re.compile(r"Task: (.+) of (\w+) in (\d{4})")


def plan(prompt: str) -> str:
    """One line a task: agent | company | metric | year."""
    asked = re.search(r"Question: (.*)", prompt)
    question = asked.group(1) if asked else ""
    listed = re.search(r"Companies: (.*)", prompt)
    companies = [name for name in (listed.group(1) if listed else "").split(", ") if name]
    year = re.search(r"(\d{4})", question)
    most = re.search(r"At most (\d+) tasks", prompt)
    metrics = [metric for metric in AGENT_OF if metric in question]
    lines = [
        f"{AGENT_OF[metric]} | {company} | {metric} | {year.group(1) if year else ''}"
        for company in companies
        for metric in metrics
    ]
    return "\n".join(lines[: int(most.group(1)) if most else None]) or "no tasks"


def query(prompt: str) -> str:
    """The arguments of a search, as JSON; other words once the first were tried."""
    task = TASK.search(prompt)
    if task is None:
        return json.dumps({"q": "company news"})
    metric, company, year = task.groups()
    tried = "Tried:" in prompt
    paper = {"finance": "annual report", "people": "staff letter"}[AGENT_OF.get(metric, "finance")]
    return json.dumps({"q": f"{company} {paper} {year}" if tried else f"{company} {metric} {year}", "year": int(year)})


def query_year_before(prompt: str) -> str:
    """As `query`, and takes the year for the one of publication."""
    said = json.loads(query(prompt))
    if "year" in said:
        said["q"] = said["q"].replace(str(said["year"]), str(said["year"] - 1))
        said["year"] -= 1
    return json.dumps(said)


def read(prompt: str, *, strict_year: bool = True) -> str:
    """The value that the passage gives for the task, as JSON."""
    task = TASK.search(prompt)
    passage = prompt.split("Passage:", 1)[-1]
    if task is None:
        return json.dumps({"value": None})
    metric, company, year = task.groups()
    wanted = re.escape(f"{company} {metric} {year}") if strict_year else rf"{re.escape(f'{company} {metric}')} \d{{4}}"
    found = re.search(wanted + r": ([^\n|]+)", passage)
    return json.dumps({"value": found.group(1).strip() if found else None})


def read_loosely(prompt: str) -> str:
    """As `read`, and takes the figure of any year: the first that stands there."""
    return read(prompt, strict_year=False)


def read_in_thousands(prompt: str) -> str:
    """As `read`, and believes that money is given in thousands."""
    said = json.loads(read(prompt))
    if said["value"] and "million" in said["value"]:
        said["value"] = said["value"].replace("million", "thousand")
    elif said["value"] and said["value"].isdigit():
        said["value"] += " thousand"
    return json.dumps(said)


def write(prompt: str, *, slip: bool = False) -> str:
    """A report of the notes, each with its number in brackets. A slip forgets the brackets of one."""
    notes = re.findall(r"^\[(\d+)\] (.+)$", prompt, re.MULTILINE)
    lines = ["# Brief"]
    for position, (number, note) in enumerate(notes):
        lines.append(f"{note}." if slip and position == 0 else f"{note}. [{number}]")
    lines.append(f"Sources: {len(notes)}.")
    return "\n".join(lines)


def write_roundly(prompt: str) -> str:
    """As `write`, and rounds what it should copy."""
    return re.sub(r" is (\d)(\d+)", lambda found: f" is {found[1]}{'0' * (len(found[2]) - 1)}1", write(prompt))


def criticise(prompt: str) -> str:
    """Whether the report has its parts."""
    report = prompt.split("Report:", 1)[-1]
    whole = report.strip().startswith("# Brief") and re.search(r"Sources: \d+\.", report)
    return json.dumps({"verdict": "accept" if whole else "revise"})
