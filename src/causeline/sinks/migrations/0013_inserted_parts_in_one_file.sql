-- A part as it was inserted keeps all its columns in one file; what merges make of it has a file for each column, as
-- questions want it. An insert into a ReplacingMergeTree has level 1 already, because it is freed of repetitions.
ALTER TABLE event_rows${on_cluster} MODIFY SETTING
    min_level_for_wide_part = 2;

ALTER TABLE run_rows${on_cluster} MODIFY SETTING
    min_level_for_wide_part = 2;
