-- Limits of jobs, who enqueued them in full, and what a run's memory came to.

-- What is limited, as a JSON object without what is not; NULL: nothing, as a rule.
ALTER TABLE jobs ADD COLUMN limits TEXT;
-- A JSON list: of the submitter, the gid first; NULL: not recorded.
ALTER TABLE jobs ADD COLUMN groups TEXT;
-- Bytes of all processes together; NULL: not known.
ALTER TABLE attempts ADD COLUMN memory_peak INTEGER;
