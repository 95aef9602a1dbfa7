"""The closed words of the contract; on the wire they are plain strings, so that a new one breaks no reader (ADR 2)."""

from enum import StrEnum

RELEASE_LABEL = "release"
"""The label of a run that names the release of the application it ran in."""
SKEW_LABEL = "clock.skew_s"
"""The label of a run whose events were told by clocks that disagree: by how many seconds, below zero for one behind."""
FOREIGN_LABEL = "foreign.events"
"""The label of a run of which events name another project or workflow: how many were set aside."""
CLAIMS_LABEL = "foreign.decisions"
"""The label of a run about which reviews or evals came by the events topic: how many were set aside."""
SCOPE_LABEL = "otel.scope"
"""The label of a run that came from another's instrumentation: the scope of its root span."""
EVAL_CASE_LABEL = "eval.case"
"""The label of a run that an eval gate asked for: the case it answers. Such runs are not what people asked."""


class EventType(StrEnum):
    """What an event says."""

    RUN_STARTED = "run_started"
    STEP_STARTED = "step_started"
    STEP_FINISHED = "step_finished"
    EVIDENCE_CHECKED = "evidence_checked"
    FALLBACK_TAKEN = "fallback_taken"
    REVIEW_RECORDED = "review_recorded"
    EVAL_RECORDED = "eval_recorded"
    EVALUATION_RECORDED = "evaluation_recorded"
    RUN_FINISHED = "run_finished"


class StepKind(StrEnum):
    """Which boundary of a workflow a step is, in the order in which causes flow."""

    INPUT = "input"
    PARSE = "parse"
    MASK = "mask"
    CLASSIFY = "classify"
    ROUTE = "route"
    AGENT = "agent"
    WORKFLOW = "workflow"
    CHAIN = "chain"
    EMBEDDING = "embedding"
    RETRIEVE = "retrieve"
    RERANKER = "reranker"
    PROMPT = "prompt"
    MODEL_CALL = "model_call"
    TOOL = "tool"
    GUARDRAIL = "guardrail"
    VALIDATE = "validate"
    EVIDENCE = "evidence"
    FALLBACK = "fallback"
    REVIEW = "review"
    EVAL = "eval"
    OUTPUT = "output"
    CUSTOM = "custom"

    @classmethod
    def of(cls, word: str) -> "StepKind":
        """The kind of a stored word; one that a newer producer knows and we do not is a custom step."""
        return next((kind for kind in cls if kind == word), cls.CUSTOM)


class WorkflowSource(StrEnum):
    """Who names a run's workflow where nobody says it outright, the strongest first."""

    AGENT = "agent"  # the topmost agent's name
    SERVICE = "service"  # the service's
    SPAN = "span"  # that of the span itself


class Status(StrEnum):
    """How a step ended."""

    OK = "ok"
    ERROR = "error"
    SKIPPED = "skipped"


class FallbackKind(StrEnum):
    """What a workflow did in place of what it meant to do."""

    RETRY = "retry"
    NARROWER_SCOPE = "narrower_scope"
    SIMPLER_MODEL = "simpler_model"
    STRONGER_MODEL = "stronger_model"
    OTHER_MODEL = "other_model"  # neither said to be simpler nor stronger
    HUMAN_REVIEW = "human_review"
    PARTIAL_ANSWER = "partial_answer"
    SAFE_MESSAGE = "safe_message"
    STOP = "stop"


class ReviewOutcome(StrEnum):
    """What a reviewer decided."""

    APPROVED = "approved"
    OVERRIDDEN = "overridden"
    REJECTED = "rejected"
    ESCALATED = "escalated"


class EvalOutcome(StrEnum):
    """How an eval case went."""

    PASSED = "passed"
    FAILED = "failed"
    STALE = "stale"
    ERRORED = "errored"


class FinalState(StrEnum):
    """How a run ended, as its workflow sees it."""

    ANSWERED = "answered"
    PARTIAL = "partial"
    STOPPED = "stopped"
    FAILED = "failed"
    HANDED_OVER = "handed_over"


class Verdict(StrEnum):
    """What the assembler knows of a run's record."""

    COMPLETE = "complete"  # every event that its emitter sent is in
    PARTIAL = "partial"  # something is missing, and it is named
    UNFINISHED = "unfinished"  # its end never came


class CloseReason(StrEnum):
    """Why the assembler closed a run when it did."""

    FINISHED = "finished"  # end seen, every expected event in
    GRACE = "grace"  # end seen, the missing did not come in time
    IDLE = "idle"  # no event for the idle timeout
    MAX_OPEN = "max_open"  # open for as long as a run may be
    OVERFLOW = "overflow"  # more events than a run, or the worker, may hold


class GapKind(StrEnum):
    """How evidence falls short."""

    MISSING_CITATION = "missing_citation"
    WEAK_PROVENANCE = "weak_provenance"
    UNSUPPORTED_FIELD = "unsupported_field"
    SOURCE_CONFLICT = "source_conflict"


class SideStanding(StrEnum):
    """Why one side of a conflict between sources stands, or does not."""

    FIRST = "first"  # the policy's authority ranks it before all others
    OUTRANKED = "outranked"
    TIED = "tied"  # another side of the same rank disagrees, and nothing is settled
    UNRANKED = "unranked"  # the authority says nothing of its kind of source


class NextStep(StrEnum):
    """What a policy wants done about a gap."""

    SEARCH = "search"
    RETRY = "retry"
    PARTIAL_OUTPUT = "partial_output"
    REVIEW = "review"
    APPLY_AUTHORITY = "apply_authority"
    ESCALATE = "escalate"
    SAFE_STOP = "safe_stop"


GOOD_LABELS = frozenset(
    {"pass", "passed", "true", "correct", "relevant", "grounded", "factual", "yes", "good", "safe", "faithful", "ok"}
)
BAD_LABELS = frozenset(
    {
        "fail", "failed", "false", "incorrect", "irrelevant", "ungrounded", "hallucinated", "no", "bad", "unsafe",
        "unfaithful", "off_topic", "toxic",
    }
)  # fmt: skip
"""Words that evaluators judge by; of other words, and of a score alone, nobody but the evaluator knows the meaning."""


def is_bad(label: str | None) -> bool | None:
    """Whether an evaluation's label is a bad verdict; None where it says neither."""
    word = (label or "").lower()
    return True if word in BAD_LABELS else False if word in GOOD_LABELS else None
