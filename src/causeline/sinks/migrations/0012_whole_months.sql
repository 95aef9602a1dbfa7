-- A month of runs that gets no more parts is merged into one part. FINAL has nothing to do in a partition of one part, so
-- questions over what is past cost what a plain table's would. The month that still grows is left to ordinary merges.
ALTER TABLE run_rows${on_cluster} MODIFY SETTING
    min_age_to_force_merge_seconds = 10800,
    min_age_to_force_merge_on_partition_only = 1;
