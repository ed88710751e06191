-- state.db, version 2: when a session ends by itself. A session's slot is that of the resource that it holds.

ALTER TABLE sessions ADD COLUMN expires_at INTEGER;
