-- What went wrong in each run, and the runs as rows of comparable traits, which the next ones are held against. The second
-- table is in order of workflow and time, so that the neighbours of a run are read from a few granules of a few columns.
CREATE TABLE IF NOT EXISTS cause_rows${on_cluster}
(
    run_id String CODEC(ZSTD(1)) COMMENT 'W3C trace id, 32 lower-case hex digits.',
    revision Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Revision of the run that this is about.',
    version Int64 CODEC(Delta, ZSTD(1)) COMMENT 'The higher replaces the lower: by revision, then by when it was said.',
    project LowCardinality(String) COMMENT 'Who owns the run.',
    workflow LowCardinality(String) COMMENT 'Which workflow ran.',
    run_started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the run started, microseconds UTC.',
    diagnosed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When that was said, microseconds UTC.',
    settled Bool COMMENT 'Whether it is the last word: the runs after this one are among its neighbours too.',
    neighbours Int32 COMMENT 'Runs of its workflow that it was held against.',
    layer LowCardinality(Nullable(String)) COMMENT 'Where the first cause stands: a kind of step, or run; null where nothing went wrong.',
    step LowCardinality(Nullable(String)) COMMENT 'kind:name of the step, empty for the run as a whole.',
    kind LowCardinality(Nullable(String)) COMMENT 'What is wrong there, by the stable name of the rule; null where nothing went wrong.',
    thing LowCardinality(Nullable(String)) COMMENT 'What to touch, as a name by which causes are grouped.',
    certainty LowCardinality(Nullable(String)) COMMENT 'certain, likely or possible.',
    sentence String CODEC(ZSTD(1)) COMMENT 'The first line of the answer, for everybody.',
    fix Nullable(String) CODEC(ZSTD(1)) COMMENT 'What to touch, in a sentence.',
    symptoms Array(String) COMMENT 'What made the run bad, by the rules'' names, the gravest first.',
    alerts Array(String) COMMENT 'Ids of the drift alerts that lasted then and that the run lies in.',
    final_state LowCardinality(Nullable(String)) COMMENT 'How the run ended.',
    cost_usd Nullable(Float64) COMMENT 'Cost of the run in US dollars.',
    duration_us Nullable(Int64) COMMENT 'How long the run took, microseconds.',
    policy_hash LowCardinality(Nullable(String)) COMMENT 'Policy whose rules were asked, as on the run.',
    blemished Bool COMMENT 'Whether the record says by itself that the run failed.',
    traits String CODEC(ZSTD(1)) COMMENT 'The run as its neighbours see it: versions, routes, counts and measures, as JSON; never content.',
    INDEX started_at_range run_started_at TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(version)
PARTITION BY if(toYear(run_started_at) BETWEEN 2020 AND 2099, toYYYYMM(run_started_at), 0)
ORDER BY run_id
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'What went wrong in a run, as its record and its neighbours tell; runs that went well are told too. Keyed by run id. May hold a row twice: read the view causes.';

CREATE TABLE IF NOT EXISTS neighbour_rows${on_cluster}
(
    workflow LowCardinality(String) COMMENT 'Which workflow ran.',
    run_started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the run started, microseconds UTC.',
    run_id String CODEC(ZSTD(1)) COMMENT 'W3C trace id, 32 lower-case hex digits.',
    version Int64 CODEC(Delta, ZSTD(1)) COMMENT 'The higher replaces the lower: by revision, then by when it was said.',
    blemished Bool COMMENT 'Whether the record says by itself that the run failed.',
    traits String CODEC(ZSTD(1)) COMMENT 'The run as its neighbours see it: versions, routes, counts and measures, as JSON; never content.'
)
ENGINE = ${replicated}ReplacingMergeTree(version)
PARTITION BY if(toYear(run_started_at) BETWEEN 2020 AND 2099, toYYYYMM(run_started_at), 0)
ORDER BY (workflow, run_started_at, run_id)
SETTINGS index_granularity = 128, min_compress_block_size = 16384, non_replicated_deduplication_window = 10000
COMMENT 'Runs as rows of comparable traits, by workflow and time; filled from cause_rows. May hold a run twice: read the view neighbours.';

CREATE MATERIALIZED VIEW IF NOT EXISTS neighbours_filler${on_cluster}
    TO neighbour_rows
(
    workflow LowCardinality(String) COMMENT 'Which workflow ran.',
    run_started_at DateTime64(6, 'UTC') COMMENT 'When the run started, microseconds UTC.',
    run_id String COMMENT 'W3C trace id, 32 lower-case hex digits.',
    version Int64 COMMENT 'The higher replaces the lower: by revision, then by when it was said.',
    blemished Bool COMMENT 'Whether the record says by itself that the run failed.',
    traits String COMMENT 'The run as its neighbours see it: versions, routes, counts and measures, as JSON; never content.'
)
AS SELECT workflow, run_started_at, run_id, version, blemished, traits
FROM cause_rows
COMMENT 'Puts the traits of runs that come into cause_rows where neighbours are looked for.';

CREATE VIEW IF NOT EXISTS causes${on_cluster}
(
    run_id String COMMENT 'W3C trace id, 32 lower-case hex digits.',
    revision Int64 COMMENT 'Revision of the run that this is about.',
    version Int64 COMMENT 'The higher replaces the lower: by revision, then by when it was said.',
    project LowCardinality(String) COMMENT 'Who owns the run.',
    workflow LowCardinality(String) COMMENT 'Which workflow ran.',
    run_started_at DateTime64(6, 'UTC') COMMENT 'When the run started, microseconds UTC.',
    diagnosed_at DateTime64(6, 'UTC') COMMENT 'When that was said, microseconds UTC.',
    settled Bool COMMENT 'Whether it is the last word: the runs after this one are among its neighbours too.',
    neighbours Int32 COMMENT 'Runs of its workflow that it was held against.',
    layer LowCardinality(Nullable(String)) COMMENT 'Where the first cause stands: a kind of step, or run; null where nothing went wrong.',
    step LowCardinality(Nullable(String)) COMMENT 'kind:name of the step, empty for the run as a whole.',
    kind LowCardinality(Nullable(String)) COMMENT 'What is wrong there, by the stable name of the rule; null where nothing went wrong.',
    thing LowCardinality(Nullable(String)) COMMENT 'What to touch, as a name by which causes are grouped.',
    certainty LowCardinality(Nullable(String)) COMMENT 'certain, likely or possible.',
    sentence String COMMENT 'The first line of the answer, for everybody.',
    fix Nullable(String) COMMENT 'What to touch, in a sentence.',
    symptoms Array(String) COMMENT 'What made the run bad, by the rules'' names, the gravest first.',
    alerts Array(String) COMMENT 'Ids of the drift alerts that lasted then and that the run lies in.',
    final_state LowCardinality(Nullable(String)) COMMENT 'How the run ended.',
    cost_usd Nullable(Float64) COMMENT 'Cost of the run in US dollars.',
    duration_us Nullable(Int64) COMMENT 'How long the run took, microseconds.',
    policy_hash LowCardinality(Nullable(String)) COMMENT 'Policy whose rules were asked, as on the run.',
    blemished Bool COMMENT 'Whether the record says by itself that the run failed.',
    traits String COMMENT 'The run as its neighbours see it: versions, routes, counts and measures, as JSON; never content.'
)
AS SELECT
    run_id,
    revision,
    version,
    project,
    workflow,
    run_started_at,
    diagnosed_at,
    settled,
    neighbours,
    layer,
    step,
    kind,
    thing,
    certainty,
    sentence,
    fix,
    symptoms,
    alerts,
    final_state,
    cost_usd,
    duration_us,
    policy_hash,
    blemished,
    traits
FROM cause_rows FINAL
COMMENT 'What went wrong in each run, the newest word; kind is null where nothing did.';

CREATE VIEW IF NOT EXISTS neighbours${on_cluster}
(
    workflow LowCardinality(String) COMMENT 'Which workflow ran.',
    run_started_at DateTime64(6, 'UTC') COMMENT 'When the run started, microseconds UTC.',
    run_id String COMMENT 'W3C trace id, 32 lower-case hex digits.',
    version Int64 COMMENT 'The higher replaces the lower: by revision, then by when it was said.',
    blemished Bool COMMENT 'Whether the record says by itself that the run failed.',
    traits String COMMENT 'The run as its neighbours see it: versions, routes, counts and measures, as JSON; never content.'
)
AS SELECT workflow, run_started_at, run_id, version, blemished, traits
FROM neighbour_rows
COMMENT 'Runs as others of their workflow see them, for a few by workflow and time: it may show one twice, and the higher version counts.';

-- Roll-ups name the index that was searched, too; those of before have one anchor less.
CREATE OR REPLACE VIEW rollups${on_cluster}
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
         'route_policy_version', 'model_policy', 'release', 'index'],
        arrayResize(arrayMap(anchor -> toString(anchor), cell.3), 10, '(none)')) AS anchors,
    cell.4 AS runs
FROM rollup_rows FINAL
ARRAY JOIN cells AS cell
COMMENT 'Runs by workflow, five minutes, dimension, value and combination of anchors.';
