-- Did review correct the system? By workflow: what reviewers decided, and how much of it became an eval case.
-- :workflow = | Of this workflow; empty is all of them.
-- :since = 7d | Started then or later.
SELECT
    workflow,
    count() AS runs,
    countIf(review_outcome IS NOT NULL) AS reviewed,
    countIf(review_outcome = 'approved') AS approved,
    countIf(review_outcome = 'overridden') AS overridden,
    countIf(review_outcome = 'rejected') AS rejected,
    countIf(review_outcome = 'escalated') AS escalated,
    countIf(review_outcome IN ('overridden', 'rejected') AND eval_case_id IS NULL) AS corrected_without_case,
    round(if(reviewed = 0, 0, (overridden + rejected) / reviewed), 4) AS corrected_share
FROM runs
WHERE started_at >= {since:DateTime64(6, 'UTC')} AND (workflow = {workflow:String} OR {workflow:String} = '')
    AND labels['eval.case'] = ''
GROUP BY workflow
ORDER BY corrected_share DESC, workflow
