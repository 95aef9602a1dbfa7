-- Runs by their start, in the few columns that a list is narrowed by. `run_rows` is ordered by id, so a page of the newest
-- of ten million runs would read the ids and starts of them all; read in the order of this table it ends after a page.
-- A run stands here once for each start that a revision of it had: whoever reads candidates here holds them against `runs`.
CREATE TABLE IF NOT EXISTS run_order_rows${on_cluster}
(
    started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Start of the run, as in run_rows.',
    run_id String CODEC(ZSTD(1)) COMMENT 'W3C trace id, 32 hex digits.',
    revision Int64 CODEC(Delta, ZSTD(1)) COMMENT 'As in run_rows.',
    project LowCardinality(String) COMMENT 'Owner.',
    workflow LowCardinality(String) COMMENT 'Workflow.',
    verdict LowCardinality(String) COMMENT 'complete, partial or unfinished.',
    final_state LowCardinality(Nullable(String)) COMMENT 'As in run_rows.',
    status LowCardinality(Nullable(String)) COMMENT 'error or ok.',
    route LowCardinality(Nullable(String)) COMMENT 'The branch decided for.',
    prompt_version LowCardinality(Nullable(String)) COMMENT 'As in run_rows.',
    session_id Nullable(String) CODEC(ZSTD(1)) COMMENT 'The conversation.',
    user_hash Nullable(String) CODEC(ZSTD(1)) COMMENT 'Hash of the user.',
    gap_kinds Array(LowCardinality(String)) COMMENT 'Kinds of evidence gap, distinct.',
    model_names Array(LowCardinality(String)) COMMENT 'Models asked for or answering, in any of the calls, distinct.',
    fallback_kinds Array(LowCardinality(String)) COMMENT 'Kinds of fallback, distinct.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels of the run.'
)
ENGINE = ${replicated}ReplacingMergeTree(revision)
PARTITION BY if(toYear(started_at) BETWEEN 2020 AND 2099, toYYYYMM(started_at), 0)
ORDER BY (started_at, run_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Runs by their start, for lists; filled from run_rows. May hold a row twice: read the view run_order.';

CREATE MATERIALIZED VIEW IF NOT EXISTS run_order_filler${on_cluster}
    TO run_order_rows
(
    started_at DateTime64(6, 'UTC') COMMENT 'Start of the run.',
    run_id String COMMENT 'W3C trace id, 32 hex digits.',
    revision Int64 COMMENT 'As in run_rows.',
    project LowCardinality(String) COMMENT 'Owner.',
    workflow LowCardinality(String) COMMENT 'Workflow.',
    verdict LowCardinality(String) COMMENT 'complete, partial or unfinished.',
    final_state LowCardinality(Nullable(String)) COMMENT 'As in run_rows.',
    status LowCardinality(Nullable(String)) COMMENT 'error or ok.',
    route LowCardinality(Nullable(String)) COMMENT 'The branch decided for.',
    prompt_version LowCardinality(Nullable(String)) COMMENT 'As in run_rows.',
    session_id Nullable(String) COMMENT 'The conversation.',
    user_hash Nullable(String) COMMENT 'Hash of the user.',
    gap_kinds Array(LowCardinality(String)) COMMENT 'Kinds of evidence gap, distinct.',
    model_names Array(LowCardinality(String)) COMMENT 'Models asked for or answering, in any of the calls, distinct.',
    fallback_kinds Array(LowCardinality(String)) COMMENT 'Kinds of fallback, distinct.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels of the run.'
)
AS SELECT
    started_at, run_id, revision, project, workflow, verdict, final_state, status, route, prompt_version, session_id,
    user_hash, gap_kinds,
    arrayDistinct(arrayFilter(name -> name != '', arrayConcat([ifNull(model_name, '')],
        arrayMap(each -> ifNull(each.model_name, ''), steps),
        arrayMap(each -> ifNull(each.request_model, ''), steps)))) AS model_names,
    arrayDistinct(arrayMap(each -> ifNull(each.kind, ''), fallbacks)) AS fallback_kinds,
    labels
FROM run_rows
COMMENT 'Makes the rows of run_order_rows of what comes into run_rows.';

-- Rows that come in meanwhile stand in both, and replace each other.
INSERT INTO run_order_rows SELECT
    started_at, run_id, revision, project, workflow, verdict, final_state, status, route, prompt_version, session_id,
    user_hash, gap_kinds,
    arrayDistinct(arrayFilter(name -> name != '', arrayConcat([ifNull(model_name, '')],
        arrayMap(each -> ifNull(each.model_name, ''), steps),
        arrayMap(each -> ifNull(each.request_model, ''), steps)))) AS model_names,
    arrayDistinct(arrayMap(each -> ifNull(each.kind, ''), fallbacks)) AS fallback_kinds,
    labels
FROM run_rows
SETTINGS max_partitions_per_insert_block = 0;

CREATE VIEW IF NOT EXISTS run_order${on_cluster}
(
    started_at DateTime64(6, 'UTC') COMMENT 'Start of the run, as in runs.',
    run_id String COMMENT 'W3C trace id, 32 hex digits.',
    revision Int64 COMMENT 'As in runs.',
    project LowCardinality(String) COMMENT 'Owner.',
    workflow LowCardinality(String) COMMENT 'Workflow.',
    verdict LowCardinality(String) COMMENT 'complete, partial or unfinished.',
    final_state LowCardinality(Nullable(String)) COMMENT 'As in runs.',
    status LowCardinality(Nullable(String)) COMMENT 'error or ok.',
    route LowCardinality(Nullable(String)) COMMENT 'The branch decided for.',
    prompt_version LowCardinality(Nullable(String)) COMMENT 'As in runs.',
    session_id Nullable(String) COMMENT 'The conversation.',
    user_hash Nullable(String) COMMENT 'Hash of the user.',
    gap_kinds Array(LowCardinality(String)) COMMENT 'Kinds of evidence gap, distinct.',
    model_names Array(LowCardinality(String)) COMMENT 'Models asked for or answering, in any of the calls, distinct.',
    fallback_kinds Array(LowCardinality(String)) COMMENT 'Kinds of fallback, distinct.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels of the run.'
)
AS SELECT
    started_at, run_id, revision, project, workflow, verdict, final_state, status, route, prompt_version, session_id,
    user_hash, gap_kinds, model_names, fallback_kinds, labels
FROM run_order_rows
COMMENT 'Candidates for a list of runs, quick in the order of their start. Holds earlier revisions too: runs says what stands.';
