"""How the analyst is set up; a fault is another setting of one of its parts."""

from dataclasses import dataclass, replace

from benchmarks.zoo.open.kit.faults import fault
from benchmarks.zoo.protocol import Fault


@dataclass(frozen=True, slots=True)
class Knobs:
    """One set-up."""

    want: str = ""
    """What questions come in, where a part is used by some only."""
    schema_index: str = "schema-41"
    schema_limit: int = 5
    glossary: str = "controlling"
    recalled: str = "own"
    guard: str = r"\b(salary|salaries|employees?)\b"
    rules: str = "rules-7"
    branch: str = ""
    plan_prompt: str = "12"
    sql_model: str = "sparrow-2"
    fingerprint: str = "fp_5c1"
    slip: float = 0.05
    forget: float = 0.0
    sql_tokens: int = 400
    check: bool = True
    replica: str = "2025-12-31"
    fetch: int = 200
    patience: int = 400
    """Thousands of SQLite's steps that a query may take."""
    control: str = "2025-01"
    """The first month that the control query may look at."""
    answer_rows: int = 200
    answer_prompt: str = "5"
    thousands: bool = False


BASE = Knobs()
_SET: tuple[tuple[Fault, Knobs], ...] = (
    (
        fault(
            "old_schema_index",
            "retrieve",
            "schema search",
            "schema search, schema index, schema-42, schema-41",
            "The schema index of the new release was built from a dump of before the last migration: its "
            "passages lack columns, so more SQL is written over columns that are nowhere, and repaired or given "
            "up, since schema-42.",
            regression=True,
        ),
        replace(BASE, schema_index="schema-42"),
    ),
    (
        fault(
            "one_table_shown",
            "retrieve",
            "schema search",
            "schema search, retrieve.shown, limit",
            "Of the tables that match, one is shown; SQL over a second table names a column that is not where "
            "it is looked for.",
        ),
        replace(BASE, schema_limit=1, want="joined"),
    ),
    (
        fault(
            "glossary_of_payroll",
            "retrieve",
            "glossary search",
            "glossary search, glossary, payroll, measures",
            "The search for the measure's definition goes to another department's glossary and finds nothing; "
            "the plan makes up a definition, and the figure that comes out is another than the controllers'.",
        ),
        replace(BASE, glossary="payroll"),
    ),
    (
        fault(
            "other_conversation",
            "custom memory context retrieve",
            "recall conversation",
            "recall conversation, conversation, memory, session",
            "A follow-up is read with the question of another session: the recalled turn is not this session's, "
            "and the answer is about another measure.",
        ),
        replace(BASE, recalled="other", want="follow"),
    ),
    (
        fault(
            "plan_prompt_13",
            "prompt model_call",
            "plan prompt",
            "plan prompt, prompt_id plan, plan:13, prompt version 13",
            "The plan's prompt no longer says to mind the months; since version 13 plans are of the whole year, "
            "and controllers override answers more often.",
            regression=True,
        ),
        replace(BASE, plan_prompt="13"),
    ),
    (
        fault(
            "sql_model_2_1",
            "model_call",
            "write sql",
            "sparrow-2.1, sparrow-2, write sql, fp_77e",
            "Another release of the model writes more names of columns that do not exist, so there are more "
            "checks that fail and more second tries, and more conditions that are left out.",
            regression=True,
        ),
        replace(BASE, sql_model="sparrow-2.1", fingerprint="fp_77e", slip=0.55, forget=0.35),
    ),
    (
        fault(
            "sql_cut",
            "model_call prompt",
            "write sql",
            "max_tokens, write sql, output limit, length",
            "The limit of output tokens is too low for a query: it ends in the middle (length), the check finds "
            "its syntax wrong, and every other try is the same.",
        ),
        replace(BASE, sql_tokens=40),
    ),
    (
        fault(
            "which_is_total",
            "route classify",
            "kind of question",
            "kind of question, rules-8, route rules, route_policy_version",
            "A new rule takes every question with `which` or `rank` for a total, by a slim margin; the answer "
            "is one number where a list was asked for.",
        ),
        replace(BASE, rules="rules-8", want="ranking"),
    ),
    (
        fault(
            "trend_entered_total",
            "route",
            "kind of question",
            "kind of question, branch, route.taken, dispatch",
            "The question is decided to be a trend, and the branch that is entered is that of totals.",
        ),
        replace(BASE, branch="total", want="trend"),
    ),
    (
        fault(
            "guard_on_sales",
            "guardrail custom",
            "access guard",
            "access guard, guard, pattern, guardrail",
            "The guard's pattern for salaries has lost its ending and matches the names of usual measures: "
            "allowed questions are turned away before anything else is done.",
        ),
        replace(BASE, guard="(sal|reven|order|units|custom|refund|conver)"),
    ),
    (
        fault(
            "replica_stands_still",
            "tool",
            "run sql",
            "run sql, replica, warehouse, data freshness",
            "Queries run on a replica that is not fed since July: those of later months find no rows, and say "
            "so without an error; the control query, on the primary, finds some.",
        ),
        replace(BASE, replica="2025-07-15", want="late"),
    ),
    (
        fault(
            "rows_cut",
            "tool",
            "run sql",
            "run sql, fetch, row limit, sql.rows",
            "The driver gives the first row only, without a word: a list of one, whose sum is not the control query's.",
        ),
        replace(BASE, fetch=1, want="ranking"),
    ),
    (
        fault(
            "no_patience",
            "tool",
            "run sql",
            "run sql, timeout, query budget, patience",
            "The warehouse interrupts each query that takes more than a moment: the tool fails, is tried again "
            "and fails again.",
        ),
        replace(BASE, patience=1, want="joined"),
    ),
    (
        fault(
            "check_skipped",
            "validate",
            "check sql",
            "check sql, validation, sql check",
            "The check of SQL looks at nothing; a query over a column that is nowhere is first turned down by "
            "the warehouse.",
        ),
        replace(BASE, check=False, slip=0.9),
    ),
    (
        fault(
            "control_of_other_months",
            "validate",
            "check result",
            "check result, control query, reconcile",
            "The control query that a result is held against starts in another month than the result: right "
            "results are turned down, try after try.",
        ),
        replace(BASE, control="2026-01"),
    ),
    (
        fault(
            "one_row_in_prompt",
            "prompt",
            "answer prompt",
            "answer prompt, prompt_id answer, answer:5, rows",
            "The template of the answer's prompt writes the first row of the result only; the model tells what "
            "it sees, and the evidence covers a part of the rows.",
        ),
        replace(BASE, answer_rows=1, want="trend"),
    ),
    (
        fault(
            "said_in_thousands",
            "model_call",
            "tell answer",
            "tell answer, sparrow-2, model",
            "The model tells the figures in thousands: numbers of the answer stand in no row, and their support "
            "is low.",
        ),
        replace(BASE, thousands=True),
    ),
)
FAULTS = tuple(each for each, _ in _SET)


def knobs_of(planted: Fault | None) -> Knobs:
    """The set-up of a run."""
    return next((knobs for each, knobs in _SET if planted is not None and each.name == planted.name), BASE)
