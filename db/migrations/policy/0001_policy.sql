-- policy.db, version 1. Never edited once landed: a change is a new file with the next number.
--
-- People write here with any SQLite tool, so: only built-in functions, a default for whatever can have one, CHECKs
-- named by the sentence that the shell prints, and triggers in place of foreign keys, which the shell leaves off.
-- What a CHECK cannot judge (a CIDR, a list of ports, a name) the gateway judges: `gatehouse policy problems`.
-- Times are Unix seconds, UTC; group_id NULL means all clients; db/README.md explains each table.

CREATE TABLE meta (
  id       INTEGER PRIMARY KEY CONSTRAINT "meta has one row, with id 1" CHECK (id = 1),
  revision INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO meta (id) VALUES (1);

CREATE TABLE groups (
  id         INTEGER PRIMARY KEY,
  name       TEXT    NOT NULL UNIQUE CONSTRAINT "name must not be empty" CHECK (name <> ''),
  priority   INTEGER NOT NULL DEFAULT 100,
  enabled    INTEGER NOT NULL DEFAULT 1 CONSTRAINT "enabled is 0 or 1" CHECK (enabled IN (0, 1)),
  comment    TEXT    NOT NULL DEFAULT ''
) STRICT;
INSERT INTO groups (id, name, priority, comment) VALUES (0, 'everyone', 1000000, 'whoever is in no other group');

CREATE TABLE group_members (
  id         INTEGER PRIMARY KEY,
  group_id   INTEGER NOT NULL,
  kind       TEXT    NOT NULL DEFAULT 'identity'
             CONSTRAINT "kind is identity, source, listener or plugin"
             CHECK (kind IN ('identity', 'source', 'listener', 'plugin')),
  pattern    TEXT    NOT NULL CONSTRAINT "pattern must not be empty" CHECK (pattern <> ''),
  enabled    INTEGER NOT NULL DEFAULT 1 CONSTRAINT "enabled is 0 or 1" CHECK (enabled IN (0, 1)),
  expires_at INTEGER,
  comment    TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX group_members_by_group ON group_members (group_id);

CREATE TABLE credentials (
  id         INTEGER PRIMARY KEY,
  kind       TEXT    NOT NULL
             CONSTRAINT "kind is token, cert, unix or relay_key" CHECK (kind IN ('token', 'cert', 'unix', 'relay_key')),
  value      TEXT    NOT NULL CONSTRAINT "value must not be empty" CHECK (value <> ''),
  identity   TEXT    NOT NULL
             CONSTRAINT "identity is typed text such as token:bob, cert:bob.example, unix:bob or relay:site"
             CHECK (identity GLOB 'token:?*' OR identity GLOB 'cert:?*' OR identity GLOB 'unix:?*'
                    OR identity GLOB 'relay:?*'),
  plugin     TEXT,
  enabled    INTEGER NOT NULL DEFAULT 1 CONSTRAINT "enabled is 0 or 1" CHECK (enabled IN (0, 1)),
  expires_at INTEGER,
  comment    TEXT    NOT NULL DEFAULT '',
  CONSTRAINT "a token is stored as its SHA-256: 64 lower-case hex digits"
    CHECK (kind <> 'token' OR (length(value) = 64 AND value NOT GLOB '*[^0-9a-f]*'))
) STRICT;

CREATE TABLE domain_rules (
  id         INTEGER PRIMARY KEY,
  group_id   INTEGER,
  domain     TEXT    NOT NULL CONSTRAINT "domain must not be empty" CHECK (domain <> ''),
  match      TEXT    NOT NULL DEFAULT 'suffix'
             CONSTRAINT "match is suffix or exact" CHECK (match IN ('suffix', 'exact')),
  action     TEXT    NOT NULL DEFAULT 'block'
             CONSTRAINT "action is block, allow or monitor" CHECK (action IN ('block', 'allow', 'monitor')),
  enabled    INTEGER NOT NULL DEFAULT 1 CONSTRAINT "enabled is 0 or 1" CHECK (enabled IN (0, 1)),
  expires_at INTEGER,
  comment    TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX domain_rules_by_group ON domain_rules (group_id);

CREATE TABLE domain_lists (
  id         INTEGER PRIMARY KEY,
  name       TEXT    NOT NULL UNIQUE CONSTRAINT "name must not be empty" CHECK (name <> ''),
  group_id   INTEGER,
  action     TEXT    NOT NULL DEFAULT 'block'
             CONSTRAINT "action is block, allow or monitor" CHECK (action IN ('block', 'allow', 'monitor')),
  match      TEXT    NOT NULL DEFAULT 'suffix'
             CONSTRAINT "match is suffix or exact" CHECK (match IN ('suffix', 'exact')),
  format     TEXT    NOT NULL DEFAULT 'domains' CONSTRAINT "format must not be empty" CHECK (format <> ''),
  file       TEXT    NOT NULL DEFAULT '',
  entries    INTEGER NOT NULL DEFAULT 0 CONSTRAINT "entries is 0 or more" CHECK (entries >= 0),
  enabled    INTEGER NOT NULL DEFAULT 1 CONSTRAINT "enabled is 0 or 1" CHECK (enabled IN (0, 1)),
  expires_at INTEGER,
  comment    TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX domain_lists_by_group ON domain_lists (group_id);

CREATE TABLE port_permits (
  id          INTEGER PRIMARY KEY,
  group_id    INTEGER,
  transport   TEXT    NOT NULL DEFAULT 'any'
              CONSTRAINT "transport is tcp, udp or any" CHECK (transport IN ('tcp', 'udp', 'any')),
  ports       TEXT    DEFAULT 'all',
  destination TEXT,
  action      TEXT    NOT NULL DEFAULT 'allow'
              CONSTRAINT "action is allow, deny or monitor" CHECK (action IN ('allow', 'deny', 'monitor')),
  priority    INTEGER NOT NULL DEFAULT 100,
  enabled     INTEGER NOT NULL DEFAULT 1 CONSTRAINT "enabled is 0 or 1" CHECK (enabled IN (0, 1)),
  expires_at  INTEGER,
  comment     TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX port_permits_by_group ON port_permits (group_id);

CREATE TABLE traffic_rules (
  id                      INTEGER PRIMARY KEY,
  group_id                INTEGER NOT NULL DEFAULT 0,
  scope                   TEXT    NOT NULL DEFAULT 'session'
                          CONSTRAINT "scope is session or identity" CHECK (scope IN ('session', 'identity')),
  rate_up                 INTEGER CONSTRAINT "rate_up is 0 (no limit) or more" CHECK (rate_up >= 0),
  rate_down               INTEGER CONSTRAINT "rate_down is 0 (no limit) or more" CHECK (rate_down >= 0),
  burst_up                INTEGER CONSTRAINT "burst_up is 0 or more" CHECK (burst_up >= 0),
  burst_down              INTEGER CONSTRAINT "burst_down is 0 or more" CHECK (burst_down >= 0),
  unthrottled_up          INTEGER CONSTRAINT "unthrottled_up is 0 or more" CHECK (unthrottled_up >= 0),
  unthrottled_down        INTEGER CONSTRAINT "unthrottled_down is 0 or more" CHECK (unthrottled_down >= 0),
  quota_bytes             INTEGER CONSTRAINT "quota_bytes is 0 (no limit) or more" CHECK (quota_bytes >= 0),
  quota_period            TEXT    CONSTRAINT "quota_period is day or month" CHECK (quota_period IN ('day', 'month')),
  concurrent_flows        INTEGER CONSTRAINT "concurrent_flows is 0 (no limit) or more" CHECK (concurrent_flows >= 0),
  new_flows_per_second    INTEGER
                          CONSTRAINT "new_flows_per_second is 0 (no limit) or more" CHECK (new_flows_per_second >= 0),
  destinations_per_minute INTEGER
                          CONSTRAINT "destinations_per_minute is 0 (no limit) or more"
                          CHECK (destinations_per_minute >= 0),
  concurrent_sessions     INTEGER
                          CONSTRAINT "concurrent_sessions is 0 (no limit) or more" CHECK (concurrent_sessions >= 0),
  udp_idle_seconds        INTEGER CONSTRAINT "udp_idle_seconds is 0 (never) or more" CHECK (udp_idle_seconds >= 0),
  tcp_idle_seconds        INTEGER CONSTRAINT "tcp_idle_seconds is 0 (never) or more" CHECK (tcp_idle_seconds >= 0),
  session_idle_seconds    INTEGER
                          CONSTRAINT "session_idle_seconds is 0 (never) or more" CHECK (session_idle_seconds >= 0),
  enabled                 INTEGER NOT NULL DEFAULT 1 CONSTRAINT "enabled is 0 or 1" CHECK (enabled IN (0, 1)),
  expires_at              INTEGER,
  comment                 TEXT    NOT NULL DEFAULT '',
  UNIQUE (group_id, scope)
) STRICT;

CREATE TABLE settings (
  id      INTEGER PRIMARY KEY,
  name    TEXT    NOT NULL UNIQUE CONSTRAINT "name must not be empty" CHECK (name <> ''),
  value   TEXT    NOT NULL,
  comment TEXT    NOT NULL DEFAULT '',
  CONSTRAINT "default_action is deny or allow" CHECK (name <> 'default_action' OR value IN ('deny', 'allow'))
) STRICT;

CREATE TABLE changes (
  id         INTEGER PRIMARY KEY,
  changed_at INTEGER NOT NULL DEFAULT (unixepoch()),
  who        TEXT    NOT NULL DEFAULT 'sql',
  table_name TEXT    NOT NULL,
  row_id     INTEGER NOT NULL,
  old_row    TEXT    CONSTRAINT "old_row is JSON" CHECK (old_row IS NULL OR json_valid(old_row)),
  new_row    TEXT    CONSTRAINT "new_row is JSON" CHECK (new_row IS NULL OR json_valid(new_row))
) STRICT;

-- `everyone` is always there. AFTER triggers see what INSERT OR REPLACE and UPDATE OR REPLACE have removed, for which
-- no delete trigger fires.

CREATE TRIGGER groups_keep_everyone_insert AFTER INSERT ON groups
WHEN NOT EXISTS (SELECT 1 FROM groups WHERE id = 0 AND name = 'everyone' AND enabled = 1)
BEGIN SELECT RAISE(ABORT, 'the group everyone (id 0) must stay as it is: give your group another name and id'); END;
CREATE TRIGGER groups_keep_everyone_update AFTER UPDATE ON groups
WHEN NOT EXISTS (SELECT 1 FROM groups WHERE id = 0 AND name = 'everyone' AND enabled = 1)
BEGIN SELECT RAISE(ABORT, 'the group everyone (id 0) cannot be renamed, renumbered or disabled'); END;
CREATE TRIGGER groups_keep_everyone_delete BEFORE DELETE ON groups
WHEN OLD.id = 0
BEGIN SELECT RAISE(ABORT, 'the group everyone (id 0) cannot be deleted'); END;

-- References, in place of foreign keys.

CREATE VIEW group_references AS
  SELECT group_id FROM group_members UNION ALL SELECT group_id FROM domain_rules
  UNION ALL SELECT group_id FROM domain_lists UNION ALL SELECT group_id FROM port_permits
  UNION ALL SELECT group_id FROM traffic_rules;

CREATE TRIGGER groups_in_use_insert AFTER INSERT ON groups
WHEN EXISTS (SELECT 1 FROM group_references WHERE group_id NOT IN (SELECT id FROM groups))
BEGIN SELECT RAISE(ABORT, 'a group of that name has members or rules and cannot be replaced: UPDATE it'); END;
CREATE TRIGGER groups_in_use_update AFTER UPDATE OF id, name ON groups
WHEN EXISTS (SELECT 1 FROM group_references WHERE group_id NOT IN (SELECT id FROM groups))
BEGIN SELECT RAISE(ABORT, 'that group has members or rules, which know it by its id: change those first'); END;
CREATE TRIGGER groups_in_use_delete BEFORE DELETE ON groups
WHEN OLD.id IN (SELECT group_id FROM group_references)
BEGIN SELECT RAISE(ABORT, 'that group has members or rules: delete those first, or set enabled = 0'); END;

CREATE TRIGGER group_members_group_insert BEFORE INSERT ON group_members
WHEN NOT EXISTS (SELECT 1 FROM groups WHERE id = NEW.group_id)
BEGIN SELECT RAISE(ABORT, 'group_id is not the id of a group: see SELECT id, name FROM groups'); END;
CREATE TRIGGER group_members_group_update BEFORE UPDATE OF group_id ON group_members
WHEN NOT EXISTS (SELECT 1 FROM groups WHERE id = NEW.group_id)
BEGIN SELECT RAISE(ABORT, 'group_id is not the id of a group: see SELECT id, name FROM groups'); END;
CREATE TRIGGER group_members_everyone_insert BEFORE INSERT ON group_members
WHEN NEW.group_id = 0
BEGIN SELECT RAISE(ABORT, 'the group everyone (id 0) takes no members: whoever is in no other group is in it'); END;
CREATE TRIGGER group_members_everyone_update BEFORE UPDATE OF group_id ON group_members
WHEN NEW.group_id = 0
BEGIN SELECT RAISE(ABORT, 'the group everyone (id 0) takes no members: whoever is in no other group is in it'); END;
CREATE TRIGGER domain_rules_group_insert BEFORE INSERT ON domain_rules
WHEN NEW.group_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM groups WHERE id = NEW.group_id)
BEGIN SELECT RAISE(ABORT, 'group_id is not the id of a group (NULL = all): see SELECT id, name FROM groups'); END;
CREATE TRIGGER domain_rules_group_update BEFORE UPDATE OF group_id ON domain_rules
WHEN NEW.group_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM groups WHERE id = NEW.group_id)
BEGIN SELECT RAISE(ABORT, 'group_id is not the id of a group (NULL = all): see SELECT id, name FROM groups'); END;
CREATE TRIGGER domain_lists_group_insert BEFORE INSERT ON domain_lists
WHEN NEW.group_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM groups WHERE id = NEW.group_id)
BEGIN SELECT RAISE(ABORT, 'group_id is not the id of a group (NULL = all): see SELECT id, name FROM groups'); END;
CREATE TRIGGER domain_lists_group_update BEFORE UPDATE OF group_id ON domain_lists
WHEN NEW.group_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM groups WHERE id = NEW.group_id)
BEGIN SELECT RAISE(ABORT, 'group_id is not the id of a group (NULL = all): see SELECT id, name FROM groups'); END;
CREATE TRIGGER port_permits_group_insert BEFORE INSERT ON port_permits
WHEN NEW.group_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM groups WHERE id = NEW.group_id)
BEGIN SELECT RAISE(ABORT, 'group_id is not the id of a group (NULL = all): see SELECT id, name FROM groups'); END;
CREATE TRIGGER port_permits_group_update BEFORE UPDATE OF group_id ON port_permits
WHEN NEW.group_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM groups WHERE id = NEW.group_id)
BEGIN SELECT RAISE(ABORT, 'group_id is not the id of a group (NULL = all): see SELECT id, name FROM groups'); END;
CREATE TRIGGER traffic_rules_group_insert BEFORE INSERT ON traffic_rules
WHEN NOT EXISTS (SELECT 1 FROM groups WHERE id = NEW.group_id)
BEGIN SELECT RAISE(ABORT, 'group_id is not the id of a group (0 = everyone): see SELECT id, name FROM groups'); END;
CREATE TRIGGER traffic_rules_group_update BEFORE UPDATE OF group_id ON traffic_rules
WHEN NOT EXISTS (SELECT 1 FROM groups WHERE id = NEW.group_id)
BEGIN SELECT RAISE(ABORT, 'group_id is not the id of a group (0 = everyone): see SELECT id, name FROM groups'); END;

