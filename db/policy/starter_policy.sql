-- What `gatehouse policy init` writes: rows that one can read, change and delete.
INSERT INTO settings (name, value, comment) VALUES
  ('default_action', 'deny', 'when no permit matches'),
  ('dns_ports', '53', 'ports that are DNS: what goes there is judged by the names in it'),
  ('judge_answers', '1', 'names that DNS answers lead to are judged, too, where names are; 0 = questions alone');

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

-- Ways round names that are judged: resolvers whose questions cannot be read. Where you block names, enable these:
-- UPDATE port_permits SET enabled = 1 WHERE comment LIKE 'DNS over%'. Addresses of the resolvers that browsers and
-- systems offer, chosen 2026-11-27 from what their operators publish.
INSERT INTO port_permits (ports, destination, action, priority, enabled, comment) VALUES
  ('853', NULL,                  'deny', 10, 0, 'DNS over TLS and QUIC'),
  ('443', '1.1.1.0/24',          'deny', 10, 0, 'DNS over HTTPS: Cloudflare'),
  ('443', '1.0.0.0/24',          'deny', 10, 0, 'DNS over HTTPS: Cloudflare'),
  ('443', '2606:4700:4700::/48', 'deny', 10, 0, 'DNS over HTTPS: Cloudflare'),
  ('443', '8.8.8.0/24',          'deny', 10, 0, 'DNS over HTTPS: Google'),
  ('443', '8.8.4.0/24',          'deny', 10, 0, 'DNS over HTTPS: Google'),
  ('443', '2001:4860:4860::/48', 'deny', 10, 0, 'DNS over HTTPS: Google'),
  ('443', '9.9.9.0/24',          'deny', 10, 0, 'DNS over HTTPS: Quad9'),
  ('443', '149.112.112.0/24',    'deny', 10, 0, 'DNS over HTTPS: Quad9'),
  ('443', '2620:fe::/48',        'deny', 10, 0, 'DNS over HTTPS: Quad9'),
  ('443', '208.67.220.0/22',     'deny', 10, 0, 'DNS over HTTPS: OpenDNS'),
  ('443', '94.140.14.0/23',      'deny', 10, 0, 'DNS over HTTPS: AdGuard'),
  ('443', '45.90.28.0/22',       'deny', 10, 0, 'DNS over HTTPS: NextDNS');
INSERT INTO port_permits (comment) VALUES ('every public address; delete this row to name destinations one by one');

INSERT INTO traffic_rules (scope, concurrent_sessions, token_failures_per_minute, comment) VALUES
  ('identity', 256, 20,
   'streams of one identity, IPv4 address or IPv6 /64, and wrong tokens of the latter; many may share one (NAT)');

DELETE FROM changes;  -- the trail begins with what people do
