/* A plugin of ABI 1.0 in plain C, built with the header of that time. Its lane uses every interface, each element of
 * every array included, and fails with a sentence where the host is not as 1.0 was told. */
#include "abi.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMostLanes = 4 };

struct gh_instance {
  const gh_host* host;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int stopped;
  _Atomic uint64_t done; /* lanes that have tried everything */
  uint32_t lanes;
  size_t listeners[kMostLanes];
};

static gh_bytes text(const char* from) { return (gh_bytes){(const uint8_t*)from, strlen(from)}; }

static void say(gh_message* why, const char* sentence) {
  const size_t size = strlen(sentence);
  why->size = size < why->capacity ? size : why->capacity;
  memcpy(why->text, sentence, why->size);
}

static gh_status create(const gh_host* host, gh_bytes name, gh_instance** out, gh_message* why) {
  (void)name;
  if (host->struct_size < GH_SIZE_1_0(gh_host)) {
    say(why, "the host's own table is smaller than in 1.0");
    return GH_E_FAILED;
  }
  gh_instance* self = calloc(1, sizeof *self);
  self->host = host;
  pthread_mutex_init(&self->mutex, NULL);
  pthread_cond_init(&self->changed, NULL);
  *out = self;
  return GH_OK;
}

static void destroy(gh_instance* self) {
  pthread_mutex_destroy(&self->mutex);
  pthread_cond_destroy(&self->changed);
  free(self);
}

static gh_status configure(gh_instance* self, gh_bytes options, uint32_t flags, gh_message* why) {
  (void)self, (void)options, (void)flags, (void)why;
  return GH_OK;
}

/* Counts the listeners of each lane: their stride is the host's. */
static gh_status count_listeners(gh_instance* self, const gh_listener* all, size_t count, gh_message* why) {
  memset(self->listeners, 0, sizeof self->listeners);
  for (size_t i = 0; i < count; ++i) {
    const gh_listener* one = GH_NEXT(gh_listener, all, i);
    const int is_ours = one->role.size == 6 && memcmp(one->role.data, "listen", 6) == 0;
    if (one->struct_size < GH_SIZE_1_0(gh_listener) || !is_ours || one->fd < 0 || one->lane >= kMostLanes) {
      say(why, "a listener is not what it should be");
      return GH_E_INVALID;
    }
    ++self->listeners[one->lane];
  }
  return GH_OK;
}

static gh_status start(gh_instance* self, const gh_start* start, gh_message* why) {
  self->lanes = start->lanes;
  self->stopped = 0;
  return count_listeners(self, start->listeners, start->listener_count, why);
}

static gh_status reconfigure(gh_instance* self, gh_bytes options, gh_message* why) {
  return configure(self, options, 0, why);
}

static gh_status listeners_changed(gh_instance* self, const gh_listener* all, size_t count, gh_message* why) {
  return count_listeners(self, all, count, why);
}

#define EXPECT(condition)                \
  do {                                   \
    if (!(condition)) return #condition; \
  } while (0)

static const char* try_sessions(const gh_host* host, gh_lane* lane) {
  const gh_sessions* sessions = host->get(host->context, GH_SESSIONS_ID);
  EXPECT(sessions != NULL && sessions->struct_size >= GH_SIZE_1_0(gh_sessions));
  char key[16];
  snprintf(key, sizeof key, "lane %u", lane->index);
  gh_session session = {.struct_size = sizeof session,
                        .blob_version = 2,
                        .key = text(key),
                        .identity = text("token:bob"),
                        .blob = text("blob")};
  EXPECT(sessions->find(sessions->context, lane, &session, NULL) == GH_E_NOT_FOUND);
  EXPECT(sessions->open(sessions->context, lane, &session, NULL) == GH_OK);
  EXPECT(session.id != 0 && session.cells != NULL && session.resumed == 0);
  session.cells->bytes_up += 7;
  session.cells->state[1] = 5;
  gh_session found = {.struct_size = sizeof found, .key = text(key), .identity = text("token:bob")};
  EXPECT(sessions->find(sessions->context, lane, &found, NULL) == GH_OK);
  EXPECT(found.id == session.id && found.lane == lane->index && found.blob.size == 4);
  EXPECT(sessions->touch(sessions->context, lane, &session, NULL) == GH_OK);
  EXPECT(sessions->adopt(sessions->context, lane, &session) == GH_E_STATE);
  const gh_lease lease = {.struct_size = sizeof lease, .resource = text(key), .session = session.id};
  EXPECT(sessions->lease(sessions->context, lane, &lease, NULL) == GH_OK);
  EXPECT(sessions->release(sessions->context, lane, session.id, text(key)) == GH_OK);
  EXPECT(sessions->end(sessions->context, lane, session.id) == GH_OK);
  return NULL;
}

