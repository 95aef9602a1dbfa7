-- The tables: one for each schema subject, its columns the record's fields. They may hold a row twice until parts are
-- merged; readers use the views. Our run ids are in order of time, so the keys are too, and the minmax indexes narrow by time.
-- A month is a partition; times that only a broken clock can say share one, so that they cannot make thousands.

-- A part as it was inserted keeps all its columns in one file; what merges make of it has a file for each column, as
-- questions want it. An insert into a ReplacingMergeTree has level 1 already, because it is freed of repetitions.
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
    conflict_sides Array(Tuple(
        source_ref String,
        value_ref Nullable(String),
        source_kind LowCardinality(Nullable(String)),
        score Nullable(Float64))) CODEC(ZSTD(1)) COMMENT 'On evidence about which sources disagree: every side, the one that was used and those that were not.',
    INDEX occurred_at_range occurred_at TYPE minmax GRANULARITY 1,
    INDEX started_at_range run_started_at TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY if(toYear(run_started_at) BETWEEN 2020 AND 2099, toYYYYMM(run_started_at), 0)
ORDER BY (project, run_id, event_id)
SETTINGS non_replicated_deduplication_window = 10000, min_level_for_wide_part = 2
COMMENT 'One fact about one step of one run; what it does not say is null. Content never travels, only references. May hold a row twice: read the view events.';

-- A month of runs that gets no more parts is merged into one part. FINAL has nothing to do in a partition of one part, so
-- questions over what is past cost what a plain table's would. The month that still grows is left to ordinary merges.
CREATE TABLE IF NOT EXISTS run_rows${on_cluster}
(
    run_id String CODEC(ZSTD(1)) COMMENT 'W3C trace id, 32 hex digits.',
    project LowCardinality(String) COMMENT 'Owner.',
    workflow LowCardinality(String) COMMENT 'Workflow.',
    revision Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Events absorbed: the higher revision of a run replaces the lower.',
    verdict LowCardinality(String) COMMENT 'complete, partial or unfinished.',
    close_reason LowCardinality(String) COMMENT 'finished, grace, idle, max_open or overflow.',
    missing Array(String) CODEC(ZSTD(1)) COMMENT 'What a partial run lacks: kind:name of a step, start, end; overflow: events beyond the bound of a run; truncated: lists cut to fit.',
    events Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Events absorbed.',
    events_lost Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Events proven lost by holes in seq.',
    amended Bool COMMENT 'Assembled again after its first close.',
    started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Start of the run.',
    finished_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Last moment known.',
    duration_us Int64 CODEC(Delta, ZSTD(1)) COMMENT 'finished_at − started_at.',
    closed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the assembler closed it.',
    final_state LowCardinality(Nullable(String)) COMMENT 'answered, partial, stopped, failed or handed_over; of two ends the first by time is believed.',
    status LowCardinality(Nullable(String)) COMMENT 'error when the run failed or a step ended in error, else ok.',
    error_type LowCardinality(Nullable(String)) COMMENT 'First error''s class.',
    error_step LowCardinality(Nullable(String)) COMMENT 'kind:name of the first step in error.',
    route LowCardinality(Nullable(String)) COMMENT 'The branch decided for: of the last step to end of kind route that says one, else of kind classify, else of any.',
    route_reason Nullable(String) CODEC(ZSTD(1)) COMMENT 'Why, as that step says.',
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
    input_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'What went in.',
    parsed_artifact_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'What parsing produced.',
    context_refs Array(String) CODEC(ZSTD(1)) COMMENT 'What the model was shown: of the last model_call to end that says any, else of the last prompt, else of any.',
    raw_output_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'What came out.',
    evidence_refs Array(String) CODEC(ZSTD(1)) COMMENT 'Supporting references.',
    validation_errors Array(String) CODEC(ZSTD(1)) COMMENT 'Codes and JSON paths that stand: of each validating step, by kind:name, what it said when it last ended, each once.',
    fallback_taken LowCardinality(Nullable(String)) COMMENT 'The last fallback.',
    fallback_reason Nullable(String) CODEC(ZSTD(1)) COMMENT 'Its reason.',
    review_outcome LowCardinality(Nullable(String)) COMMENT 'The last review''s outcome.',
    reviewer_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'Its reviewer.',
    override_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'Its corrected value.',
    review_note_ref Nullable(String) CODEC(ZSTD(1)) COMMENT 'Its note.',
    eval_case_id Nullable(String) CODEC(ZSTD(1)) COMMENT 'The last eval case.',
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
        labels Map(LowCardinality(String), String))) CODEC(ZSTD(1)) COMMENT 'The steps, by start; of each field what was said of the step last, its end outweighing its start.',
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
        retry_count Nullable(Int32))) CODEC(ZSTD(1)) COMMENT 'The fields checked.',
    gaps Array(Tuple(
        event_id Nullable(String),
        kind LowCardinality(Nullable(String)),
        field_path Nullable(String),
        provenance_score Nullable(Float64),
        next_step LowCardinality(Nullable(String)),
        threshold Nullable(Float64),
        decided_next_step LowCardinality(Nullable(String)))) CODEC(ZSTD(1)) COMMENT 'The gaps found.',
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
    conflict_sides Array(Tuple(
        event_id Nullable(String),
        field_path Nullable(String),
        source_ref Nullable(String),
        value_ref Nullable(String),
        source_kind LowCardinality(Nullable(String)),
        score Nullable(Float64),
        authority_rank Nullable(Int32),
        won Nullable(Bool),
        reason LowCardinality(Nullable(String)))) CODEC(ZSTD(1)) COMMENT 'The sides of every conflict between sources, in order of their events.',
    INDEX started_at_range started_at TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(revision)
