-- What readers see: every thing once, whatever was retried or replayed. FINAL picks the newest revision of a run and one
-- of equal rows; a condition on run_id reaches the primary key through each of these views.

CREATE VIEW IF NOT EXISTS events${on_cluster}
(
    event_id String COMMENT 'UUIDv7 as 32 hex digits; the same event has the same id however often it is delivered.',
    run_id String COMMENT 'W3C trace id, 32 lower-case hex digits; ours are UUIDv7.',
    project LowCardinality(String) COMMENT 'Who owns the run.',
    workflow LowCardinality(String) COMMENT 'Which workflow ran.',
    emitter_id LowCardinality(String) COMMENT 'Which process emitted the event.',
    seq Int64 COMMENT '0, 1, 2… per emitter and run: a hole is a proven loss.',
    event_type LowCardinality(String) COMMENT 'run_started, step_started, step_finished, evidence_checked, fallback_taken, review_recorded, eval_recorded or run_finished.',
    run_started_at DateTime64(6, 'UTC') COMMENT 'When the run started, microseconds UTC.',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When the fact came true, microseconds UTC.',
    started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the step started, microseconds UTC.',
    step_id Nullable(String) COMMENT 'W3C span id, 16 lower-case hex digits.',
    parent_step_id Nullable(String) COMMENT 'Span id of the enclosing step.',
    step_kind LowCardinality(Nullable(String)) COMMENT 'input, parse, mask, classify, route, retrieve, prompt, model_call, tool, validate, evidence, fallback, review, eval, output or custom.',
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
    conflict_sides Array(Tuple(
        source_ref String,
        value_ref Nullable(String),
        source_kind LowCardinality(Nullable(String)),
        score Nullable(Float64))) COMMENT 'On evidence about which sources disagree: every side, the one that was used and those that were not.'
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
    retry_count,
    cost_usd,
    input_tokens,
    output_tokens,
    route,
    route_reason,
    route_confidence,
    route_policy_version,
    prompt_id,
    prompt_version,
    model_provider,
    model_name,
    model_policy,
    temperature,
    top_p,
    seed,
    system_fingerprint,
    confidence,
    refusal,
    parser_version,
    schema_version,
    input_ref,
    parsed_artifact_ref,
    context_refs,
    raw_output_ref,
    evidence_refs,
    validation_errors,
    field_path,
    evidence_required,
    provenance_score,
    conflicting_refs,
    next_step,
    policy_hash,
    fallback_taken,
    fallback_reason,
    review_outcome,
    reviewer_ref,
    override_ref,
    review_note_ref,
    eval_case_id,
    eval_outcome,
    final_state,
    expected_events,
    expected_steps,
    labels,
    conflict_sides
FROM event_rows FINAL
COMMENT 'Every event once.';

CREATE VIEW IF NOT EXISTS runs${on_cluster}
(
    run_id String COMMENT 'W3C trace id, 32 hex digits.',
    project LowCardinality(String) COMMENT 'Owner.',
    workflow LowCardinality(String) COMMENT 'Workflow.',
    revision Int64 COMMENT 'Events absorbed: the higher revision of a run replaces the lower.',
    verdict LowCardinality(String) COMMENT 'complete, partial or unfinished.',
    close_reason LowCardinality(String) COMMENT 'finished, grace, idle, max_open or overflow.',
    missing Array(String) COMMENT 'What a partial run lacks: kind:name of a step, start, end; overflow: events beyond the bound of a run; truncated: lists cut to fit.',
    events Int64 COMMENT 'Events absorbed.',
    events_lost Int64 COMMENT 'Events proven lost by holes in seq.',
    amended Bool COMMENT 'Assembled again after its first close.',
    started_at DateTime64(6, 'UTC') COMMENT 'Start of the run.',
    finished_at DateTime64(6, 'UTC') COMMENT 'Last moment known.',
    duration_us Int64 COMMENT 'finished_at − started_at.',
    closed_at DateTime64(6, 'UTC') COMMENT 'When the assembler closed it.',
    final_state LowCardinality(Nullable(String)) COMMENT 'answered, partial, stopped, failed or handed_over; of two ends the first by time is believed.',
    status LowCardinality(Nullable(String)) COMMENT 'error when the run failed or a step ended in error, else ok.',
    error_type LowCardinality(Nullable(String)) COMMENT 'First error''s class.',
    error_step LowCardinality(Nullable(String)) COMMENT 'kind:name of the first step in error.',
    route LowCardinality(Nullable(String)) COMMENT 'The branch decided for: of the last step to end of kind route that says one, else of kind classify, else of any.',
    route_reason Nullable(String) COMMENT 'Why, as that step says.',
    route_confidence Nullable(Float64) COMMENT '0 to 1, as that step says.',
    route_policy_version LowCardinality(Nullable(String)) COMMENT 'Version of the deciding rules, as that step says.',
    prompt_id LowCardinality(Nullable(String)) COMMENT 'Prompt: of the last step to end of kind prompt or model_call that says one, else of any.',
    prompt_version LowCardinality(Nullable(String)) COMMENT 'Version of the prompt, as that step says.',
    model_provider LowCardinality(Nullable(String)) COMMENT 'Provider, as that call says.',
    model_name LowCardinality(Nullable(String)) COMMENT 'Model: of the last model_call that ended ok and says one, else of the last model_call, else of any step.',
    model_policy LowCardinality(Nullable(String)) COMMENT 'Policy that chose the model.',
    temperature Nullable(Float64) COMMENT 'Sampling temperature, as that call says.',
    top_p Nullable(Float64) COMMENT 'Nucleus sampling mass, as that call says.',
    seed Nullable(Int64) COMMENT 'Sampling seed, as that call says.',
    system_fingerprint LowCardinality(Nullable(String)) COMMENT 'Provider version, as that call says.',
    confidence Nullable(Float64) COMMENT '0 to 1.',
    refusal Nullable(Bool) COMMENT 'The model declined.',
    parser_version LowCardinality(Nullable(String)) COMMENT 'Parser version.',
    schema_version LowCardinality(Nullable(String)) COMMENT 'Output schema version.',
    input_ref Nullable(String) COMMENT 'What went in.',
    parsed_artifact_ref Nullable(String) COMMENT 'What parsing produced.',
    context_refs Array(String) COMMENT 'What the model was shown: of the last model_call to end that says any, else of the last prompt, else of any.',
    raw_output_ref Nullable(String) COMMENT 'What came out.',
    evidence_refs Array(String) COMMENT 'Supporting references.',
    validation_errors Array(String) COMMENT 'Codes and JSON paths that stand: of each validating step, by kind:name, what it said when it last ended, each once.',
    fallback_taken LowCardinality(Nullable(String)) COMMENT 'The last fallback.',
    fallback_reason Nullable(String) COMMENT 'Its reason.',
    review_outcome LowCardinality(Nullable(String)) COMMENT 'The last review''s outcome.',
    reviewer_ref Nullable(String) COMMENT 'Its reviewer.',
    override_ref Nullable(String) COMMENT 'Its corrected value.',
    review_note_ref Nullable(String) COMMENT 'Its note.',
    eval_case_id Nullable(String) COMMENT 'The last eval case.',
    eval_outcome LowCardinality(Nullable(String)) COMMENT 'Its outcome.',
    retry_count Nullable(Int64) COMMENT 'Retries over all steps, counted as cost_usd is.',
    cost_usd Nullable(Float64) COMMENT 'Sum over steps, US dollars; a step counts unless one beneath it says a cost. At most the largest finite number.',
    input_tokens Nullable(Int64) COMMENT 'Sum over steps, counted as cost_usd is; at most the largest long.',
    output_tokens Nullable(Int64) COMMENT 'Sum over steps, counted as cost_usd is; at most the largest long.',
    slowest_step LowCardinality(Nullable(String)) COMMENT 'kind:name of the longest leaf step.',
    costliest_step LowCardinality(Nullable(String)) COMMENT 'kind:name of the most expensive step of those that count in cost_usd.',
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
        labels Map(LowCardinality(String), String))) COMMENT 'The steps, by start; of each field what was said of the step last, its end outweighing its start.',
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
        occurred_at Nullable(DateTime64(6, 'UTC')),
        retry_count Nullable(Int32))) COMMENT 'The fields checked.',
    gaps Array(Tuple(
        event_id Nullable(String),
        kind LowCardinality(Nullable(String)),
        field_path Nullable(String),
        provenance_score Nullable(Float64),
        next_step LowCardinality(Nullable(String)),
        threshold Nullable(Float64),
        decided_next_step LowCardinality(Nullable(String)))) COMMENT 'The gaps found.',
    fallbacks Array(Tuple(
        event_id Nullable(String),
        step_id Nullable(String),
        kind LowCardinality(Nullable(String)),
        reason LowCardinality(Nullable(String)),
        inferred Nullable(Bool),
        occurred_at Nullable(DateTime64(6, 'UTC')))) COMMENT 'The fallbacks taken.',
    reviews Array(Tuple(
        event_id Nullable(String),
        outcome LowCardinality(Nullable(String)),
        field_path Nullable(String),
        reviewer_ref Nullable(String),
        override_ref Nullable(String),
        note_ref Nullable(String),
        occurred_at Nullable(DateTime64(6, 'UTC')))) COMMENT 'The reviews.',
    evals Array(Tuple(
        event_id Nullable(String),
        case_id Nullable(String),
        outcome LowCardinality(Nullable(String)),
        occurred_at Nullable(DateTime64(6, 'UTC')))) COMMENT 'The eval results.',
    source_partition Nullable(Int32) COMMENT 'Partition of the events topic.',
    first_offset Nullable(Int64) COMMENT 'Offset of the first batch with an event of this run.',
    last_offset Nullable(Int64) COMMENT 'Offset of the last one counted.',
    assembler_version LowCardinality(Nullable(String)) COMMENT 'Version of the rules that assembled it.',
    conflict_sides Array(Tuple(
        event_id Nullable(String),
        field_path Nullable(String),
        source_ref Nullable(String),
        value_ref Nullable(String),
        source_kind LowCardinality(Nullable(String)),
        score Nullable(Float64),
        authority_rank Nullable(Int32),
        won Nullable(Bool),
        reason LowCardinality(Nullable(String)))) COMMENT 'The sides of every conflict between sources, in order of their events.'
)
AS SELECT
    run_id,
    project,
    workflow,
    revision,
    verdict,
    close_reason,
    missing,
    events,
    events_lost,
    amended,
    started_at,
    finished_at,
    duration_us,
    closed_at,
    final_state,
    status,
    error_type,
    error_step,
    route,
    route_reason,
    route_confidence,
    route_policy_version,
    prompt_id,
    prompt_version,
    model_provider,
    model_name,
    model_policy,
    temperature,
    top_p,
    seed,
    system_fingerprint,
    confidence,
    refusal,
    parser_version,
    schema_version,
    input_ref,
    parsed_artifact_ref,
    context_refs,
    raw_output_ref,
    evidence_refs,
    validation_errors,
    fallback_taken,
    fallback_reason,
    review_outcome,
    reviewer_ref,
    override_ref,
    review_note_ref,
    eval_case_id,
    eval_outcome,
    retry_count,
    cost_usd,
    input_tokens,
    output_tokens,
    slowest_step,
    costliest_step,
    missing_anchors,
    gap_kinds,
    policy_hash,
    labels,
    steps,
    evidence,
    gaps,
    fallbacks,
    reviews,
    evals,
    source_partition,
    first_offset,
    last_offset,
    assembler_version,
    conflict_sides
