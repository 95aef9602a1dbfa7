-- The tables: one for each schema subject, its columns the record's fields. They may hold a row twice until parts are
-- merged; readers use the views. Our run ids are in order of time, so the keys are too, and the minmax indexes narrow by time.
-- A month is a partition; times that only a broken clock can say share one, so that they cannot make thousands.

CREATE TABLE IF NOT EXISTS event_rows${on_cluster}
(
    event_id String CODEC(ZSTD(1)) COMMENT 'UUIDv7 as 32 hex digits; the same event has the same id however often it is delivered.',
    run_id String CODEC(ZSTD(1)) COMMENT 'W3C trace id, 32 lower-case hex digits; ours are UUIDv7.',
    project LowCardinality(String) COMMENT 'Who owns the run.',
    workflow LowCardinality(String) COMMENT 'Which workflow ran.',
    emitter_id LowCardinality(String) COMMENT 'Which process emitted the event.',
    seq Int64 CODEC(Delta, ZSTD(1)) COMMENT '0, 1, 2… per emitter and run: a hole is a proven loss.',
    event_type LowCardinality(String) COMMENT 'run_started, step_started, step_finished, evidence_checked, fallback_taken, review_recorded, eval_recorded or run_finished.',
    run_started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the run started, microseconds UTC.',
    occurred_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the fact came true, microseconds UTC.',
    started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the step started, microseconds UTC.',
    step_id Nullable(String) CODEC(ZSTD(1)) COMMENT 'W3C span id, 16 lower-case hex digits.',
    parent_step_id Nullable(String) CODEC(ZSTD(1)) COMMENT 'Span id of the enclosing step.',
    step_kind LowCardinality(Nullable(String)) COMMENT 'input, parse, mask, classify, route, retrieve, prompt, model_call, tool, validate, evidence, fallback, review, eval, output or custom.',
    step_name LowCardinality(Nullable(String)) COMMENT 'The step''s own name within its workflow.',
    status LowCardinality(Nullable(String)) COMMENT 'ok, error or skipped.',
    error_type LowCardinality(Nullable(String)) COMMENT 'The error''s class, never its message.',
    retry_count Nullable(Int32) COMMENT 'How many attempts came before this one.',
    cost_usd Nullable(Float64) COMMENT 'Cost in US dollars.',
    input_tokens Nullable(Int64) COMMENT 'Tokens read by the model.',
    output_tokens Nullable(Int64) COMMENT 'Tokens written by the model.',
    route LowCardinality(Nullable(String)) COMMENT 'The branch decided for.',
    route_reason Nullable(String) CODEC(ZSTD(1)) COMMENT 'Why, as a code or short phrase.',
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
    input_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'Reference to what went in.',
    parsed_artifact_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'Reference to what parsing produced.',
    context_refs Array(String) CODEC(ZSTD(1)) COMMENT 'References to what the model was shown.',
    raw_output_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'Reference to what came out.',
    evidence_refs Array(String) CODEC(ZSTD(1)) COMMENT 'References that support the value.',
    validation_errors Array(String) CODEC(ZSTD(1)) COMMENT 'Codes and JSON paths, never values.',
    field_path Nullable(String) CODEC(ZSTD(1)) COMMENT 'Path of the field that is judged or corrected.',
    evidence_required Nullable(Bool) COMMENT 'The field needs a citation.',
    provenance_score Nullable(Float64) COMMENT 'How well the references support the value, 0 to 1.',
    conflicting_refs Array(String) CODEC(ZSTD(1)) COMMENT 'References that disagree.',
    next_step LowCardinality(Nullable(String)) COMMENT 'What the workflow decided to do about the gap.',
    policy_hash LowCardinality(Nullable(String)) COMMENT 'Content hash of the policy that judged.',
    fallback_taken LowCardinality(Nullable(String)) COMMENT 'retry, narrower_scope, simpler_model, stronger_model, human_review, partial_answer, safe_message or stop.',
    fallback_reason Nullable(String) CODEC(ZSTD(1)) COMMENT 'Why, as a code or short phrase.',
    review_outcome LowCardinality(Nullable(String)) COMMENT 'approved, overridden, rejected or escalated.',
    reviewer_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'Reference to the reviewer, never a name.',
    override_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'Reference to the corrected value.',
    review_note_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'Reference to the reviewer''s note.',
    eval_case_id Nullable(String) CODEC(ZSTD(1)) COMMENT 'The eval case that this run answers or became.',
    eval_outcome LowCardinality(Nullable(String)) COMMENT 'passed, failed, stale or errored.',
    final_state LowCardinality(Nullable(String)) COMMENT 'answered, partial, stopped, failed or handed_over.',
    expected_events Nullable(Int32) COMMENT 'Events this run''s emitter sent, this one included.',
    expected_steps Array(String) CODEC(ZSTD(1)) COMMENT 'The steps that finished, as kind:name, so that a lost one has a name.',
    labels Map(LowCardinality(String), String) COMMENT 'At most 32 pairs.',
    INDEX occurred_at_range occurred_at TYPE minmax GRANULARITY 1,
    INDEX started_at_range run_started_at TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY if(toYear(run_started_at) BETWEEN 2020 AND 2099, toYYYYMM(run_started_at), 0)
ORDER BY (project, run_id, event_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'One fact about one step of one run; what it does not say is null. Content never travels, only references. May hold a row twice: read the view events.';

CREATE TABLE IF NOT EXISTS run_rows${on_cluster}
(
    run_id String CODEC(ZSTD(1)) COMMENT 'W3C trace id, 32 hex digits.',
    project LowCardinality(String) COMMENT 'Owner.',
    workflow LowCardinality(String) COMMENT 'Workflow.',
    revision Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Events absorbed: the higher revision of a run replaces the lower.',
    verdict LowCardinality(String) COMMENT 'complete, partial or unfinished.',
    close_reason LowCardinality(String) COMMENT 'finished, grace, idle, max_open or overflow.',
    missing Array(String) CODEC(ZSTD(1)) COMMENT 'What a partial run lacks: kind:name of a step, or start, end.',
    events Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Events absorbed.',
    events_lost Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Events proven lost by holes in seq.',
    amended Bool COMMENT 'Assembled again after its first close.',
    started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Start of the run.',
    finished_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Last moment known.',
    duration_us Int64 CODEC(Delta, ZSTD(1)) COMMENT 'finished_at − started_at.',
    closed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the assembler closed it.',
    final_state LowCardinality(Nullable(String)) COMMENT 'answered, partial, stopped, failed or handed_over.',
    status LowCardinality(Nullable(String)) COMMENT 'error when the run failed or a step ended in error, else ok.',
    error_type LowCardinality(Nullable(String)) COMMENT 'First error''s class.',
    error_step LowCardinality(Nullable(String)) COMMENT 'kind:name of the first step in error.',
    route LowCardinality(Nullable(String)) COMMENT 'The branch decided for.',
    route_reason Nullable(String) CODEC(ZSTD(1)) COMMENT 'Why.',
    route_confidence Nullable(Float64) COMMENT '0 to 1.',
    route_policy_version LowCardinality(Nullable(String)) COMMENT 'Version of the deciding rules.',
    prompt_id LowCardinality(Nullable(String)) COMMENT 'Prompt.',
    prompt_version LowCardinality(Nullable(String)) COMMENT 'Version of the prompt.',
    model_provider LowCardinality(Nullable(String)) COMMENT 'Provider.',
    model_name LowCardinality(Nullable(String)) COMMENT 'Model.',
    model_policy LowCardinality(Nullable(String)) COMMENT 'Policy that chose the model.',
    temperature Nullable(Float64) COMMENT 'Sampling temperature.',
    top_p Nullable(Float64) COMMENT 'Nucleus sampling mass.',
    seed Nullable(Int64) COMMENT 'Sampling seed.',
    system_fingerprint LowCardinality(Nullable(String)) COMMENT 'Provider''s own version.',
    confidence Nullable(Float64) COMMENT '0 to 1.',
    refusal Nullable(Bool) COMMENT 'The model declined.',
    parser_version LowCardinality(Nullable(String)) COMMENT 'Parser version.',
    schema_version LowCardinality(Nullable(String)) COMMENT 'Output schema version.',
    input_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'What went in.',
    parsed_artifact_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'What parsing produced.',
    context_refs Array(String) CODEC(ZSTD(1)) COMMENT 'What the model was shown.',
    raw_output_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'What came out.',
    evidence_refs Array(String) CODEC(ZSTD(1)) COMMENT 'Supporting references.',
    validation_errors Array(String) CODEC(ZSTD(1)) COMMENT 'Codes and JSON paths.',
    fallback_taken LowCardinality(Nullable(String)) COMMENT 'The last fallback.',
    fallback_reason Nullable(String) CODEC(ZSTD(1)) COMMENT 'Its reason.',
    review_outcome LowCardinality(Nullable(String)) COMMENT 'The last review''s outcome.',
    reviewer_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'Its reviewer.',
    override_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'Its corrected value.',
    review_note_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'Its note.',
    eval_case_id Nullable(String) CODEC(ZSTD(1)) COMMENT 'The last eval case.',
    eval_outcome LowCardinality(Nullable(String)) COMMENT 'Its outcome.',
    retry_count Nullable(Int64) COMMENT 'Retries over all steps.',
    cost_usd Nullable(Float64) COMMENT 'Sum over steps, US dollars.',
    input_tokens Nullable(Int64) COMMENT 'Sum over steps.',
    output_tokens Nullable(Int64) COMMENT 'Sum over steps.',
    slowest_step LowCardinality(Nullable(String)) COMMENT 'kind:name of the longest leaf step.',
    costliest_step LowCardinality(Nullable(String)) COMMENT 'kind:name of the most expensive step.',
    missing_anchors Array(LowCardinality(String)) COMMENT 'Version anchors that the run''s steps should have recorded and did not, as kind.field.',
    gap_kinds Array(LowCardinality(String)) COMMENT 'Kinds of evidence gap, distinct.',
    policy_hash LowCardinality(Nullable(String)) COMMENT 'Policy that judged the run.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels of the run''s start and end.',
    steps Array(Tuple(
        step_id Nullable(String),
        parent_step_id Nullable(String),
        step_kind LowCardinality(Nullable(String)),
        step_name LowCardinality(Nullable(String)),
        status LowCardinality(Nullable(String)),
        error_type LowCardinality(Nullable(String)),
        retry_count Nullable(Int32),
        started_at Nullable(DateTime64(6, 'UTC')),
        finished_at Nullable(DateTime64(6, 'UTC')),
        duration_us Nullable(Int64),
        cost_usd Nullable(Float64),
        input_tokens Nullable(Int64),
        output_tokens Nullable(Int64),
        route LowCardinality(Nullable(String)),
        route_reason Nullable(String),
        route_confidence Nullable(Float64),
        route_policy_version LowCardinality(Nullable(String)),
        prompt_id LowCardinality(Nullable(String)),
        prompt_version LowCardinality(Nullable(String)),
        model_provider LowCardinality(Nullable(String)),
        model_name LowCardinality(Nullable(String)),
        model_policy LowCardinality(Nullable(String)),
        temperature Nullable(Float64),
        top_p Nullable(Float64),
        seed Nullable(Int64),
        system_fingerprint LowCardinality(Nullable(String)),
        confidence Nullable(Float64),
        refusal Nullable(Bool),
        parser_version LowCardinality(Nullable(String)),
        schema_version LowCardinality(Nullable(String)),
        input_ref Nullable(String),
        parsed_artifact_ref Nullable(String),
        context_refs Array(String),
        raw_output_ref Nullable(String),
        evidence_refs Array(String),
        validation_errors Array(String),
        labels Map(LowCardinality(String), String))) CODEC(ZSTD(1)) COMMENT 'The steps, by start.',
    evidence Array(Tuple(
        event_id Nullable(String),
        step_id Nullable(String),
        field_path Nullable(String),
        evidence_required Nullable(Bool),
        provenance_score Nullable(Float64),
        evidence_refs Array(String),
        conflicting_refs Array(String),
        next_step LowCardinality(Nullable(String)),
        policy_hash LowCardinality(Nullable(String)),
        occurred_at Nullable(DateTime64(6, 'UTC')))) CODEC(ZSTD(1)) COMMENT 'The fields checked.',
    gaps Array(Tuple(
        event_id Nullable(String),
        kind LowCardinality(Nullable(String)),
        field_path Nullable(String),
        provenance_score Nullable(Float64),
        next_step LowCardinality(Nullable(String)))) CODEC(ZSTD(1)) COMMENT 'The gaps found.',
    fallbacks Array(Tuple(
        event_id Nullable(String),
        step_id Nullable(String),
        kind LowCardinality(Nullable(String)),
        reason LowCardinality(Nullable(String)),
        inferred Nullable(Bool),
        occurred_at Nullable(DateTime64(6, 'UTC')))) CODEC(ZSTD(1)) COMMENT 'The fallbacks taken.',
    reviews Array(Tuple(
        event_id Nullable(String),
        outcome LowCardinality(Nullable(String)),
        field_path Nullable(String),
        reviewer_ref Nullable(String),
        override_ref Nullable(String),
        note_ref Nullable(String),
        occurred_at Nullable(DateTime64(6, 'UTC')))) CODEC(ZSTD(1)) COMMENT 'The reviews.',
    evals Array(Tuple(
        event_id Nullable(String),
        case_id Nullable(String),
        outcome LowCardinality(Nullable(String)),
        occurred_at Nullable(DateTime64(6, 'UTC')))) CODEC(ZSTD(1)) COMMENT 'The eval results.',
    source_partition Nullable(Int32) COMMENT 'Partition of the events topic.',
    first_offset Nullable(Int64) COMMENT 'Offset of the first batch with an event of this run.',
    last_offset Nullable(Int64) COMMENT 'Offset of the last one counted.',
    assembler_version LowCardinality(Nullable(String)) COMMENT 'Version of the rules that assembled it.',
    INDEX started_at_range started_at TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(revision)
PARTITION BY if(toYear(started_at) BETWEEN 2020 AND 2099, toYYYYMM(started_at), 0)
ORDER BY (project, run_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'One run, joined. Every field is nullable because that is the shape a columnar writer makes; run_id to closed_at and the arrays are never null in fact. May hold a row twice: read the view runs.';

CREATE TABLE IF NOT EXISTS gap_rows${on_cluster}
(
    gap_id String CODEC(ZSTD(1)) COMMENT 'Derived from the evidence event and the kind: a redelivered event is the same gap.',
    run_id String CODEC(ZSTD(1)) COMMENT 'Run.',
    project LowCardinality(String) COMMENT 'Owner.',
    workflow LowCardinality(String) COMMENT 'Workflow.',
    run_started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Start of the run.',
    event_id String CODEC(ZSTD(1)) COMMENT 'The evidence event judged.',
    step_id Nullable(String) CODEC(ZSTD(1)) COMMENT 'Step that checked.',
    step_name LowCardinality(Nullable(String)) COMMENT 'Its name.',
    kind LowCardinality(String) COMMENT 'missing_citation, weak_provenance, unsupported_field or source_conflict.',
    field_path Nullable(String) CODEC(ZSTD(1)) COMMENT 'The field.',
    evidence_required Nullable(Bool) COMMENT 'A citation is required.',
    provenance_score Nullable(Float64) COMMENT '0 to 1.',
    threshold Nullable(Float64) COMMENT 'What the policy asks for.',
    evidence_refs Array(String) CODEC(ZSTD(1)) COMMENT 'Supporting references.',
    conflicting_refs Array(String) CODEC(ZSTD(1)) COMMENT 'Disagreeing references.',
    next_step LowCardinality(String) COMMENT 'What the policy names: search, retry, partial_output, review, apply_authority, escalate or safe_stop.',
    decided_next_step LowCardinality(Nullable(String)) COMMENT 'What the workflow decided, if it said.',
    policy_hash LowCardinality(Nullable(String)) COMMENT 'Policy that judged.',
    occurred_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the evidence was checked.',
    detected_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the gap was told.'
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY if(toYear(run_started_at) BETWEEN 2020 AND 2099, toYYYYMM(run_started_at), 0)
ORDER BY (project, run_id, gap_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'An evidence gap, told while the run is live. Keyed by run id. May hold a row twice: read the view gaps.';

CREATE TABLE IF NOT EXISTS review_item_rows${on_cluster}
(
    item_id String CODEC(ZSTD(1)) COMMENT 'Derived from run and reason: the same item however often it is published.',
    run_id String CODEC(ZSTD(1)) COMMENT 'Run.',
    project LowCardinality(String) COMMENT 'Owner.',
    workflow LowCardinality(String) COMMENT 'Workflow.',
    run_started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Start of the run.',
    reason String CODEC(ZSTD(1)) COMMENT 'Which rule asks for the review.',
    question String CODEC(ZSTD(1)) COMMENT 'What the reviewer is asked.',
    field_path Nullable(String) CODEC(ZSTD(1)) COMMENT 'The field in question.',
    priority Int32 COMMENT '1 is most urgent.',
    due_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it should be done.',
    links Array(String) CODEC(ZSTD(1)) COMMENT 'References to artifacts.',
    policy_hash LowCardinality(Nullable(String)) COMMENT 'Policy whose rule matched.',
    created_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the item was made.'
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY if(toYear(run_started_at) BETWEEN 2020 AND 2099, toYYYYMM(run_started_at), 0)
ORDER BY (project, run_id, item_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'One reason for a person to look at one run. Keyed by run id. May hold a row twice: read the view reviews.';

CREATE TABLE IF NOT EXISTS dead_letter_rows${on_cluster}
(
    dead_id String CODEC(ZSTD(1)) COMMENT 'Derived from topic, partition, offset and stage: the same letter however often it is written.',
    stage LowCardinality(String) COMMENT 'Who could not read it, e.g. worker or loader.',
    topic LowCardinality(String) COMMENT 'Where it stood.',
    partition Int32 COMMENT 'Partition.',
    offset Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Offset.',
    reason LowCardinality(String) COMMENT 'Reason code.',
    detail String CODEC(ZSTD(1)) COMMENT 'One sentence, without content.',
    schema_id Nullable(Int32) COMMENT 'Schema id in its framing, if it had one.',
    key Nullable(String) CODEC(ZSTD(1)) COMMENT 'Original key.',
    value String CODEC(ZSTD(1)) COMMENT 'Original bytes.',
    produced_at Nullable(DateTime64(6, 'UTC')) COMMENT 'Broker''s time stamp.',
    observed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it was found.'
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY if(toYear(observed_at) BETWEEN 2020 AND 2099, toYYYYMM(observed_at), 0)
ORDER BY (topic, partition, offset, dead_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'A message that could not be read: its bytes, why, and where it stood. May hold a row twice: read the view dead_letters.';

