-- Did the model see the right source? By parser: runs whose parse failed, without context, or without a citation.
-- :workflow = | Of this workflow; empty is all of them.
-- :since = 7d | Started then or later.
SELECT
    workflow,
    parser_version,
    count() AS runs,
    countIf(startsWith(ifNull(error_step, ''), 'parse:')) AS parse_failed,
    countIf(context_count = 0) AS without_context,
    countIf(has(gap_kinds, 'missing_citation')) AS missing_citation,
    countIf(has(missing_anchors, 'parse.parser_version')) AS parser_not_recorded,
    round((parse_failed + missing_citation) / runs, 4) AS suspect_share
FROM runs
WHERE started_at >= {since:DateTime64(6, 'UTC')} AND (workflow = {workflow:String} OR {workflow:String} = '')
    AND labels['eval.case'] = ''
GROUP BY workflow, parser_version
ORDER BY suspect_share DESC, runs DESC, workflow, parser_version
