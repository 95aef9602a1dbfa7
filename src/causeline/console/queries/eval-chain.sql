-- What became of each eval case? The runs that failed, what reviewers decided, and how each release answered it.
-- :workflow = | Of this workflow; empty is all of them.
-- :since = 30d | Runs started then or later.
SELECT
    eval.case_id AS case_id,
    workflow,
    uniqExactIf(run_id, eval.outcome IS NULL) AS failed_runs,
    minIf(run_id, eval.outcome IS NULL) AS first_run,
    groupUniqArrayArrayIf(reviews.outcome, eval.outcome IS NULL) AS reviews,
    arraySort(groupUniqArrayIf(
        concat(if(labels['release'] = '', '(no release)', labels['release']), ': ', assumeNotNull(eval.outcome)),
        eval.outcome IS NOT NULL)) AS results,
    argMaxIf(eval.outcome, eval.occurred_at, eval.outcome IS NOT NULL) AS last_result
FROM runs
ARRAY JOIN evals AS eval
WHERE started_at >= {since:DateTime64(6, 'UTC')} AND (workflow = {workflow:String} OR {workflow:String} = '')
GROUP BY case_id, workflow
ORDER BY workflow, case_id
