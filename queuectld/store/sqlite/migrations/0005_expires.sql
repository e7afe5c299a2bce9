-- Jobs that are cancelled unless they are started by a time.

-- NULL: it never expires.
ALTER TABLE jobs ADD COLUMN expires INTEGER;
-- Holds waiting jobs that can expire, and none of the others.
CREATE INDEX jobs_expiring ON jobs (expires)
    WHERE expires IS NOT NULL AND due IS NOT NULL;
