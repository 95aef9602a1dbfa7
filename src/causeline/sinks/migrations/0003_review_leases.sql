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
