-- What do failures cost? By how runs ended and where they broke: money, tokens, time and retries that bought no answer.
-- :workflow = | Of this workflow; empty is all of them.
-- :since = 7d | Started then or later.
SELECT
    workflow,
    final_state,
    error_step,
    count() AS runs,
    round(ifNull(sum(runs.cost_usd), 0), 6) AS cost_usd,
    round(cost_usd / sum(cost_usd) OVER (PARTITION BY workflow), 4) AS share_of_cost,
    sum(input_tokens) + sum(output_tokens) AS tokens,
    round(sum(duration_us) / 3.6e9, 3) AS hours,
    sum(retry_count) AS retries
FROM runs
WHERE started_at >= {since:DateTime64(6, 'UTC')} AND (workflow = {workflow:String} OR {workflow:String} = '')
    AND labels['eval.case'] = ''
    AND (final_state != 'answered' OR final_state IS NULL OR status = 'error')
GROUP BY workflow, final_state, error_step
ORDER BY cost_usd DESC, runs DESC, workflow, final_state, error_step
