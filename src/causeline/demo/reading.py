"""The first steps of a run: parse each document, mask it, and decide of which kind the papers are."""

from causeline.demo import work
from causeline.demo.cases import FIELDS, ROUTES
from causeline.demo.desk import Desk, Turns
from causeline.demo.documents import Source
from causeline.schemas import measures


def read(desk: Desk) -> Turns:
    """Parse and mask every document; what is left of them is what later steps can find and cite."""
    for source in desk.case.sources:
        text, ref = _parse(desk, source)
        yield
        _mask(desk, source, text, ref)
        yield
    desk.texts = {chunk.ref: chunk.text for chunk in desk.chunks}


def _parse(desk: Desk, source: Source) -> tuple[str, str]:
    wanted = next(field.labels[""] for field in FIELDS[desk.case.workflow] if field.path == desk.target)
    ref = desk.put(source.text.encode())
    with desk.run.parse(source.kind, input_ref=ref, **desk.version(parser_version="layout-3.2")) as step:
        parsed = work.parse(source.text, wanted, desk.twist)
        desk.clock.advance(40_000 + 9_000 * len(parsed.pages))
        parsed_ref = desk.put(parsed.text.encode())
        step.set(parsed_artifact_ref=parsed_ref)
        step.label(
            {
                measures.PARSE_QUALITY: round(parsed.quality, 3),
                measures.PARSE_PAGES: parsed.pages_in_input,
                measures.PARSE_PAGES_READ: len(parsed.pages),
            }
        )
    return parsed.text, parsed_ref


def _mask(desk: Desk, source: Source, text: str, ref: str) -> None:
    with desk.run.mask(source.kind, input_ref=ref) as step:
        masked, places = work.mask(text, desk.twist)
        desk.clock.advance(6_000)
        masked_ref = desk.put(masked.encode())
        step.set(parsed_artifact_ref=masked_ref, raw_output_ref=desk.put(work.as_json(places)))
        step.label({f"{measures.MASKED}{kind}": len(found) for kind, found in places.items()})
    desk.chunks += work.chunks_of(masked_ref, source.kind, masked)


def decide_route(desk: Desk) -> None:
    """Decide by the masked text, and enter the branch; it says which fields the papers have."""
    workflow, persona = desk.case.workflow, desk.behaviour.persona
    text = "\n".join(chunk.text for chunk in desk.chunks)
    with desk.run.route("kind", input_ref=desk.index_ref) as step:
        decided = work.route(workflow, text, desk.twist, late_weight=persona.late_weight, doubt=persona.doubt)
        desk.clock.advance(90_000)
        desk.route = decided.route
        if "branch_ignored" in desk.twist:
            desk.route = next(name for name in sorted(ROUTES[workflow]) if name != decided.route)
        step.set(
            route=decided.route,
            route_reason=decided.reason,
            route_confidence=round(decided.confidence, 3),
            model_provider=persona.provider,
            model_name=persona.name,
            **desk.version(route_policy_version="rules-12", system_fingerprint=persona.fingerprint),
        )
        step.label({measures.BRANCH_TAKEN: desk.route})
    desk.labels = {f.path: label for f in FIELDS[workflow] if (label := f.label(desk.route)) is not None}
