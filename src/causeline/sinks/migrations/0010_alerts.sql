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
