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
INSERT INTO port_permits (comment) VALUES ('every public address; delete this row to name destinations one by one');

-- Ways round the names that are judged, for programs that ask a resolver of their own choice. Enable these where you
-- block names: UPDATE port_permits SET enabled = 1 WHERE comment LIKE 'DNS over%', and the same of domain_rules. Chosen
-- 2026-11-27: the resolvers that browsers and systems offer.
INSERT INTO port_permits (transport, ports, action, priority, enabled, comment) VALUES
  ('any', '853', 'deny', 10, 0, 'DNS over TLS and QUIC: its names cannot be read'),
  ('any', '784,8853', 'deny', 10, 0, 'DNS over QUIC, former ports');
INSERT INTO domain_rules (domain, enabled, comment) VALUES
  ('use-application-dns.net',   0, 'DNS over HTTPS: Firefox leaves it to the system when this name is not there'),
  ('mask.icloud.com',           0, 'DNS over HTTPS: private relay of Apple'),
  ('mask-h2.icloud.com',        0, 'DNS over HTTPS: private relay of Apple'),
  ('_dns.resolver.arpa',        0, 'DNS over HTTPS: where a resolver tells that it has that (RFC 9462)'),
  ('cloudflare-dns.com',        0, 'DNS over HTTPS'),
  ('one.one.one.one',           0, 'DNS over HTTPS'),
  ('dns.google',                0, 'DNS over HTTPS'),
  ('dns.quad9.net',             0, 'DNS over HTTPS'),
  ('doh.opendns.com',           0, 'DNS over HTTPS'),
  ('dns.nextdns.io',            0, 'DNS over HTTPS'),
  ('dns.adguard-dns.com',       0, 'DNS over HTTPS'),
  ('doh.cleanbrowsing.org',     0, 'DNS over HTTPS');

INSERT INTO traffic_rules (scope, concurrent_sessions, token_failures_per_minute, comment) VALUES
  ('identity', 256, 20,
   'streams of one identity, IPv4 address or IPv6 /64, and wrong tokens of the latter; many may share one (NAT)');

DELETE FROM changes;  -- the trail begins with what people do
