"""The faults that can be planted: each changes what a step does, and none writes a symptom into an event.

The `footprint` says what the fault leaves in the record because the step really did its work that way. Nothing but this
package reads this list; what was planted in which run goes to the truth file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from causeline.schemas.vocabulary import StepKind

ALL = ("policy", "contract", "invoice")


@dataclass(frozen=True, slots=True)
class Fault:
    """One way for a step to go wrong. `needs` is what the documents must be like for it to show."""

    name: str
    layer: StepKind
    workflows: tuple[str, ...]
    footprint: str
    needs: str = ""


_CATALOGUE = (
    Fault("drop_page", StepKind.PARSE, ALL, "fewer pages read than the input has"),
    Fault("garbled_ocr", StepKind.PARSE, ALL, "low parse quality, labels that no longer match"),
    Fault("mask_money", StepKind.MASK, ALL, "amounts masked, the amount's evidence is missing"),
    Fault("mask_dates", StepKind.MASK, ("policy", "contract"), "dates masked, the date's evidence is missing"),
    Fault("wrong_rule", StepKind.ROUTE, ALL, "the special field is not found, the reviewer overrides the route"),
    Fault("forbidden_route", StepKind.ROUTE, ALL, "a route that the policy does not allow"),
    Fault("branch_ignored", StepKind.ROUTE, ALL, "another branch entered than decided for"),
    Fault("cut_context", StepKind.RETRIEVE, ("policy", "contract"), "fewer chunks shown than matched"),
    Fault("stale_index", StepKind.RETRIEVE, ("policy", "contract"), "nothing found, the reviewer has the value"),
    Fault("omits_field", StepKind.PROMPT, ALL, "the prompt does not ask for a required field"),
    Fault("drops_context", StepKind.PROMPT, ALL, "the model is asked without any source"),
    Fault("wrong_type", StepKind.MODEL_CALL, ALL, "validation errors that no retry mends"),
    Fault("hallucinates", StepKind.MODEL_CALL, ALL, "a value its source does not have, overridden"),
    Fault("cites_unseen", StepKind.MODEL_CALL, ("policy", "contract"), "a citation that was not in the context"),
    Fault("refuses", StepKind.MODEL_CALL, ALL, "a refusal"),
    Fault("provider_down", StepKind.MODEL_CALL, ALL, "calls that end in error, and the run with them"),
    Fault("misses_field", StepKind.MODEL_CALL, ALL, "no value although the context has it, overridden"),
    Fault("tool_down", StepKind.TOOL, ("invoice",), "a tool that ends in error"),
    Fault("wrong_record", StepKind.TOOL, ("invoice",), "a record found with little confidence, and a conflict"),
    Fault("validation_off", StepKind.VALIDATE, ALL, "validation skipped"),
    Fault("validation_lax", StepKind.VALIDATE, ALL, "a required field that is not looked at"),
    Fault("wrong_chunk_checked", StepKind.EVIDENCE, ALL, "a right value found unsupported, approved in review"),
    Fault("checks_beginning_only", StepKind.EVIDENCE, ALL, "a right value found unsupported, approved in review"),
    Fault("ignores_decision", StepKind.FALLBACK, ALL, "an answer in spite of a gap that asks for more", "absent"),
    Fault("gives_up", StepKind.FALLBACK, ALL, "another next step than the policy's", "absent"),
    Fault("correction_lost", StepKind.REVIEW, ALL, "an override without its reference", "misprint"),
    Fault("review_skipped", StepKind.REVIEW, ALL, "no review where the policy asks for one", "smudged"),
)
FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in _CATALOGUE})


def faults_of(workflow: str) -> tuple[Fault, ...]:
    """The faults that can be planted in a workflow."""
    return tuple(fault for fault in _CATALOGUE if workflow in fault.workflows)
