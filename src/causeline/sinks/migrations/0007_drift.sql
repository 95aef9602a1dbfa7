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
