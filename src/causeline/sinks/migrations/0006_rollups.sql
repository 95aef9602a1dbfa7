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
