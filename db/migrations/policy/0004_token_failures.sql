-- policy.db, version 4: how many tokens that are nobody's one source may show.

ALTER TABLE traffic_rules ADD COLUMN token_failures_per_minute INTEGER
  CONSTRAINT "token_failures_per_minute is 0 (no limit) or more" CHECK (token_failures_per_minute >= 0);

DROP VIEW traffic_rules_rows;
CREATE VIEW traffic_rules_rows AS
  SELECT id, json_object('id', id, 'group_id', group_id, 'scope', scope, 'rate_up', rate_up, 'rate_down', rate_down,
                         'burst_up', burst_up, 'burst_down', burst_down, 'unthrottled_up', unthrottled_up,
                         'unthrottled_down', unthrottled_down, 'quota_bytes', quota_bytes,
                         'quota_period', quota_period, 'concurrent_flows', concurrent_flows,
                         'new_flows_per_second', new_flows_per_second,
                         'destinations_per_minute', destinations_per_minute,
                         'concurrent_sessions', concurrent_sessions, 'udp_idle_seconds', udp_idle_seconds,
                         'tcp_idle_seconds', tcp_idle_seconds, 'session_idle_seconds', session_idle_seconds,
                         'enabled', enabled, 'expires_at', expires_at, 'comment', comment,
                         'token_failures_per_minute', token_failures_per_minute) AS row FROM traffic_rules;
