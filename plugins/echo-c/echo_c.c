/* echo-c: an echo of streams in C11 alone, on abi.h: what the border asks of a plugin, without the SDK's C++ on top.
 *
 * A lane is a thread of the host's, inside run_lane(), around poll(). What others want of it (listeners, drain, stop)
 * is left in the instance, and it is woken by an eventfd. Each stream is a policy client: `admissions` say who may
 * come. */
#define _GNU_SOURCE
#pragma GCC diagnostic ignored "-Wunused-parameter" /* the border's functions are given more than an echo needs */
#include <gatehouse/abi.h>

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a lane polls: its wake-up, listeners and streams. */
enum { MOST_LANES = 64, MOST_LISTENERS = 16, MOST_STREAMS = 256 };
enum { FIRST_STREAM = 1 + MOST_LISTENERS, MOST_POLLED = FIRST_STREAM + MOST_STREAMS };

struct gh_instance {
  const gh_log* log;
  const gh_policy* policy;
  int wakes[MOST_LANES]; /* made by create(), so that wake() may come at any time */
  atomic_bool draining, stopping;
  atomic_uint_fast64_t pending;
  atomic_uint version;   /* of the listeners */
  pthread_mutex_t mutex; /* guards what follows */
  gh_listener listeners[MOST_LANES * MOST_LISTENERS];
  size_t listener_count;
};

typedef struct Lane {
  gh_instance* plugin;
  gh_lane* lane;
  unsigned version;
  gh_listener listeners[MOST_LISTENERS]; /* the descriptors are the host's */
  struct pollfd polled[MOST_POLLED];     /* fd is -1 where nobody is */
  gh_client* clients[MOST_POLLED];       /* of the streams */
} Lane;

static gh_bytes text(const char* words) { return (gh_bytes){(const uint8_t*)words, strlen(words)}; }

static gh_status fail(gh_message* why, gh_status status, const char* words) {
  why->size = strlen(words) < why->capacity ? strlen(words) : why->capacity;
  memcpy(why->text, words, why->size);
  return status;
}

static void take_listeners(Lane* self) {
  gh_instance* const plugin = self->plugin;
  size_t count = 0;
  pthread_mutex_lock(&plugin->mutex);
  self->version = plugin->version;
  for (size_t i = 0; i < plugin->listener_count && count < MOST_LISTENERS; ++i)
    if (plugin->listeners[i].lane == self->lane->index) self->listeners[count++] = plugin->listeners[i];
  pthread_mutex_unlock(&plugin->mutex);
  for (size_t i = 0; i < MOST_LISTENERS; ++i)
    self->polled[1 + i] = (struct pollfd){i < count ? self->listeners[i].fd : -1, POLLIN, 0};
}

/* Of a Unix peer family 0. The host's IPv6 listeners have no IPv4 peers. */
static gh_endpoint peer_of(int fd) {
  struct sockaddr_in6 peer = {0};
  getpeername(fd, (struct sockaddr*)&peer, &(socklen_t){sizeof peer});
  const int is_v4 = peer.sin6_family == AF_INET;
  if (!is_v4 && peer.sin6_family != AF_INET6) return (gh_endpoint){0};
  gh_endpoint out = {.family = is_v4 ? 4 : 6, .port = ntohs(peer.sin6_port)}; /* which is where IPv4 has it */
  memcpy(out.bytes, is_v4 ? (void*)&((struct sockaddr_in*)&peer)->sin_addr : &peer.sin6_addr, is_v4 ? 4 : 16);
  return out;
}

static void accept_stream(Lane* self, const gh_listener* listener) {
  const gh_log* const log = self->plugin->log;
  const gh_policy* const policy = self->plugin->policy;
  const int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return; /* another lane had it */
  size_t at = FIRST_STREAM;
  while (at < MOST_POLLED && self->polled[at].fd >= 0) ++at;
  const gh_client_facts facts = {sizeof facts, listener->id, peer_of(fd), listener->identity, 0};
  gh_verdict verdict = {.struct_size = sizeof verdict};
  gh_client* client = at < MOST_POLLED ? policy->client_open(policy->context, self->lane, &facts, &verdict) : NULL;
  if (client != NULL) {
    self->polled[at] = (struct pollfd){fd, POLLIN, 0};
    self->clients[at] = client;
    ++self->plugin->pending;
  } else {
    const gh_bytes why = text(at < MOST_POLLED ? "policy does not admit it" : "there are too many");
    log->write(log->context, GH_LOG_DEBUG, text("stream refused"), &(gh_log_field){text("why"), why}, 1);
    close(fd);
  }
}

static void close_stream(Lane* self, size_t at) {
  const gh_policy* const policy = self->plugin->policy;
  policy->client_close(policy->context, self->lane, self->clients[at]);
  close(self->polled[at].fd);
  self->polled[at].fd = -1;
  --self->plugin->pending;
}

/* False: it is over. Takes out of the socket only what it has sent, so that nothing waits here. */
static int echo(struct pollfd* stream) {
  uint8_t block[16384];
  const ssize_t got = recv(stream->fd, block, sizeof block, MSG_PEEK);
  if (got <= 0) return got < 0 && errno == EAGAIN;
  const ssize_t put = send(stream->fd, block, (size_t)got, MSG_NOSIGNAL);
  stream->events = put < got ? POLLOUT : POLLIN;
  return put < 0 ? errno == EAGAIN : recv(stream->fd, block, (size_t)put, MSG_WAITALL) == put;
}

