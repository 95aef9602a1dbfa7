-- Did the workflow choose the right route? By route and rule version: its share, its confidence, and who overrode it.
-- :workflow = | Of this workflow; empty is all of them.
-- :since = 7d | Started then or later.
-- :floor = 0.6 | A route decided with less confidence is suspect.
SELECT
    workflow,
    route,
    route_policy_version,
    count() AS runs,
    round(runs / sum(runs) OVER (PARTITION BY workflow), 4) AS share,
    round(avg(route_confidence), 4) AS mean_confidence,
    countIf(route_confidence < {floor:Float64}) AS under_floor,
    countIf(route IS NOT NULL AND route_reason IS NULL) AS without_reason,
    countIf(review_outcome = 'overridden') AS overridden,
    countIf(final_state != 'answered') AS not_answered
FROM runs
WHERE started_at >= {since:DateTime64(6, 'UTC')} AND (workflow = {workflow:String} OR {workflow:String} = '')
    AND labels['eval.case'] = ''
GROUP BY workflow, route, route_policy_version
ORDER BY workflow, runs DESC, route, route_policy_version
