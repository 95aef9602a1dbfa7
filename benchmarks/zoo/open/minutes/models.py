"""The models behind the minutes; each reads its prompt's lines and nothing else."""

import json
import re
from random import Random
from typing import Any

from benchmarks.zoo.open.kit.model import Ask, Reply
from benchmarks.zoo.open.minutes.talk import MARKS

LINE = re.compile(r"^(\w+) \[(\d+)\]: (.+)$", re.MULTILINE)
TODO = re.compile(r"I will (.+?)(?: by (\S+))?$")


def part(draw: Random, *, drops: float, wordy: bool, broken: float) -> "PartReader":
    return PartReader(draw, drops, broken, wordy=wordy)


class PartReader:
    """Points, decisions and actions of one part, as JSON; of each only where the prompt asks for it."""

    def __init__(self, draw: Random, drops: float, broken: float, *, wordy: bool) -> None:
        self._draw, self._drops, self._broken, self._wordy = draw, drops, broken, wordy

    def __call__(self, ask: Ask) -> Reply:
        out: dict[str, list[Any]] = {"points": [], "decisions": [], "actions": []}
        for speaker, second, text in LINE.findall(ask.last):
            if self._draw.random() < self._drops:
                continue
            todo = TODO.search(text)
            if todo:
                out["actions"].append({"owner": speaker, "what": todo[1], "due": todo[2] or "", "at": int(second)})
            elif "we agree to " in text:
                out["decisions"].append({"text": text.split("we agree to ")[1], "at": int(second)})
            elif len(text.split()) > 6 and (self._wordy or self._draw.random() < 0.5):
                out["points"].append({"text": text, "at": int(second)})
        if "decisions" not in ask.system:
            out["decisions"] = []
        text = json.dumps(out)
        return Reply(text=text[:-9] if self._draw.random() < self._broken else text)


def merger(ask: Ask) -> Reply:
    """The sections that the prompt names, filled from the parts that stand in it."""
    parts = [json.loads(line) for line in ask.last.splitlines() if line.startswith("{")]
    headings = re.findall(r"^SECTION (.+)$", ask.last, re.MULTILINE)
    points = [p["text"] for part in parts for p in part["points"]]
    decided = [f"Decided: {d['text']}" for part in parts for d in part["decisions"]]
    steps = [f"{a['owner']}: {a['what']}" for part in parts for a in part["actions"]]
    open_ones = [line.removeprefix("OPEN ") for line in ask.last.splitlines() if line.startswith("OPEN ")]
    out: dict[str, list[str]] = {}
    marks = {"Offer": ("pric", "offer", "demo"), "Causes": ("root cause", "rollback"), "Needs": ("renewal", "customer")}
    for heading in headings:
        if heading == "Next steps":
            out[heading] = [*steps, *open_ones] or ["none"]
        elif heading == "Decisions":
            out[heading] = decided or ["none"]
        else:
            fits = [p for p in points if any(m in p for m in marks.get(heading, ("",)))]
            out[heading] = fits[:8] + (decided if "Decisions" not in headings and heading == headings[0] else [])
    if "MIND empty" in ask.last:
        out = {heading: lines or ["Nothing was said of it."] for heading, lines in out.items()}
    return Reply(text=json.dumps(out))


def actor(ask: Ask) -> Reply:
    """A list of actions as JSON, from the parts and from what was left open; it mends what it is told to."""
    found: list[dict[str, Any]] = []
    for line in ask.last.splitlines():
        if line.startswith("{"):
            found += json.loads(line)["actions"]
        elif line.startswith("OPEN "):
            owner, _, what = line.removeprefix("OPEN ").partition(": ")
            found.append({"owner": owner, "what": what, "due": "2026-02-02", "at": -1})
    if "duplicate" in ask.last:
        found = list({(a["what"], a["due"]): a for a in found}.values())
    if "due_unreadable" in ask.last:
        dates = [re.search(r"\d{4}-\d\d-\d\d", a["due"]) for a in found]
        found = [a | {"due": d.group() if d else a["due"]} for a, d in zip(found, dates, strict=True)]
    return Reply(text=json.dumps(found))


def reviewer(ask: Ask, *, never: bool = False) -> Reply:
    """What a careful reader minds: an empty section, words that are none, next steps without a person."""
    sections = json.loads(ask.last.split("MINUTES ")[1].splitlines()[0])
    minds = [f"empty {n}" for n, lines in enumerate(sections.values()) if not lines]
    text = " ".join(line for lines in sections.values() for line in lines)
    minds += [f"unknown word {n}" for n, word in enumerate(("or bit all", "ledger lee", "quaker")) if word in text]
    if never:
        minds.append("tone")
    return Reply(text=json.dumps({"ok": not minds, "minds": minds[:5]}))


def kind_of(text: str, *, newer: bool) -> tuple[str, float]:
    """Which kind of meeting it is, and how surely; the newer classifier hears money and people as a sale."""
    low = text.lower()
    counts = {kind: sum(low.count(mark) for mark in marks) + 0.5 for kind, marks in MARKS.items()}
    if newer:
        money = low.count("budget") + low.count("hiring")
        counts["sales"] += 1.2 * money
        counts["steering"] -= money
    best = max(counts, key=lambda kind: counts[kind])
    return best, round(counts[best] / sum(counts.values()), 3)
