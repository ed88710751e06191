-- state.db, version 4: whose share of the history a session counts in (its identity, else the /32 or /64 that it came
-- from), and how many ended ones each has: where there are too many, the largest share loses its oldest first.

ALTER TABLE sessions ADD COLUMN share ANY NOT NULL DEFAULT ''
  CONSTRAINT "share is text or a blob" CHECK (typeof(share) IN ('text', 'blob'));
-- What came before has no /64: each IPv6 address counts for itself.
UPDATE sessions SET share = CASE
  WHEN identity NOT IN ('', x'') THEN identity
  WHEN source LIKE '[%' THEN substr(source, 2, instr(source, ']') - 2) || '/128'
  WHEN instr(source, ':') > 0 THEN substr(source, 1, instr(source, ':') - 1) || '/32'
  ELSE '' END;
CREATE INDEX sessions_by_share ON sessions (share, ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE shares (
  share ANY     NOT NULL PRIMARY KEY,
  ended INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX shares_by_ended ON shares (ended);
INSERT INTO shares SELECT share, count(*) FROM sessions WHERE ended_at IS NOT NULL GROUP BY share;

CREATE TRIGGER sessions_share_inserted AFTER INSERT ON sessions WHEN NEW.ended_at IS NOT NULL BEGIN
  INSERT INTO shares VALUES (NEW.share, 1) ON CONFLICT (share) DO UPDATE SET ended = ended + 1;
END;
CREATE TRIGGER sessions_share_ended AFTER UPDATE OF ended_at, share ON sessions
WHEN NEW.ended_at IS NOT NULL AND (OLD.ended_at IS NULL OR OLD.share IS NOT NEW.share) BEGIN
  INSERT INTO shares VALUES (NEW.share, 1) ON CONFLICT (share) DO UPDATE SET ended = ended + 1;
END;
CREATE TRIGGER sessions_share_left AFTER UPDATE OF ended_at, share ON sessions
WHEN OLD.ended_at IS NOT NULL AND (NEW.ended_at IS NULL OR OLD.share IS NOT NEW.share) BEGIN
  UPDATE shares SET ended = ended - 1 WHERE share = OLD.share;
  DELETE FROM shares WHERE share = OLD.share AND ended <= 0;
END;
CREATE TRIGGER sessions_share_deleted AFTER DELETE ON sessions WHEN OLD.ended_at IS NOT NULL BEGIN
  UPDATE shares SET ended = ended - 1 WHERE share = OLD.share;
  DELETE FROM shares WHERE share = OLD.share AND ended <= 0;
END;
