-- policy.db, version 3: who may use which frontend, permits for ICMP, ids below 0.

CREATE TABLE admissions (
  id         INTEGER PRIMARY KEY,
  group_id   INTEGER,
  plugin     TEXT    NOT NULL DEFAULT '*' CONSTRAINT "plugin must not be empty" CHECK (plugin <> ''),
  listener   TEXT    NOT NULL DEFAULT '*' CONSTRAINT "listener must not be empty" CHECK (listener <> ''),
  action     TEXT    NOT NULL DEFAULT 'allow'
             CONSTRAINT "action is allow or deny" CHECK (action IN ('allow', 'deny')),
  priority   INTEGER NOT NULL DEFAULT 100,
  enabled    INTEGER NOT NULL DEFAULT 1 CONSTRAINT "enabled is 0 or 1" CHECK (enabled IN (0, 1)),
  expires_at INTEGER,
  comment    TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX admissions_by_group ON admissions (group_id);

CREATE TRIGGER admissions_group_insert BEFORE INSERT ON admissions
WHEN NEW.group_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM groups WHERE id = NEW.group_id)
BEGIN SELECT RAISE(ABORT, 'group_id is not the id of a group (NULL = all): see SELECT id, name FROM groups'); END;
CREATE TRIGGER admissions_group_update BEFORE UPDATE OF group_id ON admissions
WHEN NEW.group_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM groups WHERE id = NEW.group_id)
BEGIN SELECT RAISE(ABORT, 'group_id is not the id of a group (NULL = all): see SELECT id, name FROM groups'); END;
CREATE TRIGGER admissions_revision_insert AFTER INSERT ON admissions
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER admissions_revision_update AFTER UPDATE ON admissions
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER admissions_revision_delete AFTER DELETE ON admissions
BEGIN UPDATE meta SET revision = revision + 1; END;

CREATE VIEW admissions_rows AS
  SELECT id, json_object('id', id, 'group_id', group_id, 'plugin', plugin, 'listener', listener, 'action', action,
                         'priority', priority, 'enabled', enabled, 'expires_at', expires_at, 'comment', comment)
  AS row FROM admissions;
CREATE TRIGGER admissions_history_before_insert BEFORE INSERT ON admissions BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM admissions_rows WHERE id = NEW.id;
END;
CREATE TRIGGER admissions_history_insert AFTER INSERT ON admissions BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'admissions', b.id, b.row FROM meta, rows_before b
    WHERE b.id = NEW.id OR b.id NOT IN (SELECT id FROM admissions WHERE id = b.id);
  DELETE FROM rows_before;
  INSERT INTO changes (who, table_name, row_id, new_row)
    SELECT editor, 'admissions', n.id, n.row FROM meta, admissions_rows n WHERE n.id = NEW.id;
END;
CREATE TRIGGER admissions_history_before_update BEFORE UPDATE ON admissions BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM admissions_rows WHERE id IN (OLD.id, NEW.id);
END;
CREATE TRIGGER admissions_history_update AFTER UPDATE ON admissions BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'admissions', b.id, b.row FROM meta, rows_before b
    WHERE b.id <> OLD.id AND (b.id = NEW.id OR b.id NOT IN (SELECT id FROM admissions WHERE id = b.id));
  INSERT INTO changes (who, table_name, row_id, old_row, new_row)
    SELECT editor, 'admissions', n.id, b.row, n.row FROM meta, rows_before b, admissions_rows n
    WHERE b.id = OLD.id AND n.id = NEW.id AND b.row <> n.row;
  DELETE FROM rows_before;
END;
CREATE TRIGGER admissions_history_delete BEFORE DELETE ON admissions BEGIN
  DELETE FROM rows_before WHERE id = OLD.id;
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'admissions', o.id, o.row FROM meta, admissions_rows o WHERE o.id = OLD.id;
END;

DROP VIEW group_references;
CREATE VIEW group_references AS
  SELECT group_id FROM group_members UNION ALL SELECT group_id FROM domain_rules
  UNION ALL SELECT group_id FROM domain_lists UNION ALL SELECT group_id FROM port_permits
  UNION ALL SELECT group_id FROM traffic_rules UNION ALL SELECT group_id FROM admissions;

-- A CHECK can only be changed with its table, whose index and triggers go with it. Its rows keep their ids and are in
-- place before the triggers are, so that the trail and the revision know nothing of it.
CREATE TABLE port_permits_kept AS SELECT * FROM port_permits;
DROP TABLE port_permits;
CREATE TABLE port_permits (
  id          INTEGER PRIMARY KEY,
  group_id    INTEGER,
  transport   TEXT    NOT NULL DEFAULT 'any'
              CONSTRAINT "transport is tcp, udp, icmp or any" CHECK (transport IN ('tcp', 'udp', 'icmp', 'any')),
  ports       TEXT    DEFAULT 'all',
  destination TEXT,
  action      TEXT    NOT NULL DEFAULT 'allow'
              CONSTRAINT "action is allow, deny or monitor" CHECK (action IN ('allow', 'deny', 'monitor')),
  priority    INTEGER NOT NULL DEFAULT 100,
  enabled     INTEGER NOT NULL DEFAULT 1 CONSTRAINT "enabled is 0 or 1" CHECK (enabled IN (0, 1)),
  expires_at  INTEGER,
  comment     TEXT    NOT NULL DEFAULT ''
) STRICT;
INSERT INTO port_permits (id, group_id, transport, ports, destination, action, priority, enabled, expires_at, comment)
  SELECT id, group_id, transport, ports, destination, action, priority, enabled, expires_at, comment
  FROM port_permits_kept;
