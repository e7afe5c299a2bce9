-- Every statement the store runs, by name. They select and compare-and-set; which
-- state a job gets is decided before they are called. @columns is a value for each column
-- of a job, @changes those that can change: both follow from core/fields/table.py.

-- name: insert_job
-- Add a job.
INSERT INTO jobs VALUES (@columns);

-- name: update_job
-- Write what can change of a job, if nobody changed it meanwhile.
UPDATE jobs SET @changes
WHERE seq = ? AND state = ? AND lease IS ? AND cancel_requested = ?;

-- name: job_by_seq
-- The job with this sequence number.
SELECT * FROM jobs WHERE seq = ?;

-- name: job_by_name
-- The job with this given id.
SELECT * FROM jobs WHERE name = ?;

-- name: ready_jobs
-- The jobs to be claimed next.
SELECT * FROM jobs INDEXED BY jobs_ready
WHERE due = 1 ORDER BY priority DESC, seq LIMIT ?;

-- name: next_ready
-- The jobs to be claimed next below a priority: since when they could run.
SELECT priority, created_at, run_at FROM jobs INDEXED BY jobs_ready
WHERE due = 1 AND priority < ? ORDER BY priority DESC, seq LIMIT ?;

-- name: ready_above
-- Ready jobs of higher priorities than one.
SELECT seq FROM jobs INDEXED BY jobs_ready WHERE due = 1 AND priority > ? LIMIT ?;

-- name: ready_beside
-- Ready jobs of a priority that came before a job.
SELECT seq FROM jobs INDEXED BY jobs_ready
WHERE due = 1 AND priority = ? AND seq < ? LIMIT ?;

-- name: promote_jobs
-- Make jobs ready whose time came, the longest waiting first.
UPDATE jobs SET due = 1 WHERE seq IN (
    SELECT seq FROM jobs INDEXED BY jobs_future
    WHERE due = 0 AND run_at <= ? ORDER BY run_at LIMIT ?
);

-- name: next_run_at
-- The earliest time that a waiting job waits for.
SELECT min(run_at) FROM jobs INDEXED BY jobs_future WHERE due = 0;

-- name: expired_jobs
-- Waiting jobs that were to be started before a time, the longest expired first.
SELECT * FROM jobs INDEXED BY jobs_expiring
WHERE due IS NOT NULL AND expires <= ? ORDER BY expires LIMIT ?;

-- name: next_expiry
-- The earliest time at which a waiting job expires.
SELECT min(expires) FROM jobs INDEXED BY jobs_expiring
WHERE due IS NOT NULL AND expires IS NOT NULL;

-- name: jobs_before
-- A page of all jobs, newest first.
SELECT * FROM jobs WHERE seq < ? ORDER BY seq DESC LIMIT ?;

-- name: jobs_in_state_before
-- A page of the jobs in one state, newest first.
SELECT * FROM jobs INDEXED BY jobs_state
WHERE state = ? AND seq < ? ORDER BY seq DESC LIMIT ?;

-- name: jobs_in_state
-- The jobs in one state from after a job on, oldest first.
SELECT * FROM jobs INDEXED BY jobs_state
WHERE state = ? AND seq > ? ORDER BY seq LIMIT ?;

-- name: prunable_jobs
-- The jobs in one state that finished before a time, the first to finish first.
SELECT * FROM jobs INDEXED BY jobs_finished
WHERE due IS NULL AND lease IS NULL AND state = ? AND finished_at < ?
ORDER BY finished_at LIMIT ?;

-- name: delete_job
-- Forget a job, if it is still as it was when it was chosen.
DELETE FROM jobs WHERE seq = ? AND state = ? AND runs = ? AND updated_at = ?
RETURNING due;

-- name: delete_attempts
-- Forget a job's attempts.
DELETE FROM attempts WHERE job = ?;

-- name: delete_unused_environment
-- Forget an environment that no job runs with.
DELETE FROM environments
WHERE key = ? AND NOT EXISTS (SELECT 1 FROM jobs WHERE env_key = environments.key);

-- name: insert_environment
-- Keep an environment, once.
INSERT INTO environments (key, variables) VALUES (?, ?) ON CONFLICT DO NOTHING;

-- name: environment
-- The variables of an environment.
SELECT variables FROM environments WHERE key = ?;

