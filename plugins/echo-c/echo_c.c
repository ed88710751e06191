/* echo-c: an echo of streams in C11 alone, on abi.h: what the border asks of a plugin, without the SDK's C++ on top.
 *
 * A lane is one thread of the host's, inside run_lane(), with an epoll set of its own. What other threads want of it
 * (another set of listeners, drain, stop) is left in the instance, and the lane is woken through an eventfd. Each
 * stream is a policy client: the rows of `admissions` say who may come. */
#define _GNU_SOURCE
#include <gatehouse/abi.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_LANES = 64, MOST_LISTENERS = 16, MOST_STREAMS = 256, BUFFER = 16384, MOST_EVENTS = 64 };

/* What stands in an epoll set. */
typedef enum { WAKE, LISTENER, STREAM } Kind;
typedef struct Source {
  Kind kind;
  int fd;
  uint32_t id; /* of a listener */
} Source;

typedef struct Stream {
  Source source;
  gh_client* client;
  int peer_done;     /* it has ended its side */
  size_t begin, end; /* of what has been read and not yet been written */
  uint8_t held[BUFFER];
} Stream;

struct gh_instance {
  const gh_log* log;
  const gh_policy* policy;
  pthread_mutex_t mutex; /* guards what follows, up to `wake` */
  Source listeners[MOST_LANES][MOST_LISTENERS];
  unsigned listener_count[MOST_LANES];
  unsigned version;        /* of the listeners */
  Source wake[MOST_LANES]; /* made by create(), so that wake() may come at any time */
  atomic_bool draining, stopping;
  atomic_uint_fast64_t pending;
};

typedef struct Lane {
  gh_instance* plugin;
  gh_lane* lane;
  int epoll;
  Source listeners[MOST_LISTENERS];
  unsigned listener_count, version;
  Stream* streams[MOST_STREAMS];
  unsigned stream_count;
} Lane;

static gh_bytes text(const char* words) { return (gh_bytes){(const uint8_t*)words, strlen(words)}; }

static gh_status fail(gh_message* why, gh_status status, const char* words) {
  if (why != NULL) {
    why->size = strlen(words) < why->capacity ? strlen(words) : why->capacity;
    memcpy(why->text, words, why->size);
  }
  return status;
}

/* ---- a lane */

static void watch(Lane* self, Source* source, int how, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = source};
  epoll_ctl(self->epoll, how, source->fd, &event);
}

static void close_stream(Lane* self, unsigned at) {
  Stream* const stream = self->streams[at];
  self->streams[at] = self->streams[--self->stream_count];
  self->plugin->policy->client_close(self->plugin->policy->context, self->lane, stream->client);
  close(stream->source.fd); /* which takes it out of the set */
  free(stream);
  atomic_fetch_sub(&self->plugin->pending, 1);
}

/* Takes over the newest set of listeners; while it drains, there are none. The descriptors are the host's. */
static void listen_again(Lane* self) {
  gh_instance* const plugin = self->plugin;
  for (unsigned i = 0; i < self->listener_count; ++i)
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, self->listeners[i].fd, NULL);
  pthread_mutex_lock(&plugin->mutex);
  self->version = plugin->version;
  self->listener_count = atomic_load(&plugin->draining) ? 0 : plugin->listener_count[self->lane->index];
  memcpy(self->listeners, plugin->listeners[self->lane->index], sizeof self->listeners);
  pthread_mutex_unlock(&plugin->mutex);
  for (unsigned i = 0; i < self->listener_count; ++i)
    watch(self, &self->listeners[i], EPOLL_CTL_ADD, EPOLLIN | EPOLLEXCLUSIVE);
}

static void endpoint_of(int fd, gh_endpoint* out) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  memset(out, 0, sizeof *out);
  if (getpeername(fd, (struct sockaddr*)&address, &size) != 0) return;
  const uint8_t* const bytes = (const uint8_t*)&address;
  const int is_v4 = address.ss_family == AF_INET; /* sockaddr_in: port at 2, address at 4; sockaddr_in6: at 2 and 8 */
  if (!is_v4 && address.ss_family != AF_INET6) return; /* a Unix peer: family 0 */
  const int is_mapped = !is_v4 && memcmp(bytes + 8, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0;
  out->port = (uint16_t)(bytes[2] << 8 | bytes[3]);
  out->family = is_v4 || is_mapped ? 4 : 6;
  memcpy(out->bytes, bytes + (is_v4 ? 4 : is_mapped ? 20 : 8), out->family == 4 ? 4 : 16);
}

