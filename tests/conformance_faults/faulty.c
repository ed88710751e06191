/* An echo in plain C that keeps every rule of the border, but for the one that FAULT names: `gatehouse plugin check`
 * must find each, and nothing in F_none. One lane is one poll() loop. */
#include <gatehouse/abi.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  F_none,
  /* of the file */
  F_extra_export,
  F_writable_code,
  F_text_relocations,
  F_missing_symbol,
  /* of the manifest */
  F_other_abi,
  F_missing_function,
  F_bad_id,
  F_bad_role,
  F_local_datagrams,
  F_no_summary,
  F_constructor_thread,
  F_constructor_crash,
  /* of the options */
  F_schema_no_json,
  F_schema_bad_default,
  F_default_refused,
  F_maximum_refused,
  F_no_minimum,
  F_silent_refusal,
  F_crash_on_bad_option,
  F_dry_run_socket,
  F_dry_run_thread,
  F_dry_run_file,
  F_throws,
  /* of a life */
  F_leaks_descriptor,
  F_leaks_memory,
  F_leaks_thread,
  F_start_refused,
  F_start_leaves_socket,
  F_lane_fails,
  F_no_heartbeat,
  F_blocks_on_client,
  F_slow_stop,
  F_never_stops,
  F_slow_wake,
  F_options_frozen,
  F_listeners_frozen,
  F_lane_call_at_start,
  F_lane_call_elsewhere,
  F_other_lane,
  F_control_call_in_lane,
  F_keeps_clients,
  F_client_after_close,
  F_closes_clients_twice,
  F_client_of_other_lane,
  F_invents_client,
  F_crash_on_input,
  F_exits_on_input,
  F_aborts_in_drain,
  F_starts_once,
  /* where the host has less, or says no */
  F_needs_identity,
  F_needs_client,
  F_needs_session,
  F_waits_for_random,
  F_exact_host,
  /* mischief */
  F_exits_when_loaded,
  F_stops_itself,
  F_endless_output,
  F_fills_folder,
  F_tells_lies,
  F_floods_descriptors,
  F_closes_descriptors,
  F_leaves_process,
  F_forks_without_end,
  F_kills_parent,
  F_stops_parent,
  F_tunes_the_machine,
  F_odd_words
};
#ifndef FAULT
#define FAULT F_none
#endif
#define HAS(fault) (FAULT == (fault))

enum { kMostLanes = 16, kMostListeners = 32, kMostClients = 64, kSize = 4096 };

struct client {
  int fd;
  gh_client* policy;
  uint64_t session;
};

struct gh_instance {
  const gh_policy* policy;
  const gh_metrics* metrics;
  const gh_sessions* sessions;
  const gh_random* random;
  const gh_identity* identity;
  long size;
  int wakes[kMostLanes]; /* one eventfd a lane, from start() to destroy() */
  int left;              /* what a fault leaves open */
  uint32_t lanes;
  pthread_mutex_t mutex; /* guards what follows */
  gh_listener listeners[kMostListeners];
  size_t listener_count;
  int draining, stopped;
  uint64_t pending;
  gh_client* shown; /* one lane's, to the others */
};

static gh_status fail(gh_message* why, gh_status status, const char* sentence) {
  if (HAS(F_odd_words)) sentence = "\x1b[2J\nconforms: works with any host\n\xff";
  if (HAS(F_silent_refusal)) sentence = "";
  why->size = strlen(sentence) < why->capacity ? strlen(sentence) : why->capacity;
  memcpy(why->text, sentence, why->size);
  return status;
}

static void* idle(void* nothing) {
  pause();
  return nothing;
}
static void begin_thread(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, idle, NULL) == 0) pthread_detach(thread);
}

#ifdef IS_F_extra_export
__attribute__((visibility("default"))) int helper(void);
int helper(void) { return 1; }
#endif
#ifdef IS_F_writable_code
__asm__(".section .both,\"awx\",@progbits\n .quad 0\n .previous");
#endif
#ifdef IS_F_text_relocations
__asm__(".text\n .quad gatehouse_plugin\n");
#endif
void no_such_function(void);
void throw_something(void);

