-- Which versions are not recorded? By workflow: the anchors that runs lack, without which a cause stays unknown.
-- :workflow = | Of this workflow; empty is all of them.
-- :since = 7d | Started then or later.
WITH of_workflow AS
(
    SELECT workflow, count() AS all_runs
    FROM runs
    WHERE started_at >= {since:DateTime64(6, 'UTC')} AND (workflow = {workflow:String} OR {workflow:String} = '')
        AND labels['eval.case'] = ''
    GROUP BY workflow
)
SELECT
    workflow,
    anchor,
    count() AS runs,
    round(runs / any(all_runs), 4) AS share,
    min(run_id) AS example
FROM
(
    SELECT workflow, run_id, arrayJoin(missing_anchors) AS anchor
    FROM runs
    WHERE started_at >= {since:DateTime64(6, 'UTC')} AND (workflow = {workflow:String} OR {workflow:String} = '')
        AND labels['eval.case'] = ''
) AS lacking
INNER JOIN of_workflow USING (workflow)
GROUP BY workflow, anchor
ORDER BY share DESC, workflow, anchor
