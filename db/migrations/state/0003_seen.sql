-- state.db, version 3: the last time that was believed, so that a clock which is far ahead of it deletes nothing.

ALTER TABLE epoch ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;
UPDATE epoch SET seen_at = max(
  ifnull((SELECT max(last_seen_at) FROM sessions WHERE ended_at IS NULL), 0),
  ifnull((SELECT max(ended_at) FROM sessions), 0),
  ifnull((SELECT max(day) FROM usage), 0) * 86400);