/* To every descriptor that there is. */
static void say_everywhere(const char* words) {
  for (int fd = 3; fd < 200; ++fd) (void)!write(fd, words, strlen(words));
}
static void begin_process(void) {
  if (fork() != 0) return;
  setsid();
  for (;;) pause();
}
static void fill_folder(void) {
  static const char block[1 << 16];
  char name[32];
  for (int i = 0; i < 10000; ++i) {
    snprintf(name, sizeof name, "file-%d", i);
    const int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ssize_t put = 1;
    for (int blocks = 0; blocks < 100 && put > 0; ++blocks) put = write(fd, block, sizeof block);
    close(fd);
    if (put <= 0) return;
  }
}
static void be_mischievous(void) {
  if (HAS(F_exits_when_loaded)) exit(0);
  if (HAS(F_stops_itself)) raise(SIGSTOP);
  if (HAS(F_stops_parent)) kill(getppid(), SIGSTOP);
  if (HAS(F_tunes_the_machine) && open("/proc/sys/vm/swappiness", O_WRONLY | O_CLOEXEC) >= 0) abort();
  while (HAS(F_endless_output)) puts("and again");
  while (HAS(F_floods_descriptors)) say_everywhere("{}\n");
  for (int fd = 3; HAS(F_closes_descriptors) && fd < 200; ++fd) close(fd);
  for (int i = 0; HAS(F_forks_without_end) && i < 2000; ++i) begin_process();
}

__attribute__((constructor)) static void when_loaded(void) {
  be_mischievous();
  if (HAS(F_constructor_thread)) begin_thread();
  if (HAS(F_constructor_crash)) raise(SIGSEGV);
}

/* ------------------------------------------------------------------------------------------- control */

static gh_status create(const gh_host* host, gh_bytes name, gh_instance** out, gh_message* why) {
  (void)name;
  if (HAS(F_exact_host) && host->struct_size != sizeof(gh_host))
    return fail(why, GH_E_UNSUPPORTED, "this host is not the one that I know");
  gh_instance* self = calloc(1, sizeof *self);
  if (self == NULL) return fail(why, GH_E_FAILED, "no memory");
  self->policy = host->get(host->context, GH_POLICY_ID);
  self->metrics = host->get(host->context, GH_METRICS_ID);
  self->sessions = host->get(host->context, GH_SESSIONS_ID);
  self->random = host->get(host->context, GH_RANDOM_ID);
  self->identity = host->get(host->context, GH_IDENTITY_ID);
  if (HAS(F_tells_lies)) say_everywhere("{\"done\":true}\n");
  if (HAS(F_kills_parent)) kill(getppid(), SIGKILL);
  if (HAS(F_needs_identity) && self->identity->struct_size == 0) return GH_E_FAILED; /* it is not in requires_ids */
  self->left = -1;
  for (int i = 0; i < kMostLanes; ++i) self->wakes[i] = -1;
  pthread_mutex_init(&self->mutex, NULL);
  if (HAS(F_leaks_memory)) *(volatile char*)malloc(100) = 1;
  if (HAS(F_leaks_descriptor)) (void)!eventfd(0, EFD_CLOEXEC);
  if (HAS(F_leaks_thread)) begin_thread();
  *out = self;
  return GH_OK;
}

static void destroy(gh_instance* self) {
  for (int i = 0; i < kMostLanes; ++i)
    if (self->wakes[i] >= 0) close(self->wakes[i]);
  pthread_mutex_destroy(&self->mutex);
  free(self);
}

/* The value of `size`, or why not. */
static gh_status read_options(gh_bytes options, long* size, gh_message* why) {
  char text[1024];
  if (options.size >= sizeof text) return fail(why, GH_E_INVALID, "the options are too long");
  memcpy(text, options.data, options.size);
  text[options.size] = 0;
  const char* at = strstr(text, "\"size\":");
  if (at == NULL) return fail(why, GH_E_INVALID, "there is no `size`");
  char* end = NULL;
  errno = 0;
  *size = strtol(at + strlen("\"size\":"), &end, 10);
  if (HAS(F_crash_on_bad_option) && (*end != '}' && *end != ',')) *(volatile int*)NULL = 1;
  if ((*end != '}' && *end != ',') || errno != 0) return fail(why, GH_E_INVALID, "`size` is no whole number");
  if ((*size < 1 && !HAS(F_no_minimum)) || *size > (HAS(F_maximum_refused) ? 1000 : kSize))
    return fail(why, GH_E_INVALID, "`size` is out of range");
  return GH_OK;
}

