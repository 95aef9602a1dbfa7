"""What goes wrong at the digest desk."""

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
        "scanner_skips_pages",
        "parse",
        "pages",
        "parser|ocr",
        "A page with a resolution is not read: fewer pages out than in.",
    ),
    _fault(
        "ocr_garbles",
        "parse",
        "pages",
        "parser|ocr",
        "The scan is read badly, with low quality; its resolutions are not recognised.",
    ),
    _fault(
        "page_numbers_shifted",
        "parse",
        "pages",
        "parser|ocr",
        "The parser counts the cover; every citation is a page off.",
    ),
    _fault("amounts_masked", "mask", "names", "mask|MONEY", "Masking takes amounts out; the digest is of [MASKED]."),
    _fault(
        "kind_mistaken", "classify", "kind", "classif", "Minutes are taken for something else, unsurely; no digest."
    ),
    _fault(
        "kind_release",
        "classify",
        "kind",
        "classif|3",
        "Classifier release 3 takes minutes for something else, surely.",
        regression=True,
    ),
    _fault(
        "long_one_sent_single",
        "route",
        "size",
        "route|branch",
        "Decided for map-reduce, entered the single pass, which reads four pages.",
    ),
    _fault(
        "chunker_cuts_sentences",
        "custom",
        "chunk",
        "chunker|split",
        "Chunker sentence-2 cuts resolutions before their amount.",
        regression=True,
    ),
    _fault(
        "last_chunk_dropped",
        "custom",
        "chunk",
        "chunker|split",
        "An off-by-one drops the chunk with the last resolution.",
    ),
    _fault(
        "map_prompt_empty",
        "prompt model_call",
        "map",
        "digest-map|prompt",
        "The pages' variable is empty in the map prompt.",
    ),
    _fault(
        "map_prompt_release",
        "prompt model_call",
        "map",
        "digest-map|prompt",
        "Release 12 of the map prompt asks for the most important only.",
        regression=True,
    ),
    _fault(
        "map_cut_short", "model_call", "map", "max_tokens|length|digest-map", "Notes end in the middle: too few tokens."
    ),
    _fault(
        "map_refuses", "model_call", "map", "refus|model|haiku", "The small model refuses to read confidential minutes."
    ),
    _fault(
        "window_exceeded",
        "model_call custom",
        "map",
        "chunk|window|context|haiku",
        "Chunks exceed the window of the model; the error of each is swallowed.",
    ),
    _fault(
        "model_snapshot_moved",
        "model_call",
        "map",
        "model|haiku|fingerprint|snapshot",
        "A newer snapshot rounds amounts up.",
        regression=True,
    ),
    _fault(
        "merge_by_amount_only",
        "custom",
        "merge",
        "merge|dedup",
        "Merging takes resolutions for doubles and keeps one of them.",
    ),
    _fault("reranker_keeps_one", "rerank custom", "importance", "rerank", "The reranker passes one note of many on."),
    _fault(
        "notes_not_passed",
        "prompt",
        "reduce prompt",
        "digest-reduce|notes|prompt",
        "Notes exist and are not in the reduce prompt.",
    ),
    _fault(
        "reduce_cut_short",
        "model_call",
        "reduce",
        "max_tokens|length|digest-reduce",
        "The digest ends in the middle, three times.",
    ),
    _fault(
        "reduce_overloaded",
        "model_call fallback",
        "reduce",
        "overload|sonnet|simpler_model|fallback",
        "The large model has no capacity; the small one writes an empty digest.",
    ),
    _fault(
        "reducer_invents_pages",
        "model_call",
        "reduce",
        "digest-reduce|sonnet|model",
        "The model cites a page that does not exist, each time.",
    ),
    _fault(
        "citations_not_validated", "validate", "citations", "validat", "Nobody checks the citations; a slip is mailed."
    ),
    _fault(
        "validator_wants_old_schema",
        "validate",
        "citations",
        "validat|schema|digest-3",
        "The validator wants a field that was renamed; it rejects all.",
    ),
    _fault(
        "judge_breaks",
        "eval",
        "faithfulness",
        "judge|eval",
        "The judge's answer cannot be read; the digest is handed over for nothing.",
    ),
    _fault("archive_refuses", "tool", "archive", "archive", "The archive refuses the digest, and the run ends failed."),
    _fault(
        "slow_provider",
        "model_call",
        "map",
        "haiku|provider|latency|model",
        "Each map call takes forty times as long.",
        regression=True,
    ),
    _fault(
        "price_of_large_model",
        "model_call",
        "map",
        "haiku|price|cost|model",
        "Map calls are billed at thirty times the price.",
        regression=True,
    ),
)