static const char* try_policy(const gh_host* host, gh_lane* lane) {
  const gh_policy* policy = host->get(host->context, GH_POLICY_ID);
  EXPECT(policy != NULL && policy->struct_size >= GH_SIZE_1_0(gh_policy));
  policy->refresh(policy->context, lane);
  gh_verdict verdict = {.struct_size = sizeof verdict};
  const gh_client_facts facts = {.struct_size = sizeof facts, .listener = UINT32_MAX, .identity = text("token:bob")};
  gh_client* client = policy->client_open(policy->context, lane, &facts, &verdict);
  EXPECT(client != NULL);
  gh_limits limits = {.struct_size = sizeof limits};
  policy->limits(policy->context, lane, client, &limits);
  EXPECT(limits.concurrent_flows == UINT64_MAX);
  gh_flow flows[3];
  gh_verdict verdicts[3];
  for (uint8_t i = 0; i < 3; ++i) {
    flows[i] = (gh_flow){.struct_size = sizeof flows[i], .transport = GH_TRANSPORT_UDP};
    flows[i].destination = (gh_endpoint){.bytes = {8, 8, 8, i}, .port = (uint16_t)(53 + i), .family = 4};
    verdicts[i] = (gh_verdict){.struct_size = sizeof verdicts[i], .row = -1};
  }
  flows[1].destination.bytes[0] = 127; /* a hard denial between two permits */
  policy->check_batch(policy->context, lane, client, flows, verdicts, 3);
  EXPECT(verdicts[0].action == GH_ACTION_ALLOW && verdicts[0].row == 5);
  EXPECT(verdicts[1].action == GH_ACTION_DENY && verdicts[1].reason == GH_REASON_HARD_DENY);
  EXPECT(verdicts[2].action == GH_ACTION_ALLOW && verdicts[2].row == 5);
  EXPECT(verdicts[2].struct_size == sizeof verdicts[2]);
  policy->check(policy->context, lane, client, &flows[2], &verdict);
  EXPECT(verdict.action == GH_ACTION_ALLOW);
  EXPECT(policy->flow_open(policy->context, lane, client, &flows[0], 1, &verdict) == GH_OK);
  uint64_t wait = 0;
  EXPECT(policy->charge(policy->context, lane, client, GH_UP, 2, 2000, 1000, 1, &wait) == 2000);
  policy->flow_close(policy->context, lane, client);
  policy->client_close(policy->context, lane, client);
  return NULL;
}

static const char* try_values(const gh_host* host, gh_lane* lane) {
  const gh_values* values = host->get(host->context, GH_VALUES_ID);
  EXPECT(values != NULL && values->struct_size >= GH_SIZE_1_0(gh_values));
  uint8_t out[8];
  size_t size = 0;
  EXPECT(values->put(values->context, text("key"), text("value"), GH_VALUE_SECRET, NULL) == GH_OK);
  EXPECT(values->get(values->context, text("key"), out, sizeof out, &size) == GH_OK && size == 5);
  uint64_t first = 0;
  EXPECT(values->reserve(values->context, text("serial"), 10, &first, NULL) == GH_OK && first != 0);
  const gh_identity* identity = host->get(host->context, GH_IDENTITY_ID);
  EXPECT(identity != NULL && identity->struct_size >= GH_SIZE_1_0(gh_identity));
  char who[256];
  EXPECT(identity->resolve(identity->context, lane, GH_CREDENTIAL_TOKEN, text("nobody's"), who, sizeof who, &size,
                           NULL) == GH_E_NOT_FOUND);
  return NULL;
}

