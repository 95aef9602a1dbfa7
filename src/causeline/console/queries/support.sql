-- Was the answer unsupported? By field: gaps by kind, and how often the run answered all the same.
-- :workflow = | Of this workflow; empty is all of them.
-- :since = 7d | Started then or later.
SELECT
    workflow,
    gap.field_path AS field,
    gap.kind AS kind,
    gap.next_step AS next_step,
    count() AS times,
    countIf(nth = 1) AS runs,
    countIf(nth = 1 AND final_state = 'answered') AS answered_all_the_same,
    countIf(gap.decided_next_step IS NOT NULL AND gap.decided_next_step != gap.next_step) AS went_another_way
FROM runs
ARRAY JOIN gaps AS gap, arrayEnumerateUniq(gaps.field_path, gaps.kind, gaps.next_step) AS nth -- 1: a run's first
WHERE started_at >= {since:DateTime64(6, 'UTC')} AND (workflow = {workflow:String} OR {workflow:String} = '')
    AND labels['eval.case'] = ''
GROUP BY workflow, field, kind, next_step
ORDER BY runs DESC, workflow, field, kind, next_step
