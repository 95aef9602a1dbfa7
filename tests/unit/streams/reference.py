"""The reference joiner: what a run is, in plain Python, slow and readable. The columnar one must give the same."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from causeline.schemas.events import UNNUMBERED_EMITTER
from causeline.schemas.judge import judge
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.streams.definition.anchors import ONLY_WHEN_OK, REQUIRED
from causeline.streams.runs.assemble import ASSEMBLER_VERSION
from causeline.streams.runs.shapes import nested_columns, run_columns

Event = Mapping[str, Any]
Run = dict[str, Any]

LISTS = (
    "context_refs",
    "evidence_refs",
    "validation_errors",
    "conflicting_refs",
    "expected_steps",
    "labels",
    "conflict_sides",
)
CLAIMED = {"review_recorded": "review_claimed", "eval_recorded": "eval_claimed"}
"""What a decision is called that came by the events topic."""
AFTERTHOUGHTS = {*CLAIMED, *CLAIMED.values(), "evaluation_recorded"}
DECIDED = (
    (("route",), ("route", "route_reason", "route_confidence", "route_policy_version"), "_router"),
    (("prompt_id", "prompt_version"), ("prompt_id", "prompt_version"), "_prompter"),
    (
        ("model_provider", "model_name"),
        ("model_provider", "model_name", "temperature", "top_p", "seed", "system_fingerprint"),
        "_model",
    ),
    (("context_refs",), ("context_refs",), "_shower"),
)
TOGETHER = (
    *((who, taken, None) for who, taken, _ in DECIDED),
    (("fallback_taken",), ("fallback_taken", "fallback_reason"), None),
    (
        ("review_outcome",),
        ("review_outcome", "reviewer_ref", "override_ref", "review_note_ref"),
        "review_recorded",
    ),
    (("eval_case_id",), ("eval_case_id", "eval_outcome"), "eval_recorded"),
)


def reference_runs(events: Iterable[Event], *, closed_at: int = 0, policy: Policy = DEFAULT_POLICY) -> dict[str, Run]:
    """The runs of events in order of arrival, by run id."""
    by_run: dict[str, dict[str, Event]] = {}
    for event in events:
        by_run.setdefault(event["run_id"], {}).setdefault(event["event_id"], event)
    return {run_id: _run(list(kept.values()), closed_at, policy) for run_id, kept in by_run.items()}


def as_claims(events: Iterable[Event]) -> list[Event]:
    """Events as the worker takes them from the events topic."""
    return [{**event, "event_type": CLAIMED.get(event["event_type"], event["event_type"])} for event in events]


def _run(events: list[Event], closed_at: int, policy: Policy) -> Run:
    events = sorted(events, key=lambda e: (e["occurred_at"], e["emitter_id"], e["seq"], e["event_id"]))
    events = [{**dict.fromkeys(LISTS, ()), **event} for event in events]
    events, foreign = _own(events)
    starts = [e for e in events if e["event_type"] == "run_started"]
    ends = [e for e in events if e["event_type"] == "run_finished"]
    end = ends[0] if ends else {}
    steps = _steps(events)
    run: Run = dict.fromkeys(run_columns())
    run |= {name: events[0][name] for name in ("run_id", "project")} | {"workflow": _workflow(events)}
    for name in ("session_id", "user_hash"):
        run[name] = next((e[name] for e in events if e.get(name) is not None), None)
    run |= _times(events, starts, ends)
    run |= _last_words(events)
    run |= _decided(steps)
    run["validation_errors"] = _standing_errors(steps)
    run |= _sums(steps)
    run |= _notable(steps)
    missing = _missing(events, starts, ends)
    told = _told_lost(events)
    lost = max(_lost(events), told)
    whole = not missing and not lost
    run |= {
        "revision": len(events) + foreign,
        "events": len(events),
        "events_lost": lost,
        "missing": missing,
        "verdict": "complete" if whole else "partial" if ends or told else "unfinished",
        "close_reason": "finished" if whole else "grace" if ends else "idle",
        "amended": False,
        "closed_at": closed_at,
        "final_state": end.get("final_state"),
        "labels": _labels(starts + ends, _skew_s(events, run), foreign, _claims(events)),
        "steps": [{name: step[name] for name in nested_columns("steps")} for step in steps],
        "missing_anchors": _missing_anchors(steps),
        "assembler_version": ASSEMBLER_VERSION,
    }
    in_error = [step for step in steps if step["status"] == "error"]
    run["status"] = "error" if in_error or end.get("status") == "error" else "ok"
    named = [step["error_type"] for step in in_error if step["error_type"] is not None]
    run["error_type"] = named[0] if named else end.get("error_type")
    run["error_step"] = _label(in_error[0]) if in_error else None
    run["policy_hash"] = policy.content_hash
    run |= _findings(events, policy)
    run["fallbacks"] = _fallbacks(events, steps, run)
    return run


def _workflow(events: Sequence[Event]) -> str:
    """What is said outright, else by the strongest source; of equals the one whose step began first."""
    ranks = {"agent": 1, "service": 2, "span": 3}
    said = [(ranks.get(e.get("workflow_source") or "", 0), e) for e in events]
    return str(min(said, key=lambda each: (each[0], each[1]["run_started_at"] if each[0] else 0))[1]["workflow"])


def _own(events: list[Event]) -> tuple[list[Event], int]:
    """The events of the project and workflow that most of them name, and how many are not."""
    names = [(e["project"], e["workflow"]) for e in events]
    project, workflow = max(dict.fromkeys(names), key=names.count)
    own = [
        e
        for e in events
        if e["project"] == project and (e["workflow"] == workflow or e["emitter_id"] == UNNUMBERED_EMITTER)
    ]
    return own, len(events) - len(own)


def _times(events: Sequence[Event], starts: Sequence[Event], ends: Sequence[Event]) -> Run:
    live = [e["occurred_at"] for e in events if e["event_type"] not in AFTERTHOUGHTS]
    started = starts[0]["run_started_at"] if starts else min(e["run_started_at"] for e in events)
    finished = ends[0]["occurred_at"] if ends else max(live or [e["occurred_at"] for e in events])
    return {"started_at": started, "finished_at": finished, "duration_us": max(0, finished - started)}


def _last(events: Sequence[Event], name: str) -> Any:
    return next((e[name] for e in reversed(events) if e.get(name) is not None), None)


def _last_words(events: Sequence[Event]) -> Run:
    words: Run = {}
    for who, taken, by in TOGETHER:
        heard = [e for e in events if by in {None, e["event_type"]}]
        speaker = next((e for e in reversed(heard) if any(_says(e.get(name)) for name in who)), {})
        words |= {name: list(speaker.get(name, ())) if name in LISTS else speaker.get(name) for name in taken}
    for name in ("model_policy", "confidence", "refusal", "parser_version", "schema_version", "parsed_artifact_ref"):
        words[name] = _last(events, name)
    on_the_way = (
        "input", "parse", "mask", "classify", "route", "retrieve", "prompt", "validate", "embedding", "reranker",
        "guardrail",
    )  # fmt: skip
    words["raw_output_ref"] = _last([e for e in events if e.get("step_kind") not in on_the_way], "raw_output_ref")
    words["input_ref"] = next((e["input_ref"] for e in events if e.get("input_ref") is not None), None)
    words["evidence_refs"] = list(dict.fromkeys(ref for e in events for ref in e["evidence_refs"]))
    return words


def _says(value: Any) -> bool:
    return value is not None and (not isinstance(value, (list, tuple)) or len(value) > 0)


def _by_end(steps: Sequence[Run]) -> list[Run]:
    return sorted(steps, key=lambda s: s["started_at"] if s["finished_at"] is None else s["finished_at"])


def _decided(steps: Sequence[Run]) -> Run:
    """What the steps decided, by the rules that the schema states; nothing where no step says any."""
    calls = [s for s in steps if s["step_kind"] == "model_call"]
    heard_before = {
        "_router": ([s for s in steps if s["step_kind"] == kind] for kind in ("route", "classify")),
        "_prompter": ([s for s in steps if s["step_kind"] in {"prompt", "model_call"}],),
        "_model": ([s for s in calls if s["status"] == "ok"], calls),
        "_shower": ([s for s in steps if s["step_kind"] == kind] for kind in ("model_call", "prompt")),
    }
    words: Run = {}
    for who, taken, rule in DECIDED:
        for some in (*heard_before[rule], steps):
            speaking = [s for s in _by_end(some) if any(_says(s[name]) for name in who)]
            if speaking:
                words |= {name: speaking[-1][name] for name in taken}
                break
    return words


def _standing_errors(steps: Sequence[Run]) -> list[str]:
    stands: dict[str, list[str]] = {}
    for step in _by_end(steps):
        if step["step_kind"] == "validate" or step["validation_errors"]:
            stands[_label(step)] = step["validation_errors"]
    return list(dict.fromkeys(error for errors in stands.values() for error in errors))


def _skew_s(events: Sequence[Event], run: Run) -> int:
    live = [e["occurred_at"] for e in events if e["event_type"] not in AFTERTHOUGHTS]
    behind, ahead = min(live, default=run["started_at"]), max(live, default=run["finished_at"])
    by = max(ahead - run["finished_at"], min(0, behind - run["started_at"]), key=abs)
    return int(by / 1e6)


def _claims(events: Sequence[Event]) -> int:
    return sum(e["event_type"] in CLAIMED.values() for e in events)


def _labels(events: Sequence[Event], skew_s: int, foreign: int, claims: int) -> list[dict[str, str]]:
    ordered = sorted(events, key=lambda e: e["event_type"] == "run_finished")
    pairs = {pair["key"]: pair["value"] for e in ordered for pair in e["labels"]}
    if abs(skew_s) >= 600:
        pairs["clock.skew_s"] = str(skew_s)
    if foreign:
        pairs["foreign.events"] = str(foreign)
    if claims:
        pairs["foreign.decisions"] = str(claims)
    return [{"key": key, "value": pairs[key]} for key in sorted(pairs, key=lambda key: key.encode())]


def _lost(events: Sequence[Event]) -> int:
    lost = 0
    for emitter in {e["emitter_id"] for e in events}:
        seqs = {e["seq"] for e in events if e["emitter_id"] == emitter}
        expected = max(e.get("expected_events") or 0 for e in events if e["emitter_id"] == emitter)
        lost += min(2**40, max(0, max(max(seqs) + 1, expected) - len(seqs)))
    return lost


def _told_lost(events: Sequence[Event]) -> int:
    """What the events that stand for lost ones say: each at least one."""
    told = 0
    for e in events:
        is_loss = e["event_type"] == "step_finished" and e["step_name"] == "causeline.spool"
        if is_loss and e["error_type"] == "EventsLost":
            said = [
                int(pair["value"]) for pair in e["labels"] if pair["key"] == "lost.events" and _is_int(pair["value"])
            ]
            told += min(2**40, max([1, *said]))
    return told


def _is_int(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdigit() and -(2**63) <= int(text) < 2**63


def _missing(events: Sequence[Event], starts: Sequence[Event], ends: Sequence[Event]) -> list[str]:
    named = list(ends[0]["expected_steps"]) if ends else []
    seen = Counter(_label(e) for e in events if e["event_type"] == "step_finished")
    absent = Counter(named) - seen
    steps = [label for label in dict.fromkeys(named) for _ in range(absent[label])]
    return ["start"] * (not starts) + steps + ["end"] * (not ends)


# --- steps


def _label(step: Event) -> str:
    return f"{step['step_kind']}:{step['step_name']}"


def _steps(events: Sequence[Event]) -> list[Run]:
    told: dict[str, list[Event]] = {}
    for event in events:
        if event["event_type"] in {"step_started", "step_finished"}:
            told.setdefault(event["step_id"], []).append(event)
    steps = [_step(said) for said in told.values()]
    steps.sort(key=lambda s: (s["started_at"], s["_seq"], s["step_id"]))
    parents = {step["parent_step_id"] for step in steps if step["parent_step_id"] != step["step_id"]}
    for step in steps:
        step["_leaf"] = step["step_id"] not in parents
    return steps


def _step(said: list[Event]) -> Run:
    said = sorted(said, key=lambda e: e["event_type"] == "step_finished")
    step: Run = {}
    for name in nested_columns("steps"):
        if name in LISTS:
            step[name] = next((list(e[name]) for e in reversed(said) if e[name]), [])
        else:
            step[name] = _last(said, name)
    ends = [e["occurred_at"] for e in said if e["event_type"] == "step_finished"]
    step["started_at"] = min(e["started_at"] for e in said)
    step["finished_at"] = ends[-1] if ends else None
    step["duration_us"] = max(0, ends[-1] - step["started_at"]) if ends else None
    step["_seq"] = min(e["seq"] for e in said)
    return step


def _sums(steps: Sequence[Run]) -> Run:
    sums: Run = {}
    for name in ("cost_usd", "input_tokens", "output_tokens", "retry_count"):
        said = [step[name] for step in steps if step[name] is not None and not _sums_up(step, steps, name)]
        most = sys.float_info.max if name == "cost_usd" else 2**63 - 1
        sums[name] = min(sum(said), most) if said else None
    return sums


def _sums_up(step: Run, steps: Sequence[Run], name: str) -> bool:
    """Whether anything beneath the step says something of the measure."""
    seen: set[str] = set()
    beneath = [step["step_id"]]
    while beneath:
        above = beneath.pop()
        for child in steps:
            if child["parent_step_id"] == above != child["step_id"] and child["step_id"] not in seen:
                if child[name] is not None:
                    return True
                seen.add(child["step_id"])
                beneath.append(child["step_id"])
    return False


def _notable(steps: Sequence[Run]) -> Run:
    leaves = [step for step in steps if step["_leaf"]]
    timed = [step for step in leaves if step["duration_us"] is not None]
    priced = [step for step in steps if step["cost_usd"] is not None and not _sums_up(step, steps, "cost_usd")]
    return {
        "slowest_step": _label(max(timed, key=lambda s: s["duration_us"])) if timed else None,
        "costliest_step": _label(max(priced, key=lambda s: s["cost_usd"])) if priced else None,
    }


def _missing_anchors(steps: Sequence[Run]) -> list[str]:
    ended = [step for step in steps if step["status"] not in {None, "skipped"}]
    return [
        f"{kind}.{name}"
        for kind, name in REQUIRED
        if any(
            step["step_kind"] == kind
            and step[name] in (None, [])
            and (step["status"] == "ok" or (kind, name) not in ONLY_WHEN_OK)
            for step in ended
        )
    ]


# --- findings


def _findings(events: Sequence[Event], policy: Policy) -> Run:
    evidence = [e for e in events if e["event_type"] == "evidence_checked"]
    gaps = []
    for e in evidence:
        found = judge(
            required=e["evidence_required"],
            score=e.get("provenance_score"),
            evidence_refs=e["evidence_refs"],
            conflicting_refs=e["conflicting_refs"],
            attempts=e.get("retry_count") or 0,
            standard=policy.rules(e["workflow"]).standard(e["field_path"]),
        )
        if found is not None:
            said = {**e, "threshold": found.threshold, "decided_next_step": e.get("next_step")}
            gap = {name: said.get(name) for name in nested_columns("gaps")}
            gaps.append({**gap, "kind": found.kind.value, "next_step": found.next_step.value})
    sides = [
        {"event_id": e["event_id"], "field_path": e["field_path"], **side, **_weight(side, e, policy)}
        for e in evidence
        for side in e["conflict_sides"]
    ]
    return {
        "conflict_sides": sides,
        "evidence": [_picked(e, "evidence", {}) for e in evidence],
        "gaps": gaps,
        "gap_kinds": sorted({gap["kind"] for gap in gaps}),
        "reviews": [
            _picked(e, "reviews", {"outcome": "review_outcome", "note_ref": "review_note_ref"})
            for e in events
            if e["event_type"] == "review_recorded"
        ],
        "evals": [
            _picked(e, "evals", {"case_id": "eval_case_id", "outcome": "eval_outcome"})
            for e in events
            if e["event_type"] == "eval_recorded"
        ],
        "evaluations": [
            _picked(e, "evaluations", {each: f"evaluation_{each}" for each in ("name", "score", "scale", "label")})
            for e in events
            if e["event_type"] == "evaluation_recorded"
        ],
    }


# --- fallbacks

TRIED_AGAIN = {"retry", "narrower_scope", "simpler_model", "stronger_model", "other_model"}
GAVE_LESS = {"partial_answer", "safe_message", "stop", "human_review"}


def _fallbacks(events: Sequence[Event], steps: Sequence[Run], run: Run) -> list[Run]:
    said = [
        _picked(e, "fallbacks", {"kind": "fallback_taken", "reason": "fallback_reason"}) | {"inferred": False}
        for e in events
        if e["event_type"] == "fallback_taken"
    ]
    kinds = {each["kind"] for each in said}
    inferred = []
    if not kinds & TRIED_AGAIN:
        inferred += [each for place in range(len(steps)) for each in _tried_again(place, steps)]
    if not kinds & GAVE_LESS and run["final_state"] == "partial":
        end = {"step_id": None, "started_at": run["finished_at"]}
        inferred.append(_inferred("partial_answer", "the run's final state is partial", end))
    return said + inferred


def _tried_again(place: int, steps: Sequence[Run]) -> list[Run]:
    """What a step came again for."""
    before, step = steps[:place], steps[place]
    label = _label(step)
    found = []
    same = [each for each in before if _label(each) == label]
    seeing = [each for each in same if each["context_refs"]]
    if _sees(step, steps) and seeing and set(step["context_refs"]) < set(seeing[-1]["context_refs"]):
        found.append(_inferred("narrower_scope", f"{label} had more context before", step))
    calls = [each for each in before if each["step_kind"] == "model_call"]
    if (
        step["step_kind"] == "model_call"
        and calls
        and calls[-1]["status"] == "error"
        and None not in (names := {calls[-1]["model_name"], step["model_name"]})
        and len(names) > 1
    ):
        found.append(_inferred("other_model", f"another model failed before {label}", step))
    if found:
        return found
    if same and same[-1]["status"] == "error":
        return [_inferred("retry", f"{label} failed before", step)]
    if (step["retry_count"] or 0) > 0:
        return [_inferred("retry", f"{label} counts attempts before it", step)]
    return []


def _sees(step: Run, steps: Sequence[Run]) -> bool:
    kinds = {each["step_kind"] for each in steps if each["context_refs"]}
    return bool(step["context_refs"]) and step["step_kind"] == ("model_call" if "model_call" in kinds else "prompt")


def _inferred(kind: str, reason: str, step: Run) -> Run:
    return {
        "event_id": None, "step_id": step["step_id"], "kind": kind, "reason": reason, "inferred": True,
        "occurred_at": step["started_at"],
    }  # fmt: skip


def _weight(side: Mapping[str, Any], event: Event, policy: Policy) -> Run:
    authority = policy.rules(event["workflow"]).authority
    kinds = [each["source_kind"] for each in event["conflict_sides"]]
    if side["source_kind"] not in authority:
        return {"authority_rank": None, "won": False, "reason": "unranked"}
    rank = authority.index(side["source_kind"]) + 1
    if any(kind in authority and authority.index(kind) + 1 < rank for kind in kinds):
        return {"authority_rank": rank, "won": False, "reason": "outranked"}
    alone = kinds.count(side["source_kind"]) == 1
    return {"authority_rank": rank, "won": alone, "reason": "first" if alone else "tied"}


def _picked(event: Event, array: str, sources: Mapping[str, str]) -> Run:
    picked = {name: event.get(sources.get(name, name)) for name in nested_columns(array)}
    return {name: list(value or ()) if name in LISTS else value for name, value in picked.items()}
