"""Which runs are asked for, and what that is in SQL: values travel as parameters, never as text."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from causeline.schemas.errors import MalformedId, UsageError
from causeline.schemas.vocabulary import EVAL_CASE_LABEL

NOT_OF_A_GATE = f"labels['{EVAL_CASE_LABEL}'] = ''"
"""Of `runs`: those of people. What an eval gate asked says nothing of what people asked."""

_ID_TEXT = re.compile(r"[0-9a-f]{1,32}", re.ASCII)
MAX_LIMIT = 100_000


class Order(StrEnum):
    """Which runs come first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    SLOWEST = "slowest"
    COSTLIEST = "costliest"


_ORDER_BY: Mapping[Order, str] = {
    Order.NEWEST: "started_at DESC, run_id DESC",
    Order.OLDEST: "started_at, run_id",
    Order.SLOWEST: "duration_us DESC, run_id DESC",
    Order.COSTLIEST: "cost_usd DESC NULLS LAST, run_id DESC",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition over the `runs` view, with its parameters by name."""

    sql: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs; what is empty does not restrict. Several values of one field are alternatives.

    Times are microseconds since the epoch, UTC: `since` belongs to the span, `until` does not.
    """

    id_text: str | None = None
    """Part of the run id, dashes and case forgiven."""
    projects: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """Asked for or answering, in any of the run's calls."""
    sessions: tuple[str, ...] = ()
    user_hashes: tuple[str, ...] = ()
    prompt_versions: tuple[str, ...] = ()
    since_us: int | None = None
    until_us: int | None = None
    has_gap: bool = False
    gap_kinds: tuple[str, ...] = ()
    has_fallback: bool = False
    fallback_kinds: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def condition(self, *, of_order: bool = False) -> Condition:
        """The filter as SQL and parameters, over the view `runs`, or over `run_order` (same values, fewer columns).

        Raises MalformedId for an id that could not be part of one.
        """
        terms = [
            *self._of_id(),
            *self._of_values(),
            *self._of_models(),
            *(self._of_listed() if of_order else self._of_arrays()),
            *self._of_time(),
            *self._of_findings(),
            *self._of_labels(),
        ]
        parameters = {name: value for term in terms for name, value in term.parameters.items()}
        return Condition(" AND ".join(term.sql for term in terms) or "1", parameters)

    def _of_id(self) -> Iterator[Condition]:
        if self.id_text is not None:
            yield Condition("position(run_id, {id_text:String}) > 0", {"id_text": id_text(self.id_text)})

    def _of_values(self) -> Iterator[Condition]:
        for name, values in self._alternatives().items():
            if values:
                yield Condition(f"has({{{name}:Array(String)}}, ifNull({name}, ''))", {name: list(values)})

    def _of_models(self) -> Iterator[Condition]:
        if self.models:
            yield Condition("hasAny(model_names, {models:Array(String)})", {"models": list(self.models)})

    def _of_listed(self) -> Iterator[Condition]:
        if self.has_fallback:
            yield Condition("notEmpty(fallback_kinds)", {})
        if self.fallback_kinds:
            sql = "hasAny(fallback_kinds, {fallback_kinds:Array(String)})"
            yield Condition(sql, {"fallback_kinds": list(self.fallback_kinds)})

    def _of_arrays(self) -> Iterator[Condition]:
        if self.has_fallback:
            yield Condition("notEmpty(fallbacks)", {})
        if self.fallback_kinds:
            kinds = list(self.fallback_kinds)
            sql = "arrayExists(each -> has({fallback_kinds:Array(String)}, ifNull(each.kind, '')), fallbacks)"
            yield Condition(sql, {"fallback_kinds": kinds})

    def _of_time(self) -> Iterator[Condition]:
        for name, sign, moment in (("since", ">=", self.since_us), ("until", "<", self.until_us)):
            if moment is not None:
                yield Condition(f"started_at {sign} fromUnixTimestamp64Micro({{{name}:Int64}}, 'UTC')", {name: moment})

    def _of_findings(self) -> Iterator[Condition]:
        if self.has_gap:
            yield Condition("notEmpty(gap_kinds)", {})
        if self.gap_kinds:
            yield Condition("hasAny(gap_kinds, {gap_kinds:Array(String)})", {"gap_kinds": list(self.gap_kinds)})

    def _of_labels(self) -> Iterator[Condition]:
        for number, (key, value) in enumerate(sorted(self.labels.items())):
            sql = f"labels[{{label_key_{number}:String}}] = {{label_value_{number}:String}}"
            yield Condition(sql, {f"label_key_{number}": key, f"label_value_{number}": value})

    def _alternatives(self) -> Mapping[str, tuple[str, ...]]:
        return {
            "project": self.projects,
            "workflow": self.workflows,
            "final_state": self.states,
            "verdict": self.verdicts,
            "status": self.statuses,
            "route": self.routes,
            "session_id": self.sessions,
            "user_hash": self.user_hashes,
            "prompt_version": self.prompt_versions,
        }


def order_by(order: Order) -> str:
    """The ORDER BY of an order; the same runs always come in the same order."""
    return _ORDER_BY[order]


def checked_limit(limit: int) -> int:
    """`limit`, if a list may be so long; raises UsageError."""
    if not 1 <= limit <= MAX_LIMIT:
        raise UsageError(f"The limit is 1 to {MAX_LIMIT}, not {limit}.", hint="For more, ask by `causeline sql`.")
    return limit


def id_text(text: str) -> str:
    """Part of a run id in the form that ids are stored in; raises MalformedId."""
    candidate = text.strip().replace("-", "").lower()
    if not _ID_TEXT.fullmatch(candidate):
        raise MalformedId(
            f"{text[:40]!r} is no part of a run id.", hint="A run id is 32 hex digits; `causeline runs` lists some."
        )
    return candidate
