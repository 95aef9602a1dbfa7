"""A run, in plain Python, from the words of `run-batch`'s schema and docs/trace-contract.md, and from nothing else.

Slow and short on purpose: it takes a run's events as Avro says them and gives those fields of its record that follow
from them alone. `benchmarks.steady` holds what a stack shows against it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Event = Mapping[str, Any]
Run = dict[str, Any]

DECIDED = {
    "route": ("route", "route_reason", "route_confidence", "route_policy_version"),
    "prompt": ("prompt_id", "prompt_version"),
    "model": ("model_provider", "model_name", "temperature", "top_p", "seed", "system_fingerprint"),
    "context": ("context_refs",),
}
SAYS = {
    "route": ("route",),
    "prompt": ("prompt_id", "prompt_version"),
    "model": ("model_provider", "model_name"),
    "context": ("context_refs",),
}
SUMS = ("cost_usd", "input_tokens", "output_tokens", "retry_count")
LARGEST_LONG = 2**63 - 1
LARGEST_DOUBLE = 1.7976931348623157e308


def join(events: Iterable[Event]) -> dict[str, Run]:
    """By run id the record of each run; an event that comes again is the same event."""
    told: dict[str, dict[str, Event]] = {}
    for event in events:
        told.setdefault(event["run_id"], {}).setdefault(event["event_id"], event)
    return {run_id: _record(list(kept.values())) for run_id, kept in told.items()}


def _record(events: Sequence[Event]) -> Run:
    events = sorted(events, key=lambda e: (e["occurred_at"], e["emitter_id"], e["seq"], e["event_id"]))
    start = next((e for e in events if e["event_type"] == "run_started"), None)
    end = next((e for e in events if e["event_type"] == "run_finished"), None)
    steps = _steps(events)
    failed = [s for s in steps if s["status"] == "error"]
    missing = _missing(events, start, end)
    lost = _lost(events)
    live = [e["occurred_at"] for e in events if e["event_type"] not in {"review_recorded", "eval_recorded"}]
    moments = live or [e["occurred_at"] for e in events]
    started = start["run_started_at"] if start else min(e["run_started_at"] for e in events)
    finished = end["occurred_at"] if end else max(moments)
    return {
        "events": len(events),
        "events_lost": lost,
        "missing": missing,
        "verdict": "complete" if not missing and not lost else "partial" if end else "unfinished",
        "started_at": started,
        "finished_at": finished,
        "duration_us": max(0, finished - started),
        "final_state": end and end["final_state"],
        "status": "error" if failed or (end and end["status"] == "error") else "ok",
        "error_type": next((s["error_type"] for s in failed if s["error_type"]), None) or (end and end["error_type"]),
        "error_step": _label(failed[0]) if failed else None,
        "evidence_refs": list(dict.fromkeys(ref for e in events for ref in e["evidence_refs"])),
        "validation_errors": _errors(steps),
        "slowest_step": _greatest(_leaves(steps), "duration_us"),
        "costliest_step": _greatest([s for s in steps if not _says_beneath(s, steps, "cost_usd")], "cost_usd"),
        **{name: _sum(steps, name) for name in SUMS},
        **_decisions(events, steps),
    }


def _label(step: Event) -> str:
    return f"{step['step_kind']}:{step['step_name']}"


def _steps(events: Sequence[Event]) -> list[Run]:
    """Of each field what was said of the step last, its end outweighing its start; ordered by start."""
    told: dict[str, list[Event]] = {}
    for event in events:
        if event["event_type"] in {"step_started", "step_finished"}:
            told.setdefault(event["step_id"], []).append(event)
    steps = []
    for said in told.values():
        step: Run = {}
        for event in sorted(said, key=lambda e: e["event_type"] == "step_finished"):
            step |= {name: value for name, value in event.items() if value not in (None, [])}
        step = {**dict.fromkeys(said[0]), **step}
        step["started_at"] = min(e["started_at"] for e in said)
        ends = [e["occurred_at"] for e in said if e["event_type"] == "step_finished"]
        step["finished_at"] = ends[-1] if ends else None
        step["duration_us"] = max(0, ends[-1] - step["started_at"]) if ends else None
        step["seq"] = min(e["seq"] for e in said)
        steps.append(step)
    return sorted(steps, key=lambda s: (s["started_at"], s["seq"], s["step_id"]))


def _by_end(steps: Iterable[Run]) -> list[Run]:
    return sorted(steps, key=lambda s: s["started_at"] if s["finished_at"] is None else s["finished_at"])


def _leaves(steps: Sequence[Run]) -> list[Run]:
    parents = {s["parent_step_id"] for s in steps if s["parent_step_id"] != s["step_id"]}
    return [s for s in steps if s["step_id"] not in parents]


def _says_beneath(step: Run, steps: Sequence[Run], name: str, above: frozenset[str] = frozenset()) -> bool:
    seen = above | {step["step_id"]}
    children = [s for s in steps if s["parent_step_id"] == step["step_id"] and s["step_id"] not in seen]
    return any(s[name] is not None or _says_beneath(s, steps, name, seen) for s in children)


def _sum(steps: Sequence[Run], name: str) -> float | None:
    said = [s[name] for s in steps if s[name] is not None and not _says_beneath(s, steps, name)]
    return min(sum(said), LARGEST_DOUBLE if name == "cost_usd" else LARGEST_LONG) if said else None


def _greatest(steps: Iterable[Run], name: str) -> str | None:
    said = [s for s in steps if s[name] is not None]
    return _label(max(said, key=lambda s: s[name])) if said else None


def _errors(steps: Sequence[Run]) -> list[str]:
    stand: dict[str, list[str]] = {}
    for step in _by_end(steps):
        if step["step_kind"] == "validate" or step["validation_errors"]:
            stand[_label(step)] = step["validation_errors"] or []
    return list(dict.fromkeys(error for errors in stand.values() for error in errors))


def _decisions(events: Sequence[Event], steps: Sequence[Run]) -> Run:
    def kind(*words: str) -> list[Run]:
        return _by_end(s for s in steps if s["step_kind"] in words)

    well = [s for s in kind("model_call") if s["status"] == "ok"]
    ranks: Mapping[str, Sequence[Sequence[Event]]] = {
        "route": (kind("route"), kind("classify")),
        "prompt": (kind("prompt", "model_call"),),
        "model": (well, kind("model_call")),
        "context": (kind("model_call"), kind("prompt")),
    }
    decided: Run = {}
    for what, names in DECIDED.items():
        for some in (*ranks[what], _by_end(steps), events):
            speaking = [s for s in some if any(s[name] not in (None, []) for name in SAYS[what])]
            if speaking:
                decided |= {name: speaking[-1][name] for name in names}
                break
        else:
            decided |= {name: [] if name == "context_refs" else None for name in names}
    return decided


def _missing(events: Sequence[Event], start: Event | None, end: Event | None) -> list[str]:
    named = end["expected_steps"] if end else []
    absent = Counter(named) - Counter(_label(e) for e in events if e["event_type"] == "step_finished")
    steps = [label for label in dict.fromkeys(named) for _ in range(absent[label])]
    return [*([] if start else ["start"]), *steps, *([] if end else ["end"])]


def _lost(events: Sequence[Event]) -> int:
    lost = 0
    for emitter in {e["emitter_id"] for e in events}:
        mine = [e for e in events if e["emitter_id"] == emitter]
        seqs = {e["seq"] for e in mine}
        lost += max(max(seqs) + 1, *(e["expected_events"] or 0 for e in mine)) - len(seqs)
    return lost
