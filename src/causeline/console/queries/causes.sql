-- What went wrong, by cause? Runs, share of the workflow's runs, cost and the newest example, the commonest first.
-- :workflow = | Of this workflow; empty is all of them.
-- :since = 7d | Started then or later.
SELECT
    workflow,
    layer,
    step,
    kind,
    thing,
    count() AS runs,
    round(runs / any(of_runs), 4) AS share,
    round(sum(ifNull(cost_usd, 0)), 4) AS cost_usd,
    argMax(sentence, run_started_at) AS newest_says,
    argMax(run_id, run_started_at) AS newest
FROM
(
    SELECT *, count() OVER (PARTITION BY workflow) AS of_runs
    FROM causes
    WHERE run_started_at >= {since:DateTime64(6, 'UTC')} AND (workflow = {workflow:String} OR {workflow:String} = '')
)
WHERE kind IS NOT NULL
GROUP BY workflow, layer, step, kind, thing
ORDER BY runs DESC, workflow, kind, thing
