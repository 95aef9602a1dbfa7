"""Runs whose events are all stored and that are no rows of runs: no worker has joined them, and amending does."""

from collections.abc import Sequence

from causeline.ops.stored import Ask, Stretch

AT_MOST = 10_000
_A_DAY_US = 86_400_000_000
_FROM_TO = (
    "BETWEEN fromUnixTimestamp64Micro({{since:Int64}} - {day}) AND fromUnixTimestamp64Micro({{until:Int64}} + {day})"
)
_A_DAY_MORE = _FROM_TO.format(day=_A_DAY_US)
_SAME_DAYS = _FROM_TO.format(day=0)
_ENDED = f"SELECT run_id FROM narrow_event_rows WHERE event_type = 'run_finished' AND run_started_at {_SAME_DAYS}"  # noqa: S608 - constants
_JOINED = f"SELECT run_id FROM narrow_run_rows WHERE started_at {_A_DAY_MORE}"  # noqa: S608 - constants
_WHOLE = f"""
SELECT run_id FROM
(
    SELECT run_id, emitter_id, min(run_started_at) AS began, uniqExact(seq) AS stored,
        greatest(max(seq) + 1, max(ifNull(expected_events, 0))) AS sent
    FROM narrow_event_rows
    WHERE run_started_at {_A_DAY_MORE} AND run_id IN ({_ENDED}) AND run_id NOT IN ({_JOINED})
    GROUP BY run_id, emitter_id
)
GROUP BY run_id HAVING min(stored >= sent) AND max(began) <= fromUnixTimestamp64Micro({{until:Int64}})
ORDER BY min(began), run_id LIMIT {{at_most:UInt32}}
"""  # noqa: S608 - constants


def whole_and_unjoined(ask: Ask, stretch: Stretch, *, at_most: int = AT_MOST) -> Sequence[str]:
    """Ids of such runs, the oldest first: of each emitter every number up to the highest that it said is stored."""
    rows = ask(_WHOLE, {"since": stretch.since_us, "until": stretch.until_us, "at_most": at_most})
    return [str(row["run_id"]) for row in rows]