static const char* try_services(const gh_host* host, gh_lane* lane) {
  const gh_log* log = host->get(host->context, GH_LOG_ID);
  EXPECT(log != NULL && log->struct_size >= GH_SIZE_1_0(gh_log));
  const gh_log_field fields[2] = {{text("a"), text("1")}, {text("b"), text("2")}};
  log->write(log->context, GH_LOG_INFO, text("event"), fields, 2);
  const gh_metrics* metrics = host->get(host->context, GH_METRICS_ID);
  EXPECT(metrics != NULL && metrics->struct_size >= GH_SIZE_1_0(gh_metrics));
  const gh_metric_label labels[2] = {{text("cause"), text("x")}, {text("way"), text("up")}};
  const gh_metric metric = {.struct_size = sizeof metric,
                            .kind = GH_METRIC_COUNTER,
                            .name = text("tries"),
                            .help = text("Tries."),
                            .labels = labels,
                            .label_count = 2};
  uint64_t* cell = metrics->cells(metrics->context, lane, &metric);
  EXPECT(cell != NULL && cell == metrics->cells(metrics->context, lane, &metric));
  ++*cell;
  const gh_clock* clock = host->get(host->context, GH_CLOCK_ID);
  EXPECT(clock != NULL && clock->realtime_ns(clock->context) > clock->monotonic_ns(clock->context));
  const gh_random* random = host->get(host->context, GH_RANDOM_ID);
  uint8_t bytes[4];
  EXPECT(random != NULL && random->fill(random->context, bytes, sizeof bytes) == GH_OK);
  const gh_fds* fds = host->get(host->context, GH_FDS_ID);
  EXPECT(fds != NULL && fds->struct_size >= GH_SIZE_1_0(gh_fds));
  const int32_t two[2] = {0, 0};
  char name[16];
  snprintf(name, sizeof name, "lane %u", lane->index);
  EXPECT(fds->keep(fds->context, text(name), two, 2) == GH_OK);
  int32_t taken[2];
  size_t count = 0;
  EXPECT(fds->take(fds->context, text(name), taken, 1, &count) == GH_E_LIMIT && count == 2);
  const gh_budget* budget = host->get(host->context, GH_BUDGET_ID);
  EXPECT(budget != NULL && budget->struct_size >= GH_SIZE_1_0(gh_budget));
  EXPECT(budget->memory_bytes != NULL && budget->descriptors != NULL);
  budget->ran_short(budget->context, GH_RESOURCE_PORTS);
  budget->ran_short(budget->context, UINT32_MAX);
  const gh_notices* notices = host->get(host->context, GH_NOTICES_ID);
  if (notices != NULL) {
    EXPECT(notices->set(notices->context, text("weather"), GH_NOTICE_NOTE, text("it rains")) == GH_OK);
    EXPECT(notices->set(notices->context, text(""), GH_NOTICE_NOTE, text("it rains")) == GH_E_INVALID);
    EXPECT(notices->set(notices->context, text("weather"), UINT32_MAX, text("")) == GH_OK);
  }
  const gh_ranges* ranges = host->get(host->context, GH_RANGES_ID);
  if (ranges != NULL) {
    gh_range range;
    EXPECT(ranges->get(ranges->context, text("vni"), &range, 1, &count) == GH_OK && count == 1);
  }
  const gh_certificates* certificates = host->get(host->context, GH_CERTIFICATES_ID);
  if (certificates != NULL) {
    gh_certificate certificate = {.struct_size = sizeof certificate};
    EXPECT(certificates->get(certificates->context, lane, 0, &certificate) == GH_E_NOT_FOUND);
  }
  EXPECT(host->get(host->context, "gh.unheard-of/1") == NULL);
  return NULL;
}

