-- How do two versions of a workflow differ? One row a version of the anchor you name: outcomes, gaps, cost, time.
-- :workflow ! | The workflow.
-- :anchor = prompt_version | prompt_version, model_name, system_fingerprint, parser_version, schema_version or route_policy_version.
-- :since = 7d | Started then or later.
SELECT
    multiIf(
        {anchor:String} = 'prompt_version', prompt_version,
        {anchor:String} = 'model_name', model_name,
        {anchor:String} = 'system_fingerprint', system_fingerprint,
        {anchor:String} = 'parser_version', parser_version,
        {anchor:String} = 'schema_version', schema_version,
        {anchor:String} = 'route_policy_version', route_policy_version,
        toString(throwIf(1, 'anchor is not one of those that this question compares'))
    ) AS version,
    count() AS runs,
    round(countIf(final_state = 'answered') / runs, 4) AS answered_share,
    round(countIf(notEmpty(gap_kinds)) / runs, 4) AS gap_share,
    round(countIf(fallback_taken IS NOT NULL) / runs, 4) AS fallback_share,
    round(countIf(notEmpty(validation_errors)) / runs, 4) AS invalid_share,
    round(countIf(review_outcome IN ('overridden', 'rejected')) / runs, 4) AS corrected_share,
    round(avg(cost_usd), 6) AS mean_cost_usd,
    round(quantile(0.5)(duration_us) / 1000) AS p50_ms,
    round(quantile(0.95)(duration_us) / 1000) AS p95_ms,
    min(started_at) AS first_seen,
    max(started_at) AS last_seen
FROM runs
WHERE started_at >= {since:DateTime64(6, 'UTC')} AND workflow = {workflow:String}
    AND labels['eval.case'] = ''
GROUP BY version
ORDER BY runs DESC, version
