-- What `gatehouse policy init` writes: rows that one can read, change and delete.
INSERT INTO settings (name, value, comment) VALUES ('default_action', 'deny', 'when no permit matches');

-- Ports that relays are abused for: mail, reflectors and worms. Chosen 2026-11-21; NTP (123) stays open, it is needed.
INSERT INTO port_permits (transport, ports, action, priority, comment) VALUES
  ('tcp', '25',      'deny', 10, 'SMTP: spam'),
  ('any', '17,19',   'deny', 10, 'quote of the day, chargen: reflectors'),
  ('any', '135-139', 'deny', 10, 'Windows RPC and NetBIOS: scans and worms'),
  ('any', '161',     'deny', 10, 'SNMP: reflector'),
  ('udp', '389',     'deny', 10, 'connectionless LDAP: reflector'),
  ('any', '445',     'deny', 10, 'SMB: scans and worms'),
  ('any', '1900',    'deny', 10, 'SSDP: reflector'),
  ('any', '3702',    'deny', 10, 'WS-Discovery: reflector'),
  ('any', '5353',    'deny', 10, 'multicast DNS: reflector'),
  ('any', '11211',   'deny', 10, 'memcached: reflector');
INSERT INTO port_permits (comment) VALUES ('every public address; delete this row to name destinations one by one');

INSERT INTO traffic_rules (scope, concurrent_sessions, token_failures_per_minute, comment) VALUES
  ('identity', 256, 20,
   'streams of one identity, IPv4 address or IPv6 /64, and wrong tokens of the latter; many may share one (NAT)');

DELETE FROM changes;  -- the trail begins with what people do