FROM run_rows FINAL
COMMENT 'Every run once, in its newest revision.';

CREATE VIEW IF NOT EXISTS steps${on_cluster}
(
    project LowCardinality(String) COMMENT 'Owner.',
    workflow LowCardinality(String) COMMENT 'Workflow.',
    run_id String COMMENT 'W3C trace id, 32 hex digits.',
    run_started_at DateTime64(6, 'UTC') COMMENT 'Start of the run.',
    verdict LowCardinality(String) COMMENT 'The verdict of the run: complete, partial or unfinished.',
    position UInt32 COMMENT 'Place of the step in its run, from 1, by start.',
    step_id Nullable(String) COMMENT 'Span id.',
    parent_step_id Nullable(String) COMMENT 'Span id of the enclosing step.',
    step_kind LowCardinality(Nullable(String)) COMMENT 'Kind of boundary.',
    step_name LowCardinality(Nullable(String)) COMMENT 'Name within the workflow.',
    status LowCardinality(Nullable(String)) COMMENT 'ok, error or skipped; null when only the step''s start was seen.',
    error_type LowCardinality(Nullable(String)) COMMENT 'Class of the error.',
    retry_count Nullable(Int32) COMMENT 'Attempts before this one.',
    started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'Start, microseconds UTC.',
    finished_at Nullable(DateTime64(6, 'UTC')) COMMENT 'End, microseconds UTC.',
    duration_us Nullable(Int64) COMMENT 'Duration in microseconds.',
    cost_usd Nullable(Float64) COMMENT 'US dollars.',
    input_tokens Nullable(Int64) COMMENT 'Tokens read.',
    output_tokens Nullable(Int64) COMMENT 'Tokens written.',
    route LowCardinality(Nullable(String)) COMMENT 'The branch decided for.',
    route_reason Nullable(String) COMMENT 'Why.',
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
    input_ref Nullable(String) COMMENT 'What went in.',
    parsed_artifact_ref Nullable(String) COMMENT 'What parsing produced.',
    context_refs Array(String) COMMENT 'What the model was shown.',
    raw_output_ref Nullable(String) COMMENT 'What came out.',
    evidence_refs Array(String) COMMENT 'Supporting references.',
    validation_errors Array(String) COMMENT 'Codes and JSON paths.',
    labels Map(LowCardinality(String), String) COMMENT 'The step''s labels.'
)
AS SELECT
    project,
    workflow,
    run_id,
    run_started_at,
    verdict,
    position,
    step.step_id AS step_id,
    step.parent_step_id AS parent_step_id,
    step.step_kind AS step_kind,
    step.step_name AS step_name,
    step.status AS status,
    step.error_type AS error_type,
    step.retry_count AS retry_count,
    step.started_at AS started_at,
    step.finished_at AS finished_at,
    step.duration_us AS duration_us,
    step.cost_usd AS cost_usd,
    step.input_tokens AS input_tokens,
    step.output_tokens AS output_tokens,
    step.route AS route,
    step.route_reason AS route_reason,
    step.route_confidence AS route_confidence,
    step.route_policy_version AS route_policy_version,
    step.prompt_id AS prompt_id,
    step.prompt_version AS prompt_version,
    step.model_provider AS model_provider,
    step.model_name AS model_name,
    step.model_policy AS model_policy,
    step.temperature AS temperature,
    step.top_p AS top_p,
    step.seed AS seed,
    step.system_fingerprint AS system_fingerprint,
    step.confidence AS confidence,
    step.refusal AS refusal,
    step.parser_version AS parser_version,
    step.schema_version AS schema_version,
    step.input_ref AS input_ref,
    step.parsed_artifact_ref AS parsed_artifact_ref,
    step.context_refs AS context_refs,
    step.raw_output_ref AS raw_output_ref,
    step.evidence_refs AS evidence_refs,
    step.validation_errors AS validation_errors,
    step.labels AS labels
