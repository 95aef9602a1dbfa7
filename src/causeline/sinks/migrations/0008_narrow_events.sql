-- Events in narrow rows: the columns that people filter by, and all else as one text, which the view opens.
-- `event_rows` stays where events come in, under the columns that it had, and keeps nothing.

CREATE TABLE IF NOT EXISTS narrow_event_rows${on_cluster}
(
    event_id String CODEC(ZSTD(1)) COMMENT 'UUIDv7 as 32 hex digits; the same event has the same id however often it is delivered.',
    run_id String CODEC(ZSTD(1)) COMMENT 'W3C trace id, 32 lower-case hex digits; ours are UUIDv7.',
    project LowCardinality(String) COMMENT 'Who owns the run.',
    workflow LowCardinality(String) COMMENT 'Which workflow ran.',
    emitter_id LowCardinality(String) COMMENT 'Which process emitted the event.',
    seq Int64 CODEC(Delta(8), ZSTD(1)) COMMENT '0, 1, 2… per emitter and run: a hole is a proven loss.',
    event_type LowCardinality(String) COMMENT 'run_started, step_started, step_finished, evidence_checked, fallback_taken, review_recorded, eval_recorded, evaluation_recorded or run_finished.',
    run_started_at DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'When the run started, microseconds UTC.',
    occurred_at DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'When the fact came true, microseconds UTC.',
    started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the step started, microseconds UTC.',
    step_id Nullable(String) CODEC(ZSTD(1)) COMMENT 'W3C span id, 16 lower-case hex digits.',
    parent_step_id Nullable(String) CODEC(ZSTD(1)) COMMENT 'Span id of the enclosing step.',
    step_kind LowCardinality(Nullable(String)) COMMENT 'input, parse, mask, classify, route, agent, workflow, chain, embedding, retrieve, reranker, prompt, model_call, tool, guardrail, validate, evidence, fallback, review, eval, output or custom.',
    step_name LowCardinality(Nullable(String)) COMMENT 'The step''s own name within its workflow.',
    status LowCardinality(Nullable(String)) COMMENT 'ok, error or skipped.',
    error_type LowCardinality(Nullable(String)) COMMENT 'The error''s class, never its message.',
    cost_usd Nullable(Float64) COMMENT 'Cost in US dollars.',
    input_tokens Nullable(Int64) COMMENT 'Tokens read by the model.',
    output_tokens Nullable(Int64) COMMENT 'Tokens written by the model.',
    route LowCardinality(Nullable(String)) COMMENT 'The branch decided for.',
    prompt_version LowCardinality(Nullable(String)) COMMENT 'Which version of it.',
    model_name LowCardinality(Nullable(String)) COMMENT 'Which model answered.',
    field_path Nullable(String) CODEC(ZSTD(1)) COMMENT 'Path of the field that is judged or corrected.',
    review_outcome LowCardinality(Nullable(String)) COMMENT 'approved, overridden, rejected or escalated.',
    reviewer_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'Reference to the reviewer, never a name.',
    override_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'Reference to the corrected value.',
    review_note_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'Reference to the reviewer''s note.',
    final_state LowCardinality(Nullable(String)) COMMENT 'answered, partial, stopped, failed or handed_over.',
    expected_events Nullable(Int32) COMMENT 'Events this run''s emitter sent, this one included.',
    session_id Nullable(String) CODEC(ZSTD(1)) COMMENT 'Which conversation the run belongs to.',
    rest String CODEC(ZSTD(1)) COMMENT 'All else that the event says, as a JSON array in the order of the fields. Read it by the view events.',
    INDEX occurred_at_range occurred_at TYPE minmax GRANULARITY 1,
    INDEX started_at_range run_started_at TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY if(toYear(run_started_at) BETWEEN 2020 AND 2099, toYYYYMM(run_started_at), 0)
ORDER BY (project, run_id, event_id)
SETTINGS non_replicated_deduplication_window = 10000, min_level_for_wide_part = 2
COMMENT 'Events as they are kept: what is asked of many in columns, the rest as one text. May hold a row twice: read the view events.';

CREATE MATERIALIZED VIEW IF NOT EXISTS narrow_events_filler${on_cluster}
    TO narrow_event_rows
(
    event_id String COMMENT 'UUIDv7 as 32 hex digits; the same event has the same id however often it is delivered.',
    run_id String COMMENT 'W3C trace id, 32 lower-case hex digits; ours are UUIDv7.',
    project LowCardinality(String) COMMENT 'Who owns the run.',
    workflow LowCardinality(String) COMMENT 'Which workflow ran.',
    emitter_id LowCardinality(String) COMMENT 'Which process emitted the event.',
    seq Int64 COMMENT '0, 1, 2… per emitter and run: a hole is a proven loss.',
    event_type LowCardinality(String) COMMENT 'run_started, step_started, step_finished, evidence_checked, fallback_taken, review_recorded, eval_recorded, evaluation_recorded or run_finished.',
    run_started_at DateTime64(6, 'UTC') COMMENT 'When the run started, microseconds UTC.',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When the fact came true, microseconds UTC.',
    started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the step started, microseconds UTC.',
    step_id Nullable(String) COMMENT 'W3C span id, 16 lower-case hex digits.',
    parent_step_id Nullable(String) COMMENT 'Span id of the enclosing step.',
    step_kind LowCardinality(Nullable(String)) COMMENT 'input, parse, mask, classify, route, agent, workflow, chain, embedding, retrieve, reranker, prompt, model_call, tool, guardrail, validate, evidence, fallback, review, eval, output or custom.',
    step_name LowCardinality(Nullable(String)) COMMENT 'The step''s own name within its workflow.',
    status LowCardinality(Nullable(String)) COMMENT 'ok, error or skipped.',
    error_type LowCardinality(Nullable(String)) COMMENT 'The error''s class, never its message.',
    cost_usd Nullable(Float64) COMMENT 'Cost in US dollars.',
    input_tokens Nullable(Int64) COMMENT 'Tokens read by the model.',
    output_tokens Nullable(Int64) COMMENT 'Tokens written by the model.',
    route LowCardinality(Nullable(String)) COMMENT 'The branch decided for.',
    prompt_version LowCardinality(Nullable(String)) COMMENT 'Which version of it.',
    model_name LowCardinality(Nullable(String)) COMMENT 'Which model answered.',
    field_path Nullable(String) COMMENT 'Path of the field that is judged or corrected.',
    review_outcome LowCardinality(Nullable(String)) COMMENT 'approved, overridden, rejected or escalated.',
    reviewer_ref Nullable(String) COMMENT 'Reference to the reviewer, never a name.',
    override_ref Nullable(String) COMMENT 'Reference to the corrected value.',
    review_note_ref Nullable(String) COMMENT 'Reference to the reviewer''s note.',
    final_state LowCardinality(Nullable(String)) COMMENT 'answered, partial, stopped, failed or handed_over.',
    expected_events Nullable(Int32) COMMENT 'Events this run''s emitter sent, this one included.',
    session_id Nullable(String) COMMENT 'Which conversation the run belongs to.',
    rest String COMMENT 'All else that the event says, as a JSON array in the order of the fields. Read it by the view events.'
)
AS SELECT
    event_id, run_id, project, workflow, emitter_id, seq, event_type, run_started_at, occurred_at, started_at,
    step_id, parent_step_id, step_kind, step_name, status, error_type, cost_usd, input_tokens, output_tokens, route,
    prompt_version, model_name, field_path, review_outcome, reviewer_ref, override_ref, review_note_ref, final_state,
    expected_events, session_id,
    formatRowNoNewline('JSONCompactEachRow',
        retry_count, route_reason, route_confidence, route_policy_version, prompt_id, model_provider, model_policy,
        temperature, top_p, seed, system_fingerprint, confidence, refusal, parser_version, schema_version, input_ref,
        parsed_artifact_ref, context_refs, raw_output_ref, evidence_refs, validation_errors, evidence_required,
        provenance_score, conflicting_refs, next_step, policy_hash, fallback_taken, fallback_reason, eval_case_id,
        eval_outcome, expected_steps, labels, conflict_sides, original_kind, request_model, attributes_ref,
        user_hash, workflow_source, evaluation_name, evaluation_score, evaluation_scale, evaluation_label, evaluator,
        explanation_ref) AS rest
FROM event_rows
SETTINGS output_format_json_named_tuples_as_objects = 0, output_format_json_escape_forward_slashes = 0
COMMENT 'Makes the rows of narrow_event_rows of what comes into event_rows.';

-- What is stored already. Rows that come in meanwhile stand there twice, and replace each other.
INSERT INTO narrow_event_rows SELECT
    event_id, run_id, project, workflow, emitter_id, seq, event_type, run_started_at, occurred_at, started_at,
    step_id, parent_step_id, step_kind, step_name, status, error_type, cost_usd, input_tokens, output_tokens, route,
    prompt_version, model_name, field_path, review_outcome, reviewer_ref, override_ref, review_note_ref, final_state,
    expected_events, session_id,
    formatRowNoNewline('JSONCompactEachRow',
        retry_count, route_reason, route_confidence, route_policy_version, prompt_id, model_provider, model_policy,
        temperature, top_p, seed, system_fingerprint, confidence, refusal, parser_version, schema_version, input_ref,
        parsed_artifact_ref, context_refs, raw_output_ref, evidence_refs, validation_errors, evidence_required,
        provenance_score, conflicting_refs, next_step, policy_hash, fallback_taken, fallback_reason, eval_case_id,
        eval_outcome, expected_steps, labels, conflict_sides, original_kind, request_model, attributes_ref,
        user_hash, workflow_source, evaluation_name, evaluation_score, evaluation_scale, evaluation_label, evaluator,
        explanation_ref) AS rest
FROM event_rows
SETTINGS max_partitions_per_insert_block = 0, max_threads = 2, max_block_size = 8192, min_insert_block_size_rows = 65536,
    min_insert_block_size_bytes = 67108864, output_format_json_named_tuples_as_objects = 0, output_format_json_escape_forward_slashes = 0;

-- An insert that was under way as the filler came knew nothing of it, and may have ended after the copy began.
-- So once more what happened of late; it takes no longer than that takes.
INSERT INTO narrow_event_rows SELECT
    event_id, run_id, project, workflow, emitter_id, seq, event_type, run_started_at, occurred_at, started_at,
    step_id, parent_step_id, step_kind, step_name, status, error_type, cost_usd, input_tokens, output_tokens, route,
    prompt_version, model_name, field_path, review_outcome, reviewer_ref, override_ref, review_note_ref, final_state,
    expected_events, session_id,
    formatRowNoNewline('JSONCompactEachRow',
        retry_count, route_reason, route_confidence, route_policy_version, prompt_id, model_provider, model_policy,
        temperature, top_p, seed, system_fingerprint, confidence, refusal, parser_version, schema_version, input_ref,
        parsed_artifact_ref, context_refs, raw_output_ref, evidence_refs, validation_errors, evidence_required,
        provenance_score, conflicting_refs, next_step, policy_hash, fallback_taken, fallback_reason, eval_case_id,
        eval_outcome, expected_steps, labels, conflict_sides, original_kind, request_model, attributes_ref,
        user_hash, workflow_source, evaluation_name, evaluation_score, evaluation_scale, evaluation_label, evaluator,
        explanation_ref) AS rest
FROM event_rows
WHERE occurred_at >= now() - INTERVAL 1 DAY
SETTINGS max_partitions_per_insert_block = 0, max_threads = 2, max_block_size = 8192, min_insert_block_size_rows = 65536,
    min_insert_block_size_bytes = 67108864, output_format_json_named_tuples_as_objects = 0, output_format_json_escape_forward_slashes = 0;

-- From here on the rows that come in are kept by the table above alone.
CREATE OR REPLACE TABLE event_rows${on_cluster}
(
    event_id String COMMENT 'UUIDv7 as 32 hex digits; the same event has the same id however often it is delivered.',
    run_id String COMMENT 'W3C trace id, 32 lower-case hex digits; ours are UUIDv7.',
    project LowCardinality(String) COMMENT 'Who owns the run.',
    workflow LowCardinality(String) COMMENT 'Which workflow ran.',
    emitter_id LowCardinality(String) COMMENT 'Which process emitted the event.',
    seq Int64 COMMENT '0, 1, 2… per emitter and run: a hole is a proven loss.',
    event_type LowCardinality(String) COMMENT 'run_started, step_started, step_finished, evidence_checked, fallback_taken, review_recorded, eval_recorded, evaluation_recorded or run_finished.',
    run_started_at DateTime64(6, 'UTC') COMMENT 'When the run started, microseconds UTC.',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When the fact came true, microseconds UTC.',
    started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the step started, microseconds UTC.',
    step_id Nullable(String) COMMENT 'W3C span id, 16 lower-case hex digits.',
    parent_step_id Nullable(String) COMMENT 'Span id of the enclosing step.',
    step_kind LowCardinality(Nullable(String)) COMMENT 'input, parse, mask, classify, route, agent, workflow, chain, embedding, retrieve, reranker, prompt, model_call, tool, guardrail, validate, evidence, fallback, review, eval, output or custom.',
    step_name LowCardinality(Nullable(String)) COMMENT 'The step''s own name within its workflow.',
    status LowCardinality(Nullable(String)) COMMENT 'ok, error or skipped.',
    error_type LowCardinality(Nullable(String)) COMMENT 'The error''s class, never its message.',
    retry_count Nullable(Int32) COMMENT 'How many attempts came before this one.',
    cost_usd Nullable(Float64) COMMENT 'Cost in US dollars.',
    input_tokens Nullable(Int64) COMMENT 'Tokens read by the model.',
    output_tokens Nullable(Int64) COMMENT 'Tokens written by the model.',
    route LowCardinality(Nullable(String)) COMMENT 'The branch decided for.',
    route_reason Nullable(String) COMMENT 'Why, as a code or short phrase.',
    route_confidence Nullable(Float64) COMMENT '0 to 1.',
    route_policy_version LowCardinality(Nullable(String)) COMMENT 'Version of the rules or classifier that decided.',
    prompt_id LowCardinality(Nullable(String)) COMMENT 'Which prompt.',
    prompt_version LowCardinality(Nullable(String)) COMMENT 'Which version of it.',
    model_provider LowCardinality(Nullable(String)) COMMENT 'Who served the model.',
    model_name LowCardinality(Nullable(String)) COMMENT 'Which model answered.',
    model_policy LowCardinality(Nullable(String)) COMMENT 'The policy that chose the model.',
    temperature Nullable(Float64) COMMENT 'Sampling temperature.',
    top_p Nullable(Float64) COMMENT 'Nucleus sampling mass.',
    seed Nullable(Int64) COMMENT 'Sampling seed.',
    system_fingerprint LowCardinality(Nullable(String)) COMMENT 'The provider''s own version of its backend.',
    confidence Nullable(Float64) COMMENT 'The step''s confidence in its result, 0 to 1.',
    refusal Nullable(Bool) COMMENT 'The model declined to answer.',
    parser_version LowCardinality(Nullable(String)) COMMENT 'Version of the parser.',
    schema_version LowCardinality(Nullable(String)) COMMENT 'Version of the output schema validated against.',
    input_ref Nullable(String) COMMENT 'Reference to what went in.',
    parsed_artifact_ref Nullable(String) COMMENT 'Reference to what parsing produced.',
    context_refs Array(String) COMMENT 'References to what the model was shown.',
    raw_output_ref Nullable(String) COMMENT 'Reference to what came out.',
    evidence_refs Array(String) COMMENT 'References that support the value.',
    validation_errors Array(String) COMMENT 'Codes and JSON paths, never values.',
    field_path Nullable(String) COMMENT 'Path of the field that is judged or corrected.',
    evidence_required Nullable(Bool) COMMENT 'The field needs a citation.',
    provenance_score Nullable(Float64) COMMENT 'How well the references support the value, 0 to 1.',
    conflicting_refs Array(String) COMMENT 'References that disagree.',
    next_step LowCardinality(Nullable(String)) COMMENT 'What the workflow decided to do about the gap.',
    policy_hash LowCardinality(Nullable(String)) COMMENT 'Content hash of the policy that judged.',
    fallback_taken LowCardinality(Nullable(String)) COMMENT 'retry, narrower_scope, simpler_model, stronger_model, human_review, partial_answer, safe_message or stop.',
    fallback_reason Nullable(String) COMMENT 'Why, as a code or short phrase.',
    review_outcome LowCardinality(Nullable(String)) COMMENT 'approved, overridden, rejected or escalated.',
    reviewer_ref Nullable(String) COMMENT 'Reference to the reviewer, never a name.',
    override_ref Nullable(String) COMMENT 'Reference to the corrected value.',
    review_note_ref Nullable(String) COMMENT 'Reference to the reviewer''s note.',
    eval_case_id Nullable(String) COMMENT 'The eval case that this run answers or became.',
    eval_outcome LowCardinality(Nullable(String)) COMMENT 'passed, failed, stale or errored.',
    final_state LowCardinality(Nullable(String)) COMMENT 'answered, partial, stopped, failed or handed_over.',
    expected_events Nullable(Int32) COMMENT 'Events this run''s emitter sent, this one included.',
    expected_steps Array(String) COMMENT 'The steps that finished, as kind:name, so that a lost one has a name.',
    labels Map(LowCardinality(String), String) COMMENT 'At most 32 pairs.',
    conflict_sides Array(Tuple(source_ref String, value_ref Nullable(String), source_kind LowCardinality(Nullable(String)), score Nullable(Float64))) COMMENT 'On evidence about which sources disagree: every side, the one that was used and those that were not.',
    original_kind LowCardinality(Nullable(String)) COMMENT 'The word that the step''s own instrumentation has for its kind, lower case.',
    request_model LowCardinality(Nullable(String)) COMMENT 'Which model was asked for, where another name answered or none did.',
    attributes_ref Nullable(String) COMMENT 'Reference to all else that the step''s span said.',
    session_id Nullable(String) COMMENT 'Which conversation the run belongs to.',
    user_hash Nullable(String) COMMENT 'Keyed hash of the user''s id; the id itself never travels.',
    workflow_source LowCardinality(Nullable(String)) COMMENT 'Who names the workflow: null when it is said outright, else agent, service or span.',
    evaluation_name LowCardinality(Nullable(String)) COMMENT 'What an evaluator judged, e.g. relevance.',
    evaluation_score Nullable(Float64) COMMENT 'Its score, on its own scale.',
    evaluation_scale LowCardinality(Nullable(String)) COMMENT 'The scale, as least..most; null when it is not known.',
    evaluation_label LowCardinality(Nullable(String)) COMMENT 'Its verdict in a word; goes before the score.',
    evaluator LowCardinality(Nullable(String)) COMMENT 'Who judged: a model, a person or code.',
    explanation_ref Nullable(String) COMMENT 'Reference to why.'
)
ENGINE = Null
COMMENT 'Where events come in; it keeps nothing: narrow_event_rows does. Read the view events.';

CREATE OR REPLACE VIEW events${on_cluster}
(
    event_id String COMMENT 'UUIDv7 as 32 hex digits; the same event has the same id however often it is delivered.',
    run_id String COMMENT 'W3C trace id, 32 lower-case hex digits; ours are UUIDv7.',
    project LowCardinality(String) COMMENT 'Who owns the run.',
    workflow LowCardinality(String) COMMENT 'Which workflow ran.',
    emitter_id LowCardinality(String) COMMENT 'Which process emitted the event.',
    seq Int64 COMMENT '0, 1, 2… per emitter and run: a hole is a proven loss.',
    event_type LowCardinality(String) COMMENT 'run_started, step_started, step_finished, evidence_checked, fallback_taken, review_recorded, eval_recorded, evaluation_recorded or run_finished.',
    run_started_at DateTime64(6, 'UTC') COMMENT 'When the run started, microseconds UTC.',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When the fact came true, microseconds UTC.',
    started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the step started, microseconds UTC.',
    step_id Nullable(String) COMMENT 'W3C span id, 16 lower-case hex digits.',
    parent_step_id Nullable(String) COMMENT 'Span id of the enclosing step.',
    step_kind LowCardinality(Nullable(String)) COMMENT 'input, parse, mask, classify, route, agent, workflow, chain, embedding, retrieve, reranker, prompt, model_call, tool, guardrail, validate, evidence, fallback, review, eval, output or custom.',
    step_name LowCardinality(Nullable(String)) COMMENT 'The step''s own name within its workflow.',
    status LowCardinality(Nullable(String)) COMMENT 'ok, error or skipped.',
    error_type LowCardinality(Nullable(String)) COMMENT 'The error''s class, never its message.',
    retry_count Nullable(Int32) COMMENT 'How many attempts came before this one.',
    cost_usd Nullable(Float64) COMMENT 'Cost in US dollars.',
    input_tokens Nullable(Int64) COMMENT 'Tokens read by the model.',
    output_tokens Nullable(Int64) COMMENT 'Tokens written by the model.',
    route LowCardinality(Nullable(String)) COMMENT 'The branch decided for.',
    route_reason Nullable(String) COMMENT 'Why, as a code or short phrase.',
    route_confidence Nullable(Float64) COMMENT '0 to 1.',
    route_policy_version LowCardinality(Nullable(String)) COMMENT 'Version of the rules or classifier that decided.',
    prompt_id LowCardinality(Nullable(String)) COMMENT 'Which prompt.',
    prompt_version LowCardinality(Nullable(String)) COMMENT 'Which version of it.',
    model_provider LowCardinality(Nullable(String)) COMMENT 'Who served the model.',
    model_name LowCardinality(Nullable(String)) COMMENT 'Which model answered.',
    model_policy LowCardinality(Nullable(String)) COMMENT 'The policy that chose the model.',
    temperature Nullable(Float64) COMMENT 'Sampling temperature.',
    top_p Nullable(Float64) COMMENT 'Nucleus sampling mass.',
    seed Nullable(Int64) COMMENT 'Sampling seed.',
    system_fingerprint LowCardinality(Nullable(String)) COMMENT 'The provider''s own version of its backend.',
    confidence Nullable(Float64) COMMENT 'The step''s confidence in its result, 0 to 1.',
    refusal Nullable(Bool) COMMENT 'The model declined to answer.',
    parser_version LowCardinality(Nullable(String)) COMMENT 'Version of the parser.',
    schema_version LowCardinality(Nullable(String)) COMMENT 'Version of the output schema validated against.',
    input_ref Nullable(String) COMMENT 'Reference to what went in.',
    parsed_artifact_ref Nullable(String) COMMENT 'Reference to what parsing produced.',
    context_refs Array(String) COMMENT 'References to what the model was shown.',
    raw_output_ref Nullable(String) COMMENT 'Reference to what came out.',
    evidence_refs Array(String) COMMENT 'References that support the value.',
    validation_errors Array(String) COMMENT 'Codes and JSON paths, never values.',
    field_path Nullable(String) COMMENT 'Path of the field that is judged or corrected.',
    evidence_required Nullable(Bool) COMMENT 'The field needs a citation.',
    provenance_score Nullable(Float64) COMMENT 'How well the references support the value, 0 to 1.',
    conflicting_refs Array(String) COMMENT 'References that disagree.',
    next_step LowCardinality(Nullable(String)) COMMENT 'What the workflow decided to do about the gap.',
    policy_hash LowCardinality(Nullable(String)) COMMENT 'Content hash of the policy that judged.',
    fallback_taken LowCardinality(Nullable(String)) COMMENT 'retry, narrower_scope, simpler_model, stronger_model, human_review, partial_answer, safe_message or stop.',
    fallback_reason Nullable(String) COMMENT 'Why, as a code or short phrase.',
    review_outcome LowCardinality(Nullable(String)) COMMENT 'approved, overridden, rejected or escalated.',
    reviewer_ref Nullable(String) COMMENT 'Reference to the reviewer, never a name.',
    override_ref Nullable(String) COMMENT 'Reference to the corrected value.',
    review_note_ref Nullable(String) COMMENT 'Reference to the reviewer''s note.',
    eval_case_id Nullable(String) COMMENT 'The eval case that this run answers or became.',
    eval_outcome LowCardinality(Nullable(String)) COMMENT 'passed, failed, stale or errored.',
    final_state LowCardinality(Nullable(String)) COMMENT 'answered, partial, stopped, failed or handed_over.',
    expected_events Nullable(Int32) COMMENT 'Events this run''s emitter sent, this one included.',
    expected_steps Array(String) COMMENT 'The steps that finished, as kind:name, so that a lost one has a name.',
    labels Map(LowCardinality(String), String) COMMENT 'At most 32 pairs.',
    conflict_sides Array(Tuple(source_ref String, value_ref Nullable(String), source_kind LowCardinality(Nullable(String)), score Nullable(Float64))) COMMENT 'On evidence about which sources disagree: every side, the one that was used and those that were not.',
    original_kind LowCardinality(Nullable(String)) COMMENT 'The word that the step''s own instrumentation has for its kind, lower case.',
    request_model LowCardinality(Nullable(String)) COMMENT 'Which model was asked for, where another name answered or none did.',
    attributes_ref Nullable(String) COMMENT 'Reference to all else that the step''s span said.',
    session_id Nullable(String) COMMENT 'Which conversation the run belongs to.',
    user_hash Nullable(String) COMMENT 'Keyed hash of the user''s id; the id itself never travels.',
    workflow_source LowCardinality(Nullable(String)) COMMENT 'Who names the workflow: null when it is said outright, else agent, service or span.',
    evaluation_name LowCardinality(Nullable(String)) COMMENT 'What an evaluator judged, e.g. relevance.',
    evaluation_score Nullable(Float64) COMMENT 'Its score, on its own scale.',
    evaluation_scale LowCardinality(Nullable(String)) COMMENT 'The scale, as least..most; null when it is not known.',
    evaluation_label LowCardinality(Nullable(String)) COMMENT 'Its verdict in a word; goes before the score.',
    evaluator LowCardinality(Nullable(String)) COMMENT 'Who judged: a model, a person or code.',
    explanation_ref Nullable(String) COMMENT 'Reference to why.'
)
AS SELECT
    event_id,
    run_id,
    project,
    workflow,
    emitter_id,
    seq,
    event_type,
    run_started_at,
    occurred_at,
    started_at,
    step_id,
    parent_step_id,
    step_kind,
    step_name,
    status,
    error_type,
    JSONExtract(rest, 1, 'Nullable(Int32)') AS retry_count,
    cost_usd,
    input_tokens,
    output_tokens,
    route,
    JSONExtract(rest, 2, 'Nullable(String)') AS route_reason,
    JSONExtract(rest, 3, 'Nullable(Float64)') AS route_confidence,
    JSONExtract(rest, 4, 'LowCardinality(Nullable(String))') AS route_policy_version,
    JSONExtract(rest, 5, 'LowCardinality(Nullable(String))') AS prompt_id,
    prompt_version,
    JSONExtract(rest, 6, 'LowCardinality(Nullable(String))') AS model_provider,
    model_name,
    JSONExtract(rest, 7, 'LowCardinality(Nullable(String))') AS model_policy,
    JSONExtract(rest, 8, 'Nullable(Float64)') AS temperature,
    JSONExtract(rest, 9, 'Nullable(Float64)') AS top_p,
    JSONExtract(rest, 10, 'Nullable(Int64)') AS seed,
    JSONExtract(rest, 11, 'LowCardinality(Nullable(String))') AS system_fingerprint,
    JSONExtract(rest, 12, 'Nullable(Float64)') AS confidence,
    JSONExtract(rest, 13, 'Nullable(Bool)') AS refusal,
    JSONExtract(rest, 14, 'LowCardinality(Nullable(String))') AS parser_version,
    JSONExtract(rest, 15, 'LowCardinality(Nullable(String))') AS schema_version,
    JSONExtract(rest, 16, 'Nullable(String)') AS input_ref,
    JSONExtract(rest, 17, 'Nullable(String)') AS parsed_artifact_ref,
    JSONExtract(rest, 18, 'Array(String)') AS context_refs,
    JSONExtract(rest, 19, 'Nullable(String)') AS raw_output_ref,
    JSONExtract(rest, 20, 'Array(String)') AS evidence_refs,
    JSONExtract(rest, 21, 'Array(String)') AS validation_errors,
    field_path,
    JSONExtract(rest, 22, 'Nullable(Bool)') AS evidence_required,
    JSONExtract(rest, 23, 'Nullable(Float64)') AS provenance_score,
    JSONExtract(rest, 24, 'Array(String)') AS conflicting_refs,
    JSONExtract(rest, 25, 'LowCardinality(Nullable(String))') AS next_step,
    JSONExtract(rest, 26, 'LowCardinality(Nullable(String))') AS policy_hash,
    JSONExtract(rest, 27, 'LowCardinality(Nullable(String))') AS fallback_taken,
    JSONExtract(rest, 28, 'Nullable(String)') AS fallback_reason,
    review_outcome,
    reviewer_ref,
    override_ref,
    review_note_ref,
    JSONExtract(rest, 29, 'Nullable(String)') AS eval_case_id,
    JSONExtract(rest, 30, 'LowCardinality(Nullable(String))') AS eval_outcome,
    final_state,
    expected_events,
    JSONExtract(rest, 31, 'Array(String)') AS expected_steps,
    JSONExtract(rest, 32, 'Map(LowCardinality(String), String)') AS labels,
    JSONExtract(rest, 33, 'Array(Tuple(source_ref String, value_ref Nullable(String), source_kind LowCardinality(Nullable(String)), score Nullable(Float64)))') AS conflict_sides,
    JSONExtract(rest, 34, 'LowCardinality(Nullable(String))') AS original_kind,
    JSONExtract(rest, 35, 'LowCardinality(Nullable(String))') AS request_model,
    JSONExtract(rest, 36, 'Nullable(String)') AS attributes_ref,
    session_id,
    JSONExtract(rest, 37, 'Nullable(String)') AS user_hash,
    JSONExtract(rest, 38, 'LowCardinality(Nullable(String))') AS workflow_source,
    JSONExtract(rest, 39, 'LowCardinality(Nullable(String))') AS evaluation_name,
    JSONExtract(rest, 40, 'Nullable(Float64)') AS evaluation_score,
    JSONExtract(rest, 41, 'LowCardinality(Nullable(String))') AS evaluation_scale,
    JSONExtract(rest, 42, 'LowCardinality(Nullable(String))') AS evaluation_label,
    JSONExtract(rest, 43, 'LowCardinality(Nullable(String))') AS evaluator,
    JSONExtract(rest, 44, 'Nullable(String)') AS explanation_ref
FROM narrow_event_rows FINAL
COMMENT 'Every event once.';

CREATE OR REPLACE VIEW reviews${on_cluster}
(
    item_id Nullable(String) COMMENT 'The review item; null for a review that no item asked for.',
    run_id String COMMENT 'Run.',
    project LowCardinality(String) COMMENT 'Owner.',
    workflow LowCardinality(String) COMMENT 'Workflow.',
    run_started_at DateTime64(6, 'UTC') COMMENT 'Start of the run.',
    reason Nullable(String) COMMENT 'Which rule asks for the review; null when none did.',
    question Nullable(String) COMMENT 'What the reviewer is asked.',
    field_path Nullable(String) COMMENT 'The field in question; null for the whole run.',
    priority Nullable(Int32) COMMENT '1 is most urgent.',
    due_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it should be done.',
    links Array(String) COMMENT 'References to artifacts.',
    policy_hash Nullable(String) COMMENT 'Policy whose rule matched.',
    created_at DateTime64(6, 'UTC') COMMENT 'When the item was made; of a review that no item asked for, when it was recorded.',
    state LowCardinality(String) COMMENT 'open or resolved; an escalated item stays open.',
    outcome LowCardinality(Nullable(String)) COMMENT 'approved, overridden, rejected or escalated: the last review that answers the item.',
    reviewer_ref Nullable(String) COMMENT 'Reference to the reviewer, never a name.',
    override_ref Nullable(String) COMMENT 'Reference to the corrected value.',
    note_ref Nullable(String) COMMENT 'Reference to the reviewer''s note.',
    resolved_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the review that resolves it was recorded.',
    review_event_id Nullable(String) COMMENT 'The review_recorded event that answers it.'
)
AS WITH
    answers AS
    (
        -- Grouped by the event's whole key: each review once, without the cost of FINAL over every event, and a condition
        -- on run_id still reaches the primary key.
        SELECT
            project,
            run_id,
            event_id,
            any(workflow) AS answer_workflow,
            any(run_started_at) AS answer_run_started_at,
            any(ifNull(field_path, '')) AS answer_field,
            any(review_outcome) AS answer_outcome,
            any(reviewer_ref) AS answer_reviewer,
            any(override_ref) AS answer_override,
            any(review_note_ref) AS answer_note,
            any(occurred_at) AS answered_at
        FROM narrow_event_rows
        WHERE event_type = 'review_recorded'
        GROUP BY project, run_id, event_id
    ),
    items AS
    (
        SELECT
            project, run_id, item_id, workflow, run_started_at, reason, question, field_path, priority, due_at, links,
            policy_hash, created_at
        FROM review_item_rows FINAL
    )
SELECT
    item_id,
    run_id,
    project,
    workflow,
    run_started_at,
    reason,
    question,
    field_path,
    priority,
    due_at,
    links,
    policy_hash,
    created_at,
    if(answer.2 IN ('approved', 'overridden', 'rejected'), 'resolved', 'open') AS state,
    answer.2 AS outcome,
    answer.3 AS reviewer_ref,
    answer.4 AS override_ref,
    answer.5 AS note_ref,
    if(state = 'resolved', answer.1, NULL) AS resolved_at,
    nullIf(answer.6, '') AS review_event_id
FROM
(
    SELECT
        items.*,
        -- A review answers an item of its run when both name the same field, or one of them names none.
        arrayReverseSort(
            each -> (each.1, each.6),
            arrayFilter(
                each -> each.7 = '' OR ifNull(field_path, '') IN ('', each.7),
                run_answers
            )
        )[1] AS answer
    FROM items
    LEFT JOIN
    (
        SELECT
            project,
            run_id,
            groupArray((
                answered_at, answer_outcome, answer_reviewer, answer_override, answer_note, event_id, answer_field
            )) AS run_answers
        FROM answers
        GROUP BY project, run_id
    ) AS answered USING (project, run_id)
)
UNION ALL
SELECT
    NULL,
    run_id,
    project,
    answer_workflow,
    answer_run_started_at,
    NULL,
    NULL,
    nullIf(answer_field, ''),
    NULL,
    NULL,
    [],
    NULL,
    answered_at,
    if(answer_outcome = 'escalated', 'open', 'resolved') AS answer_state,
    answer_outcome,
    answer_reviewer,
    answer_override,
    answer_note,
    if(answer_state = 'resolved', answered_at, NULL),
    event_id
FROM answers
LEFT JOIN
(
    SELECT project, run_id, groupArray(ifNull(field_path, '')) AS asked_fields
    FROM items
    GROUP BY project, run_id
) AS asked USING (project, run_id)
WHERE NOT arrayExists(asked_field -> answer_field = '' OR asked_field IN ('', answer_field), asked_fields)
COMMENT 'What people were asked to look at, with the last review that answers it; and reviews that nobody asked for.';

CREATE OR REPLACE VIEW emission_ledger${on_cluster}
(
    project LowCardinality(String) COMMENT 'Owner.',
    hour DateTime('UTC') COMMENT 'Hour that the runs started in.',
    runs UInt64 COMMENT 'Runs of which something is visible.',
    unended_runs UInt64 COMMENT 'Of these, runs whose end is not visible: they run still, or their tail may be lost unseen.',
    emitted UInt64 COMMENT 'Events that are proven to have been emitted.',
    visible UInt64 COMMENT 'Events that readers see.',
    lost UInt64 COMMENT 'Events proven to have been emitted that nobody sees: lost, buried as dead letters, gone from the tables, or still on their way.',
    loss_rate Float64 COMMENT 'lost / emitted.'
)
AS SELECT
    project,
    hour,
    count() AS runs,
    countIf(ends = 0) AS unended_runs,
    sum(greatest(seen + missing, joined)) AS emitted,
    sum(seen) AS visible,
    emitted - visible AS lost,
    if(emitted = 0, 0, lost / emitted) AS loss_rate
FROM
(
    SELECT
        project,
        hour,
        run_id,
        sum(seen) AS seen,
        sum(least(missing, 1099511627776)) AS missing,
        sum(ends) AS ends,
        max(joined) AS joined
    FROM
    (
        SELECT
            project,
            toStartOfHour(run_started_at) AS hour,
            run_id,
            count() AS seen,
            countIf(event_type = 'run_finished') AS ends,
            toUInt64(greatest(0, greatest(max(seq) + 1, ifNull(max(expected_events), 0)) - toInt64(uniqExact(seq)))) AS missing,
            toUInt64(0) AS joined
        FROM narrow_event_rows FINAL
        GROUP BY project, hour, run_id, emitter_id
        UNION ALL
        SELECT
            project,
            toStartOfHour(started_at) AS hour,
            run_id,
            toUInt64(0) AS seen,
            toUInt64(0) AS ends,
            toUInt64(0) AS missing,
            toUInt64(greatest(0, events)) AS joined
        FROM narrow_run_rows FINAL
    )
    GROUP BY project, hour, run_id
)
GROUP BY project, hour
COMMENT 'Events emitted and visible by project and hour; runs of the last minutes may still be on their way.';
