-- secrets.db, version 1. Never edited once landed: a change is a new file with the next number.
-- Values of plugins that only the gateway's user may read. `written` is the number of the commit in state.db: where a
-- value that changed between plain and secret stands in both files after a crash, the later one counts.

-- The number, in state.db, of the last commit that wrote here: state.db knows it too, as epoch.secrets_n.
CREATE TABLE epoch (
  id INTEGER PRIMARY KEY CONSTRAINT "epoch has one row, with id 1" CHECK (id = 1),
  n  INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO epoch (id) VALUES (1);

CREATE TABLE plugin_values (
  plugin  TEXT    NOT NULL CONSTRAINT "plugin must not be empty" CHECK (plugin <> ''),
  name    ANY     NOT NULL CONSTRAINT "name is text or a blob" CHECK (typeof(name) IN ('text', 'blob')),
  value   ANY     NOT NULL CONSTRAINT "value is text or a blob" CHECK (typeof(value) IN ('text', 'blob')),
  written INTEGER NOT NULL,
  PRIMARY KEY (plugin, name)
) STRICT, WITHOUT ROWID;
