-- policy.db, version 5: which ports are DNS, and whether what comes back is judged, too. Without a row: 53, and it is.

DROP TRIGGER settings_known_insert;
DROP TRIGGER settings_known_update;
CREATE TRIGGER settings_known_insert BEFORE INSERT ON settings
WHEN NEW.name NOT IN ('default_action', 'dns_ports', 'judge_answers')
BEGIN
  SELECT RAISE(ABORT, 'there is no setting of that name: there are default_action, dns_ports and judge_answers');
END;
CREATE TRIGGER settings_known_update BEFORE UPDATE OF name ON settings
WHEN NEW.name NOT IN ('default_action', 'dns_ports', 'judge_answers')
BEGIN
  SELECT RAISE(ABORT, 'there is no setting of that name: there are default_action, dns_ports and judge_answers');
END;

-- A CHECK cannot be added to a table that is there.
CREATE TRIGGER settings_judge_answers_insert BEFORE INSERT ON settings
WHEN NEW.name = 'judge_answers' AND NEW.value NOT IN ('0', '1')
BEGIN SELECT RAISE(ABORT, 'judge_answers is 0 or 1'); END;
CREATE TRIGGER settings_judge_answers_update BEFORE UPDATE ON settings
WHEN NEW.name = 'judge_answers' AND NEW.value NOT IN ('0', '1')
BEGIN SELECT RAISE(ABORT, 'judge_answers is 0 or 1'); END;
