-- policy.db, version 2: who edits, and the audit trail.

ALTER TABLE meta ADD COLUMN editor TEXT NOT NULL DEFAULT 'sql';