static gh_status configure(gh_instance* self, gh_bytes options, uint32_t flags, gh_message* why) {
  long size = 0;
  const gh_status status = read_options(options, &size, why);
  if (status != GH_OK) return status;
  if (HAS(F_default_refused) || HAS(F_odd_words)) return fail(why, GH_E_INVALID, "`size` is not to my taste");
#ifdef IS_F_throws
  throw_something();
#endif
#ifdef IS_F_missing_symbol
  no_such_function();
#endif
  if (HAS(F_dry_run_socket) && self->left < 0) self->left = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (HAS(F_fills_folder) && (flags & GH_CONFIGURE_CHECK) != 0) fill_folder();
  if (HAS(F_dry_run_thread)) begin_thread();
  if (HAS(F_dry_run_file)) close(open("state", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if ((flags & GH_CONFIGURE_CHECK) == 0) self->size = size;
  return GH_OK;
}

static void take_listeners(gh_instance* self, const gh_listener* listeners, size_t count) {
  pthread_mutex_lock(&self->mutex);
  self->listener_count = count < kMostListeners ? count : kMostListeners;
  for (size_t i = 0; i < self->listener_count; ++i) self->listeners[i] = *GH_NEXT(gh_listener, listeners, i);
  pthread_mutex_unlock(&self->mutex);
}

static gh_status start(gh_instance* self, const gh_start* start, gh_message* why) {
  if (HAS(F_start_refused)) return fail(why, GH_E_FAILED, "not today");
  if (start->lanes > kMostLanes) return fail(why, GH_E_INVALID, "too many lanes");
  self->lanes = start->lanes;
  for (uint32_t i = 0; i < start->lanes; ++i) {
    if (self->wakes[i] < 0) self->wakes[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wakes[i] < 0) return fail(why, GH_E_IO, "no eventfd");
  }
  if (HAS(F_starts_once) && self->stopped) return fail(why, GH_E_STATE, "once is enough");
  self->stopped = self->draining = 0;
  take_listeners(self, start->listeners, start->listener_count);
  if (HAS(F_lane_call_at_start)) {
    gh_lane none = {sizeof none, 0, 1, -1, 0};
    self->policy->refresh(self->policy->context, &none);
  }
  if (HAS(F_leaves_process)) begin_process();
  if (HAS(F_start_leaves_socket)) (void)!socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  uint8_t seed[8];
  while (self->random->fill(self->random->context, seed, sizeof seed) != GH_OK) {
    if (!HAS(F_waits_for_random)) return fail(why, GH_E_IO, "no random bytes");
    pause();
  }
  return GH_OK;
}

static void signal_lane(gh_instance* self, uint32_t lane) {
  const uint64_t one = 1;
  if (HAS(F_slow_wake)) usleep(300000);
  if (lane < self->lanes) (void)!write(self->wakes[lane], &one, sizeof one);
}
static void signal_all(gh_instance* self) {
  for (uint32_t i = 0; i < self->lanes; ++i) signal_lane(self, i);
}

static gh_status reconfigure(gh_instance* self, gh_bytes options, gh_message* why) {
  (void)self;
  long size = 0;
  if (HAS(F_options_frozen)) return fail(why, GH_E_INVALID, "no changes, please");
  const gh_status status = read_options(options, &size, why);
  return status != GH_OK ? status : fail(why, GH_E_UNSUPPORTED, "`size` needs a restart");
}

static gh_status listeners_changed(gh_instance* self, const gh_listener* listeners, size_t count, gh_message* why) {
  if (HAS(F_listeners_frozen) && count == 0) return fail(why, GH_E_INVALID, "there must be a listener");
  take_listeners(self, listeners, count);
  signal_all(self);
  return GH_OK;
}

/* ----------------------------------------------------------------------------------------------- any */

static void wake(gh_instance* self, uint32_t lane, uint32_t reasons) {
  (void)reasons;
  signal_lane(self, lane);
}
static void set(gh_instance* self, int* flag) {
  pthread_mutex_lock(&self->mutex);
  *flag = 1;
  pthread_mutex_unlock(&self->mutex);
  signal_all(self);
}
static void drain(gh_instance* self, uint64_t deadline_ns) {
  (void)deadline_ns;
  if (HAS(F_aborts_in_drain)) abort();
  set(self, &self->draining);
}
static void stop(gh_instance* self) { set(self, &self->stopped); }
static uint64_t pending(gh_instance* self) {
  pthread_mutex_lock(&self->mutex);
  const uint64_t count = self->pending;
  pthread_mutex_unlock(&self->mutex);
  return count;
}
static const void* get(gh_instance* self, const char* id) {
  (void)self;
  (void)id;
  return NULL;
}

/* ---------------------------------------------------------------------------------------------- lane */

struct lane {
  gh_instance* self;
  gh_lane* lane;
  uint64_t* accepted; /* a counter's cell */
  struct client clients[kMostClients];
};

static void count_pending(gh_instance* self, uint64_t more) {
  pthread_mutex_lock(&self->mutex);
  self->pending += more;
  pthread_mutex_unlock(&self->mutex);
}

static void ask_limits(struct lane* at, gh_client* client) {
  gh_limits limits = {.struct_size = sizeof limits};
  at->self->policy->limits(at->self->policy->context, at->lane, client, &limits);
}

static void leave(struct lane* at, struct client* client) {
  close(client->fd);
  client->fd = -1;
  if (client->session != 0) at->self->sessions->end(at->self->sessions->context, at->lane, client->session);
  for (int i = HAS(F_keeps_clients) ? 1 : 0; i <= HAS(F_closes_clients_twice); ++i)
    at->self->policy->client_close(at->self->policy->context, at->lane, client->policy);
  if (HAS(F_client_after_close)) ask_limits(at, client->policy);
  count_pending(at->self, (uint64_t)-1);
}

/* Takes one stream in, or closes it. */
static void accept_one(struct lane* at, const gh_listener* listener) {
  const gh_policy* policy = at->self->policy;
  const gh_sessions* sessions = at->self->sessions;
  const int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | (HAS(F_blocks_on_client) ? 0 : SOCK_NONBLOCK));
  struct client* client = at->clients;
  while (client != at->clients + kMostClients && client->fd >= 0) ++client;
  if (fd < 0) return;
  gh_client_facts facts = {sizeof facts, listener->id, {{0}, 0, 0, 0, 0}, listener->identity, 0};
  gh_verdict verdict = {sizeof verdict, 0, 0, 0, 0, 0, 0};
  gh_client* known = NULL;
  if (client != at->clients + kMostClients) known = policy->client_open(policy->context, at->lane, &facts, &verdict);
  if (HAS(F_needs_client) && known == NULL && client != at->clients + kMostClients) *(volatile int*)NULL = 1;
  if (known == NULL) {
    close(fd);
    return;
  }
  gh_session session = {.struct_size = sizeof session, .expires_unix = GH_EXPIRY_SAME};
  const gh_status opened = sessions->open(sessions->context, at->lane, &session, NULL);
  if (HAS(F_needs_session) && opened != GH_OK) session.cells->bytes_up = 1;
  *client = (struct client){fd, known, opened == GH_OK ? session.id : 0};
  count_pending(at->self, 1);
  __atomic_store_n(at->accepted, *at->accepted + 1, __ATOMIC_RELAXED);
}

static void answer_datagram(const gh_listener* listener) {
  char buffer[kSize];
  struct sockaddr_storage from;
  socklen_t size = sizeof from;
  const ssize_t got = recvfrom(listener->fd, buffer, sizeof buffer, MSG_DONTWAIT, (struct sockaddr*)&from, &size);
  if (got >= 0) sendto(listener->fd, buffer, (size_t)got, MSG_DONTWAIT, (struct sockaddr*)&from, size);
}

static void answer_stream(struct lane* at, struct client* client) {
  char buffer[kSize];
  const ssize_t got = recv(client->fd, buffer, sizeof buffer, HAS(F_blocks_on_client) ? MSG_WAITALL : MSG_DONTWAIT);
  if (got > 0 && HAS(F_crash_on_input)) *(volatile int*)NULL = 1;
  if (got > 0 && HAS(F_exits_on_input)) exit(0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0 || send(client->fd, buffer, (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL) != got) leave(at, client);
}

static void* call_elsewhere(void* from) {
  struct lane* at = from;
  at->self->policy->refresh(at->self->policy->context, at->lane);
  return NULL;
}

/* The first lane's client is used by the others; it is closed with the lane. */
static void show_client(struct lane* at) {
  const gh_policy* policy = at->self->policy;
  const gh_client_facts facts = {.struct_size = sizeof facts, .listener = UINT32_MAX};
  gh_verdict verdict = {.struct_size = sizeof verdict};
  gh_client* shown = at->lane->index == 0 ? policy->client_open(policy->context, at->lane, &facts, &verdict) : NULL;
  pthread_mutex_lock(&at->self->mutex);
  if (shown != NULL) at->self->shown = shown;
  for (int i = 0; at->self->shown == NULL && i < 300; ++i) { /* the first lane may come later */
    pthread_mutex_unlock(&at->self->mutex);
    usleep(1000);
    pthread_mutex_lock(&at->self->mutex);
  }
  if (at->lane->index != 0 && at->self->shown != NULL) ask_limits(at, at->self->shown);
  pthread_mutex_unlock(&at->self->mutex);
}

static void misbehave(struct lane* at) {
  const gh_policy* policy = at->self->policy;
  if (HAS(F_lane_call_elsewhere)) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, call_elsewhere, at) == 0) pthread_join(thread, NULL);
  }
  if (HAS(F_other_lane)) {
    gh_lane copy = *at->lane;
    policy->refresh(policy->context, &copy);
  }
  if (HAS(F_control_call_in_lane)) policy->claim(policy->context, NULL, 0);
  if (HAS(F_invents_client)) ask_limits(at, (gh_client*)(uintptr_t)0x123456);
  if (HAS(F_client_of_other_lane)) show_client(at);
}

