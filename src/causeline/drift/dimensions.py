"""What is watched: for each dimension, how a run's value of it is read from the view `runs`."""

import itertools
from collections.abc import Mapping
from types import MappingProxyType

from causeline.drift.counts import ANCHORS, NONE
from causeline.schemas.policy import Rules

OVERRIDE = "override"

_BY_COLUMN: Mapping[str, str] = MappingProxyType(
    {
        "route": "ifNull(route, {none})",
        "fallback": "if(fallback_taken IS NULL, {none}, concat(fallback_taken, ':', ifNull(fallback_reason, {none})))",
        "gaps": "if(empty(gap_kinds), {none}, arrayStringConcat(arraySort(arrayMap(k -> toString(k), gap_kinds)),"
        " '+'))",
        "review_outcome": "ifNull(review_outcome, {none})",
        "refusal": "multiIf(refusal IS NULL, {none}, refusal, 'refused', 'answered')",
        "final_state": "ifNull(final_state, {none})",
        "confidence": "{confidence}",
        "provenance": "{provenance}",
        "validation": "if(empty(validation_errors), {none}, 'failed')",
        "finish_reason": "ifNull(nullIf(toString(finish_reason), ''), {none})",
        "cost": "{cost}",
        "tokens": "{tokens}",
        "duration": "{duration}",
        # Of the reviewed runs only: how often review changed the answer.
        OVERRIDE: "multiIf(review_outcome IS NULL, '', review_outcome = 'overridden', 'overridden', 'kept')",
    }
)
DIMENSIONS: tuple[str, ...] = tuple(_BY_COLUMN)
"""Watched for every workflow, before the labels that are named."""
NUMBERS: frozenset[str] = frozenset({"cost", "tokens", "duration"})
"""Those whose values are bands of a number that has a scale of its own in each workflow."""
EVALUATION = "evaluation:"
"""Begins the dimension of what evaluators said of one thing, e.g. `evaluation:relevance`; of the runs that have it."""
_MOST_EVALUATIONS = 10
LABEL = "label:"
"""Begins the dimension of a label, e.g. `label:language`."""

_NONE_SQL = f"'{NONE}'"
_BAND = (
    "if(isNull({number}), {none},"
    " arrayElement({labels}, arrayCount(bound -> bound <= assumeNotNull({number}), {bounds}) + 1))"
)


_ROUND_BAND = (
    "if(ifNull({number}, 0) <= 0, {none}, concat('from ', toString(round(exp10(floor(log10(assumeNotNull({number}))))"
    " * multiIf({number} / exp10(floor(log10(assumeNotNull({number})))) >= 4.999999, 5,"
    " {number} / exp10(floor(log10(assumeNotNull({number})))) >= 1.999999, 2, 1), 9)), '{unit}'))"
)
"""The band of a number: it begins at 1, 2 or 5 of a power of ten."""
_SCALED = (
    "if(each.scale IS NULL, each.score,"
    " (each.score - toFloat64OrZero(splitByString('..', assumeNotNull(each.scale))[1]))"
    " / nullIf(toFloat64OrZero(splitByString('..', assumeNotNull(each.scale))[2])"
    " - toFloat64OrZero(splitByString('..', assumeNotNull(each.scale))[1]), 0))"
)
_VERDICT = (
    "ifNull(toString(each.label), if(isNull({score}), {none},"
    " concat('from ', toString(round(floor(assumeNotNull({score}) * 10.000001) / 10, 1)))))"
)
"""What an evaluator said: the verdict in a word, else the tenth of its scale that the score lies in."""


def band_labels(bounds: tuple[float, ...]) -> tuple[str, ...]:
    """The names of the bands that these upper bounds part: one more than there are bounds."""
    if not bounds:
        return ("any",)
    inner = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(bounds)]
    return (f"under {bounds[0]:g}", *inner, f"from {bounds[-1]:g}")


