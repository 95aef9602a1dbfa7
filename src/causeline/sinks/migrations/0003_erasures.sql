-- Runs that were erased, by id and nothing else, so that whatever is loaded again can be erased again; and a ledger that
-- holds events against runs too: what was joined and is stored no more is lost.
CREATE TABLE IF NOT EXISTS erasure_rows${on_cluster}
(
    run_id String CODEC(ZSTD(1)) COMMENT 'The run that was erased.',
    erased_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When, by the server''s clock.'
)
ENGINE = ${replicated}ReplacingMergeTree(erased_at)
ORDER BY run_id
COMMENT 'Runs erased by causeline erase; kept as long as a topic may bring them back.';

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
        FROM event_rows FINAL
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
        FROM run_rows FINAL
    )
    GROUP BY project, hour, run_id
)
GROUP BY project, hour
COMMENT 'Events emitted and visible by project and hour; runs of the last minutes may still be on their way.';
