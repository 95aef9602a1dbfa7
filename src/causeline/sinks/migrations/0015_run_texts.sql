-- A run's value as it is kept. A question that gives it types pays more for the analysis of those types than for the
-- reading; whoever looks up one run gives them itself.
CREATE VIEW IF NOT EXISTS run_texts${on_cluster}
(
    run_id String COMMENT 'W3C trace id, 32 hex digits.',
    revision Int64 COMMENT 'Of the newest record of the run that came since there are such values.',
    document String COMMENT 'Values of the row of run_rows, as JSON arrays in the order of its columns.'
)
AS SELECT
    run_id,
    revision,
    document
FROM run_document_rows FINAL
COMMENT 'A run by its id, as text: the view run_documents without its types.';
