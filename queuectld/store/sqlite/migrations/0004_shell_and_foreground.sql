-- Which shell runs a job's line, and which jobs somebody waits for in person.

-- NULL: /bin/sh, or none, where the command is a list of words.
ALTER TABLE jobs ADD COLUMN shell TEXT;
-- 1: its submitter sees how it ends, and does not want it again with all dead jobs.
ALTER TABLE jobs ADD COLUMN foreground INTEGER NOT NULL DEFAULT 0;
