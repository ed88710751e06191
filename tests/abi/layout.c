/* What abi.h comes to on this machine: its own asserts, and the size of each struct as a line. */
#include <gatehouse/abi.h>

#include <stdio.h>

#define LINE(type) printf(#type " %zu\n", sizeof(type))

int main(void) {
  LINE(gh_bytes), LINE(gh_endpoint), LINE(gh_prefix), LINE(gh_message), LINE(gh_completion), LINE(gh_log_field);
  LINE(gh_metric_label), LINE(gh_range), LINE(gh_session_cells), LINE(gh_lane), LINE(gh_listener), LINE(gh_log);
  LINE(gh_clock), LINE(gh_random), LINE(gh_metric), LINE(gh_metrics), LINE(gh_client_facts), LINE(gh_flow);
  LINE(gh_verdict), LINE(gh_limits), LINE(gh_policy), LINE(gh_identity), LINE(gh_certificate), LINE(gh_certificates);
  LINE(gh_session), LINE(gh_lease), LINE(gh_sessions), LINE(gh_ranges), LINE(gh_values), LINE(gh_fds), LINE(gh_budget);
  LINE(gh_notices);
  LINE(gh_host), LINE(gh_start), LINE(gh_plugin_ops), LINE(gh_listener_role), LINE(gh_manifest), LINE(gh_probe);
  LINE(gh_sessions_describe), LINE(gh_export_record), LINE(gh_sessions_export);
  return 0;
}