def band_parameters(rules: Rules) -> Mapping[str, object]:
    """The parameters that the bands in the SQL below are read from."""
    return {
        "confidence_bounds": list(rules.confidence_bands),
        "confidence_labels": list(band_labels(rules.confidence_bands)),
        "provenance_bounds": list(rules.provenance_bands),
        "provenance_labels": list(band_labels(rules.provenance_bands)),
    }


def dimensions_sql(label_count: int) -> str:
    """An array of (dimension, value), one for each dimension that a run has a value of; labels are parameters."""
    pairs = [f"('{name}', {_filled(sql, _said())})" for name, sql in _BY_COLUMN.items()]
    pairs += [
        f"(concat('{LABEL}', {{label_{at}:String}}), if(mapContains(labels, {{label_{at}:String}}),"
        f" labels[{{label_{at}:String}}], {_NONE_SQL}))"
        for at in range(label_count)
    ]
    evaluated = (
        f"arrayMap(each -> (concat('{EVALUATION}', ifNull(each.name, '')), {_filled(_VERDICT, _said())}),"
        f" arraySlice(arrayFilter(each -> ifNull(each.name, '') != '', evaluations), 1, {_MOST_EVALUATIONS}))"
    )
    return f"arrayDistinct(arrayFilter(pair -> pair.2 != '', arrayConcat([{', '.join(pairs)}], {evaluated})))"


def value_sql(dimension: str) -> tuple[str, Mapping[str, object]]:
    """The value that a run has of a dimension, as SQL over the view `runs`, and the parameters it is read with."""
    if dimension.startswith(LABEL):
        label = dimension.removeprefix(LABEL)
        return "if(mapContains(labels, {label:String}), labels[{label:String}], {none})".replace("{none}", _NONE_SQL), {
            "label": label
        }
    if dimension.startswith(EVALUATION):
        said = _filled(_VERDICT, _said())
        return (
            f"ifNull(arrayFirst(said -> said != '', arrayMap(each -> {said},"
            " arrayFilter(each -> ifNull(each.name, '') = {evaluation:String}, evaluations))), '')"
        ), {"evaluation": dimension.removeprefix(EVALUATION)}
    if dimension not in _BY_COLUMN:
        raise ValueError(f"there is no dimension {dimension!r}")
    return _filled(_BY_COLUMN[dimension], _said()), {}


def anchors_sql() -> str:
    """The combination of anchors, as an array of strings in their order."""
    *columns, release, _index = ANCHORS
    said = [f"toString(ifNull({column}, {_NONE_SQL}))" for column in columns]
    said.append(f"if(mapContains(labels, '{release}'), labels['{release}'], {_NONE_SQL})")
    said.append(f"ifNull(nullIf(toString(search_index), ''), {_NONE_SQL})")
    return f"[{', '.join(said)}]"


def _said() -> Mapping[str, str]:
    return {
        "none": _NONE_SQL,
        "confidence": _band("confidence", "ifNull(confidence, route_confidence)"),
        "provenance": _band("provenance", "worst_provenance"),
        "cost": _round_band("cost_usd", " USD"),
        "tokens": _round_band("(ifNull(input_tokens, 0) + ifNull(output_tokens, 0))", " tokens"),
        "duration": _round_band("(duration_us / 1000000)", " s"),
        "score": _SCALED,
    }


def _band(name: str, number: str) -> str:
    return _filled(
        _BAND,
        {
            "number": number,
            "none": _NONE_SQL,
            "labels": f"{{{name}_labels:Array(String)}}",
            "bounds": f"{{{name}_bounds:Array(Float64)}}",
        },
    )


def _round_band(number: str, unit: str) -> str:
    return _filled(_ROUND_BAND, {"number": number, "none": _NONE_SQL, "unit": unit})


def _filled(sql: str, said: Mapping[str, str]) -> str:
    for name, text in said.items():
        sql = sql.replace(f"{{{name}}}", text)
    return sql