FROM
(
    SELECT project, workflow, run_id, started_at AS run_started_at, verdict, steps
    FROM run_rows FINAL
)
ARRAY JOIN steps AS step, arrayEnumerate(steps) AS position
COMMENT 'One row for each step of the newest revision of each run.';

CREATE VIEW IF NOT EXISTS gaps${on_cluster}
(
    gap_id String COMMENT 'Derived from the evidence event and the kind: a redelivered event is the same gap.',
    run_id String COMMENT 'Run.',
    project LowCardinality(String) COMMENT 'Owner.',
    workflow LowCardinality(String) COMMENT 'Workflow.',
    run_started_at DateTime64(6, 'UTC') COMMENT 'Start of the run.',
    event_id String COMMENT 'The evidence event judged.',
    step_id Nullable(String) COMMENT 'Step that checked.',
    step_name LowCardinality(Nullable(String)) COMMENT 'Its name.',
    kind LowCardinality(String) COMMENT 'missing_citation, weak_provenance, unsupported_field or source_conflict.',
    field_path Nullable(String) COMMENT 'The field.',
    evidence_required Nullable(Bool) COMMENT 'A citation is required.',
    provenance_score Nullable(Float64) COMMENT '0 to 1.',
    threshold Nullable(Float64) COMMENT 'What the policy asks for.',
    evidence_refs Array(String) COMMENT 'Supporting references.',
    conflicting_refs Array(String) COMMENT 'Disagreeing references.',
    next_step LowCardinality(String) COMMENT 'What the policy names: search, retry, partial_output, review, apply_authority, escalate or safe_stop.',
    decided_next_step LowCardinality(Nullable(String)) COMMENT 'What the workflow decided, if it said.',
    policy_hash LowCardinality(Nullable(String)) COMMENT 'Policy that judged.',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When the evidence was checked.',
    detected_at DateTime64(6, 'UTC') COMMENT 'When the gap was told.'
)
AS SELECT
    gap_id,
    run_id,
    project,
    workflow,
    run_started_at,
    event_id,
    step_id,
    step_name,
    kind,
    field_path,
    evidence_required,
    provenance_score,
    threshold,
    evidence_refs,
    conflicting_refs,
    next_step,
    decided_next_step,
    policy_hash,
    occurred_at,
    detected_at
