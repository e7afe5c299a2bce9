-- The first schema. Times are milliseconds since 1970 (UTC), durations seconds,
-- sizes bytes. Text that may hold any bytes of Unix (command, cwd, variables) is JSON
-- in ASCII, where such bytes are surrogate escapes.

-- Numbers that only ever grow, and the number of the last committed batch.
CREATE TABLE numbers (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL,
    lease INTEGER NOT NULL,
    worker INTEGER NOT NULL,
    batch INTEGER NOT NULL
) STRICT;
INSERT INTO numbers VALUES (1, 0, 0, 0, 0);

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL -- a JSON number
) STRICT, WITHOUT ROWID;

-- One row per distinct content; the key is a digest of it.
CREATE TABLE environments (
    key BLOB PRIMARY KEY,
    variables TEXT NOT NULL
) STRICT;

CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,
    name TEXT,
    queue TEXT NOT NULL,
    command TEXT NOT NULL,
    cwd TEXT,
    umask INTEGER,
    env_key BLOB,
    label TEXT,
    submitter INTEGER,
    priority INTEGER NOT NULL,
    max_retries INTEGER NOT NULL,
    timeout REAL NOT NULL,
    backoff_base REAL NOT NULL,
    backoff_max REAL NOT NULL,
    backoff_jitter REAL NOT NULL,
    output_limit INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    runs INTEGER NOT NULL,
    losses INTEGER NOT NULL,
    lease INTEGER,
    worker INTEGER,
    cancel_requested INTEGER NOT NULL,
    due INTEGER, -- 1: may be claimed; 0: waits for run_at; NULL: does not wait
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    run_at INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    exit_code INTEGER,
    signal INTEGER,
    reason TEXT,
    message TEXT
) STRICT;

CREATE UNIQUE INDEX jobs_name ON jobs (name) WHERE name IS NOT NULL;
-- The order of claims. Holds ready jobs only, so that a claim looks at one row.
CREATE INDEX jobs_ready ON jobs (priority DESC, seq) WHERE due = 1;
CREATE INDEX jobs_future ON jobs (run_at) WHERE due = 0;
CREATE INDEX jobs_state ON jobs (state, seq);
CREATE INDEX jobs_finished ON jobs (state, finished_at)
    WHERE due IS NULL AND lease IS NULL;
CREATE INDEX jobs_env ON jobs (env_key) WHERE env_key IS NOT NULL;

CREATE TABLE attempts (
    job INTEGER NOT NULL, -- jobs.seq
    run INTEGER NOT NULL,
    lease INTEGER NOT NULL,
    worker INTEGER,
    started_at INTEGER,
    finished_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    exit_code INTEGER,
    signal INTEGER,
    message TEXT,
    max_rss INTEGER,
    user_ms INTEGER,
    system_ms INTEGER,
    stdout_bytes INTEGER,
    stderr_bytes INTEGER,
    PRIMARY KEY (job, run)
) STRICT, WITHOUT ROWID;

CREATE TABLE counts (
    queue TEXT NOT NULL,
    state TEXT NOT NULL,
    jobs INTEGER NOT NULL,
    PRIMARY KEY (queue, state)
) STRICT, WITHOUT ROWID;

-- Statistics that outlive the jobs: per minute (later: per hour), what happened and
-- how long it took. bucket is one of core/histogram.py.
CREATE TABLE rollup (
    minute INTEGER NOT NULL, -- minutes since 1970
    queue TEXT NOT NULL,
    metric TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    events INTEGER NOT NULL,
    total_ms INTEGER NOT NULL,
    PRIMARY KEY (minute, queue, metric, bucket)
) STRICT, WITHOUT ROWID;