CREATE TRIGGER settings_known_insert BEFORE INSERT ON settings
WHEN NEW.name NOT IN ('default_action')
BEGIN SELECT RAISE(ABORT, 'there is no setting of that name: there is default_action'); END;
CREATE TRIGGER settings_known_update BEFORE UPDATE OF name ON settings
WHEN NEW.name NOT IN ('default_action')
BEGIN SELECT RAISE(ABORT, 'there is no setting of that name: there is default_action'); END;

CREATE TRIGGER meta_stays BEFORE DELETE ON meta
BEGIN SELECT RAISE(ABORT, 'meta is kept by triggers and cannot be deleted'); END;

-- Every edit moves the revision; a replaced row is an insert too.

CREATE TRIGGER groups_revision_insert AFTER INSERT ON groups BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER groups_revision_update AFTER UPDATE ON groups BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER groups_revision_delete AFTER DELETE ON groups BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER group_members_revision_insert AFTER INSERT ON group_members
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER group_members_revision_update AFTER UPDATE ON group_members
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER group_members_revision_delete AFTER DELETE ON group_members
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER credentials_revision_insert AFTER INSERT ON credentials
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER credentials_revision_update AFTER UPDATE ON credentials
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER credentials_revision_delete AFTER DELETE ON credentials
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER domain_rules_revision_insert AFTER INSERT ON domain_rules
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER domain_rules_revision_update AFTER UPDATE ON domain_rules
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER domain_rules_revision_delete AFTER DELETE ON domain_rules
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER domain_lists_revision_insert AFTER INSERT ON domain_lists
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER domain_lists_revision_update AFTER UPDATE ON domain_lists
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER domain_lists_revision_delete AFTER DELETE ON domain_lists
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER port_permits_revision_insert AFTER INSERT ON port_permits
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER port_permits_revision_update AFTER UPDATE ON port_permits
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER port_permits_revision_delete AFTER DELETE ON port_permits
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER traffic_rules_revision_insert AFTER INSERT ON traffic_rules
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER traffic_rules_revision_update AFTER UPDATE ON traffic_rules
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER traffic_rules_revision_delete AFTER DELETE ON traffic_rules
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER settings_revision_insert AFTER INSERT ON settings BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER settings_revision_update AFTER UPDATE ON settings BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER settings_revision_delete AFTER DELETE ON settings BEGIN UPDATE meta SET revision = revision + 1; END;
