-- Is behaviour drifting? By time window and what decided: how the same workflow behaves as its versions change.
-- :workflow = | Of this workflow; empty is all of them.
-- :since = 7d | Started then or later.
-- :hours = 24 | Hours that a window lasts.
SELECT
    workflow,
    toStartOfInterval(started_at, toIntervalHour({hours:UInt32})) AS window,
    model_name,
    system_fingerprint,
    prompt_version,
    count() AS runs,
    round(countIf(notEmpty(gap_kinds)) / runs, 4) AS gap_share,
    round(countIf(fallback_taken IS NOT NULL) / runs, 4) AS fallback_share,
    round(countIf(review_outcome = 'overridden') / runs, 4) AS overridden_share,
    round(countIf(final_state = 'answered') / runs, 4) AS answered_share,
    round(avg(confidence), 4) AS mean_confidence
FROM runs
WHERE started_at >= {since:DateTime64(6, 'UTC')} AND (workflow = {workflow:String} OR {workflow:String} = '')
    AND labels['eval.case'] = ''
GROUP BY workflow, window, model_name, system_fingerprint, prompt_version
ORDER BY workflow, window, runs DESC, model_name, system_fingerprint, prompt_version