/* What this lane listens on now. @return whether it is to stop */
static int look_around(struct lane* at, gh_listener* mine, size_t* count) {
  gh_instance* self = at->self;
  pthread_mutex_lock(&self->mutex);
  *count = 0;
  for (size_t i = 0; !self->draining && i < self->listener_count; ++i)
    if (self->listeners[i].lane == at->lane->index) mine[(*count)++] = self->listeners[i];
  const int stopped = self->stopped;
  pthread_mutex_unlock(&self->mutex);
  return stopped;
}

/* Waits for the wake-up, the listeners and the clients, in that order, and serves what is ready. */
static void turn(struct lane* at, const gh_listener* mine, size_t count) {
  struct pollfd ready[1 + kMostListeners + kMostClients];
  const int wake_fd = at->self->wakes[at->lane->index];
  ready[0] = (struct pollfd){wake_fd, POLLIN, 0};
  for (size_t i = 0; i < count; ++i) ready[1 + i] = (struct pollfd){mine[i].fd, POLLIN, 0};
  for (size_t i = 0; i < kMostClients; ++i) ready[1 + count + i] = (struct pollfd){at->clients[i].fd, POLLIN, 0};
  poll(ready, 1 + count + kMostClients, -1);

  uint64_t wakes;
  if (ready[0].revents != 0) (void)!read(wake_fd, &wakes, sizeof wakes);
  for (size_t i = 0; i < kMostClients; ++i)
    if (ready[1 + count + i].revents != 0) answer_stream(at, &at->clients[i]);
  for (size_t i = 0; i < count; ++i) {
    if (ready[1 + i].revents == 0) continue;
    if (mine[i].transport == GH_TRANSPORT_UDP)
      answer_datagram(&mine[i]);
    else
      accept_one(at, &mine[i]);
  }
}

