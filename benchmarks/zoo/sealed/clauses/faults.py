"""What goes wrong at the clause desk."""

from benchmarks.zoo.protocol import Fault


def _fault(name: str, layers: str, step: str, things: str, footprint: str, *, regression: bool = False) -> Fault:
    return Fault(
        name=name,
        layers=tuple(layers.split()),
        step=step,
        things=(step, *things.split("|")),
        footprint=footprint,
        regression=regression,
    )


FAULTS = (
    _fault(
        "page_not_read",
        "parse",
        "pdf",
        "parser|layout",
        "The page with the liability cap is not read: fewer pages out than in.",
    ),
    _fault(
        "columns_interleaved",
        "parse",
        "pdf",
        "parser|layout",
        "Layout-5 mixes columns; its own quality is low, clauses are not recognised.",
    ),
    _fault("money_masked", "mask", "pii", "MONEY|mask", "Amounts are masked, so the cap is never seen by the model."),
    _fault("countries_masked", "mask", "pii", "LOCATION|mask", "Countries are masked, so the law is [LOCATION]."),
    _fault(
        "kind_guessed",
        "classify",
        "contract kind",
        "classif",
        "Taken for an NDA, unsurely; most fields are never asked.",
    ),
    _fault(
        "classifier_release",
        "classify",
        "contract kind",
        "classif|12",
        "Classifier release 12 takes every contract for an NDA, surely.",
        regression=True,
    ),
    _fault(
        "other_playbook", "route", "playbook", "route|branch", "The decided playbook is not the one that is opened."
    ),
    _fault(
        "retriever_floor_too_high",
        "retrieve",
        "passages",
        "retriev|floor|threshold",
        "Only near-perfect matches pass; most fields have no passage.",
    ),
    _fault(
        "query_of_other_field",
        "retrieve",
        "passages",
        "retriev|query|notice_days",
        "The notice period is searched with the query of the payment term.",
    ),
    _fault(
        "chunks_too_small",
        "retrieve parse custom",
        "passages",
        "chunk|retriev|index",
        "The index's new release cuts clauses into pieces without their figures.",
        regression=True,
    ),
    _fault(
        "index_of_draft",
        "retrieve",
        "passages",
        "index|stale|retriev",
        "The index still has the draft of the contract; figures differ.",
        regression=True,
    ),
    _fault(
        "prompt_forgets_field",
        "prompt",
        "extract prompt",
        "clause-extract|payment_days|prompt",
        "The prompt does not ask for the payment term.",
    ),
    _fault(
        "passage_not_passed",
        "prompt",
        "extract prompt",
        "clause-extract|term_months|prompt|passage",
        "The passage of the term is found and not passed on.",
    ),
    _fault(
        "fields_variable_empty",
        "prompt",
        "extract prompt",
        "clause-extract|prompt|fields",
        "The list of fields is empty in the rendered prompt.",
    ),
    _fault(
        "prompt_release",
        "prompt model_call",
        "extract prompt",
        "clause-extract|prompt|41",
        "Prompt release 41 asks for three fields only.",
        regression=True,
    ),
    _fault(
        "whole_contract_in_prompt",
        "prompt model_call",
        "extract prompt",
        "clause-extract|prompt|token|cost|extract",
        "The prompt brings the whole contract many times: the bill is many times what it was.",
        regression=True,
    ),
    _fault(
        "answer_cut_short",
        "model_call",
        "extract",
        "max_tokens|length|lex-small",
        "The JSON ends in the middle, each time.",
    ),
    _fault(
        "model_refuses", "model_call", "extract", "refus|lex-small|model", "The model refuses to give legal advice."
    ),
    _fault(
        "model_times_out",
        "model_call",
        "extract",
        "timeout|lex-small|provider|model",
        "The provider does not answer; the run fails after its tries.",
    ),
    _fault(
        "model_exchanged",
        "model_call",
        "extract",
        "model|lex-small|fingerprint",
        "The new model (fingerprint) gives the term in years.",
        regression=True,
    ),
    _fault(
        "model_invents",
        "model_call",
        "extract",
        "model|lex-small|clause-extract|notice_days",
        "The model gives a usual notice period instead of the contract's.",
    ),
    _fault(
        "strict_mode_off",
        "model_call validate",
        "extract",
        "model|json|shape|lex-small|clause-extract",
        "The model wraps its JSON in prose, always; validation rejects it until the end.",
    ),
    _fault(
        "type_not_validated",
        "validate",
        "shape",
        "validat|notice_days",
        "Nothing is checked, and words stand where a number should.",
    ),
    _fault(
        "schema_moved",
        "validate",
        "shape",
        "schema|clauses-8|validat",
        "Schema clauses-8 wants a field that nobody asks for: everything is rejected.",
    ),
    _fault("comma_as_decimal", "custom", "normalise", "normalis", "Thousands are cut off at the comma."),
    _fault(
        "correction_lost",
        "review output tool",
        "record",
        "correction|override|review|register",
        "The reviewer's correction never comes to the register.",
    ),
    _fault("register_rejects", "tool", "register", "register", "The register refuses the record, and the run fails."),
    _fault(
        "register_error_swallowed",
        "tool",
        "register",
        "register",
        "The register answers with an error that nobody reads.",
    ),
    _fault(
        "slow_model",
        "model_call",
        "extract",
        "lex-small|provider|latency|model",
        "Each extraction takes a hundred times as long.",
        regression=True,
    ),
)
