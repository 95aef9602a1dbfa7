-- How long do reviewers keep people waiting? Open review items by reason: how many, how many overdue, how old.
-- :workflow = | Of this workflow; empty is all of them.
SELECT
    workflow,
    reason,
    count() AS open,
    countIf(due_at < now64(6, 'UTC')) AS overdue,
    round(quantile(0.5)(dateDiff('second', created_at, now64(6, 'UTC'))) / 3600, 2) AS p50_age_hours,
    round(quantile(0.95)(dateDiff('second', created_at, now64(6, 'UTC'))) / 3600, 2) AS p95_age_hours,
    min(created_at) AS oldest
FROM reviews
WHERE item_id IS NOT NULL AND state = 'open' AND (workflow = {workflow:String} OR {workflow:String} = '')
GROUP BY workflow, reason
ORDER BY overdue DESC, open DESC, workflow, reason