FROM gap_rows FINAL
COMMENT 'Every evidence gap once, as told while its run was live.';

CREATE VIEW IF NOT EXISTS dead_letters${on_cluster}
(
    dead_id String COMMENT 'Derived from topic, partition, offset and stage: the same letter however often it is written.',
    stage LowCardinality(String) COMMENT 'Who could not read it, e.g. worker or loader.',
    topic LowCardinality(String) COMMENT 'Where it stood.',
    partition Int32 COMMENT 'Partition.',
    offset Int64 COMMENT 'Offset.',
    reason LowCardinality(String) COMMENT 'Reason code.',
    detail String COMMENT 'One sentence, without content.',
    schema_id Nullable(Int32) COMMENT 'Schema id in its framing, if it had one.',
    key Nullable(String) COMMENT 'Original key.',
    value String COMMENT 'Original bytes.',
    produced_at Nullable(DateTime64(6, 'UTC')) COMMENT 'Broker''s time stamp.',
    observed_at DateTime64(6, 'UTC') COMMENT 'When it was found.'
)
AS SELECT
    dead_id,
    stage,
    topic,
    partition,
    offset,
    reason,
    detail,
    schema_id,
    key,
    value,
    produced_at,
    observed_at
FROM dead_letter_rows FINAL
COMMENT 'Every message that could not be read, once.';

CREATE VIEW IF NOT EXISTS reviews${on_cluster}
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
        FROM event_rows
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

CREATE VIEW IF NOT EXISTS policies${on_cluster}
(
    policy_hash LowCardinality(String) COMMENT 'Content hash of the policy.',
    policy String COMMENT 'The policy itself, as canonical JSON: what the hash is of.',
    used_by LowCardinality(String) COMMENT 'Who judged by it: worker.',
    source_partition Int32 COMMENT 'Partition of the events topic that it judged.',
    from_offset Int64 COMMENT 'First message of the partition that it judged.',
    used_at DateTime64(6, 'UTC') COMMENT 'When it began to judge.'
)
AS SELECT
    policy_hash,
    policy,
    used_by,
    source_partition,
    from_offset,
    used_at
FROM policy_use_rows FINAL
COMMENT 'From which message on a policy judged a partition. Keyed by policy hash.';

CREATE VIEW IF NOT EXISTS rollups${on_cluster}
(
    workflow LowCardinality(String) COMMENT 'Workflow.',
    window_start DateTime('UTC') COMMENT 'Start of the five minutes; a run belongs to those that it started in.',
    dimension LowCardinality(String) COMMENT 'What was counted, e.g. route.',
    value String COMMENT 'Its value; (none) when there was none, (rare) for all that are rarer than one run in 512.',
    anchors Map(String, String) COMMENT 'The combination of version anchors.',
    runs UInt64 COMMENT 'Runs.'
)
AS SELECT
    workflow,
    window_start,
    cell.1 AS dimension,
    cell.2 AS value,
    mapFromArrays(
        ['prompt_version', 'model_name', 'model_provider', 'system_fingerprint', 'parser_version', 'schema_version',
         'route_policy_version', 'model_policy', 'release'],
        arrayMap(anchor -> toString(anchor), cell.3)) AS anchors,
    cell.4 AS runs
