-- Every attempt to send a dead letter's message again. The message is known by its place and bytes, not by its offset:
-- one that comes back as a new letter is still the same message, and its attempts add up.
CREATE TABLE IF NOT EXISTS dead_replay_rows${on_cluster}
(
    message_id String CODEC(ZSTD(1)) COMMENT 'Of topic, partition, key and bytes; see the view dead_messages.',
    attempt UInt32 COMMENT '1, 2, 3… per message.',
    sent_offset Int64 COMMENT 'Where the broker put it; -1 says that it was about to be sent.',
    replayed_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'By the server''s clock.'
)
ENGINE = ${replicated}ReplacingMergeTree(replayed_at)
ORDER BY (message_id, attempt, sent_offset)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Replays of dead letters, noted before they are sent and once they are acknowledged.';

CREATE VIEW IF NOT EXISTS dead_messages${on_cluster}
(
    message_id String COMMENT 'First 32 hex digits of the SHA-256 of topic, partition, key and bytes: the same however often it comes back.',
    topic LowCardinality(String) COMMENT 'Where it stood.',
    partition Int32 COMMENT 'Partition.',
    offset Int64 COMMENT 'Offset where it stood last.',
    reason LowCardinality(String) COMMENT 'Reason code of the newest letter.',
    detail String COMMENT 'One sentence of the newest letter, without content.',
    schema_id Nullable(Int32) COMMENT 'Schema id in its framing, if it had one.',
    stages Array(String) COMMENT 'Who could not read it: worker, loader, amender.',
    letters UInt64 COMMENT 'Dead letters of it: one for each reader and time.',
    first_seen_at DateTime64(6, 'UTC') COMMENT 'When it was found first.',
    last_seen_at DateTime64(6, 'UTC') COMMENT 'When it was found last.',
    replays UInt64 COMMENT 'Attempts to send it again.',
    replayed_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was sent again last.',
    state LowCardinality(String) COMMENT 'open: not sent again; replayed: sent, and not seen since; returned: sent, and came back.',
    key Nullable(String) COMMENT 'Original key.',
    value String COMMENT 'Original bytes.'
)
AS WITH letters AS
(
    SELECT
        message_id,
        any(letter.topic) AS topic,
        any(letter.partition) AS partition,
        max(letter.offset) AS last_offset,
        argMax(letter.reason, (letter.offset, letter.observed_at)) AS reason,
        argMax(letter.detail, (letter.offset, letter.observed_at)) AS detail,
        argMax(tuple(letter.schema_id), (letter.offset, letter.observed_at)).1 AS schema_id,
        arraySort(groupUniqArray(toString(letter.stage))) AS stages,
        uniqExact(letter.dead_id) AS letters,
        min(letter.observed_at) AS first_seen_at,
        max(letter.observed_at) AS last_seen_at,
        any(tuple(letter.key)).1 AS key,
        any(letter.value) AS value
    FROM
    (
        SELECT
            *,
            if(isNull(key), 'none', concat('key:', hex(assumeNotNull(key)))) AS shown_key,
            lower(left(hex(SHA256(concat(topic, '\0', toString(partition), '\0', shown_key, '\0', value))), 32)) AS message_id
        FROM dead_letter_rows FINAL
    ) AS letter
    GROUP BY message_id
),
replays AS
(
    SELECT
        message_id,
        max(attempt) AS replays,
        max(dead_replay_rows.sent_offset) AS sent_offset,
        maxOrNullIf(dead_replay_rows.replayed_at, dead_replay_rows.sent_offset >= 0) AS replayed_at
    FROM dead_replay_rows FINAL
    GROUP BY message_id
)
SELECT
    letters.message_id AS message_id,
    letters.topic AS topic,
    letters.partition AS partition,
    letters.last_offset AS offset,
    letters.reason AS reason,
    letters.detail AS detail,
    letters.schema_id AS schema_id,
    letters.stages AS stages,
    letters.letters AS letters,
    letters.first_seen_at AS first_seen_at,
    letters.last_seen_at AS last_seen_at,
    replays.replays AS replays,
    replays.replayed_at AS replayed_at,
    multiIf(isNull(replays.replayed_at), 'open', letters.last_offset >= replays.sent_offset, 'returned', 'replayed') AS state,
    letters.key AS key,
    letters.value AS value
FROM letters
LEFT JOIN replays ON replays.message_id = letters.message_id
COMMENT 'Every unreadable message once, however many letters tell of it, with what became of sending it again.';