static gh_status run_lane(gh_instance* plugin, gh_lane* lane, gh_message* why) {
  Lane self = {.plugin = plugin, .lane = lane};
  for (size_t i = 1; i < MOST_POLLED; ++i) self.polled[i].fd = -1;
  self.polled[0] = (struct pollfd){plugin->wakes[lane->index], POLLIN, 0};
  while (!plugin->stopping) {
    __atomic_store_n(&lane->turns, lane->turns + 1, __ATOMIC_RELAXED); /* the heartbeat */
    plugin->policy->refresh(plugin->policy->context, lane);
    if (self.version != plugin->version) take_listeners(&self);
    if (poll(self.polled, MOST_POLLED, -1) < 0) continue;
    eventfd_read(self.polled[0].fd, &(eventfd_t){0});
    for (size_t i = FIRST_STREAM; i < MOST_POLLED; ++i)
      if (self.polled[i].revents != 0 && !echo(&self.polled[i])) close_stream(&self, i);
    for (size_t i = 0; i < MOST_LISTENERS && self.version == plugin->version; ++i) /* else some may be closed by now */
      if (self.polled[1 + i].revents != 0) accept_stream(&self, &self.listeners[i]);
  }
  for (size_t i = FIRST_STREAM; i < MOST_POLLED; ++i)
    if (self.polled[i].fd >= 0) close_stream(&self, i);
  return GH_OK;
}

/* ---- the instance: [control], but for wake, drain, pending and stop, which are [any] */
static void wake(gh_instance* plugin, uint32_t lane, uint32_t reasons) { eventfd_write(plugin->wakes[lane], 1); }

static gh_status listeners_changed(gh_instance* plugin, const gh_listener* first, size_t count, gh_message* why) {
  pthread_mutex_lock(&plugin->mutex);
  const size_t most = plugin->draining ? 0 : MOST_LANES * MOST_LISTENERS;
  plugin->listener_count = count < most ? count : most;
  for (size_t i = 0; i < plugin->listener_count; ++i) plugin->listeners[i] = *GH_NEXT(gh_listener, first, i);
  ++plugin->version;
  pthread_mutex_unlock(&plugin->mutex);
  for (uint32_t lane = 0; lane < MOST_LANES; ++lane) wake(plugin, lane, 0);
  return GH_OK;
}

static void destroy(gh_instance* plugin) {
  for (size_t i = 0; i < MOST_LANES; ++i) close(plugin->wakes[i]);
  pthread_mutex_destroy(&plugin->mutex);
  free(plugin);
}

static gh_status create(const gh_host* host, gh_bytes name, gh_instance** out, gh_message* why) {
  gh_instance* const plugin = calloc(1, sizeof *plugin);
  if (plugin == NULL) return fail(why, GH_E_FAILED, "there is no memory");
  pthread_mutex_init(&plugin->mutex, NULL);
  plugin->log = host->get(host->context, GH_LOG_ID); /* both are there: requires_ids has them */
  plugin->policy = host->get(host->context, GH_POLICY_ID);
  int is_short = 0;
  for (size_t i = 0; i < MOST_LANES; ++i) is_short |= (plugin->wakes[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0;
  *out = is_short ? NULL : plugin;
  if (is_short) destroy(plugin);
  return is_short ? fail(why, GH_E_IO, "there are no descriptors") : GH_OK;
}

static gh_status start(gh_instance* plugin, const gh_start* facts, gh_message* why) {
  if (facts->lanes > MOST_LANES) return fail(why, GH_E_INVALID, "echo-c has 64 lanes at most");
  plugin->stopping = plugin->draining = 0;
  return listeners_changed(plugin, facts->listeners, facts->listener_count, why);
}

/* The host stops the lanes at the deadline, or when nobody is pending. */
static void drain(gh_instance* plugin, uint64_t deadline_ns) {
  plugin->draining = 1;
  listeners_changed(plugin, NULL, 0, NULL);
}

static void stop(gh_instance* plugin) {
  plugin->stopping = 1;
  for (uint32_t lane = 0; lane < MOST_LANES; ++lane) wake(plugin, lane, 0);
}

static uint64_t pending(gh_instance* plugin) { return plugin->pending; }
static gh_status configure(gh_instance* plugin, gh_bytes options, uint32_t flags, gh_message* why) { return GH_OK; }
static gh_status reconfigure(gh_instance* plugin, gh_bytes options, gh_message* why) { return GH_OK; }
static const void* offer(gh_instance* plugin, const char* id) { return NULL; }

static const gh_listener_role kRole = {sizeof kRole, GH_ROLE_STREAM, "listen", 1, 0};
static const gh_plugin_ops kOps = {sizeof kOps,       0,        create, destroy, configure, start, reconfigure,
                                   listeners_changed, run_lane, wake,   drain,   pending,   stop,  offer};
/* clang-format off */
__attribute__((visibility("default")))
const gh_manifest gatehouse_plugin = {
    .magic = GH_MAGIC, .struct_size = sizeof(gh_manifest), .abi_major = GH_ABI_MAJOR, .abi_minor = GH_ABI_MINOR,
    .id = "echo-c", .version = "0.1.0", .summary = "Sends back what it is sent, on streams; in C.",
    .license = "Apache-2.0", .build = __VERSION__, .options_schema = "{\"properties\": {}}",
    .requires_ids = (const char* const[]){GH_LOG_ID, GH_POLICY_ID, NULL}, .roles = &kRole, .role_count = 1, .ops = &kOps};