-- name: insert_attempt
-- Put an attempt that ended on record.
INSERT INTO attempts (
    job, run, lease, worker, started_at, finished_at, reason, exit_code, signal,
    message, max_rss, user_ms, system_ms, stdout_bytes, stderr_bytes,
    memory_peak
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: attempts
-- A job's attempts on record before a run, newest first.
SELECT run, lease, worker, started_at, finished_at, reason, exit_code, signal,
    message, max_rss, user_ms, system_ms, stdout_bytes, stderr_bytes, memory_peak
FROM attempts WHERE job = ? AND run < ? ORDER BY run DESC LIMIT ?;

-- name: attempt_after
-- A job's first attempt on record after a run.
SELECT run, lease, worker, started_at, finished_at, reason, exit_code, signal,
    message, max_rss, user_ms, system_ms, stdout_bytes, stderr_bytes, memory_peak
FROM attempts WHERE job = ? AND run > ? ORDER BY run LIMIT 1;

-- name: counts
-- How many jobs are in each state.
SELECT state, sum(jobs) FROM counts GROUP BY state;

-- name: recount
-- How many jobs are in a state, counted anew: it reads an entry for each.
SELECT count(*) FROM jobs WHERE state = ?;

-- name: add_count
-- Change how many jobs are in a state.
INSERT INTO counts (queue, state, jobs) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs;

-- name: add_rollup
-- Add to the statistics of a minute.
INSERT INTO rollup (minute, queue, metric, bucket, events, total_ms)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    events = events + excluded.events, total_ms = total_ms + excluded.total_ms;

-- name: rollup_between
-- The statistics from a minute on and before another, added up.
SELECT metric, bucket, sum(events), sum(total_ms) FROM rollup
WHERE minute >= ? AND minute < ? GROUP BY metric, bucket;

-- name: rollup_minute
-- The minute of a row of the statistics, counted from a minute on.
SELECT minute FROM rollup WHERE minute >= ? ORDER BY minute LIMIT 1 OFFSET ?;

-- name: happened
-- How often something happened from a minute on.
SELECT coalesce(sum(events), 0) FROM rollup WHERE minute >= ? AND metric = ?;

-- name: oldest_rollup
-- The oldest minute in the statistics, from a minute on.
SELECT min(minute) FROM rollup WHERE minute >= ?;

-- name: merge_rollup
-- Add the minutes of an hour to its first one.
INSERT INTO rollup (minute, queue, metric, bucket, events, total_ms)
SELECT :hour, queue, metric, bucket, sum(events), sum(total_ms) FROM rollup
WHERE minute > :hour AND minute < :hour + 60 GROUP BY queue, metric, bucket
ON CONFLICT DO UPDATE SET
    events = events + excluded.events, total_ms = total_ms + excluded.total_ms;

-- name: delete_merged_rollup
-- Drop the minutes of an hour that were added to its first one.
DELETE FROM rollup WHERE minute > :hour AND minute < :hour + 60;

-- name: delete_old_rollup
-- Drop statistics from before a minute.
DELETE FROM rollup WHERE minute < ?;

-- name: settings
-- The settings that were set.
SELECT key, value FROM settings;

-- name: set_setting
-- Store a setting.
INSERT INTO settings (key, value) VALUES (?, ?)
ON CONFLICT DO UPDATE SET value = excluded.value;

-- name: unset_setting
-- Go back to a setting's default.
DELETE FROM settings WHERE key = ?;

-- name: meta
-- A value of the daemon's own.
SELECT value FROM meta WHERE key = ?;

-- name: set_meta
-- Store a value of the daemon's own.
INSERT INTO meta (key, value) VALUES (?, ?)
ON CONFLICT DO UPDATE SET value = excluded.value;

-- name: numbers
-- The numbers that only grow, and the batch's.
SELECT seq, lease, worker, batch FROM numbers;

-- name: set_numbers
-- Store the numbers; part of every commit.
UPDATE numbers SET
    seq = ?, lease = ?, worker = ?, batch = ?, delayed = delayed + ?;

-- name: delayed
-- How many jobs wait for their time.
SELECT delayed FROM numbers;

-- name: recount_delayed
-- The same, counted anew: it reads an entry for each.
SELECT count(*) FROM jobs INDEXED BY jobs_future WHERE due = 0;