static void accept_stream(Lane* self, const Source* listener) {
  const gh_policy* const policy = self->plugin->policy;
  const int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return; /* another lane had it */
  Stream* const stream = self->stream_count < MOST_STREAMS ? malloc(sizeof *stream) : NULL;
  gh_client_facts facts = {.struct_size = sizeof facts, .listener = listener->id};
  gh_verdict verdict = {.struct_size = sizeof verdict};
  endpoint_of(fd, &facts.source);
  gh_client* const client = stream != NULL ? policy->client_open(policy->context, self->lane, &facts, &verdict) : NULL;
  if (client == NULL) {
    const gh_log_field why = {text("why"), text(stream == NULL ? "there are too many" : "policy does not admit it")};
    self->plugin->log->write(self->plugin->log->context, GH_LOG_DEBUG, text("stream refused"), &why, 1);
    free(stream);
    close(fd);
    return;
  }
  *stream = (Stream){.source = {STREAM, fd, 0}, .client = client};
  self->streams[self->stream_count++] = stream;
  atomic_fetch_add(&self->plugin->pending, 1);
  watch(self, &stream->source, EPOLL_CTL_ADD, EPOLLIN);
}

/* False: it is over. Reads no more than it could write. */
static int echo(Lane* self, Stream* stream) {
  if (stream->begin == stream->end && !stream->peer_done) {
    const ssize_t got = read(stream->source.fd, stream->held, BUFFER);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    stream->peer_done = got == 0;
    stream->begin = 0;
    stream->end = (size_t)got;
  }
  while (stream->begin < stream->end) {
    const ssize_t put =
        send(stream->source.fd, stream->held + stream->begin, stream->end - stream->begin, MSG_NOSIGNAL);
    if (put < 0 && errno != EAGAIN) return 0;
    if (put < 0) break;
    stream->begin += (size_t)put;
  }
  watch(self, &stream->source, EPOLL_CTL_MOD, stream->begin < stream->end ? EPOLLOUT : EPOLLIN);
  return !stream->peer_done || stream->begin < stream->end;
}

static void serve(Lane* self, Source* source) {
  if (source->kind == WAKE) {
    uint64_t count;
    if (read(source->fd, &count, sizeof count) < 0) return;
  } else if (source->kind == LISTENER) {
    accept_stream(self, source);
  } else if (!echo(self, (Stream*)source)) {
    for (unsigned i = 0; i < self->stream_count; ++i)
      if (&self->streams[i]->source == source) close_stream(self, i);
  }
}

/* ---- the instance: [control], but for run_lane [lane], and wake, drain, pending and stop [any] */

static void leave_listeners(gh_instance* plugin, const gh_listener* first, size_t count) {
  pthread_mutex_lock(&plugin->mutex);
  memset(plugin->listener_count, 0, sizeof plugin->listener_count);
  for (size_t i = 0; i < count; ++i) {
    const gh_listener* const one = GH_NEXT(gh_listener, first, i);
    if (one->lane >= MOST_LANES || plugin->listener_count[one->lane] == MOST_LISTENERS) continue;
    plugin->listeners[one->lane][plugin->listener_count[one->lane]++] = (Source){LISTENER, one->fd, one->id};
  }
  ++plugin->version;
  pthread_mutex_unlock(&plugin->mutex);
}

static void wake(gh_instance* plugin, uint32_t lane, uint32_t reasons) {
  (void)reasons; /* a lane looks at everything whenever it turns */
  const uint64_t one = 1;
  if (lane < MOST_LANES && write(plugin->wake[lane].fd, &one, sizeof one) < 0) return; /* it is awake */
}

static void wake_all(gh_instance* plugin) {
  for (uint32_t lane = 0; lane < MOST_LANES; ++lane) wake(plugin, lane, 0);
}

static void destroy(gh_instance* plugin) {
  for (unsigned i = 0; i < MOST_LANES; ++i)
    if (plugin->wake[i].fd >= 0) close(plugin->wake[i].fd);
  pthread_mutex_destroy(&plugin->mutex);
  free(plugin);
}

static gh_status create(const gh_host* host, gh_bytes name, gh_instance** out, gh_message* why) {
  (void)name;
  gh_instance* const plugin = calloc(1, sizeof *plugin);
  if (plugin == NULL) return fail(why, GH_E_FAILED, "there is no memory");
  pthread_mutex_init(&plugin->mutex, NULL);
  plugin->log = host->get(host->context, GH_LOG_ID);
  plugin->policy = host->get(host->context, GH_POLICY_ID);
  int is_short = 0;
  for (unsigned i = 0; i < MOST_LANES; ++i) {
    plugin->wake[i] = (Source){WAKE, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), 0};
    is_short |= plugin->wake[i].fd < 0;
  }
  if (is_short || plugin->log == NULL || plugin->policy == NULL) {
    destroy(plugin);
    return fail(why, GH_E_IO, is_short ? "there are no descriptors" : "the host has no log or no policy");
  }
  *out = plugin;
  return GH_OK;
}

