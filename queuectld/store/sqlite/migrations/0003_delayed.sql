-- How many jobs wait for their time, so that to ask does not count them.
ALTER TABLE numbers ADD COLUMN delayed INTEGER NOT NULL DEFAULT 0;
UPDATE numbers SET delayed = (SELECT count(*) FROM jobs WHERE due = 0);
