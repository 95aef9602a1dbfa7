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
