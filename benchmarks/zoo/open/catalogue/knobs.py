"""How the enrichment is set up; a fault is another setting of one of its parts."""

from dataclasses import dataclass, replace

from benchmarks.zoo.open.kit.faults import fault
from benchmarks.zoo.protocol import Fault


@dataclass(frozen=True, slots=True)
class Knobs:
    """One set-up."""

    want: str = ""
    delimiter: str = ""
    """What every file is read with; without one it is found out."""
    encoding: str = "utf-8"
    stops_at_gap: bool = False
    embedder: str = "finch-embed-3"
    same_from: float = 0.88
    """How near an article of the shop must be to be the same."""
    taxonomy: str = "taxonomy-11"
    attr_prompt: str = "21"
    model: str = "finch-m"
    fingerprint: str = "fp_311"
    drops_commas: bool = False
    prose: float = 0.03
    """How often the model wraps its JSON in words."""
    shown: str = "own"
    schema: str = "field-7"
    factors: str = "2025"
    ruled: bool = True
    swapped: bool = False
    router: str = "gate-4"
    entered: str = ""
    outage: float = 0.02


BASE = Knobs()
_SET: tuple[tuple[Fault, Knobs], ...] = (
    (
        fault(
            "one_delimiter_for_all",
            "parse",
            "read feed",
            "read feed, delimiter, feed-5, parser",
            "The reader takes every file for one with commas: rows of the supplier with semicolons have one "
            "column, so few of them are read and the reader believes little in what it has.",
        ),
        replace(BASE, delimiter=",", want="semicolons"),
    ),
    (
        fault(
            "read_as_latin",
            "parse",
            "read feed",
            "read feed, encoding, utf-8, feed-5",
            "Files are read in the wrong encoding: all rows come out, names of brands are broken, and the "
            "titles are turned down by the rules for titles.",
        ),
        replace(BASE, encoding="latin-1", want="accents"),
    ),
    (
        fault(
            "stops_at_a_blank_row",
            "parse",
            "read feed",
            "read feed, blank row, feed-5, parse.pages_read",
            "The reader takes a blank row for the end of the file: of the rows there are, some are read.",
        ),
        replace(BASE, stops_at_gap=True, want="gap"),
    ),
    (
        fault(
            "embedder_4_on_index_3",
            "embed embedding retrieve",
            "embed title",
            "embed title, finch-embed-4, finch-embed-3, index",
            "Titles are embedded by a new release while the index holds vectors of the old one: nothing is near "
            "any more, what the shop has already is taken for new, and the shop's API answers with conflicts.",
            regression=True,
        ),
        replace(BASE, embedder="finch-embed-4", want="known"),
    ),
    (
        fault(
            "same_too_soon",
            "custom",
            "dedupe",
            "dedupe, threshold, dedupe.same_from",
            "The threshold above which two articles are the same is far too low: most articles end as copies of "
            "others at a low score, and are never enriched.",
        ),
        replace(BASE, same_from=0.3),
    ),
    (
        fault(
            "taxonomy_12",
            "classify",
            "taxonomy",
            "taxonomy-12, taxonomy-11, taxonomy, classifier",
            "The retrained classifier takes kettles for lamps and backpacks for hoses, and is as sure as ever: "
            "fields are asked for that the article does not have, more values are missing, more goes to people, "
            "and they override.",
            regression=True,
        ),
        replace(BASE, taxonomy="taxonomy-12"),
    ),
    (
        fault(
            "rules_switched_off",
            "validate",
            "business rules",
            "business rules, rules-9, validation",
            "The business rules look at nothing: articles that are sold below their cost are published as if "
            "they were fine, and auditors reject them.",
        ),
        replace(BASE, ruled=False, want="odd"),
    ),
    (
        fault(
            "attr_prompt_22",
            "prompt model_call",
            "field prompt",
            "field prompt, prompt_id field, field:22, prompt version 22",
            "Version 22 of the field's prompt does not ask for the unit beside the value: grams are taken for "
            "kilograms, so since then more values are out of range and more are overridden.",
            regression=True,
        ),
        replace(BASE, attr_prompt="22"),
    ),
    (
        fault(
            "model_reads_no_commas",
            "model_call",
            "extract field",
            "finch-m-0925, finch-m, extract field, fp_925",
            "The next release of the model reads 2,4 as 24: each run looks well or has a value out of range, "
            "and auditors override values of suppliers with commas since its fingerprint.",
            regression=True,
        ),
        replace(BASE, model="finch-m-0925", fingerprint="fp_925", drops_commas=True, want="semicolons"),
    ),
    (
        fault(
            "json_in_prose",
            "model_call prompt",
            "extract field",
            "extract field, structured output, json, finch-m",
            "The model is asked without its structured mode: it wraps JSON in a sentence, the check cannot read "
            "it, and nearly every field takes a second or third call.",
        ),
        replace(BASE, prose=0.75),
    ),
    (
        fault(
            "shown_another_row",
            "prompt",
            "field prompt",
            "field prompt, prompt_id field, row, context",
            "The template keeps the description of the row before: the model reads another article's text, so "
            "values are cited from a row that is not the article's.",
        ),
        replace(BASE, shown="before"),
    ),
    (
        fault(
            "schema_wants_whole_numbers",
            "validate",
            "check field",
            "check field, field-8, field-7, schema",
            "The schema of fields wants whole numbers: right decimals are turned down in each try, and their "
            "fields stay empty.",
        ),
        replace(BASE, schema="field-8"),
    ),
    (
        fault(
            "factors_upside_down",
            "tool",
            "to our units",
            "to our units, conversion, factors, unit table",
            "The table of units was loaded the wrong way round: grams are multiplied where they should be "
            "divided, and the rules find values that are out of range though the quotes are right.",
        ),
        replace(BASE, factors="inverse"),
    ),
    (
        fault(
            "cost_and_price_swapped",
            "validate",
            "business rules",
            "business rules, rules-9, margin, price",
            "The rule for the margin reads cost and price the wrong way round: it minds every article, and "
            "people approve what it sent them.",
        ),
        replace(BASE, swapped=True),
    ),
    (
        fault(
            "gate_looks_at_confidence_only",
            "route",
            "publish or review",
            "publish or review, gate-5, gate-4, route_policy_version",
            "The gate's new rules look at the confidence alone: articles with errors that stand are decided for "
            "publishing.",
        ),
        replace(BASE, router="gate-5", want="odd"),
    ),
    (
        fault(
            "publishes_what_it_held",
            "route",
            "publish or review",
            "publish or review, branch, route.taken, dispatch",
            "The gate decides for a person, and the branch that is entered publishes.",
        ),
        replace(BASE, entered="publish", want="odd"),
    ),
    (
        fault(
            "shop_does_not_answer",
            "tool",
            "put article",
            "put article, shop API, timeout, ShopTimeout",
            "The shop's API runs into its time limit most of the time: it is tried thrice, and articles are kept back.",
        ),
        replace(BASE, outage=0.85),
    ),
)
FAULTS = tuple(each for each, _ in _SET)


def knobs_of(planted: Fault | None) -> Knobs:
    """The set-up of a run."""
    return next((knobs for each, knobs in _SET if planted is not None and each.name == planted.name), BASE)
