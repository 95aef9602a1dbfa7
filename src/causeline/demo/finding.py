"""What a run finds before it asks a model: the company's own records, and pieces of text that may hold each field."""

from collections.abc import Mapping

from causeline.demo import work
from causeline.demo.desk import Desk, Turns, say_hits

_ATTEMPTS = 2


def use_tools(desk: Desk) -> Turns:
    """Look an invoice's order up, and hold its total against what was ordered. A duplicate stops the run."""
    if desk.case.duplicate:
        desk.over = "stopped"
        desk.run.fallback("stop", reason="duplicate_invoice")
        return
    label = desk.labels.get("$.order_number")
    order = next((found for c in desk.chunks if label and (found := work.stated(label, c.text))), "")
    if not order:
        return  # nothing to look up by
    for attempt in range(_ATTEMPTS):
        looked_up = _look_up(desk, order, attempt)
        yield
        if looked_up:
            return
        if attempt == 0:
            desk.run.fallback("retry", reason="tool_error")


def _look_up(desk: Desk, order: str, attempt: int) -> bool:
    with desk.run.tool("order_lookup", input_ref=desk.put(order.encode())) as step:
        desk.clock.advance(25_000)
        if "tool_down" in desk.twist:
            step.set(status="error", error_type="ConnectionTimeout", retry_count=attempt)
            return False
        record, confidence = _record(desk, order)
        ref = desk.put(work.as_json(record))
        desk.texts[ref] = f"Total amount: {record['total']}"
        step.set(raw_output_ref=ref, confidence=confidence)
        _compare(desk, "$.total", "Total amount", ref)
    return True


def _record(desk: Desk, order: str) -> tuple[Mapping[str, str], float]:
    right, other = desk.case.records
    record = other if "wrong_record" in desk.twist else right
    same = sum(a == b for a, b in zip(record["order"], order, strict=False))
    return record, round(same / len(order), 3)


def _compare(desk: Desk, path: str, label: str, ref: str) -> None:
    said = work.stated(label, desk.texts[ref])
    ours = next((value for chunk in desk.chunks if (value := work.stated(label, chunk.text))), None)
    if said is not None and ours is not None and said != ours:
        desk.rivals.setdefault(path, []).append(ref)


def find_context(desk: Desk) -> Turns:
    """Search once a field; an invoice is short enough to be shown whole."""
    if desk.case.workflow == "invoice":
        desk.context = list(desk.chunks)
        return
    seen: dict[str, work.Chunk] = {}
    for path, label in desk.labels.items():
        with desk.run.retrieve(f"find {path[2:]}", input_ref=desk.index_ref) as step:
            twist = desk.twist if path == desk.target else desk.twist - {"cut_context", "stale_index"}
            hits = work.search(label, desk.chunks, twist)
            desk.clock.advance(12_000)
            say_hits(step, path, hits)
        seen |= {chunk.ref: chunk for chunk in hits.shown}
        yield
    desk.context = list(seen.values())
