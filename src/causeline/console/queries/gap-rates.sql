-- Where do gaps come from? Rates by what decided: model, prompt, parser and route, the worst first.
-- :workflow = | Of this workflow; empty is all of them.
-- :since = 7d | Started then or later.
-- :min_runs = 20 | Combinations with fewer runs are left out.
SELECT
    workflow,
    model_name,
    prompt_version,
    parser_version,
    route,
    count() AS runs,
    round(countIf(notEmpty(gap_kinds)) / runs, 4) AS gap_rate,
    countIf(has(gap_kinds, 'missing_citation')) AS missing_citation,
    countIf(has(gap_kinds, 'weak_provenance')) AS weak_provenance,
    countIf(has(gap_kinds, 'unsupported_field')) AS unsupported_field,
    countIf(has(gap_kinds, 'source_conflict')) AS source_conflict
FROM runs
WHERE started_at >= {since:DateTime64(6, 'UTC')} AND (workflow = {workflow:String} OR {workflow:String} = '')
    AND labels['eval.case'] = ''
GROUP BY workflow, model_name, prompt_version, parser_version, route
HAVING runs >= {min_runs:UInt32}
ORDER BY gap_rate DESC, runs DESC, workflow, model_name, prompt_version, parser_version, route