DROP TABLE port_permits_kept;
CREATE INDEX port_permits_by_group ON port_permits (group_id);
CREATE TRIGGER port_permits_group_insert BEFORE INSERT ON port_permits
WHEN NEW.group_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM groups WHERE id = NEW.group_id)
BEGIN SELECT RAISE(ABORT, 'group_id is not the id of a group (NULL = all): see SELECT id, name FROM groups'); END;
CREATE TRIGGER port_permits_group_update BEFORE UPDATE OF group_id ON port_permits
WHEN NEW.group_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM groups WHERE id = NEW.group_id)
BEGIN SELECT RAISE(ABORT, 'group_id is not the id of a group (NULL = all): see SELECT id, name FROM groups'); END;
CREATE TRIGGER port_permits_revision_insert AFTER INSERT ON port_permits
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER port_permits_revision_update AFTER UPDATE ON port_permits
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER port_permits_revision_delete AFTER DELETE ON port_permits
BEGIN UPDATE meta SET revision = revision + 1; END;
CREATE TRIGGER port_permits_history_before_insert BEFORE INSERT ON port_permits BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM port_permits_rows WHERE id = NEW.id;
END;
CREATE TRIGGER port_permits_history_insert AFTER INSERT ON port_permits BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'port_permits', b.id, b.row FROM meta, rows_before b
    WHERE b.id = NEW.id OR b.id NOT IN (SELECT id FROM port_permits WHERE id = b.id);
  DELETE FROM rows_before;
  INSERT INTO changes (who, table_name, row_id, new_row)
    SELECT editor, 'port_permits', n.id, n.row FROM meta, port_permits_rows n WHERE n.id = NEW.id;
END;
CREATE TRIGGER port_permits_history_before_update BEFORE UPDATE ON port_permits BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM port_permits_rows WHERE id IN (OLD.id, NEW.id);
END;
CREATE TRIGGER port_permits_history_update AFTER UPDATE ON port_permits BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'port_permits', b.id, b.row FROM meta, rows_before b
    WHERE b.id <> OLD.id AND (b.id = NEW.id OR b.id NOT IN (SELECT id FROM port_permits WHERE id = b.id));
  INSERT INTO changes (who, table_name, row_id, old_row, new_row)
    SELECT editor, 'port_permits', n.id, b.row, n.row FROM meta, rows_before b, port_permits_rows n
    WHERE b.id = OLD.id AND n.id = NEW.id AND b.row <> n.row;
  DELETE FROM rows_before;
END;
CREATE TRIGGER port_permits_history_delete BEFORE DELETE ON port_permits BEGIN
  DELETE FROM rows_before WHERE id = OLD.id;
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'port_permits', o.id, o.row FROM meta, port_permits_rows o WHERE o.id = OLD.id;
END;

-- Rows that come from elsewhere will have ids below 0; a row that has one already stays as it is. AFTER triggers, since a BEFORE one sees -1 for an id that is not
-- given yet.
CREATE TRIGGER groups_id_insert AFTER INSERT ON groups WHEN NEW.id < 0
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER groups_id_update AFTER UPDATE ON groups WHEN NEW.id < 0 AND NEW.id <> OLD.id
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER group_members_id_insert AFTER INSERT ON group_members WHEN NEW.id < 0
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER group_members_id_update AFTER UPDATE ON group_members WHEN NEW.id < 0 AND NEW.id <> OLD.id
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER credentials_id_insert AFTER INSERT ON credentials WHEN NEW.id < 0
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER credentials_id_update AFTER UPDATE ON credentials WHEN NEW.id < 0 AND NEW.id <> OLD.id
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER admissions_id_insert AFTER INSERT ON admissions WHEN NEW.id < 0
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER admissions_id_update AFTER UPDATE ON admissions WHEN NEW.id < 0 AND NEW.id <> OLD.id
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER domain_rules_id_insert AFTER INSERT ON domain_rules WHEN NEW.id < 0
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER domain_rules_id_update AFTER UPDATE ON domain_rules WHEN NEW.id < 0 AND NEW.id <> OLD.id
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER domain_lists_id_insert AFTER INSERT ON domain_lists WHEN NEW.id < 0
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER domain_lists_id_update AFTER UPDATE ON domain_lists WHEN NEW.id < 0 AND NEW.id <> OLD.id
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER port_permits_id_insert AFTER INSERT ON port_permits WHEN NEW.id < 0
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER port_permits_id_update AFTER UPDATE ON port_permits WHEN NEW.id < 0 AND NEW.id <> OLD.id
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER traffic_rules_id_insert AFTER INSERT ON traffic_rules WHEN NEW.id < 0
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER traffic_rules_id_update AFTER UPDATE ON traffic_rules WHEN NEW.id < 0 AND NEW.id <> OLD.id
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER settings_id_insert AFTER INSERT ON settings WHEN NEW.id < 0
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
CREATE TRIGGER settings_id_update AFTER UPDATE ON settings WHEN NEW.id < 0 AND NEW.id <> OLD.id
BEGIN SELECT RAISE(ABORT, 'ids below 0 are reserved: leave the id out, or choose one above 0'); END;
