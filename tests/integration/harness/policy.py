"""policy.db as people edit it: through the sqlite3 shell, never through the gateway's own code."""

import subprocess


class Policy:
    """One policy.db."""

    def __init__(self, path):
        self.path = str(path)

    def sql(self, text):
        """Runs SQL in the `sqlite3` shell and returns what it prints; raises with the shell's words."""
        done = subprocess.run(["sqlite3", "-batch", "-bail", "-cmd", ".timeout 5000", self.path, text],
                              capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            raise RuntimeError(f"sqlite3: {done.stderr.strip()}")
        return done.stdout.strip()

    def insert(self, table, **columns):
        """Inserts a row and returns its id."""
        names = ", ".join(f'"{name}"' for name in columns)
        values = ", ".join(_literal(value) for value in columns.values())
        return int(self.sql(f'INSERT INTO {table} ({names}) VALUES ({values}); SELECT last_insert_rowid();'))

    def delete(self, table, id):
        self.sql(f"DELETE FROM {table} WHERE id = {id};")

    def traffic(self, scope="session", **columns):
        """Sets traffic rules of everyone, per session or per identity."""
        sets = ", ".join(f"{name} = {_literal(value)}" for name, value in columns.items())
        self.sql(f"INSERT OR IGNORE INTO traffic_rules (group_id, scope) VALUES (0, '{scope}');"
                 f"UPDATE traffic_rules SET {sets} WHERE group_id = 0 AND scope = '{scope}';")


def _literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, (int, float)):
        return str(value)
    return "'" + value.replace("'", "''") + "'"