FROM rollup_rows FINAL
ARRAY JOIN cells AS cell
COMMENT 'Runs by workflow, five minutes, dimension, value and combination of anchors.';

CREATE VIEW IF NOT EXISTS drift${on_cluster}
(
    workflow LowCardinality(String) COMMENT 'Workflow.',
    length LowCardinality(String) COMMENT 'How long the window lasts: 5m, 1h or 1d.',
    window_start DateTime('UTC') COMMENT 'Start of the window.',
    dimension LowCardinality(String) COMMENT 'What was judged, e.g. route.',
    baseline LowCardinality(String) COMMENT 'What it was held against: previous windows, or a pinned release.',
    outcome LowCardinality(String) COMMENT 'steady, drifting or too_few.',
    before_from DateTime('UTC') COMMENT 'Start of the baseline.',
    before_to DateTime('UTC') COMMENT 'End of the baseline, not included.',
    before_runs UInt64 COMMENT 'Runs of the baseline.',
    after_runs UInt64 COMMENT 'Runs of the window.',
    g Float64 COMMENT 'The statistic of the G-test.',
    degrees UInt32 COMMENT 'Its degrees of freedom.',
    p Float64 COMMENT 'Chance of a G as large when nothing moved.',
    p_adjusted Float64 COMMENT 'The same, corrected for all that was tested in the window.',
    effect Float64 COMMENT 'Total variation between the two, 0 to 1.',
    needed UInt64 COMMENT 'Runs that each of two equal windows would need.',
    pooled UInt32 COMMENT 'Values judged together as (rare).',
    shares Array(Tuple(value String, before UInt64, after UInt64)) COMMENT 'Runs by value, the greatest move first.',
    attributions Array(Tuple(
        anchor String, between Float64, mix_change Float64,
        value String, before Float64, after Float64)) COMMENT 'Anchors, the likeliest cause first: part of the shift, change of its own mix, and the value whose share moved most.',
    alert_id String COMMENT 'The alert that stood when this window had been judged; empty for none.',
    alert_state LowCardinality(String) COMMENT 'open, muted, closed or empty.',
    alert_since Nullable(DateTime('UTC')) COMMENT 'Start of the window that opened it.'
)
AS SELECT
    workflow, length, window_start, dimension, baseline, outcome, before_from, before_to, before_runs, after_runs,
    g, degrees, p, p_adjusted, effect, needed, pooled, shares, attributions, alert_id, alert_state, alert_since
FROM drift_judgement_rows FINAL
COMMENT 'Every judged window of every workflow and dimension, as it was last judged.';

CREATE VIEW IF NOT EXISTS dead_messages${on_cluster}
(
    message_id String COMMENT 'First 32 hex digits of the SHA-256 of topic, partition, key and bytes: the same however often it comes back.',
    topic LowCardinality(String) COMMENT 'Where it stood.',
    partition Int32 COMMENT 'Partition.',
    offset Int64 COMMENT 'Offset where it stood last.',
    reason LowCardinality(String) COMMENT 'Reason code of the newest letter.',
    detail String COMMENT 'One sentence of the newest letter, without content.',
    schema_id Nullable(Int32) COMMENT 'Schema id in its framing, if it had one.',
    stages Array(String) COMMENT 'Who could not read it: worker, loader, amender.',
    letters UInt64 COMMENT 'Dead letters of it: one for each reader and time.',
    first_seen_at DateTime64(6, 'UTC') COMMENT 'When it was found first.',
    last_seen_at DateTime64(6, 'UTC') COMMENT 'When it was found last.',
    replays UInt64 COMMENT 'Attempts to send it again.',
    replayed_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was sent again last.',
    state LowCardinality(String) COMMENT 'open: not sent again; replayed: sent, and not seen since; returned: sent, and came back.',
    key Nullable(String) COMMENT 'Original key.',
    value String COMMENT 'Original bytes.'
)
AS WITH letters AS
(
    SELECT
        message_id,
        any(letter.topic) AS topic,
        any(letter.partition) AS partition,
        max(letter.offset) AS last_offset,
        argMax(letter.reason, (letter.offset, letter.observed_at)) AS reason,
        argMax(letter.detail, (letter.offset, letter.observed_at)) AS detail,
        argMax(tuple(letter.schema_id), (letter.offset, letter.observed_at)).1 AS schema_id,
        arraySort(groupUniqArray(toString(letter.stage))) AS stages,
        uniqExact(letter.dead_id) AS letters,
        min(letter.observed_at) AS first_seen_at,
        max(letter.observed_at) AS last_seen_at,
        any(tuple(letter.key)).1 AS key,
        any(letter.value) AS value
    FROM
    (
        SELECT
            *,
            if(isNull(key), 'none', concat('key:', hex(assumeNotNull(key)))) AS shown_key,
            lower(left(hex(SHA256(concat(topic, '\0', toString(partition), '\0', shown_key, '\0', value))), 32)) AS message_id
        FROM dead_letter_rows FINAL
    ) AS letter
    GROUP BY message_id
),
replays AS
(
    SELECT
        message_id,
        max(attempt) AS replays,
        max(dead_replay_rows.sent_offset) AS sent_offset,
        maxOrNullIf(dead_replay_rows.replayed_at, dead_replay_rows.sent_offset >= 0) AS replayed_at
    FROM dead_replay_rows FINAL
    GROUP BY message_id
)
SELECT
    letters.message_id AS message_id,
    letters.topic AS topic,
    letters.partition AS partition,
    letters.last_offset AS offset,
    letters.reason AS reason,
    letters.detail AS detail,
    letters.schema_id AS schema_id,
    letters.stages AS stages,
    letters.letters AS letters,
    letters.first_seen_at AS first_seen_at,
    letters.last_seen_at AS last_seen_at,
    replays.replays AS replays,
    replays.replayed_at AS replayed_at,
    multiIf(isNull(replays.replayed_at), 'open', letters.last_offset >= replays.sent_offset, 'returned', 'replayed') AS state,
    letters.key AS key,
    letters.value AS value
