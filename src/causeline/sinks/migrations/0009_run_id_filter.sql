-- The runs of a list are looked up by ids that lie anywhere in the table: of all parts' granules that may have an id by
-- their key, this tells the few that do. Rows that are there get theirs in the background.

ALTER TABLE narrow_run_rows${on_cluster}
    ADD INDEX IF NOT EXISTS run_id_filter run_id TYPE bloom_filter(0.001) GRANULARITY 1;

ALTER TABLE narrow_run_rows${on_cluster}
    MATERIALIZE INDEX run_id_filter;
