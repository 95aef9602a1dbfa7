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
