-- The least rights of each part on a ClickHouse server of your own: run it as an administrator after `causeline migrate`.
-- Then give each part a user with one of these roles, its password from your own store, for example
--   CREATE USER loader IDENTIFIED WITH sha256_hash BY '…' DEFAULT ROLE causeline_loader;
-- Nobody here has a right to file(), url(), s3(), remote() or INTO OUTFILE's targets: sources are granted by name.

CREATE SETTINGS PROFILE IF NOT EXISTS causeline_reading SETTINGS
    readonly = 2,
    max_execution_time = 60 MIN 1 MAX 60,
    max_memory_usage = 2147483648 MIN 1 MAX 2147483648,
    max_result_rows = 1000000 MIN 1 MAX 1000001,
    max_threads = 4 MIN 1 MAX 8;

CREATE ROLE IF NOT EXISTS causeline_owner;
GRANT CREATE DATABASE, CREATE TABLE, DROP TABLE, CREATE VIEW, DROP VIEW, ALTER, SELECT, INSERT, SHOW, BACKUP ON causeline.* TO causeline_owner;
GRANT SELECT ON system.databases TO causeline_owner;
GRANT SELECT ON system.tables TO causeline_owner;
GRANT SELECT ON system.parts TO causeline_owner;

-- Events and runs come in by event_rows and run_rows, which keep nothing: narrow_event_rows, narrow_run_rows and what is made of them, and neighbour_rows,
-- are filled by materialized views. A server lets who inserts into a table fill its views, or asks for the rights of who made them: the owner, who has
-- them. So nobody is given those tables to write.
CREATE ROLE IF NOT EXISTS causeline_loader;
GRANT SHOW TABLES ON causeline.* TO causeline_loader;
GRANT SELECT ON system.tables TO causeline_loader;
GRANT INSERT ON causeline.event_rows TO causeline_loader;
GRANT INSERT ON causeline.run_rows TO causeline_loader;
GRANT INSERT ON causeline.gap_rows TO causeline_loader;
GRANT INSERT ON causeline.review_item_rows TO causeline_loader;
GRANT INSERT ON causeline.dead_letter_rows TO causeline_loader;
GRANT INSERT ON causeline.policy_use_rows TO causeline_loader;
GRANT INSERT ON causeline.alert_rows TO causeline_loader;
GRANT INSERT ON causeline.cause_rows TO causeline_loader;

CREATE ROLE IF NOT EXISTS causeline_reader SETTINGS PROFILE 'causeline_reading';
GRANT SELECT, SHOW ON causeline.* TO causeline_reader;

-- The amender, and the diagnoser, read what the loader wrote.
CREATE ROLE IF NOT EXISTS causeline_amender;
GRANT SELECT, SHOW ON causeline.* TO causeline_amender;

-- Who works reviews, replays dead letters, and judges drift: reads all, and writes these tables of its own.
CREATE ROLE IF NOT EXISTS causeline_operator;
GRANT SELECT, SHOW ON causeline.* TO causeline_operator;
GRANT INSERT ON causeline.review_lease_rows TO causeline_operator;
GRANT INSERT ON causeline.dead_replay_rows TO causeline_operator;
GRANT INSERT ON causeline.rollup_rows TO causeline_operator;
GRANT INSERT ON causeline.rollup_sum_rows TO causeline_operator;
GRANT INSERT ON causeline.drift_judgement_rows TO causeline_operator;
GRANT INSERT ON causeline.drift_mark_rows TO causeline_operator;
GRANT INSERT ON causeline.drift_pin_rows TO causeline_operator;
