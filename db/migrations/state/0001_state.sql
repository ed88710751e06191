-- state.db, version 1. Never edited once landed: a change is a new file with the next number.
--
-- The gateway alone writes here, from its memory, whole rows at a time; anybody may read. What belongs together may come
-- in two commits, so that no foreign key is declared: `gatehouse db verify` compares. Names that others choose (keys,
-- identities, resources) are text where they are UTF-8, else blobs with the same bytes, so that every tool can read a
-- row. Times are Unix seconds, UTC. db/README.md explains each table.

CREATE TABLE epoch (
  id              INTEGER PRIMARY KEY CONSTRAINT "epoch has one row, with id 1" CHECK (id = 1),
  n               INTEGER NOT NULL DEFAULT 0,
  store_id        INTEGER NOT NULL DEFAULT (random() & 0x7fffffffffffffff),
  boot_id         TEXT    NOT NULL DEFAULT '',
  clean           INTEGER NOT NULL DEFAULT 1 CONSTRAINT "clean is 0 or 1" CHECK (clean IN (0, 1)),
  unsure_until    INTEGER NOT NULL DEFAULT 0,
  last_session_id INTEGER NOT NULL DEFAULT 0,
  secrets_n       INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO epoch (id) VALUES (1);

CREATE TABLE sessions (
  id           INTEGER PRIMARY KEY,
  plugin       TEXT    NOT NULL CONSTRAINT "plugin must not be empty" CHECK (plugin <> ''),
  key          ANY     NOT NULL CONSTRAINT "key is text or a blob" CHECK (typeof(key) IN ('text', 'blob')),
  identity     ANY     NOT NULL DEFAULT ''
               CONSTRAINT "identity is text or a blob" CHECK (typeof(identity) IN ('text', 'blob')),
  group_name   ANY     NOT NULL DEFAULT ''
               CONSTRAINT "group_name is text or a blob" CHECK (typeof(group_name) IN ('text', 'blob')),
  source       TEXT    NOT NULL DEFAULT '',
  slot         INTEGER NOT NULL CONSTRAINT "slot is 0 to 4095" CHECK (slot BETWEEN 0 AND 4095),
  created_at   INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  ended_at     INTEGER,
  bytes_up     INTEGER NOT NULL DEFAULT 0 CONSTRAINT "bytes_up is 0 or more" CHECK (bytes_up >= 0),
  bytes_down   INTEGER NOT NULL DEFAULT 0 CONSTRAINT "bytes_down is 0 or more" CHECK (bytes_down >= 0),
  packets_up   INTEGER NOT NULL DEFAULT 0 CONSTRAINT "packets_up is 0 or more" CHECK (packets_up >= 0),
  packets_down INTEGER NOT NULL DEFAULT 0 CONSTRAINT "packets_down is 0 or more" CHECK (packets_down >= 0),
  blob_version INTEGER NOT NULL DEFAULT 0,
  blob         BLOB    CONSTRAINT "blob has 4096 bytes at most" CHECK (length(blob) <= 4096)
) STRICT;
CREATE INDEX sessions_by_end ON sessions (ended_at);

CREATE TABLE leases (
  plugin     TEXT    NOT NULL CONSTRAINT "plugin must not be empty" CHECK (plugin <> ''),
  resource   ANY     NOT NULL CONSTRAINT "resource is text or a blob" CHECK (typeof(resource) IN ('text', 'blob')),
  session_id INTEGER NOT NULL,
  granted_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (plugin, resource)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
  day          INTEGER NOT NULL,
  plugin       TEXT    NOT NULL,
  identity     ANY     NOT NULL CONSTRAINT "identity is text or a blob" CHECK (typeof(identity) IN ('text', 'blob')),
  group_name   ANY     NOT NULL
               CONSTRAINT "group_name is text or a blob" CHECK (typeof(group_name) IN ('text', 'blob')),
  bytes_up     INTEGER NOT NULL DEFAULT 0 CONSTRAINT "bytes_up is 0 or more" CHECK (bytes_up >= 0),
  bytes_down   INTEGER NOT NULL DEFAULT 0 CONSTRAINT "bytes_down is 0 or more" CHECK (bytes_down >= 0),
  packets_up   INTEGER NOT NULL DEFAULT 0 CONSTRAINT "packets_up is 0 or more" CHECK (packets_up >= 0),
  packets_down INTEGER NOT NULL DEFAULT 0 CONSTRAINT "packets_down is 0 or more" CHECK (packets_down >= 0),
  PRIMARY KEY (day, plugin, identity, group_name)
) STRICT, WITHOUT ROWID;

CREATE TABLE plugin_values (
  plugin  TEXT    NOT NULL CONSTRAINT "plugin must not be empty" CHECK (plugin <> ''),
  name    ANY     NOT NULL CONSTRAINT "name is text or a blob" CHECK (typeof(name) IN ('text', 'blob')),
  value   ANY     NOT NULL CONSTRAINT "value is text or a blob" CHECK (typeof(value) IN ('text', 'blob')),
  written INTEGER NOT NULL,
  PRIMARY KEY (plugin, name)
) STRICT, WITHOUT ROWID;

-- Which gateway owns the sessions whose key's SHA-256 begins with these 12 bits. One gateway owns all.
CREATE TABLE slots (
  slot  INTEGER PRIMARY KEY CONSTRAINT "slot is 0 to 4095" CHECK (slot BETWEEN 0 AND 4095),
  owner TEXT    NOT NULL DEFAULT 'local',
  epoch INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO slots (slot) WITH RECURSIVE counted(slot) AS (VALUES (0) UNION ALL SELECT slot + 1 FROM counted
  WHERE slot < 4095) SELECT slot FROM counted;
