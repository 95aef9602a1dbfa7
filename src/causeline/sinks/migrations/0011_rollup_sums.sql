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
