-- Did the model produce the wrong shape? By model, prompt and schema: what did not validate, what a fallback mended.
-- :workflow = | Of this workflow; empty is all of them.
-- :since = 7d | Started then or later.
SELECT
    workflow,
    model_name,
    prompt_version,
    schema_version,
    count() AS runs,
    countIf(notEmpty(validation_errors)) AS invalid,
    countIf(empty(validation_errors) AND fallback_taken IN ('retry', 'simpler_model', 'stronger_model', 'other_model'))
        AS mended,
    countIf(refusal) AS refused,
    round(invalid / runs, 4) AS invalid_share,
    topKArray(3)(validation_errors) AS commonest_errors
FROM runs
WHERE started_at >= {since:DateTime64(6, 'UTC')} AND (workflow = {workflow:String} OR {workflow:String} = '')
    AND labels['eval.case'] = ''
GROUP BY workflow, model_name, prompt_version, schema_version
ORDER BY invalid_share DESC, runs DESC, workflow, model_name, prompt_version, schema_version