FROM letters
LEFT JOIN replays ON replays.message_id = letters.message_id
COMMENT 'Every unreadable message once, however many letters tell of it, with what became of sending it again.';

-- What emitters say that they sent, against what readers see: the loss rate, always on show. Proofs of a loss are a hole
-- in an emitter's sequence numbers, and the count that the run's end carries. A run without an end can hide a lost tail,
-- so such runs are counted beside.
CREATE VIEW IF NOT EXISTS emission_ledger${on_cluster}
(
    project LowCardinality(String) COMMENT 'Owner.',
    hour DateTime('UTC') COMMENT 'Hour that the runs started in.',
    runs UInt64 COMMENT 'Runs of which an event is visible.',
    unended_runs UInt64 COMMENT 'Of these, runs whose end is not visible: they run still, or their tail may be lost unseen.',
    emitted UInt64 COMMENT 'Events that are proven to have been emitted.',
    visible UInt64 COMMENT 'Events that readers see.',
    lost UInt64 COMMENT 'Events proven to have been emitted that nobody sees: lost, buried as dead letters, or still on their way.',
    loss_rate Float64 COMMENT 'lost / emitted.'
)
AS SELECT
    project,
    hour,
    uniqExact(run_id) AS runs,
    runs - uniqExactIf(run_id, ends > 0) AS unended_runs,
    sum(seen) + sum(least(missing, 1099511627776)) AS emitted,
    sum(seen) AS visible,
    emitted - visible AS lost,
    if(emitted = 0, 0, lost / emitted) AS loss_rate
FROM
(
    SELECT
        project,
        toStartOfHour(run_started_at) AS hour,
        run_id,
        emitter_id,
        count() AS seen,
        countIf(event_type = 'run_finished') AS ends,
        toUInt64(greatest(0, greatest(max(seq) + 1, ifNull(max(expected_events), 0)) - toInt64(uniqExact(seq)))) AS missing
    FROM event_rows FINAL
    GROUP BY project, hour, run_id, emitter_id
)
GROUP BY project, hour
COMMENT 'Events emitted and visible by project and hour; runs of the last minutes may still be on their way.';

CREATE VIEW IF NOT EXISTS alerts${on_cluster}
(
    alert_id String COMMENT 'Derived from workflow, dimension, baseline and the window that opened it: the same whenever that is judged again.',
    revision Int32 COMMENT '1, 2, 3…: the higher replaces the lower.',
    state LowCardinality(String) COMMENT 'open, muted, closed, acknowledged or withdrawn.',
    workflow LowCardinality(String) COMMENT 'Workflow.',
    dimension LowCardinality(String) COMMENT 'What moved, e.g. route.',
    length LowCardinality(String) COMMENT 'How long its windows last: 5m, 1h or 1d.',
    baseline LowCardinality(String) COMMENT 'What they are held against: previous or pinned.',
    since DateTime64(6, 'UTC') COMMENT 'Start of the window that opened it.',
    window_start DateTime64(6, 'UTC') COMMENT 'Start of the last window that it is about.',
    headline String COMMENT 'What moved, in one sentence.',
    advice String COMMENT 'What to do next.',
    effect Float64 COMMENT 'Total variation between baseline and window, 0 to 1.',
    p_adjusted Float64 COMMENT 'Chance of as much when nothing moved, corrected for all that was tested in the window.',
    before_from DateTime64(6, 'UTC') COMMENT 'Start of the baseline.',
    before_to DateTime64(6, 'UTC') COMMENT 'End of the baseline, not included.',
    before_runs Int64 COMMENT 'Runs of the baseline.',
    after_runs Int64 COMMENT 'Runs of the window.',
    shares Array(Tuple(value String, before Int64, after Int64)) COMMENT 'Runs by value, the greatest move first.',
    anchors Array(Tuple(anchor String, between Float64, value String, before Float64, after Float64)) COMMENT 'Anchors, the likeliest cause first.',
    runs_before Array(String) COMMENT 'Runs of the baseline to look at.',
    runs_after Array(String) COMMENT 'Runs since to look at.',
    reason Nullable(String) COMMENT 'Why it was muted or acknowledged.',
    told_at DateTime64(6, 'UTC') COMMENT 'When this was told.'
)
AS SELECT
    alert_id,
    revision,
    state,
    workflow,
    dimension,
    length,
    baseline,
    since,
    window_start,
    headline,
    advice,
    effect,
    p_adjusted,
    before_from,
    before_to,
    before_runs,
    after_runs,
    shares,
    anchors,
    runs_before,
    runs_after,
    reason,
    told_at