static gh_status run_lane(gh_instance* self, gh_lane* lane, gh_message* why) {
  struct lane at = {.self = self, .lane = lane};
  gh_listener mine[kMostListeners];
  size_t count = 0;
  gh_metric metric = {.struct_size = sizeof metric, .kind = GH_METRIC_COUNTER};
  metric.name = (gh_bytes){(const uint8_t*)"streams", 7};
  at.accepted = self->metrics->cells(self->metrics->context, lane, &metric);
  for (size_t i = 0; i < kMostClients; ++i) at.clients[i].fd = -1;
  misbehave(&at);
  while (!look_around(&at, mine, &count)) {
    if (!HAS(F_no_heartbeat)) __atomic_store_n(&lane->turns, lane->turns + 1, __ATOMIC_RELAXED);
    self->policy->refresh(self->policy->context, lane);
    turn(&at, mine, count);
    if (HAS(F_lane_fails) && count > 0) return fail(why, GH_E_FAILED, "enough for today");
  }
  if (HAS(F_slow_stop)) usleep(1500000);
  if (HAS(F_never_stops)) pause();
  for (size_t i = 0; i < kMostClients; ++i)
    if (at.clients[i].fd >= 0) leave(&at, &at.clients[i]);
  if (HAS(F_client_of_other_lane) && lane->index == 0 && self->shown != NULL) {
    self->policy->client_close(self->policy->context, lane, self->shown);
    self->shown = NULL;
  }
  return GH_OK;
}

