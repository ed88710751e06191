-- policy.db, version 2: who edits, and the audit trail.

-- Gatehouse's own commands write a name here for the length of their transaction; all others are 'sql'.
ALTER TABLE meta ADD COLUMN editor TEXT NOT NULL DEFAULT 'sql';

-- `UPDATE groups SET rowid = 9` changes the id without naming that column.
DROP TRIGGER groups_in_use_update;
CREATE TRIGGER groups_in_use_update AFTER UPDATE ON groups
WHEN EXISTS (SELECT 1 FROM group_references WHERE group_id NOT IN (SELECT id FROM groups))
BEGIN SELECT RAISE(ABORT, 'that group has members or rules, which know it by its id: change those first'); END;

-- How the trail is written. One view a table makes a row into JSON. A BEFORE trigger keeps, in rows_before, the rows
-- that are about to be changed or replaced (those with the new row's id or unique name); the AFTER trigger writes down
-- those that really were. So nothing false is written when the row is then refused, ignored (INSERT OR IGNORE) or made
-- an update (ON CONFLICT), which fire BEFORE triggers too; and nothing twice where PRAGMA recursive_triggers lets
-- replaced rows fire delete triggers.
CREATE TABLE rows_before (
  id  INTEGER PRIMARY KEY,
  row TEXT NOT NULL
) STRICT;

CREATE TRIGGER changes_newest AFTER INSERT ON changes
BEGIN DELETE FROM changes WHERE id <= NEW.id - 100000; END;

CREATE VIEW settings_rows AS
  SELECT id, json_object('id', id, 'name', name, 'value', value, 'comment', comment) AS row FROM settings;
CREATE TRIGGER settings_history_before_insert BEFORE INSERT ON settings BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM settings_rows
    WHERE id IN (SELECT id FROM settings WHERE id = NEW.id OR name = NEW.name);
END;
CREATE TRIGGER settings_history_insert AFTER INSERT ON settings BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'settings', b.id, b.row FROM meta, rows_before b
    WHERE b.id = NEW.id OR b.id NOT IN (SELECT id FROM settings WHERE id = b.id);
  DELETE FROM rows_before;
  INSERT INTO changes (who, table_name, row_id, new_row)
    SELECT editor, 'settings', n.id, n.row FROM meta, settings_rows n WHERE n.id = NEW.id;
END;
CREATE TRIGGER settings_history_before_update BEFORE UPDATE ON settings BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM settings_rows
    WHERE id IN (SELECT id FROM settings WHERE id = OLD.id OR id = NEW.id OR name = NEW.name);
END;
CREATE TRIGGER settings_history_update AFTER UPDATE ON settings BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'settings', b.id, b.row FROM meta, rows_before b
    WHERE b.id <> OLD.id AND (b.id = NEW.id OR b.id NOT IN (SELECT id FROM settings WHERE id = b.id));
  INSERT INTO changes (who, table_name, row_id, old_row, new_row)
    SELECT editor, 'settings', n.id, b.row, n.row FROM meta, rows_before b, settings_rows n
    WHERE b.id = OLD.id AND n.id = NEW.id AND b.row <> n.row;
  DELETE FROM rows_before;
END;
CREATE TRIGGER settings_history_delete BEFORE DELETE ON settings BEGIN
  DELETE FROM rows_before WHERE id = OLD.id;
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'settings', o.id, o.row FROM meta, settings_rows o WHERE o.id = OLD.id;
END;

CREATE VIEW groups_rows AS
  SELECT id, json_object('id', id, 'name', name, 'priority', priority, 'enabled', enabled, 'comment', comment)
  AS row FROM groups;
CREATE TRIGGER groups_history_before_insert BEFORE INSERT ON groups BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM groups_rows
    WHERE id IN (SELECT id FROM groups WHERE id = NEW.id OR name = NEW.name);
END;
CREATE TRIGGER groups_history_insert AFTER INSERT ON groups BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'groups', b.id, b.row FROM meta, rows_before b
    WHERE b.id = NEW.id OR b.id NOT IN (SELECT id FROM groups WHERE id = b.id);
  DELETE FROM rows_before;
  INSERT INTO changes (who, table_name, row_id, new_row)
    SELECT editor, 'groups', n.id, n.row FROM meta, groups_rows n WHERE n.id = NEW.id;
END;
CREATE TRIGGER groups_history_before_update BEFORE UPDATE ON groups BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM groups_rows
    WHERE id IN (SELECT id FROM groups WHERE id = OLD.id OR id = NEW.id OR name = NEW.name);
END;
CREATE TRIGGER groups_history_update AFTER UPDATE ON groups BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'groups', b.id, b.row FROM meta, rows_before b
    WHERE b.id <> OLD.id AND (b.id = NEW.id OR b.id NOT IN (SELECT id FROM groups WHERE id = b.id));
  INSERT INTO changes (who, table_name, row_id, old_row, new_row)
    SELECT editor, 'groups', n.id, b.row, n.row FROM meta, rows_before b, groups_rows n
    WHERE b.id = OLD.id AND n.id = NEW.id AND b.row <> n.row;
  DELETE FROM rows_before;
END;
CREATE TRIGGER groups_history_delete BEFORE DELETE ON groups BEGIN
  DELETE FROM rows_before WHERE id = OLD.id;
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'groups', o.id, o.row FROM meta, groups_rows o WHERE o.id = OLD.id;
END;

CREATE VIEW group_members_rows AS
  SELECT id, json_object('id', id, 'group_id', group_id, 'kind', kind, 'pattern', pattern, 'enabled', enabled,
                         'expires_at', expires_at, 'comment', comment) AS row FROM group_members;
CREATE TRIGGER group_members_history_before_insert BEFORE INSERT ON group_members BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM group_members_rows WHERE id = NEW.id;
END;
CREATE TRIGGER group_members_history_insert AFTER INSERT ON group_members BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'group_members', b.id, b.row FROM meta, rows_before b
    WHERE b.id = NEW.id OR b.id NOT IN (SELECT id FROM group_members WHERE id = b.id);
  DELETE FROM rows_before;
  INSERT INTO changes (who, table_name, row_id, new_row)
    SELECT editor, 'group_members', n.id, n.row FROM meta, group_members_rows n WHERE n.id = NEW.id;
END;
CREATE TRIGGER group_members_history_before_update BEFORE UPDATE ON group_members BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM group_members_rows WHERE id IN (OLD.id, NEW.id);
END;
CREATE TRIGGER group_members_history_update AFTER UPDATE ON group_members BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'group_members', b.id, b.row FROM meta, rows_before b
    WHERE b.id <> OLD.id AND (b.id = NEW.id OR b.id NOT IN (SELECT id FROM group_members WHERE id = b.id));
  INSERT INTO changes (who, table_name, row_id, old_row, new_row)
    SELECT editor, 'group_members', n.id, b.row, n.row FROM meta, rows_before b, group_members_rows n
    WHERE b.id = OLD.id AND n.id = NEW.id AND b.row <> n.row;
  DELETE FROM rows_before;
END;
CREATE TRIGGER group_members_history_delete BEFORE DELETE ON group_members BEGIN
  DELETE FROM rows_before WHERE id = OLD.id;
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'group_members', o.id, o.row FROM meta, group_members_rows o WHERE o.id = OLD.id;
END;

CREATE VIEW credentials_rows AS
  SELECT id, json_object('id', id, 'kind', kind, 'value', value, 'identity', identity, 'plugin', plugin,
                         'enabled', enabled, 'expires_at', expires_at, 'comment', comment) AS row FROM credentials;
CREATE TRIGGER credentials_history_before_insert BEFORE INSERT ON credentials BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM credentials_rows WHERE id = NEW.id;
END;
CREATE TRIGGER credentials_history_insert AFTER INSERT ON credentials BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'credentials', b.id, b.row FROM meta, rows_before b
    WHERE b.id = NEW.id OR b.id NOT IN (SELECT id FROM credentials WHERE id = b.id);
  DELETE FROM rows_before;
  INSERT INTO changes (who, table_name, row_id, new_row)
    SELECT editor, 'credentials', n.id, n.row FROM meta, credentials_rows n WHERE n.id = NEW.id;
END;
CREATE TRIGGER credentials_history_before_update BEFORE UPDATE ON credentials BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM credentials_rows WHERE id IN (OLD.id, NEW.id);
END;
CREATE TRIGGER credentials_history_update AFTER UPDATE ON credentials BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'credentials', b.id, b.row FROM meta, rows_before b
    WHERE b.id <> OLD.id AND (b.id = NEW.id OR b.id NOT IN (SELECT id FROM credentials WHERE id = b.id));
  INSERT INTO changes (who, table_name, row_id, old_row, new_row)
    SELECT editor, 'credentials', n.id, b.row, n.row FROM meta, rows_before b, credentials_rows n
    WHERE b.id = OLD.id AND n.id = NEW.id AND b.row <> n.row;
  DELETE FROM rows_before;
END;
CREATE TRIGGER credentials_history_delete BEFORE DELETE ON credentials BEGIN
  DELETE FROM rows_before WHERE id = OLD.id;
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'credentials', o.id, o.row FROM meta, credentials_rows o WHERE o.id = OLD.id;
END;

CREATE VIEW domain_rules_rows AS
  SELECT id, json_object('id', id, 'group_id', group_id, 'domain', domain, 'match', match, 'action', action,
                         'enabled', enabled, 'expires_at', expires_at, 'comment', comment) AS row FROM domain_rules;
CREATE TRIGGER domain_rules_history_before_insert BEFORE INSERT ON domain_rules BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM domain_rules_rows WHERE id = NEW.id;
END;
CREATE TRIGGER domain_rules_history_insert AFTER INSERT ON domain_rules BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'domain_rules', b.id, b.row FROM meta, rows_before b
    WHERE b.id = NEW.id OR b.id NOT IN (SELECT id FROM domain_rules WHERE id = b.id);
  DELETE FROM rows_before;
  INSERT INTO changes (who, table_name, row_id, new_row)
    SELECT editor, 'domain_rules', n.id, n.row FROM meta, domain_rules_rows n WHERE n.id = NEW.id;
END;
CREATE TRIGGER domain_rules_history_before_update BEFORE UPDATE ON domain_rules BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM domain_rules_rows WHERE id IN (OLD.id, NEW.id);
END;
CREATE TRIGGER domain_rules_history_update AFTER UPDATE ON domain_rules BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'domain_rules', b.id, b.row FROM meta, rows_before b
    WHERE b.id <> OLD.id AND (b.id = NEW.id OR b.id NOT IN (SELECT id FROM domain_rules WHERE id = b.id));
  INSERT INTO changes (who, table_name, row_id, old_row, new_row)
    SELECT editor, 'domain_rules', n.id, b.row, n.row FROM meta, rows_before b, domain_rules_rows n
    WHERE b.id = OLD.id AND n.id = NEW.id AND b.row <> n.row;
  DELETE FROM rows_before;
END;
CREATE TRIGGER domain_rules_history_delete BEFORE DELETE ON domain_rules BEGIN
  DELETE FROM rows_before WHERE id = OLD.id;
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'domain_rules', o.id, o.row FROM meta, domain_rules_rows o WHERE o.id = OLD.id;
END;

CREATE VIEW domain_lists_rows AS
  SELECT id, json_object('id', id, 'name', name, 'group_id', group_id, 'action', action, 'match', match,
                         'format', format, 'file', file, 'entries', entries, 'enabled', enabled,
                         'expires_at', expires_at, 'comment', comment) AS row FROM domain_lists;
CREATE TRIGGER domain_lists_history_before_insert BEFORE INSERT ON domain_lists BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM domain_lists_rows
    WHERE id IN (SELECT id FROM domain_lists WHERE id = NEW.id OR name = NEW.name);
END;
CREATE TRIGGER domain_lists_history_insert AFTER INSERT ON domain_lists BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'domain_lists', b.id, b.row FROM meta, rows_before b
    WHERE b.id = NEW.id OR b.id NOT IN (SELECT id FROM domain_lists WHERE id = b.id);
  DELETE FROM rows_before;
  INSERT INTO changes (who, table_name, row_id, new_row)
    SELECT editor, 'domain_lists', n.id, n.row FROM meta, domain_lists_rows n WHERE n.id = NEW.id;
END;
CREATE TRIGGER domain_lists_history_before_update BEFORE UPDATE ON domain_lists BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM domain_lists_rows
    WHERE id IN (SELECT id FROM domain_lists WHERE id = OLD.id OR id = NEW.id OR name = NEW.name);
END;
CREATE TRIGGER domain_lists_history_update AFTER UPDATE ON domain_lists BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'domain_lists', b.id, b.row FROM meta, rows_before b
    WHERE b.id <> OLD.id AND (b.id = NEW.id OR b.id NOT IN (SELECT id FROM domain_lists WHERE id = b.id));
  INSERT INTO changes (who, table_name, row_id, old_row, new_row)
    SELECT editor, 'domain_lists', n.id, b.row, n.row FROM meta, rows_before b, domain_lists_rows n
    WHERE b.id = OLD.id AND n.id = NEW.id AND b.row <> n.row;
  DELETE FROM rows_before;
END;
CREATE TRIGGER domain_lists_history_delete BEFORE DELETE ON domain_lists BEGIN
  DELETE FROM rows_before WHERE id = OLD.id;
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'domain_lists', o.id, o.row FROM meta, domain_lists_rows o WHERE o.id = OLD.id;
END;

CREATE VIEW port_permits_rows AS
  SELECT id, json_object('id', id, 'group_id', group_id, 'transport', transport, 'ports', ports,
                         'destination', destination, 'action', action, 'priority', priority, 'enabled', enabled,
                         'expires_at', expires_at, 'comment', comment) AS row FROM port_permits;
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

CREATE VIEW traffic_rules_rows AS
  SELECT id, json_object('id', id, 'group_id', group_id, 'scope', scope, 'rate_up', rate_up, 'rate_down', rate_down,
                         'burst_up', burst_up, 'burst_down', burst_down, 'unthrottled_up', unthrottled_up,
                         'unthrottled_down', unthrottled_down, 'quota_bytes', quota_bytes,
                         'quota_period', quota_period, 'concurrent_flows', concurrent_flows,
                         'new_flows_per_second', new_flows_per_second,
                         'destinations_per_minute', destinations_per_minute,
                         'concurrent_sessions', concurrent_sessions, 'udp_idle_seconds', udp_idle_seconds,
                         'tcp_idle_seconds', tcp_idle_seconds, 'session_idle_seconds', session_idle_seconds,
                         'enabled', enabled, 'expires_at', expires_at, 'comment', comment) AS row FROM traffic_rules;
CREATE TRIGGER traffic_rules_history_before_insert BEFORE INSERT ON traffic_rules BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM traffic_rules_rows
    WHERE id IN (SELECT id FROM traffic_rules WHERE id = NEW.id OR (group_id = NEW.group_id AND scope = NEW.scope));
END;
CREATE TRIGGER traffic_rules_history_insert AFTER INSERT ON traffic_rules BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'traffic_rules', b.id, b.row FROM meta, rows_before b
    WHERE b.id = NEW.id OR b.id NOT IN (SELECT id FROM traffic_rules WHERE id = b.id);
  DELETE FROM rows_before;
  INSERT INTO changes (who, table_name, row_id, new_row)
    SELECT editor, 'traffic_rules', n.id, n.row FROM meta, traffic_rules_rows n WHERE n.id = NEW.id;
END;
CREATE TRIGGER traffic_rules_history_before_update BEFORE UPDATE ON traffic_rules BEGIN
  DELETE FROM rows_before;
  INSERT INTO rows_before SELECT * FROM traffic_rules_rows
    WHERE id IN (SELECT id FROM traffic_rules WHERE id = OLD.id OR id = NEW.id
                 OR (group_id = NEW.group_id AND scope = NEW.scope));
END;
CREATE TRIGGER traffic_rules_history_update AFTER UPDATE ON traffic_rules BEGIN
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'traffic_rules', b.id, b.row FROM meta, rows_before b
    WHERE b.id <> OLD.id AND (b.id = NEW.id OR b.id NOT IN (SELECT id FROM traffic_rules WHERE id = b.id));
  INSERT INTO changes (who, table_name, row_id, old_row, new_row)
    SELECT editor, 'traffic_rules', n.id, b.row, n.row FROM meta, rows_before b, traffic_rules_rows n
    WHERE b.id = OLD.id AND n.id = NEW.id AND b.row <> n.row;
  DELETE FROM rows_before;
END;
CREATE TRIGGER traffic_rules_history_delete BEFORE DELETE ON traffic_rules BEGIN
  DELETE FROM rows_before WHERE id = OLD.id;
  INSERT INTO changes (who, table_name, row_id, old_row)
    SELECT editor, 'traffic_rules', o.id, o.row FROM meta, traffic_rules_rows o WHERE o.id = OLD.id;
END;