static gh_status configure(gh_instance* plugin, gh_bytes options, uint32_t flags, gh_message* why) {
  (void)plugin, (void)options, (void)flags, (void)why; /* there are no options */
  return GH_OK;
}

static gh_status reconfigure(gh_instance* plugin, gh_bytes options, gh_message* why) {
  return configure(plugin, options, 0, why);
}

static gh_status start(gh_instance* plugin, const gh_start* facts, gh_message* why) {
  if (facts->lanes > MOST_LANES) return fail(why, GH_E_INVALID, "echo-c has 64 lanes at most");
  atomic_store(&plugin->stopping, 0);
  atomic_store(&plugin->draining, 0);
  leave_listeners(plugin, facts->listeners, facts->listener_count);
  return GH_OK;
}

static gh_status listeners_changed(gh_instance* plugin, const gh_listener* listeners, size_t count, gh_message* why) {
  (void)why;
  leave_listeners(plugin, listeners, count);
  wake_all(plugin);
  return GH_OK;
}

static gh_status run_lane(gh_instance* plugin, gh_lane* lane, gh_message* why) {
  Lane self = {.plugin = plugin, .lane = lane, .epoll = epoll_create1(EPOLL_CLOEXEC)};
  if (self.epoll < 0) return fail(why, GH_E_IO, "there is no descriptor for an epoll set");
  watch(&self, &plugin->wake[lane->index], EPOLL_CTL_ADD, EPOLLIN);
  struct epoll_event events[MOST_EVENTS];
  for (int has_drained = 0; !atomic_load(&plugin->stopping);) {
    __atomic_store_n(&lane->turns, lane->turns + 1, __ATOMIC_RELAXED); /* the heartbeat */
    plugin->policy->refresh(plugin->policy->context, lane);
    pthread_mutex_lock(&plugin->mutex);
    const int is_new = self.version != plugin->version;
    pthread_mutex_unlock(&plugin->mutex);
    const int drains = atomic_load(&plugin->draining) && !has_drained;
    if (is_new || drains) listen_again(&self);
    has_drained |= drains;
    const int count = epoll_wait(self.epoll, events, MOST_EVENTS, 1000);
    for (int i = 0; i < count; ++i) serve(&self, events[i].data.ptr);
  }
  while (self.stream_count > 0) close_stream(&self, self.stream_count - 1);
  close(self.epoll);
  return GH_OK;
}

static void drain(gh_instance* plugin, uint64_t deadline_ns) {
  (void)deadline_ns; /* the host stops the lanes then, or when nobody is pending */
  atomic_store(&plugin->draining, 1);
  wake_all(plugin);
}

static uint64_t pending(gh_instance* plugin) { return atomic_load(&plugin->pending); }

static void stop(gh_instance* plugin) {
  atomic_store(&plugin->stopping, 1);
  wake_all(plugin);
}

static const void* offer(gh_instance* plugin, const char* id) {
  (void)plugin, (void)id;
  return NULL;
}

static const gh_plugin_ops kOps = {.struct_size = sizeof kOps,
                                   .create = create,
                                   .destroy = destroy,
                                   .configure = configure,
                                   .start = start,
                                   .reconfigure = reconfigure,
                                   .listeners_changed = listeners_changed,
                                   .run_lane = run_lane,
                                   .wake = wake,
                                   .drain = drain,
                                   .pending = pending,
                                   .stop = stop,
                                   .get = offer};
static const char* const kRequires[] = {GH_LOG_ID, GH_POLICY_ID, NULL};
static const gh_listener_role kRoles[] = {
    {.struct_size = sizeof(gh_listener_role), .kinds = GH_ROLE_STREAM, .name = "listen", .required = 1}};

__attribute__((visibility("default")))
const gh_manifest gatehouse_plugin = {.magic = GH_MAGIC,
                                      .struct_size = sizeof(gh_manifest),
                                      .abi_major = GH_ABI_MAJOR,
                                      .abi_minor = GH_ABI_MINOR,
                                      .id = "echo-c",
                                      .version = "0.1.0",
                                      .summary = "Sends back what it is sent, on streams; in C.",
                                      .license = "Apache-2.0",
                                      .build = __VERSION__,
                                      .options_schema = "{\"properties\": {}}",
                                      .requires_ids = kRequires,
                                      .roles = kRoles,
                                      .role_count = 1,
                                      .ops = &kOps};
