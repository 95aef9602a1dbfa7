"""Which layer a step belongs to that says of itself only that it is `custom` or part of a chain: by its name's words.

Foreign instrumentation and hurried teams have few kinds of step and speaking names: `chain:pii filter`.
"""

import re

from causeline.schemas.run import Step
from causeline.schemas.vocabulary import StepKind

_UNTOLD = frozenset({StepKind.CUSTOM, StepKind.CHAIN, StepKind.WORKFLOW})
_WORDS: tuple[tuple[StepKind, tuple[str, ...]], ...] = (
    (StepKind.GUARDRAIL, ("guard", "moderat", "safety", "jailbreak", "toxic", "profanity")),
    (StepKind.MASK, ("mask", "redact", "anonym", "pseudonym", "scrub", "pii", "dlp")),
    (StepKind.PROMPT, ("prompt", "template", "render")),
    (StepKind.RERANKER, ("rerank", "reorder")),
    (StepKind.EMBEDDING, ("embed", "vectori")),
    (StepKind.VALIDATE, ("valid", "verify", "verif", "lint", "check", "schema")),
    (StepKind.CLASSIFY, ("classif", "intent", "categor", "triage", "detect")),
    (StepKind.ROUTE, ("route", "router", "routing", "dispatch", "branch")),
    (StepKind.RETRIEVE, ("retriev", "search", "recall")),
    (StepKind.PARSE, ("parse", "parser", "parsing", "ocr", "transcri")),
    (StepKind.FALLBACK, ("fallback",)),
    (StepKind.REVIEW, ("review", "approv", "escalat")),
    (StepKind.EVAL, ("evaluat", "judge", "grade", "grader", "score", "scorer")),
)
_PARTS = re.compile(r"[a-z]+")
_SPLIT = re.compile(r"(?<=[a-z])(?=[A-Z])")


def layer_of(step: Step, *, around: bool = False) -> str:
    """The kind that a step says, else the one that its name speaks of; what has steps `around` it stays what it is."""
    if around or step.step_kind not in _UNTOLD:
        return step.step_kind
    words = _PARTS.findall(_SPLIT.sub(" ", step.step_name).lower())
    for kind, beginnings in _WORDS:
        if any(word.startswith(beginnings) for word in words):
            return kind
    return step.step_kind