static const char* try_all(gh_instance* self, gh_lane* lane) {
  EXPECT(lane->struct_size >= GH_SIZE_1_0(gh_lane) && lane->count == self->lanes);
  EXPECT(self->listeners[lane->index] == 2);
  const char* (*const tries[])(const gh_host*, gh_lane*) = {try_sessions, try_policy, try_values, try_services};
  for (size_t i = 0; i < sizeof tries / sizeof *tries; ++i) {
    const char* failed = tries[i](self->host, lane);
    if (failed != NULL) return failed;
    ++lane->turns;
  }
  return NULL;
}

static gh_status run_lane(gh_instance* self, gh_lane* lane, gh_message* why) {
  const char* failed = try_all(self, lane);
  if (failed != NULL) {
    say(why, failed);
    return GH_E_FAILED;
  }
  ++self->done;
  pthread_mutex_lock(&self->mutex);
  while (!self->stopped) pthread_cond_wait(&self->changed, &self->mutex);
  pthread_mutex_unlock(&self->mutex);
  return GH_OK;
}

static void wake(gh_instance* self, uint32_t lane, uint32_t reasons) { (void)self, (void)lane, (void)reasons; }
static void drain(gh_instance* self, uint64_t deadline_ns) { (void)self, (void)deadline_ns; }
static uint64_t pending(gh_instance* self) { return self->done; }

static void stop(gh_instance* self) {
  pthread_mutex_lock(&self->mutex);
  self->stopped = 1;
  pthread_cond_broadcast(&self->changed);
  pthread_mutex_unlock(&self->mutex);
}

static void describe(const uint64_t state[2], gh_message* out) { say(out, state[1] == 5 ? "five" : "another"); }
static const gh_sessions_describe describer = {sizeof describer, 0, describe, NULL, 0};

static gh_status run_probe(const gh_bytes* arguments, size_t count, void (*print)(void* context, gh_bytes json),
                           void* context, gh_message* why) {
  (void)arguments, (void)count, (void)print, (void)context, (void)why;
  return GH_E_UNSUPPORTED;
}
static const gh_probe probe = {sizeof probe, 0, "", run_probe};

static const void* get(gh_instance* self, const char* id) {
  (void)self;
  if (strcmp(id, GH_PROBE_ID) == 0) return &probe;
  return strcmp(id, GH_SESSIONS_DESCRIBE_ID) == 0 ? &describer : NULL;
}

static const gh_plugin_ops ops = {sizeof ops,        0,        create, destroy, configure, start, reconfigure,
                                  listeners_changed, run_lane, wake,   drain,   pending,   stop,  get};
static const gh_listener_role roles[] = {{sizeof roles[0], GH_ROLE_STREAM | GH_ROLE_DATAGRAM, "listen", 1, 0},
                                         {sizeof roles[0], GH_ROLE_STREAM, "listen_api", 0, 0}};
static const char* const needed[] = {GH_LOG_ID,      GH_METRICS_ID,  GH_CLOCK_ID,  GH_RANDOM_ID, GH_POLICY_ID,
                                     GH_IDENTITY_ID, GH_SESSIONS_ID, GH_VALUES_ID, GH_FDS_ID,    NULL};

extern const gh_manifest gatehouse_plugin;
__attribute__((visibility("default")))
const gh_manifest gatehouse_plugin = {.magic = GH_MAGIC,
                                      .struct_size = sizeof(gh_manifest),
                                      .abi_major = GH_ABI_MAJOR,
                                      .abi_minor = GH_ABI_MINOR,
                                      .id = "old",
                                      .version = "1.0.0",
                                      .summary = "Uses every interface of ABI 1.0.",
                                      .license = "Apache-2.0",
                                      .build = "test",
                                      .options_schema = "{\"properties\": {}}",
                                      .requires_ids = needed,
                                      .roles = roles,
                                      .role_count = 2,
                                      .ops = &ops};