/* ------------------------------------------------------------------------------------------ manifest */

static const gh_plugin_ops ops = {sizeof(gh_plugin_ops),
                                  0,
                                  create,
                                  destroy,
                                  configure,
                                  start,
                                  reconfigure,
                                  listeners_changed,
                                  run_lane,
                                  HAS(F_missing_function) ? NULL : wake,
                                  drain,
                                  pending,
                                  stop,
                                  get};

static const gh_listener_role roles[] = {{sizeof(gh_listener_role),
                                          HAS(F_bad_role)          ? GH_ROLE_STREAM | GH_ROLE_DATAGRAM | GH_ROLE_HTTP
                                          : HAS(F_local_datagrams) ? GH_ROLE_DATAGRAM | GH_ROLE_LOCAL
                                                                   : GH_ROLE_STREAM | GH_ROLE_DATAGRAM,
                                          "listen", 1, 0}};

static const char* const needs[] = {GH_POLICY_ID, GH_METRICS_ID, GH_SESSIONS_ID, GH_RANDOM_ID, NULL};

#define MINIMUM_1 "\"minimum\": 1, "
#define SCHEMA(minimum, value)                                                                            \
  "{\"properties\": {\"size\": {\"type\": \"integer\", " minimum "\"maximum\": 4096, \"default\": " value \
  ", \"description\": \"Bytes that are read at once.\"}}}"

extern const gh_manifest gatehouse_plugin;
__attribute__((visibility("default"))) const gh_manifest gatehouse_plugin = {
    .magic = GH_MAGIC,
    .struct_size = sizeof(gh_manifest),
    .abi_major = HAS(F_other_abi) ? GH_ABI_MAJOR + 1 : GH_ABI_MAJOR,
    .abi_minor = 0,
    .id = HAS(F_bad_id) ? "faulty plugin" : "faulty",
    .version = "1.0.0",
    .summary = HAS(F_no_summary) ? "" : "Sends back what it is sent, in C.",
    .license = "Apache-2.0",
    .build = "test",
    .options_schema = HAS(F_schema_no_json)       ? "size: integer"
                      : HAS(F_schema_bad_default) ? SCHEMA(MINIMUM_1, "0")
                      : HAS(F_no_minimum)         ? SCHEMA("", "512")
                                                  : SCHEMA(MINIMUM_1, "512"),
    .requires_ids = needs,
    .roles = roles,
    .role_count = 1,
    .ops = &ops,
};