PARTITION BY if(toYear(started_at) BETWEEN 2020 AND 2099, toYYYYMM(started_at), 0)
ORDER BY (project, run_id)
SETTINGS non_replicated_deduplication_window = 10000, min_level_for_wide_part = 2,
    min_age_to_force_merge_seconds = 10800, min_age_to_force_merge_on_partition_only = 1
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

-- Who works on which review item until when. One row a lease: the insert carries a deduplication token of item and
-- number, so of several that claim the same lease the first stands. Times are this server's, and nobody else's.
CREATE TABLE IF NOT EXISTS review_lease_rows${on_cluster}
(
    item_id String CODEC(ZSTD(1)) COMMENT 'The review item.',
    lease UInt32 COMMENT '1, 2, 3… per item.',
    reviewer_ref String CODEC(ZSTD(1)) COMMENT 'Reference to the reviewer, never a name.',
    claim_id String CODEC(ZSTD(1)) COMMENT 'Of the claim that made it: whoever finds its own here has the lease.',
    lease_ms UInt64 COMMENT 'How long it lasts from leased_at on, in milliseconds; 0 ends the lease before it.',
    leased_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it began, by the server''s clock.'
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (item_id, lease, claim_id)
TTL toDateTime(leased_at) + INTERVAL 180 DAY
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Leases of review items; the last of an item counts.';

-- Every policy that ever judged, with its text, so that a hash on a run or a gap can be read back.
CREATE TABLE IF NOT EXISTS policy_use_rows${on_cluster}
(
    policy_hash LowCardinality(String) COMMENT 'Content hash of the policy.',
    policy String CODEC(ZSTD(1)) COMMENT 'The policy itself, as canonical JSON: what the hash is of.',
    used_by LowCardinality(String) COMMENT 'Who judged by it: worker.',
    source_partition Int32 COMMENT 'Partition of the events topic that it judged.',
    from_offset Int64 COMMENT 'First message of the partition that it judged.',
    used_at DateTime64(6, 'UTC') COMMENT 'When it began to judge.'
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (policy_hash, used_by, source_partition, from_offset)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'From which message on a policy judged a partition. Keyed by policy hash. May hold a row twice: read the view policies.';

-- What drift is judged from: one row for five minutes of a workflow, counted as a whole, so that counting again replaces.
CREATE TABLE IF NOT EXISTS rollup_rows${on_cluster}
(
    workflow LowCardinality(String) COMMENT 'Workflow.',
    window_start DateTime('UTC') COMMENT 'Start of the five minutes; a run belongs to those that it started in.',
    runs UInt64 COMMENT 'Runs counted; 0 when all of them have moved elsewhere.',
    fingerprint UInt64 COMMENT 'Of the runs counted, by id and revision: another one means that it must be counted again.',
    cells Array(Tuple(
        dimension LowCardinality(String),
        value String,
        anchors Array(LowCardinality(String)),
        runs UInt64)) CODEC(ZSTD(1)) COMMENT 'Runs by dimension, value and combination of anchors; what is rare is (rare).',
    version UInt64 COMMENT 'How often it was counted: the highest stands.'
)
ENGINE = ${replicated}ReplacingMergeTree(version)
PARTITION BY if(toYear(window_start) BETWEEN 2020 AND 2099, toYYYYMM(window_start), 0)
ORDER BY (workflow, window_start)
COMMENT 'Roll-ups of five minutes. May hold a row twice: read the view rollups.';

-- What came of judging windows, what people said about the alerts, and which release is the reference.
CREATE TABLE IF NOT EXISTS drift_judgement_rows${on_cluster}
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
    alert_since Nullable(DateTime('UTC')) COMMENT 'Start of the window that opened it.',
    against_from Nullable(DateTime('UTC')) COMMENT 'Start of the baseline that it opened with.',
    against_to Nullable(DateTime('UTC')) COMMENT 'End of the baseline that it opened with.',
    calm UInt32 COMMENT 'Calm windows in a row.',
    normal_from Nullable(DateTime('UTC')) COMMENT 'Where an acknowledged level came in: the baseline begins there at the earliest.',
    seen UInt64 COMMENT 'Of the roll-ups judged: another one means that the window must be judged again.',
    version UInt64 COMMENT 'How often it was judged: the highest stands.'
)
ENGINE = ${replicated}ReplacingMergeTree(version)
PARTITION BY if(toYear(window_start) BETWEEN 2020 AND 2099, toYYYYMM(window_start), 0)
ORDER BY (workflow, length, window_start, dimension, baseline)
COMMENT 'Judgements. May hold a row twice: read the view drift.';

CREATE TABLE IF NOT EXISTS drift_mark_rows${on_cluster}
(
    alert_id String COMMENT 'The alert.',
    mark LowCardinality(String) COMMENT 'acknowledged or muted.',
    reason String COMMENT 'Why.',
    marked_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When, by the server''s clock.'
)
ENGINE = ${replicated}ReplacingMergeTree(marked_at)
ORDER BY alert_id
COMMENT 'What was said about an alert; the last word counts.';

CREATE TABLE IF NOT EXISTS drift_pin_rows${on_cluster}
(
    workflow LowCardinality(String) COMMENT 'Workflow.',
    release String COMMENT 'The label release of the runs that are the reference; empty for none.',
    pinned_from DateTime('UTC') COMMENT 'Start of the reference.',
    pinned_to DateTime('UTC') COMMENT 'End of the reference, not included.',
    pinned_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When, by the server''s clock.'
)
ENGINE = ${replicated}ReplacingMergeTree(pinned_at)
ORDER BY workflow
COMMENT 'The pinned reference of a workflow; the last pin counts.';

-- Every attempt to send a dead letter's message again. The message is known by its place and bytes, not by its offset:
-- one that comes back as a new letter is still the same message, and its attempts add up.
CREATE TABLE IF NOT EXISTS dead_replay_rows${on_cluster}
(
    message_id String CODEC(ZSTD(1)) COMMENT 'Of topic, partition, key and bytes; see the view dead_messages.',
    attempt UInt32 COMMENT '1, 2, 3… per message.',
    sent_offset Int64 COMMENT 'Where the broker put it; -1 says that it was about to be sent.',
    replayed_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'By the server''s clock.'
)
ENGINE = ${replicated}ReplacingMergeTree(replayed_at)
ORDER BY (message_id, attempt, sent_offset)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Replays of dead letters, noted before they are sent and once they are acknowledged.';

-- Drift alerts: the newest word about each.
CREATE TABLE IF NOT EXISTS alert_rows${on_cluster}
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
ENGINE = ${replicated}ReplacingMergeTree(revision)
ORDER BY alert_id
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'A drift alert, as it stands after a window was judged or somebody spoke about it. Keyed by alert id. May hold a row twice: read the view alerts.';

-- Hours and days: sums of five minutes, kept so that judging a window reads a row a window, however many runs there were.
CREATE TABLE IF NOT EXISTS rollup_sum_rows${on_cluster}
(
    workflow LowCardinality(String) COMMENT 'Workflow.',
    length LowCardinality(String) COMMENT 'How long the window lasts: 1h or 1d.',
    window_start DateTime('UTC') COMMENT 'Start of the window.',
    seen UInt64 COMMENT 'Of the roll-ups summed: another one means that it must be summed again.',
    cells Array(Tuple(
        dimension LowCardinality(String),
        value String,
        anchors Array(LowCardinality(String)),
        runs UInt64)) CODEC(ZSTD(1)) COMMENT 'As in rollup_rows.',
    summed_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When; the last sum stands.'
)
ENGINE = ${replicated}ReplacingMergeTree(summed_at)
PARTITION BY if(toYear(window_start) BETWEEN 2020 AND 2099, toYYYYMM(window_start), 0)
ORDER BY (workflow, length, window_start)
COMMENT 'Roll-ups of hours and days. May hold a row twice: read it with FINAL.';

-- A run by its id: the row of run_rows as one value, where opening its two hundred streams takes longer than reading them.
-- The names stand in the view, so that a row is values alone; whoever adds a column to run_rows adds it here, at the end.
CREATE TABLE IF NOT EXISTS run_document_rows${on_cluster}
(
    run_id String CODEC(ZSTD(1)) COMMENT 'W3C trace id, 32 hex digits.',
    revision Int64 CODEC(Delta, ZSTD(1)) COMMENT 'As in run_rows.',
    started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Start of the run: names the month, as in run_rows.',
    document String CODEC(ZSTD(1)) COMMENT 'Values of the row, as JSON arrays in the order of the columns.'
)
ENGINE = ${replicated}ReplacingMergeTree(revision)
PARTITION BY if(toYear(started_at) BETWEEN 2020 AND 2099, toYYYYMM(started_at), 0)
ORDER BY run_id
SETTINGS index_granularity = 64, min_compress_block_size = 16384, non_replicated_deduplication_window = 10000
COMMENT 'Runs as single values, for look-ups by id; filled from run_rows. May hold a row twice: read the view run_documents.';

CREATE MATERIALIZED VIEW IF NOT EXISTS run_documents_filler${on_cluster}
    TO run_document_rows
(
    run_id String COMMENT 'W3C trace id, 32 hex digits.',
    revision Int64 COMMENT 'As in run_rows.',
    started_at DateTime64(6, 'UTC') COMMENT 'Start of the run.',
    document String COMMENT 'Values of the row, as JSON arrays in the order of the columns.'
)
AS SELECT
    run_id,
    revision,
    started_at,
    formatRowNoNewline('JSONCompactEachRow',
        run_id, project, workflow, revision, verdict, close_reason, missing, events, events_lost, amended,
        started_at, finished_at, duration_us, closed_at, final_state, status, error_type, error_step, route,
        route_reason, route_confidence, route_policy_version, prompt_id, prompt_version, model_provider,
        model_name, model_policy, temperature, top_p, seed, system_fingerprint, confidence, refusal,
        parser_version, schema_version, input_ref, parsed_artifact_ref, context_refs, raw_output_ref,
        evidence_refs, validation_errors, fallback_taken, fallback_reason, review_outcome, reviewer_ref,
        override_ref, review_note_ref, eval_case_id, eval_outcome, retry_count, cost_usd, input_tokens,
        output_tokens, slowest_step, costliest_step, missing_anchors, gap_kinds, policy_hash, labels, steps,
        evidence, gaps, fallbacks, reviews, evals, source_partition, first_offset, last_offset, assembler_version,
        conflict_sides) AS document
FROM run_rows
SETTINGS output_format_json_named_tuples_as_objects = 0
COMMENT 'Makes the values for run_document_rows of what comes into run_rows.';