FROM alert_rows FINAL
COMMENT 'A drift alert, as it stands after a window was judged or somebody spoke about it. Keyed by alert id.';

CREATE VIEW IF NOT EXISTS run_documents${on_cluster}
(
    run_id String COMMENT 'W3C trace id, 32 hex digits.',
    revision Int64 COMMENT 'Of the newest record of the run that came since there are such values.',
    run Tuple(run_id String, project String, workflow String, revision Int64, verdict String, close_reason String, missing Array(String), events Int64, events_lost Int64, amended Bool, started_at DateTime64(6, 'UTC'), finished_at DateTime64(6, 'UTC'), duration_us Int64, closed_at DateTime64(6, 'UTC'), final_state Nullable(String), status Nullable(String), error_type Nullable(String), error_step Nullable(String), route Nullable(String), route_reason Nullable(String), route_confidence Nullable(Float64), route_policy_version Nullable(String), prompt_id Nullable(String), prompt_version Nullable(String), model_provider Nullable(String), model_name Nullable(String), model_policy Nullable(String), temperature Nullable(Float64), top_p Nullable(Float64), seed Nullable(Int64), system_fingerprint Nullable(String), confidence Nullable(Float64), refusal Nullable(Bool), parser_version Nullable(String), schema_version Nullable(String), input_ref Nullable(String), parsed_artifact_ref Nullable(String), context_refs Array(String), raw_output_ref Nullable(String), evidence_refs Array(String), validation_errors Array(String), fallback_taken Nullable(String), fallback_reason Nullable(String), review_outcome Nullable(String), reviewer_ref Nullable(String), override_ref Nullable(String), review_note_ref Nullable(String), eval_case_id Nullable(String), eval_outcome Nullable(String), retry_count Nullable(Int64), cost_usd Nullable(Float64), input_tokens Nullable(Int64), output_tokens Nullable(Int64), slowest_step Nullable(String), costliest_step Nullable(String), missing_anchors Array(String), gap_kinds Array(String), policy_hash Nullable(String), labels Map(String, String), steps Array(Tuple(step_id Nullable(String), parent_step_id Nullable(String), step_kind Nullable(String), step_name Nullable(String), status Nullable(String), error_type Nullable(String), retry_count Nullable(Int32), started_at Nullable(DateTime64(6, 'UTC')), finished_at Nullable(DateTime64(6, 'UTC')), duration_us Nullable(Int64), cost_usd Nullable(Float64), input_tokens Nullable(Int64), output_tokens Nullable(Int64), route Nullable(String), route_reason Nullable(String), route_confidence Nullable(Float64), route_policy_version Nullable(String), prompt_id Nullable(String), prompt_version Nullable(String), model_provider Nullable(String), model_name Nullable(String), model_policy Nullable(String), temperature Nullable(Float64), top_p Nullable(Float64), seed Nullable(Int64), system_fingerprint Nullable(String), confidence Nullable(Float64), refusal Nullable(Bool), parser_version Nullable(String), schema_version Nullable(String), input_ref Nullable(String), parsed_artifact_ref Nullable(String), context_refs Array(String), raw_output_ref Nullable(String), evidence_refs Array(String), validation_errors Array(String), labels Map(String, String))), evidence Array(Tuple(event_id Nullable(String), step_id Nullable(String), field_path Nullable(String), evidence_required Nullable(Bool), provenance_score Nullable(Float64), evidence_refs Array(String), conflicting_refs Array(String), next_step Nullable(String), policy_hash Nullable(String), occurred_at Nullable(DateTime64(6, 'UTC')), retry_count Nullable(Int32))), gaps Array(Tuple(event_id Nullable(String), kind Nullable(String), field_path Nullable(String), provenance_score Nullable(Float64), next_step Nullable(String), threshold Nullable(Float64), decided_next_step Nullable(String))), fallbacks Array(Tuple(event_id Nullable(String), step_id Nullable(String), kind Nullable(String), reason Nullable(String), inferred Nullable(Bool), occurred_at Nullable(DateTime64(6, 'UTC')))), reviews Array(Tuple(event_id Nullable(String), outcome Nullable(String), field_path Nullable(String), reviewer_ref Nullable(String), override_ref Nullable(String), note_ref Nullable(String), occurred_at Nullable(DateTime64(6, 'UTC')))), evals Array(Tuple(event_id Nullable(String), case_id Nullable(String), outcome Nullable(String), occurred_at Nullable(DateTime64(6, 'UTC')))), source_partition Nullable(Int32), first_offset Nullable(Int64), last_offset Nullable(Int64), assembler_version Nullable(String), conflict_sides Array(Tuple(event_id Nullable(String), field_path Nullable(String), source_ref Nullable(String), value_ref Nullable(String), source_kind Nullable(String), score Nullable(Float64), authority_rank Nullable(Int32), won Nullable(Bool), reason Nullable(String)))) COMMENT 'The run, as in the view runs.'
)
AS SELECT
    run_id,
    revision,
    JSONExtract(document, 'Tuple(run_id String, project String, workflow String, revision Int64, verdict String, close_reason String, missing Array(String), events Int64, events_lost Int64, amended Bool, started_at DateTime64(6, \'UTC\'), finished_at DateTime64(6, \'UTC\'), duration_us Int64, closed_at DateTime64(6, \'UTC\'), final_state Nullable(String), status Nullable(String), error_type Nullable(String), error_step Nullable(String), route Nullable(String), route_reason Nullable(String), route_confidence Nullable(Float64), route_policy_version Nullable(String), prompt_id Nullable(String), prompt_version Nullable(String), model_provider Nullable(String), model_name Nullable(String), model_policy Nullable(String), temperature Nullable(Float64), top_p Nullable(Float64), seed Nullable(Int64), system_fingerprint Nullable(String), confidence Nullable(Float64), refusal Nullable(Bool), parser_version Nullable(String), schema_version Nullable(String), input_ref Nullable(String), parsed_artifact_ref Nullable(String), context_refs Array(String), raw_output_ref Nullable(String), evidence_refs Array(String), validation_errors Array(String), fallback_taken Nullable(String), fallback_reason Nullable(String), review_outcome Nullable(String), reviewer_ref Nullable(String), override_ref Nullable(String), review_note_ref Nullable(String), eval_case_id Nullable(String), eval_outcome Nullable(String), retry_count Nullable(Int64), cost_usd Nullable(Float64), input_tokens Nullable(Int64), output_tokens Nullable(Int64), slowest_step Nullable(String), costliest_step Nullable(String), missing_anchors Array(String), gap_kinds Array(String), policy_hash Nullable(String), labels Map(String, String), steps Array(Tuple(step_id Nullable(String), parent_step_id Nullable(String), step_kind Nullable(String), step_name Nullable(String), status Nullable(String), error_type Nullable(String), retry_count Nullable(Int32), started_at Nullable(DateTime64(6, \'UTC\')), finished_at Nullable(DateTime64(6, \'UTC\')), duration_us Nullable(Int64), cost_usd Nullable(Float64), input_tokens Nullable(Int64), output_tokens Nullable(Int64), route Nullable(String), route_reason Nullable(String), route_confidence Nullable(Float64), route_policy_version Nullable(String), prompt_id Nullable(String), prompt_version Nullable(String), model_provider Nullable(String), model_name Nullable(String), model_policy Nullable(String), temperature Nullable(Float64), top_p Nullable(Float64), seed Nullable(Int64), system_fingerprint Nullable(String), confidence Nullable(Float64), refusal Nullable(Bool), parser_version Nullable(String), schema_version Nullable(String), input_ref Nullable(String), parsed_artifact_ref Nullable(String), context_refs Array(String), raw_output_ref Nullable(String), evidence_refs Array(String), validation_errors Array(String), labels Map(String, String))), evidence Array(Tuple(event_id Nullable(String), step_id Nullable(String), field_path Nullable(String), evidence_required Nullable(Bool), provenance_score Nullable(Float64), evidence_refs Array(String), conflicting_refs Array(String), next_step Nullable(String), policy_hash Nullable(String), occurred_at Nullable(DateTime64(6, \'UTC\')), retry_count Nullable(Int32))), gaps Array(Tuple(event_id Nullable(String), kind Nullable(String), field_path Nullable(String), provenance_score Nullable(Float64), next_step Nullable(String), threshold Nullable(Float64), decided_next_step Nullable(String))), fallbacks Array(Tuple(event_id Nullable(String), step_id Nullable(String), kind Nullable(String), reason Nullable(String), inferred Nullable(Bool), occurred_at Nullable(DateTime64(6, \'UTC\')))), reviews Array(Tuple(event_id Nullable(String), outcome Nullable(String), field_path Nullable(String), reviewer_ref Nullable(String), override_ref Nullable(String), note_ref Nullable(String), occurred_at Nullable(DateTime64(6, \'UTC\')))), evals Array(Tuple(event_id Nullable(String), case_id Nullable(String), outcome Nullable(String), occurred_at Nullable(DateTime64(6, \'UTC\')))), source_partition Nullable(Int32), first_offset Nullable(Int64), last_offset Nullable(Int64), assembler_version Nullable(String), conflict_sides Array(Tuple(event_id Nullable(String), field_path Nullable(String), source_ref Nullable(String), value_ref Nullable(String), source_kind Nullable(String), score Nullable(Float64), authority_rank Nullable(Int32), won Nullable(Bool), reason Nullable(String))))') AS run
FROM run_document_rows FINAL
COMMENT 'A run by its id, in one value: quick for one run, slow for many.';

-- A run's value as it is kept. A question that gives it types pays more for the analysis of those types than for the
-- reading; whoever looks up one run gives them itself.
CREATE VIEW IF NOT EXISTS run_texts${on_cluster}
(
    run_id String COMMENT 'W3C trace id, 32 hex digits.',
    revision Int64 COMMENT 'Of the newest record of the run that came since there are such values.',
    document String COMMENT 'Values of the row of run_rows, as JSON arrays in the order of its columns.'
)
AS SELECT
    run_id,
    revision,
    document
FROM run_document_rows FINAL
COMMENT 'A run by its id, as text: the view run_documents without its types.';
