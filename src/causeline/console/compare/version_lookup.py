"""What the store knows of two versions of a workflow, for `compare_versions`."""

from collections.abc import Mapping
from typing import cast

from causeline.console.answers import Record
from causeline.console.compare.versions import BAD, Mean, Measured, Share, Versions, measured, share
from causeline.console.run_filter import NOT_OF_A_GATE
from causeline.console.store import Store
from causeline.schemas.vocabulary import RELEASE_LABEL

ANCHORS = (
    "prompt_version", "prompt_id", "model_name", "model_provider", "system_fingerprint", "model_policy",
    "parser_version", "schema_version", "route_policy_version", RELEASE_LABEL,
)  # fmt: skip
_SAYS: Mapping[str, str] = {
    "answered": "final_state = 'answered'",
    "with a gap": "notEmpty(gap_kinds)",
    "with a fallback": "notEmpty(fallbacks.kind)",
    "invalid in shape": "notEmpty(validation_errors)",
    "in error": "status = 'error'",
    "corrected by review": "review_outcome IN ('overridden', 'rejected')",
    "refused": "refusal",
}
_MEANS: Mapping[str, str] = {
    "cost_usd": "cost_usd",
    "duration_ms": "duration_us / 1000",
    "confidence": "confidence",
}
_P50, _P95 = "p50 duration_ms", "p95 duration_ms"
_OTHER_ROUTES = 20


def versions_of(store: Store, workflow: str, by: str, left: str, right: str, *, since_us: int) -> Versions:
    """The two versions, as far as runs since `since_us` tell, those of eval gates aside; `by` is one of ANCHORS."""
    version = f"labels['{RELEASE_LABEL}']" if by == RELEASE_LABEL else by
    where = (
        f"WHERE workflow = {{workflow:String}} AND {version} IN ({{left:String}}, {{right:String}})"
        " AND started_at >= fromUnixTimestamp64Micro({since:Int64})"
        f" AND {NOT_OF_A_GATE}"
    )
    given = {"workflow": workflow, "left": left, "right": right, "since": since_us}
    counts = ", ".join(f"countIf(ifNull({condition}, 0)) AS `{name}`" for name, condition in _SAYS.items())
    means = ", ".join(
        f"avg({value}) AS `{name} mean`, varSamp({value}) AS `{name} variance`, count({value}) AS `{name} count`"
        for name, value in _MEANS.items()
    )
    quantiles = f"quantile(0.5)(duration_us) / 1000 AS `{_P50}`, quantile(0.95)(duration_us) / 1000 AS `{_P95}`"
    rows = store.ask(
        f"SELECT {version} AS version, count() AS runs, {counts}, {means}, {quantiles}"  # noqa: S608 - constants
        f" FROM runs {where} GROUP BY version",
        given,
    )
    routes = store.ask(
        f"SELECT {version} AS version, route, count() AS runs FROM runs {where} AND route IS NOT NULL"  # noqa: S608
        " GROUP BY version, route",
        given,
    )
    found = {str(row["version"]): row for row in rows}
    one, other = found.get(left), found.get(right)
    return Versions(
        workflow=workflow,
        by=by,
        left=left,
        right=right,
        left_runs=_runs(one),
        right_runs=_runs(other),
        shares=(*_shares(one, other), *_routes(routes, one, other, left, right)),
        measures=_measures(one, other),
    )


def _runs(row: Record | None) -> int:
    return cast("int", row["runs"]) if row else 0


def _shares(one: Record | None, other: Record | None) -> list[Share]:
    if one is None or other is None:
        return []
    return [
        share(name, cast("int", one[name]), _runs(one), cast("int", other[name]), _runs(other), bad=bad)
        for name, bad in BAD.items()
    ]


def _routes(rows: object, one: Record | None, other: Record | None, left: str, right: str) -> list[Share]:
    """The commonest routes, by what share of runs took them."""
    if one is None or other is None:
        return []
    taken: dict[str, dict[str, int]] = {}
    for row in cast("list[Record]", rows):
        taken.setdefault(str(row["route"]), {})[str(row["version"])] = cast("int", row["runs"])
    commonest = sorted(taken, key=lambda route: (-sum(taken[route].values()), route))[:_OTHER_ROUTES]
    return [
        share(
            f"route {route}", taken[route].get(left, 0), _runs(one), taken[route].get(right, 0), _runs(other), bad=None
        )
        for route in commonest
    ]


def _measures(one: Record | None, other: Record | None) -> tuple[Measured, ...]:
    means = [measured(name, _mean(one, name), _mean(other, name)) for name in _MEANS]
    quantiles = [Measured(name, _number(one, name), _number(other, name)) for name in (_P50, _P95)]
    return (*means, *quantiles)


def _mean(row: Record | None, name: str) -> Mean | None:
    mean, variance, count = (_number(row, f"{name} {word}") for word in ("mean", "variance", "count"))
    if mean is None or not count:
        return None
    return Mean(mean, variance or 0.0, round(count))


def _number(row: Record | None, name: str) -> float | None:
    value = None if row is None else row[name]
    return None if value is None or value != value else float(cast("float", value))  # noqa: PLR0124 - NaN of no values
