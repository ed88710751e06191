/* The border between the Gatehouse host and a plugin: plain C11, nothing but data, function tables and
 * opaque handles, so that a plugin may be built with another compiler, another standard library or in
 * another language, and so that two versions of one plugin share nothing.
 *
 * Rules of this file
 *  - Append only. A new function or field goes to the end of its struct and raises GH_ABI_MINOR. A changed meaning
 *    is a new interface id.
 *  - A struct that may grow begins with `struct_size`, or has it near its begin. Whoever owns its memory sets it, also
 *    where the other side fills it in. Whoever reads requires the size that 1.0 had (GH_SIZE_1_0), and asks GH_HAS
 *    before it touches a later field; whoever fills in writes nothing beyond `struct_size`. In an array of such structs
 *    each element begins `struct_size` of the first one behind the one before (GH_NEXT). Structs marked [frozen] have
 *    no size: they never grow.
 *  - 64-bit machines only. No bool, no long, no bit-field, no enum as a field: only fixed-width integers, pointers and
 *    size_t.
 *  - Whoever allocates frees. Byte views are borrowed for the duration of the call, unless said otherwise.
 *  - `context` of a table is what its functions are given first; what is `reserved` is zero.
 *  - No function throws. Text is UTF-8 without a final zero, unless it is a `const char*`.
 *
 * Thread tags
 *  [control]  one thread of the host for each instance; its calls are serialised
 *  [lane]     the thread that runs this gh_lane, inside run_lane; never two at once
 *  [any]      any thread, at any time between create and destroy
 *
 * C++ authors include <gatehouse/plugin/lane_plugin.hpp> and never see this file.
 */
#ifndef GATEHOUSE_ABI_H
#define GATEHOUSE_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#else
#include <assert.h>
#endif

#define GH_MAGIC UINT32_C(0x31504847) /* "GHP1" in memory order on a little-endian machine */
#define GH_ABI_MAJOR 1
#define GH_ABI_MINOR 0

/* ------------------------------------------------------------------------------------------- values */

/* 0 or more is success; a negative value is one of GH_E_*. */
typedef int32_t gh_status;

enum {
  GH_OK = 0,           /* it is done */
  GH_PENDING = 1,      /* the answer is not at hand yet: the call's completion tells when to ask again */
  GH_E_INVALID = -1,   /* an argument or option that makes no sense; the message says which */
  GH_E_NOT_FOUND = -2, /* no such name, session, lease or value */
  GH_E_EXISTS = -3,    /* the resource is held by somebody else */
  GH_E_LIMIT = -4,     /* a traffic rule or a bound of the host is reached */
  GH_E_DENIED = -5,    /* policy or identity says no */
  GH_E_STATE = -6,     /* not in this phase of life */
  GH_E_IO = -7,        /* the system refused; the message has its words */
  GH_E_FAILED = -8,    /* anything else; a C++ exception that reached the border */
  GH_E_UNSUPPORTED = -9, /* makes sense, and is not done here; of a change: it needs a restart */
  GH_E_IN_DOUBT = -10  /* nobody can tell just now: the store has lost commits. Another resource will not do better */
};

/* Of a struct: is `field` within what its owner has? And the element after `element` in an array of them. */
#define GH_HAS(type, element, field) \
  ((element)->struct_size >= offsetof(type, field) + sizeof(((const type*)0)->field))
#define GH_NEXT(type, first, index) \
  ((const type*)((const char*)(first) + (size_t)(first)->struct_size * (size_t)(index)))

/* [frozen] */
typedef struct gh_bytes {
  const uint8_t* data; /* NULL only where `size` is 0 */
  size_t size;         /* bytes */
} gh_bytes;

/* [frozen] An address with a port. IPv4 stands in bytes[0..3], the rest is zero; never as ::ffff:a.b.c.d. */
typedef struct gh_endpoint {
  uint8_t bytes[16]; /* in network byte order */
  uint32_t scope;  /* IPv6 zone (interface index) of a link-local address, else 0 */
  uint16_t port;   /* host byte order */
  uint8_t family;  /* 4, 6, or 0 = none */
  uint8_t reserved;
} gh_endpoint;

/* [frozen] Addresses that begin with the same `length` bits; family and bytes as in gh_endpoint. */
typedef struct gh_prefix {
  uint8_t bytes[16]; /* all behind `length` are zero */
  uint8_t family;    /* 4 or 6 */
  uint8_t length;    /* bits: 0..32 or 0..128 */
  uint8_t reserved[6];
} gh_prefix;

/* [frozen] Where a function that can fail leaves one sentence, without a final zero, cut to `capacity`. */
typedef struct gh_message {
  char* text;      /* the caller's */
  size_t capacity; /* bytes of it */
  size_t size;     /* set by the callee */
} gh_message;

/* [frozen] Tells that an asynchronous host call is done. [any]: called once, possibly before the call returned. It must
 * not call the host: it leaves word for the thread that waits. */
typedef struct gh_completion {
  void (*done)(void* context, uint64_t token, gh_status status); /* is given what stands beside it, and how it went */
  void* context;
  uint64_t token; /* names the call that is done */
} gh_completion;

/* --------------------------------------------------------------------------------------------- lanes */

/* One thread of a plugin instance, made by the host. The head is public, the host's own part follows. */
typedef struct gh_lane {
  uint32_t struct_size;
  uint32_t index;       /* 0 .. count-1 */
  uint32_t count;       /* lanes of this instance */
  int32_t cpu;          /* the processor it is pinned to, or -1 */
  /* Raised by the lane, with a relaxed atomic store, in each turn of its loop and when GH_WAKE_ALIVE asks for it. A
   * lane in which it stands still for the operator's lane_timeout_seconds after that is hung: the instance has
   * failed. */
  uint64_t turns;
} gh_lane;

enum { /* reasons for wake(), a bit set */
  GH_WAKE_POLICY = 1,        /* there is a newer policy generation: refresh, judge running flows again */
  GH_WAKE_STOP = 2,          /* stop() was called */
  GH_WAKE_DRAIN = 4,         /* drain() was called */
  GH_WAKE_LISTENERS = 8,     /* listeners_changed() was called */
  GH_WAKE_CERTIFICATES = 16, /* gh_certificates.generation has moved: take the listeners' chains and keys anew */
  GH_WAKE_RANGES = 32,       /* gh_ranges.generation has moved */
  GH_WAKE_ALIVE = 64         /* raise gh_lane.turns: the host wonders whether the lane still runs */
};

/* ----------------------------------------------------------------------------------------- listeners */

enum { /* gh_listener.transport: what its clients come over */
  GH_TRANSPORT_TCP = 6,  /* streams */
  GH_TRANSPORT_UDP = 17, /* datagrams */
  GH_TRANSPORT_UNIX = 1  /* streams of this machine */
};
enum { /* gh_listener.auth: what a client may show, one of these; bits */
  GH_AUTH_NONE = 0,  /* nothing */
  GH_AUTH_TOKEN = 1, /* a token: in the HTTP opening, or with GH_ROLE_TOKEN in the plugin's own protocol */
  GH_AUTH_CERT = 2,  /* a certificate, in the TLS handshake */
  GH_AUTH_UNIX = 4   /* the user of a Unix stream (SO_PEERCRED) */
};
enum { /* gh_listener.opening */
  GH_OPENING_NONE = 0, /* the stream begins with the plugin's own protocol */
  GH_OPENING_HTTP = 1  /* an HTTP/1.1 request with Upgrade, or with GH_ROLE_HTTP any, comes before */
};

/* One descriptor of one listener for one lane. The descriptor belongs to the host, which closes it after
 * the lane has returned or the listener is gone from the next listeners_changed(); do not close it.
 * UDP: one SO_REUSEPORT socket a lane. TCP and Unix: one listening socket, a dup a lane (EPOLLEXCLUSIVE). */
typedef struct gh_listener {
  uint32_t struct_size;
  uint32_t id;        /* the same for all lanes of a listener; names it in gh_client_facts */
  gh_bytes name;      /* as configured: "127.0.0.1:7300"; lives as long as the listener */
  gh_bytes role;      /* the manifest's role: "listen" */
  gh_bytes identity;  /* identity given to every client of this listener, or empty */
  gh_endpoint local;  /* bound address, with the real port; family 0 for Unix */
  int32_t fd;         /* it listens already, does not block, and is the host's */
  uint32_t lane;      /* whose it is: 0 .. lanes-1 */
  uint32_t transport; /* GH_TRANSPORT_* */
  uint32_t auth;      /* GH_AUTH_* bits that a client must satisfy one of; 0 = none */
  uint32_t tls;       /* 1: the stream starts with TLS */
  uint32_t opening;   /* GH_OPENING_*: what a client says first, within TLS: HTTP/1.1 with Upgrade, or nothing */
  /* Whose word for the client's address is believed: in a PROXY header (v1 or v2) where `proxy_protocol` is 1, which
   * then every stream begins with, before TLS, and nobody else may connect; else in the X-Forwarded-For of an HTTP
   * opening. They live as long as the listener. */
  const gh_prefix* trusted_proxies;
  size_t trusted_proxy_count; /* elements of trusted_proxies */
  uint32_t proxy_protocol;    /* 1: every stream begins with a PROXY header */
  uint32_t reserved;
  /* Pages that may ask with GH_OPENING_HTTP: what browsers send as Origin (RFC 6454, 7), in lower case. None: no page.
   * They live as long as the listener. */
  const gh_bytes* origins;
  size_t origin_count; /* elements of origins */
} gh_listener;

/* ------------------------------------------------------------------------------- gh.log/1, clock, random */

enum { /* how much a line matters */
  GH_LOG_ERROR = 0, /* somebody has to act */
  GH_LOG_WARN = 1,  /* something is worse than it should be */
  GH_LOG_INFO = 2,  /* the plugin's life; never for each client */
  GH_LOG_DEBUG = 3, /* single clients */
  GH_LOG_TRACE = 4  /* single packets */
};

/* [frozen] What a line says beside its event: key=value. */
typedef struct gh_log_field {
  gh_bytes key;   /* a word */
  gh_bytes value; /* any text: the host escapes it */
} gh_log_field;

#define GH_LOG_ID "gh.log/1"
/* Lines of the gateway's log. */
typedef struct gh_log {
  uint32_t struct_size;
  uint32_t reserved;
  void* context;
  const int32_t* level; /* read with a relaxed atomic load: a line above it need not be made */
  /* [any] Queues one line `plugin: event key=value ...`; copies everything. Not for the packet path. */
  void (*write)(void* context, int32_t level, gh_bytes event, const gh_log_field* fields, size_t count);
} gh_log;

#define GH_CLOCK_ID "gh.clock/1"
/* The time of day, and of the machine. */
typedef struct gh_clock {
  uint32_t struct_size;
  uint32_t reserved;
  void* context;
  uint64_t (*monotonic_ns)(void* context); /* [any] CLOCK_MONOTONIC; a test host may give another time */
  uint64_t (*realtime_ns)(void* context);  /* [any] since 1970, UTC; for records only */
} gh_clock;

#define GH_RANDOM_ID "gh.random/1"
/* Bytes for keys and secrets. */
typedef struct gh_random {
  uint32_t struct_size;
  uint32_t reserved;
  void* context;
  gh_status (*fill)(void* context, uint8_t* out, size_t size); /* [any] getrandom(2); a system call */
} gh_random;

/* --------------------------------------------------------------------------------------- gh.metrics/1 */

enum { /* gh_metric.kind */
  GH_METRIC_COUNTER = 0,  /* only ever grows */
  GH_METRIC_GAUGE = 1,    /* grows and sinks */
  GH_METRIC_HISTOGRAM = 2 /* how many values lie below which bound, and their sum */
};

/* [frozen] What tells one series of a metric from another. */
typedef struct gh_metric_label {
  gh_bytes name;  /* a word */
  gh_bytes value; /* one of few: each is a series */
} gh_metric_label;

/* A counter `drops` of the plugin udpgw is exported as gatehouse_plugin_udpgw_drops_total{label="..."}. */
typedef struct gh_metric {
  uint32_t struct_size;
  uint32_t kind;                 /* GH_METRIC_* */
  gh_bytes name;                 /* without prefix and `_total`: "drops" */
  gh_bytes help;                 /* one sentence */
  const gh_metric_label* labels; /* may be NULL */
  size_t label_count;            /* elements of labels */
  const uint64_t* bounds;        /* histogram: ascending upper bounds; unit as the name says */
  size_t bound_count;            /* elements of bounds, at most 64 */
} gh_metric;

#define GH_METRICS_ID "gh.metrics/1"
/* Counters, gauges and histograms, as monitoring reads them. */
typedef struct gh_metrics {
  uint32_t struct_size;
  uint32_t reserved;
  void* context;
  /* [lane] This lane's cells of one series, made at first use: 1 cell for a counter or a gauge, and for a
   * histogram bound_count + 1 buckets (not cumulative) followed by the sum. The lane alone writes them, with
   * relaxed atomic stores; the exporter adds the lanes up. They live until destroy(). Beyond
   * 1024 series of an instance, and where a series has another kind or other bounds than before, they are shared ones
   * that are exported as `series_overflow`. NULL: more than 64 bounds. Locks: not per packet. */
  uint64_t* (*cells)(void* context, gh_lane* lane, const gh_metric* metric);
} gh_metrics;

/* ---------------------------------------------------------------------------------------- gh.policy/1 */

typedef struct gh_client gh_client; /* one client as policy sees it; owned by the lane that opened it */

/* What policy is told about a client. */
typedef struct gh_client_facts {
  uint32_t struct_size;
  uint32_t listener;  /* gh_listener.id, or UINT32_MAX for none */
  gh_endpoint source; /* family 0 when unknown (a Unix peer) */
  gh_bytes identity;  /* "unix:bob", or empty = anonymous */
  uint64_t session;   /* from gh.sessions/1, or 0 */
} gh_client_facts;

enum { /* gh_flow.flags */
  GH_FLOW_RESOLVER = 1,   /* the destination is one of the gateway's own resolvers, from its configuration */
  GH_FLOW_PEER = 2,       /* a relay leg whose peer asked for it in a handshake */
  GH_FLOW_NAMED = 4,      /* `domain` is the name asked for */
  GH_FLOW_BAD_NAME = 8,   /* the payload should be a DNS message and is not */
  GH_FLOW_FIRST_TRY = 16, /* flow_open() is tried again when refused for GH_REASON_CONCURRENT_FLOWS: no denial yet */
  GH_FLOW_ANSWER = 32     /* with NAMED or BAD_NAME: not a question, but what came back on this flow. Only names are
                             judged, and what is allowed is not counted */
};

enum { /* how far policy looks into a flow: what gh_policy.dns() says; bits */
  GH_DNS_QUERIES = 1, /* it is DNS: each datagram of the client is a query, and every question in it is judged */
  GH_DNS_ANSWERS = 2  /* and so is every name that an answer leads to (CNAME, SVCB, HTTPS) */
};

/* What a client wants to reach. */
typedef struct gh_flow {
  uint32_t struct_size;
  uint32_t flags;          /* GH_FLOW_* bits */
  gh_endpoint destination; /* with its port; of ICMP the port is 0 */
  gh_bytes domain;         /* lower-case, A-labels, no final dot, a dot inside a label is 0x7f; empty = unknown. At most
                              255 bytes */
  uint32_t transport;      /* 6, 17, or another IP protocol number; ICMP is 1 and 58 */
  uint32_t reserved;
} gh_flow;

enum { /* gh_verdict.action */
  GH_ACTION_DENY = 0, /* drop it */
  GH_ACTION_ALLOW = 1 /* it may go */
};

enum { /* gh_verdict.reason: stable numbers. Their names, for metric labels, are the words below in lower case */
  GH_REASON_NONE = 0,             /* no row and no rule says so */
  GH_REASON_HARD_DENY = 1,        /* own address, loopback, link-local, metadata, multicast, broadcast, ... */
  GH_REASON_BOGON = 2,            /* private, shared, documentation, benchmark or reserved range */
  GH_REASON_UNWRAPPED = 3,        /* Teredo or 64:ff9b:1::/48 */
  GH_REASON_DOMAIN = 4,           /* a domain rule or list */
  GH_REASON_DNS_MALFORMED = 5,    /* a DNS datagram that no name can be read from */
  GH_REASON_PORT_PERMIT = 6,      /* a port permit */
  GH_REASON_DEFAULT = 7,          /* settings.default_action */
  GH_REASON_RESOLVER = 8,         /* allowed: the gateway's own resolver */
  GH_REASON_PEER = 9,             /* allowed: a relay leg */
  GH_REASON_NO_POLICY = 10,       /* no policy could be read: everything is denied */
  GH_REASON_CONCURRENT_FLOWS = 11, /* this and the next five: limits of traffic_rules. So many flows at a time */
  GH_REASON_NEW_FLOW_RATE = 12,    /* flows that begin in a second */
  GH_REASON_DESTINATIONS = 13,     /* addresses in a minute */
  GH_REASON_RATE = 14,             /* bytes in a second */
  GH_REASON_QUOTA = 15,            /* bytes of a day or month */
  GH_REASON_CONCURRENT_SESSIONS = 16, /* clients of an identity or a source at a time */
  GH_REASON_LOCAL = 17,           /* allowed: allow_local_destinations */
  GH_REASON_ADMISSION = 18        /* the client may not use this frontend */
};

enum { /* gh_verdict.table: where `row` stands */
  GH_TABLE_NONE = 0,          /* no row decided */
  GH_TABLE_DOMAIN_RULES = 1,  /* names, each in a row */
  GH_TABLE_DOMAIN_LISTS = 2,  /* lists of names; the row is the list's */
  GH_TABLE_PORT_PERMITS = 3,  /* addresses, protocols and ports */
  GH_TABLE_TRAFFIC_RULES = 4, /* limits of a group */
  GH_TABLE_SETTINGS = 5,      /* default_action and the like */
  GH_TABLE_ADMISSIONS = 6     /* who may use which frontend */
};

/* What policy decided, and because of which row. */
typedef struct gh_verdict {
  uint32_t struct_size;
  uint16_t action; /* GH_ACTION_* */
  uint16_t reason; /* GH_REASON_* */
  uint32_t table;  /* GH_TABLE_* */
  uint32_t reserved;
  int64_t row;         /* id in that table; meaningless with GH_TABLE_NONE */
  uint64_t generation; /* of the policy that decided */
} gh_verdict;

/* What the client's traffic rules come to. In each: 0 = no limit; UINT64_MAX = no rule says, use your default. */
typedef struct gh_limits {
  uint32_t struct_size;
  uint32_t metered;          /* 1: charge() must be called for this client's traffic; 0: it need not */
  uint64_t concurrent_flows; /* at the same time */
  uint64_t udp_idle_ns;      /* without a datagram, in ns */
  uint64_t tcp_idle_ns;      /* without a byte, in ns */
  uint64_t session_idle_ns;  /* without a client, in ns */
} gh_limits;

enum { /* which way a packet goes */
  GH_UP = 0,  /* from the client */
  GH_DOWN = 1 /* to the client */
};

#define GH_POLICY_ID "gh.policy/1"
/* Who may come, what they may reach, and how much. */
typedef struct gh_policy {
  uint32_t struct_size;
  uint32_t reserved;
  void* context;
  const uint64_t* generation; /* of the newest snapshot; read with an acquire load */

  /* [lane] Moves the lane to the newest snapshot and returns its generation: one atomic load when nothing is
   * new. Call it once per batch of packets, and after GH_WAKE_POLICY. Until the next call every verdict of this
   * lane is of this one generation. */
  uint64_t (*refresh)(void* context, gh_lane* lane);

  /* [lane] Makes a client handle; group and limiters are found once per generation, not per packet. NULL with the
   * deciding row in `verdict` when policy refuses the client as such (admissions, concurrent_sessions). Clients with
   * the same facts->session share what its meters have left, and count as one. Allocates. */
  gh_client* (*client_open)(void* context, gh_lane* lane, const gh_client_facts* facts, gh_verdict* verdict);
  /* [lane] Gives the handle back, which is used no more. In whatever call one is passed that is not open on this lane,
   * nothing is done, it is refused as what no row allows, counted as the plugin's error, and told of in the log. */
  void (*client_close)(void* context, gh_lane* lane, gh_client* client);
  /* [lane] The client's limits in the lane's generation. */
  void (*limits)(void* context, gh_lane* lane, gh_client* client, gh_limits* out);

  /* [lane] Judges one flow, or `count` flows that stand one after another. Never blocks, never allocates. */
  void (*check)(void* context, gh_lane* lane, gh_client* client, const gh_flow* flow, gh_verdict* out);
  /* [lane] The same for `count` flows and verdicts. */
  void (*check_batch)(void* context, gh_lane* lane, gh_client* client, const gh_flow* flows, gh_verdict* out,
                      size_t count);

  /* [lane] Counts a flow that begins, after check() allowed it. GH_OK, or GH_E_LIMIT with the rule in `out`:
   * GH_REASON_CONCURRENT_FLOWS asks the plugin to end one of this client's flows and to try again. Where the flow has
   * GH_FLOW_FIRST_TRY, it does so in any case, and that refusal is neither counted nor logged. */
  gh_status (*flow_open)(void* context, gh_lane* lane, gh_client* client, const gh_flow* flow, uint64_t now_ns,
                         gh_verdict* out);
  /* [lane] Of each flow_open() that said GH_OK, when the flow ends. */
  void (*flow_close)(void* context, gh_lane* lane, gh_client* client);

  /* [lane] Charges a run of `packets` packets, `want` bytes together, to the client's rates and quotas. Each packet
   * but the last has `least` bytes; headers of the Internet side included. Returns the bytes that may go now and are
   * charged: `want`, or else a multiple of `least`, 0 too. If that is less than `want`, *wait_ns is how long it
   * takes until `least` more may go; UINT64_MAX: the quota is used up. A packet larger than a burst goes when the
   * burst is full, and what comes after it waits for the difference. `least` 0: all or none. Neither allocates nor
   * blocks. */
  uint64_t (*charge)(void* context, gh_lane* lane, gh_client* client, uint32_t direction, uint64_t packets,
                     uint64_t want, uint64_t least, uint64_t now_ns, uint64_t* wait_ns);

  /* [control] These prefixes are the plugin's own, in place of those that this instance claimed before: policy denies
   * them, whatever permit covers them, to every client of other plugins. They are free again after destroy(). In force
   * within a second. GH_E_INVALID: a prefix that makes no sense, or more than 256. GH_E_UNSUPPORTED: this host takes no
   * claims. */
  gh_status (*claim)(void* context, const gh_prefix* prefixes, size_t count);

  /* [lane] GH_DNS_* bits of a flow of this client, by its destination's port and GH_FLOW_RESOLVER: they hold for the
   * lane's generation. 0: it is no DNS. Neither allocates nor blocks. */
  uint32_t (*dns)(void* context, gh_lane* lane, gh_client* client, const gh_flow* flow);
} gh_policy;

/* -------------------------------------------------------------------------------------- gh.identity/1 */

enum { /* kinds of gh_identity.resolve(), with what its `value` is then */
  GH_CREDENTIAL_TOKEN = 1,    /* the token's text */
  GH_CREDENTIAL_CERT = 2,     /* the name in a certificate that was verified */
  GH_CREDENTIAL_UNIX = 3,     /* a uid, decimal */
  GH_CREDENTIAL_RELAY_KEY = 4 /* a relay client's public key, in hex */
};

#define GH_IDENTITY_ID "gh.identity/1"
/* Whose a credential is. */
typedef struct gh_identity {
  uint32_t struct_size;
  uint32_t reserved;
  void* context;
  /* [lane] Whose credential is this? `value`: the token's text, the certificate's name, the decimal uid, or the
   * relay key in hex. Writes the identity ("unix:bob") to `out` and its length to `size`. GH_E_NOT_FOUND: nobody's.
   * GH_PENDING: the system has to be asked for the user's name; `later` is called within 5 s, then ask again: with
   * GH_OK the answer is at hand, GH_E_IO: the system does not answer. GH_E_LIMIT: too many wait for that already, or
   * `capacity` is too small; it should be 256. With `later` NULL nobody is told. Never blocks. For handshakes, not
   * for packets. */
  gh_status (*resolve)(void* context, gh_lane* lane, uint32_t kind, gh_bytes value, char* out, size_t capacity,
                       size_t* size, const gh_completion* later);
  /* [lane] Whose token is this, shown by a client of which listener and source are known. As resolve(), never
   * GH_PENDING. GH_E_LIMIT: that source has shown too many of nobody's (traffic_rules.token_failures_per_minute), so
   * this one was not looked at; *wait_ns is how long until one will be. */
  gh_status (*resolve_token)(void* context, gh_lane* lane, gh_bytes token, const gh_client_facts* client, char* out,
                             size_t capacity, size_t* size, uint64_t* wait_ns);
} gh_identity;

/* ---------------------------------------------------------------------------------- gh.certificates/1 */

/* What a listener's TLS shows and accepts; PEM but where it says otherwise. Borrowed until the next get() of the same
 * lane. */
typedef struct gh_certificate {
  uint32_t struct_size;
  uint32_t least_version; /* 0x0304: TLS 1.3 only; 0x0303: 1.2, too */
  uint64_t generation;    /* of this one; a chain that is read anew has another */
  gh_bytes chain;         /* the leaf first */
  gh_bytes key;           /* the leaf's */
  gh_bytes client_ca;     /* whose certificates clients may show; empty: none are asked for */
  gh_bytes alpn;       /* what may be agreed on, the preferred one first: each name behind its length in a byte (RFC 7301,
                          3.1); empty: whatever a client offers is left unanswered */
  /* Keys of session tickets: 16 bytes of name, 32 for AES-256, 32 for HMAC-SHA-256. They are random, the same for all
   * lanes, and change with the generation; what the one before has sealed is accepted, and answered with a new ticket. */
  gh_bytes ticket_key;
  gh_bytes ticket_key_before; /* empty: there was none */
  uint32_t ktls;              /* 1: the kernel may make the records, where it and the cipher can */
  uint32_t reserved;
} gh_certificate;

#define GH_CERTIFICATES_ID "gh.certificates/1"
/* Chains and keys of the listeners that have TLS. */
typedef struct gh_certificates {
  uint32_t struct_size;
  uint32_t reserved;
  void* context;
  const uint64_t* generation; /* raised when any listener's has changed, then GH_WAKE_CERTIFICATES; acquire load */
  /* [lane] What the listener of that id has now. GH_E_NOT_FOUND: it has none, or is not yours. Locks; not per connection. */
  gh_status (*get)(void* context, gh_lane* lane, uint32_t listener, gh_certificate* out);
} gh_certificates;

/* -------------------------------------------------------------------------------------- gh.sessions/1 */

#define GH_SESSION_COUNTS 96

/* What a session has carried since it began. The lane that opened the session last adds to its cells with relaxed
 * atomic stores, as to those of a metric: counting costs no call. The memory lives as long as the process. The host
 * looks every few seconds, when the session ends, and when somebody asks; bytes are what the client's flows carried,
 * without the frames around it. The host makes it: what a later minor has appended is there if gh_host.abi_minor is
 * that high. */
typedef struct gh_session_cells {
  uint64_t bytes_up;     /* from the client */
  uint64_t bytes_down;   /* to the client */
  uint64_t packets_up;   /* from the client */
  uint64_t packets_down; /* to the client */
  /* Raised by each open() of this session, and by end(). Not what open() wrote to gh_session.opening: the session is in
   * other hands, or over. Then leave the cells alone and close the client's former stream. One relaxed load, once a
   * batch. */
  uint64_t opening;
  /* Two words of the plugin's own about its state now, such as the phase of a handshake and the last refusal. People
   * see them through gh.sessions.describe/1. 0 after a start. */
  uint64_t state[2];
} gh_session_cells;

/* A client's lasting relation to a plugin, known by (identity or anonymous, key). The source is no part of it: clients
 * roam. */
typedef struct gh_session {
  uint32_t struct_size;
  uint32_t blob_version; /* of `blob`, the plugin's own number */
  gh_bytes key;          /* at most 255 bytes; empty: made by the host, never resumed, ends with the instance */
  gh_bytes identity; /* or empty = anonymous: then the key is the secret, of 32 random characters or more, and only
                        its SHA-256 is kept */
  gh_endpoint source; /* where the client is now */
  gh_bytes blob;      /* the plugin's own state, at most 4096 bytes */
  /* When the host ends it, unless it is opened or touched with another time before: Unix seconds. GH_EXPIRY_SAME: as it
   * was (for a new one: never), GH_EXPIRY_NEVER. It is enforced within ten seconds, by raising `opening`. */
  uint64_t expires_unix;
  /* set by the host */
  uint64_t id;             /* never 0, never used twice, the same after a restart */
  gh_session_cells* cells; /* what it carries is counted here */
  uint64_t opening;        /* gh_session_cells.opening as this call has left it */
  uint64_t last_seen_unix; /* before this call */
  uint32_t resumed;        /* 1: it was there; `blob` and `blob_version` are what was kept */
  uint32_t lane;           /* that held it before this call, of this instance; or UINT32_MAX */
} gh_session;

#define GH_EXPIRY_SAME UINT64_C(0)
#define GH_EXPIRY_NEVER UINT64_MAX

/* A resource that is one session's alone. */
typedef struct gh_lease {
  uint32_t struct_size;
  uint32_t reserved;
  gh_bytes resource;     /* "10.12.34.56", "vni:4711"; at most 255 bytes */
  uint64_t session;      /* gh_session.id of the holder */
  uint64_t expires_unix; /* seconds; 0 = with its session */
} gh_lease;

/* Sessions and leases are in memory, and a thread of the host writes them down: no call waits for a disk. `durable`, if
 * not NULL, is called on that thread, or within the call, GH_OK when what was asked would survive a crash; not at all
 * when the call did not return GH_OK, and never once destroy() has been called: the host waits for one that is under
 * way. While the disk fails, the operator's `on_store_failure` decides: `serve` calls it at once with GH_OK, `no_new`
 * refuses new sessions with a key and new leases (GH_E_IO, from the call or from `durable`), and what there is goes on:
 * a session that is resumed or touched and a lease that is renewed are served as under `serve`. What `durable` refused
 * is still in memory: end or release it. Answer a client after `durable`. */
#define GH_SESSIONS_ID "gh.sessions/1"
/* What is remembered of clients, also over a restart. */
typedef struct gh_sessions {
  uint32_t struct_size;
  uint32_t reserved;
  void* context;
  /* [lane] Opens or resumes a session. A resumed one's `blob` is borrowed until the next call of this lane. GH_E_LIMIT:
   * the host remembers no more of them. GH_E_INVALID: key or blob are longer than said, or an anonymous key is shorter
   * than 32 characters. */
  gh_status (*open)(void* context, gh_lane* lane, gh_session* session, const gh_completion* durable);
  /* [lane] The client is still there: replaces the source and, with blob.data not NULL, the blob. By `id`.
   * GH_E_NOT_FOUND: there is no such session. */
  gh_status (*touch)(void* context, gh_lane* lane, const gh_session* session, const gh_completion* durable);
  /* [lane] Ends it and releases its leases. GH_E_NOT_FOUND: there is no such session. */
  gh_status (*end)(void* context, gh_lane* lane, uint64_t id);
  /* [lane] Takes an exclusive resource until a time, or renews it. GH_E_EXISTS: another session holds it.
   * GH_E_IN_DOUBT: another one may hold it: the store has lost commits, and every lease that it may have forgotten
   * counts as live for its lifetime (an hour for one without a time); so do not probe for others, the client is to
   * come again. GH_E_NOT_FOUND: there is no such session. GH_E_LIMIT: it holds 4096 already. What was asked of the
   * session itself before is durable no later than the lease. */
  gh_status (*lease)(void* context, gh_lane* lane, const gh_lease* lease, const gh_completion* durable);
  /* [lane] GH_E_NOT_FOUND: that session does not hold it. */
  gh_status (*release)(void* context, gh_lane* lane, uint64_t session, gh_bytes resource);
  /* [control], from start(): each session and lease that is remembered for this plugin. The key of an anonymous one
   * is its SHA-256. To serve one again, open() it when its client comes, or adopt() it. The visits call no host
   * function. */
  gh_status (*for_each)(void* context, void (*visit)(void* visitor, const gh_session* session),
                        void (*visit_lease)(void* visitor, const gh_lease* lease), void* visitor);
  /* [lane] Is there a session of that identity and key? Displaces nobody. GH_OK fills in all that the host sets, the
   * blob borrowed as by open(); GH_E_NOT_FOUND: there is none; GH_E_INVALID: the key is empty, or as open() says.
   * GH_PENDING: this gateway has to ask another one first;
   * `later` is called within 5 s, then ask again: with GH_OK the answer is at hand, GH_E_IO: nobody answers, and open()
   * goes by what this gateway knows. With `later` NULL this gateway's own knowledge is the answer. */
  gh_status (*find)(void* context, gh_lane* lane, gh_session* session, const gh_completion* later);
  /* [lane] Takes over the session `id` that for_each() or an export told of, without its client's key. As open() that
   * resumes, but for source and expiry, which stay. GH_E_NOT_FOUND: there is none of this plugin. GH_E_STATE: a lane of
   * this instance has it already, for its client came first. */
  gh_status (*adopt)(void* context, gh_lane* lane, gh_session* session);
  /* [lane] GH_SESSION_COUNTS words for what else the plugin counts of session `id`, such as packets by protocol and
   * refusals by reason: gh.sessions.describe/1 has their names. Stored to as the cells are, as often as people should
   * see news; those that the plugin has no name for stay 0. They live as long as the process, are 0 when the session is
   * new and after a start, and stay when it is resumed. For plugins that want them: a session costs less without.
   * GH_E_NOT_FOUND: there is no such session. */
  gh_status (*counts)(void* context, gh_lane* lane, uint64_t id, uint64_t** out);
} gh_sessions;

/* ---------------------------------------------------------------------------------------- gh.ranges/1 */

/* [frozen] first .. last, both included. */
typedef struct gh_range {
  uint64_t first; /* the lowest */
  uint64_t last;  /* the highest */
} gh_range;

#define GH_RANGES_ID "gh.ranges/1"
/* Which numbers of a space this gateway may hand out, of several that share it. */
typedef struct gh_ranges {
  uint32_t struct_size;
  uint32_t reserved;
  void* context;
  const uint64_t* generation; /* raised when a range comes or goes, then GH_WAKE_RANGES; acquire load */
  /* [any] Which numbers of a space ("tunnel-index", "vni") this gateway may hand out: ascending ranges, `count` of
   * them, of which at most `capacity` are written. A gateway that is alone has one with all of them. What was handed
   * out of a range that is gone stays good until its lease ends. Locks. */
  gh_status (*get)(void* context, gh_bytes space, gh_range* out, size_t capacity, size_t* count);
} gh_ranges;

/* ------------------------------------------------------------------------------- gh.values/1, gh.fds/1 */

enum { /* how a value is kept */
  GH_VALUE_PLAIN = 0, /* with everything else */
  GH_VALUE_SECRET = 1 /* in a file that only the gateway's user can read */
};

/* Named values of the plugin: keys, counters. `durable` as in gh.sessions/1; under `no_new` every change is refused.
 * A secret is kept in a file of its own that only the gateway's user can read, and is shown nowhere. Names have 1 to
 * 255 bytes. */
#define GH_VALUES_ID "gh.values/1"
/* Keys and settings of the plugin's own. */
typedef struct gh_values {
  uint32_t struct_size;
  uint32_t reserved;
  void* context;
  /* [any] Copies the value to `out` if it fits; `size` is its length either way. Locks. */
  gh_status (*get)(void* context, gh_bytes name, uint8_t* out, size_t capacity, size_t* size);
  /* [any] At most 4096 bytes. value.data NULL removes it. */
  gh_status (*put)(void* context, gh_bytes name, gh_bytes value, uint32_t kind, const gh_completion* durable);
  /* [any] Sets aside the numbers *first .. *first + count - 1, which were never given out and never will be, not even
   * after a crash: use them after `durable`. The value is the decimal number that comes next; the first block of a new
   * name begins at 1. Where the store has lost commits, 2^32 numbers are left out once, in place of those that it may
   * have forgotten. GH_E_INVALID: the value is no number, they are used up, or `count` is 0. */
  gh_status (*reserve)(void* context, gh_bytes name, uint64_t count, uint64_t* first, const gh_completion* durable);
} gh_values;

#define GH_FDS_ID "gh.fds/1"
/* Descriptors that outlive an instance. */
typedef struct gh_fds {
  uint32_t struct_size;
  uint32_t reserved;
  void* context;
  /* [any] Keeps dups under a name for the next instance, replacing older ones: 64 names, 512 dups, else GH_E_LIMIT. */
  gh_status (*keep)(void* context, gh_bytes name, const int32_t* fds, size_t count);
  /* [any] Hands them over: the caller owns what it gets. `count`: how many there are. GH_E_LIMIT: more than `capacity`,
   * and none is handed over. GH_E_NOT_FOUND: nothing is kept under that name. What no instance has taken some seconds
   * after its start is closed; it may stay longer where threads of the plugin never returned. */
  gh_status (*take)(void* context, gh_bytes name, int32_t* out, size_t capacity, size_t* count);
} gh_fds;

/* What a plugin's clients may use of what the whole process has, all of them together. */
enum {
  GH_RESOURCE_MEMORY = 0,      /* bytes that wait for them */
  GH_RESOURCE_DESCRIPTORS = 1, /* sockets that they have open */
  GH_RESOURCE_PORTS = 2        /* local ports of their flows */
};

#define GH_BUDGET_ID "gh.budget/1"
/* How much of it this instance's clients may use, and whom to tell when it is too little. */
typedef struct gh_budget {
  uint32_t struct_size;
  uint32_t reserved;
  void* context;
  /* [any] Read them with relaxed atomic loads, now and then: both may change at any time. An even share of them for
   * each lane needs no lock. */
  const uint64_t* memory_bytes; /* what may wait for clients: the option `memory_bytes` */
  const uint64_t* descriptors;  /* what clients may have open; what the host gives to the plugin is not counted */
  /* [any] A client was refused or cut, or lost what waited for it, for want of that resource (GH_RESOURCE_*): people
   * are told, by `gatehouse status` too, until some seconds after the last call. Neither locks, allocates nor
   * blocks. */
  void (*ran_short)(void* context, uint32_t resource);
} gh_budget;

enum {
  GH_NOTICE_NOTE = 0,    /* worth knowing */
  GH_NOTICE_DEGRADED = 1 /* the gateway does less than it was asked to: `gatehouse status` is degraded, too */
};

/* What people should know about an instance, as long as it is so: `gatehouse status` says it. */
#define GH_NOTICES_ID "gh.notices/1"
/* Sentences for `gatehouse status`. */
typedef struct gh_notices {
  uint32_t struct_size;
  uint32_t reserved;
  void* context;
  /* [any] From now on the sentence is said of `name` ("buffers"; 1 to 32 bytes), in place of the one before; an empty
   * one takes it back. It says what is so and what to do. Of 512 bytes at most: GH_E_INVALID; 16 names at most:
   * GH_E_LIMIT. All are gone with the instance. Locks. */
  gh_status (*set)(void* context, gh_bytes name, uint32_t kind, gh_bytes sentence);
} gh_notices;

/* ---------------------------------------------------------------------------------------- the host */

/* What a plugin has of its host. */
typedef struct gh_host {
  uint32_t struct_size;
  uint32_t abi_minor; /* the host's GH_ABI_MINOR */
  void* context;
  /* [any] The interface of that id, or NULL. Valid until destroy() returns. */
  const void* (*get)(void* context, const char* id);
} gh_host;

/* -------------------------------------------------------------------------------------- the plugin */

typedef struct gh_instance gh_instance; /* the plugin's own object */

enum { /* flags of configure() */
  GH_CONFIGURE_CHECK = 1 /* validate only, without any effect */
};

/* What an instance is started with. */
typedef struct gh_start {
  uint32_t struct_size;
  uint32_t lanes;               /* run_lane is called for 0 .. lanes-1 */
  const gh_listener* listeners; /* of all lanes */
  size_t listener_count;        /* elements of listeners */
} gh_start;

/* Life: create, configure, start, then run_lane in a thread of each lane, stop, and, when all lanes have returned,
 * destroy.
 *
 * A replacement: the new instance is created, configured and started while the old one serves; its lanes are held
 * back. The old one's are stopped. When all have returned, its sessions are taken (gh.sessions.export/1) and put
 * into the new one, whose lanes run then. If any of that fails, what was taken is put back, the old instance is
 * started again and its lanes run again: so start() may follow a stop() whose lanes have all returned, and ends the
 * stop. */
typedef struct gh_plugin_ops {
  uint32_t struct_size;
  uint32_t reserved;
  /* [control] */
  gh_status (*create)(const gh_host* host, gh_bytes name, gh_instance** out, gh_message* why);
  void (*destroy)(gh_instance* instance); /* after every lane has returned */
  /* [control] `options`: a JSON object, complete with defaults, valid by the schema. */
  gh_status (*configure)(gh_instance* instance, gh_bytes options, uint32_t flags, gh_message* why);
  /* [control] Lanes run after it has returned, perhaps much later, or never. */
  gh_status (*start)(gh_instance* instance, const gh_start* start, gh_message* why);
  /* [control], while lanes run: all or nothing; GH_E_UNSUPPORTED: the change needs a restart. */
  gh_status (*reconfigure)(gh_instance* instance, gh_bytes options, gh_message* why);
  /* The same of its listeners, which are these from now on; what is gone from them is closed afterwards. */
  gh_status (*listeners_changed)(gh_instance* instance, const gh_listener* listeners, size_t count, gh_message* why);
  /* [lane] Runs the lane's own event loop; returns after stop(). A failure marks the instance failed. */
  gh_status (*run_lane)(gh_instance* instance, gh_lane* lane, gh_message* why);
  /* [any] Returns at once; the lane does the work. `reasons`: GH_WAKE_* bits. */
  void (*wake)(gh_instance* instance, uint32_t lane, uint32_t reasons);
  void (*drain)(gh_instance* instance, uint64_t deadline_ns); /* [any] no new clients; monotonic deadline */
  uint64_t (*pending)(gh_instance* instance);                 /* [any] clients still served */
  void (*stop)(gh_instance* instance);                        /* [any] run_lane returns within a second */
  /* [any] What the plugin offers ("gh.probe/1", "gh.sessions.export/1"), or NULL; constants. `instance` may be NULL. */
  const void* (*get)(gh_instance* instance, const char* id);
} gh_plugin_ops;

enum { /* which listeners a role takes; bits */
  GH_ROLE_STREAM = 1,   /* TCP and Unix ones */
  GH_ROLE_DATAGRAM = 2, /* UDP ones */
  GH_ROLE_OPENINGS = 4, /* its streams begin as gh_listener says: PROXY header, TLS, opening, auth. Without this bit a
                           listener that asks for any of them is refused */
  GH_ROLE_HTTP = 8,     /* with GH_ROLE_OPENINGS: every stream has an HTTP opening, whatever the configuration says */
  GH_ROLE_TOKEN = 16,   /* with GH_ROLE_OPENINGS: its own protocol has a place for a token, so that GH_AUTH_TOKEN needs
                           no HTTP opening; without one the plugin asks for the token itself */
  GH_ROLE_LOCAL = 32    /* with GH_ROLE_STREAM: where the configuration does not have its key, there is one listener, a
                           Unix socket in the gateway's runtime folder: NAME-api.sock of the role "listen_api" */
};

/* One use that a plugin has for listeners. */
typedef struct gh_listener_role {
  uint32_t struct_size;
  uint32_t kinds;    /* GH_ROLE_* bits */
  const char* name;  /* the configuration key: "listen" */
  uint32_t required; /* 1: at least one address must be configured */
  uint32_t reserved;
} gh_listener_role;

/* What a plugin says of itself. Constant, with all that it points to, as long as the file is loaded. */
typedef struct gh_manifest {
  uint32_t magic;     /* GH_MAGIC */
  uint32_t struct_size;
  uint16_t abi_major; /* GH_ABI_MAJOR of the header that it was built with */
  uint16_t abi_minor; /* its GH_ABI_MINOR */
  uint32_t reserved;
  const char* id;      /* "udpgw": letters, digits and '-' */
  const char* version; /* "1.2.3" */
  const char* summary; /* one sentence */
  const char* license; /* SPDX */
  const char* build;   /* compiler and machine, for diagnosis only */
  /* JSON Schema subset: {"properties": {NAME: {"type", "items", "enum", "minimum", "maximum", "default",
   * "description", "x-reload": "live"|"restart", "x-secret": true}}} */
  const char* options_schema;
  const char* const* requires_ids; /* interface ids, ended by NULL */
  const gh_listener_role* roles;   /* what listeners are for */
  size_t role_count;               /* elements of roles */
  const gh_plugin_ops* ops;        /* every function is there */
} gh_manifest;

/* The one symbol that a plugin exports:  extern const gh_manifest gatehouse_plugin; */
#define GH_MANIFEST_SYMBOL "gatehouse_plugin"

/* ------------------------------------------------------------------------- what a plugin may offer */

#define GH_PROBE_ID "gh.probe/1"
/* A client of the plugin's protocol, for `gatehouse probe`. */
typedef struct gh_probe {
  uint32_t struct_size;
  uint32_t reserved;
  const char* usage; /* "HOST:PORT [--dns NAME] [--echo ADDR:PORT]" */
  /* [any thread of the CLI] A small real client. Writes one JSON object through `print`. GH_OK: it works;
   * GH_E_INVALID: wrong arguments, said in `why`; another failure: it does not work, said in `why`. */
  gh_status (*run)(const gh_bytes* arguments, size_t count, void (*print)(void* context, gh_bytes json),
                   void* context, gh_message* why);
} gh_probe;

#define GH_SESSIONS_DESCRIBE_ID "gh.sessions.describe/1"
/* Words for the numbers in a session's cells. */
typedef struct gh_sessions_describe {
  uint32_t struct_size;
  uint32_t reserved;
  /* [any] What the two words of gh_session_cells.state mean, for people: "bound; last refusal: wrong key". A
   * function of the words alone; returns at once. */
  void (*describe)(const uint64_t state[2], gh_message* out);
  /* Names of gh_sessions.counts from the first on, "tcp4_up_packets"; constants. At most GH_SESSION_COUNTS; may be
   * none. */
  const gh_bytes* count_names;
  size_t count_names_size; /* elements of count_names */
} gh_sessions_describe;

/* One session that moves from an old instance to a new one, or one record for the instance's devices. */
typedef struct gh_export_record {
  uint32_t struct_size;
  uint32_t lane;         /* that held it */
  uint64_t session;      /* gh_session.id; 0: a record of the instance */
  uint32_t blob_version; /* of `blob`, the plugin's own number */
  uint32_t fd_count;     /* elements of fds */
  gh_bytes blob;         /* any size */
  const int32_t* fds;    /* of the session; put() says whose they become */
  gh_bytes unread;       /* stream bytes that were read and not yet used */
  gh_bytes unsent;       /* output that the stream has not taken yet */
} gh_export_record;

#define GH_SESSIONS_EXPORT_ID "gh.sessions.export/1"
/* Sessions that move from an instance to the one after it. */
typedef struct gh_sessions_export {
  uint32_t struct_size;
  uint32_t reserved;
  /* [control] Takes every session out of an instance all of whose lanes have returned. `give` copies the record. */
  gh_status (*take)(gh_instance* instance, void (*give)(void* context, const gh_export_record* record),
                    void* context, gh_message* why);
  /* [control] Puts one into an instance between start() and its lanes' run_lane(). The descriptors are the instance's
   * from then on, if it says GH_OK. GH_E_UNSUPPORTED: its blob_version is not known. */
  gh_status (*put)(gh_instance* instance, const gh_export_record* record, gh_message* why);
} gh_sessions_export;

/* ------------------------------------------------------------------------------------ layout, checked */

#if UINTPTR_MAX != 0xffffffffffffffffu
#error "the border is for 64-bit machines"
#endif

/* What 1.0 has of each struct that may grow. These never change. */
#define GH_SIZE_1_0(type) (type##_size_1_0)
enum {
  gh_lane_size_1_0 = 24,
  gh_listener_size_1_0 = 144,
  gh_log_size_1_0 = 32,
  gh_clock_size_1_0 = 32,
  gh_random_size_1_0 = 24,
  gh_metric_size_1_0 = 72,
  gh_metrics_size_1_0 = 24,
  gh_client_facts_size_1_0 = 56,
  gh_flow_size_1_0 = 56,
  gh_verdict_size_1_0 = 32,
  gh_limits_size_1_0 = 40,
  gh_policy_size_1_0 = 112,
  gh_identity_size_1_0 = 32,
  gh_certificate_size_1_0 = 120,
  gh_certificates_size_1_0 = 32,
  gh_session_size_1_0 = 128,
  gh_lease_size_1_0 = 40,
  gh_sessions_size_1_0 = 88,
  gh_ranges_size_1_0 = 32,
  gh_values_size_1_0 = 40,
  gh_fds_size_1_0 = 32,
  gh_budget_size_1_0 = 40,
  gh_notices_size_1_0 = 24,
  gh_host_size_1_0 = 24,
  gh_start_size_1_0 = 24,
  gh_plugin_ops_size_1_0 = 104,
  gh_listener_role_size_1_0 = 24,
  gh_manifest_size_1_0 = 96,
  gh_probe_size_1_0 = 24,
  gh_sessions_describe_size_1_0 = 32,
  gh_export_record_size_1_0 = 80,
  gh_sessions_export_size_1_0 = 24
};

#define GH_FROZEN(type, size) static_assert(sizeof(type) == (size), #type " is frozen")
#if GH_ABI_MINOR == 0
#define GH_GROWS(type) static_assert(sizeof(type) == GH_SIZE_1_0(type), #type " has another size than 1.0")
#else
#define GH_GROWS(type) static_assert(sizeof(type) >= GH_SIZE_1_0(type), #type " has lost a field")
#endif
#define GH_PLACE(type, field, at) static_assert(offsetof(type, field) == (at), #type "." #field " moved")
GH_FROZEN(gh_bytes, 16);
GH_FROZEN(gh_endpoint, 24);
GH_PLACE(gh_endpoint, scope, 16);
GH_PLACE(gh_endpoint, port, 20);
GH_PLACE(gh_endpoint, family, 22);
GH_FROZEN(gh_prefix, 24);
GH_PLACE(gh_prefix, length, 17);
GH_FROZEN(gh_message, 24);
GH_FROZEN(gh_completion, 24);
GH_FROZEN(gh_log_field, 32);
GH_FROZEN(gh_metric_label, 32);
static_assert(sizeof(gh_session_cells) >= 56, "gh_session_cells has lost a field");
GH_PLACE(gh_session_cells, state, 40);
GH_FROZEN(gh_range, 16);
GH_GROWS(gh_lane);
GH_PLACE(gh_lane, turns, 16);
GH_GROWS(gh_listener);
GH_PLACE(gh_listener, name, 8);
GH_PLACE(gh_listener, local, 56);
GH_PLACE(gh_listener, fd, 80);
GH_PLACE(gh_listener, tls, 96);
GH_GROWS(gh_log);
GH_PLACE(gh_log, write, 24);
GH_GROWS(gh_clock);
GH_PLACE(gh_clock, realtime_ns, 24);
GH_GROWS(gh_random);
GH_GROWS(gh_metric);
GH_PLACE(gh_metric, labels, 40);
GH_PLACE(gh_metric, bound_count, 64);
GH_GROWS(gh_metrics);
GH_GROWS(gh_client_facts);
GH_PLACE(gh_client_facts, source, 8);
GH_PLACE(gh_client_facts, identity, 32);
GH_PLACE(gh_client_facts, session, 48);
GH_GROWS(gh_flow);
GH_PLACE(gh_flow, destination, 8);
GH_PLACE(gh_flow, domain, 32);
GH_PLACE(gh_flow, transport, 48);
GH_GROWS(gh_verdict);
GH_PLACE(gh_verdict, row, 16);
GH_PLACE(gh_verdict, generation, 24);
GH_GROWS(gh_limits);
GH_PLACE(gh_limits, session_idle_ns, 32);
GH_GROWS(gh_policy);
GH_PLACE(gh_policy, check, 56);
GH_PLACE(gh_policy, charge, 88);
GH_PLACE(gh_policy, claim, 96);
GH_PLACE(gh_policy, dns, 104);
GH_GROWS(gh_identity);
GH_GROWS(gh_certificate);
GH_PLACE(gh_certificate, chain, 16);
GH_PLACE(gh_certificate, client_ca, 48);
GH_GROWS(gh_certificates);
GH_GROWS(gh_session);
GH_PLACE(gh_session, source, 40);
GH_PLACE(gh_session, expires_unix, 80);
GH_PLACE(gh_session, id, 88);
GH_PLACE(gh_session, opening, 104);
GH_PLACE(gh_session, lane, 124);
GH_GROWS(gh_lease);
GH_PLACE(gh_lease, expires_unix, 32);
GH_GROWS(gh_sessions);
GH_PLACE(gh_sessions, find, 64);
GH_PLACE(gh_sessions, adopt, 72);
GH_PLACE(gh_sessions, counts, 80);
GH_GROWS(gh_ranges);
GH_GROWS(gh_values);
GH_PLACE(gh_values, reserve, 32);
GH_GROWS(gh_fds);
GH_PLACE(gh_fds, take, 24);
GH_GROWS(gh_budget);
GH_PLACE(gh_budget, ran_short, 32);
GH_GROWS(gh_notices);
GH_PLACE(gh_notices, set, 16);
GH_GROWS(gh_host);
GH_GROWS(gh_start);
GH_PLACE(gh_start, listeners, 8);
GH_GROWS(gh_plugin_ops);
GH_PLACE(gh_plugin_ops, run_lane, 56);
GH_PLACE(gh_plugin_ops, get, 96);
GH_GROWS(gh_listener_role);
GH_PLACE(gh_listener_role, name, 8);
GH_GROWS(gh_manifest);
GH_PLACE(gh_manifest, id, 16);
GH_PLACE(gh_manifest, options_schema, 56);
GH_PLACE(gh_manifest, ops, 88);
GH_GROWS(gh_probe);
GH_GROWS(gh_sessions_describe);
GH_GROWS(gh_export_record);
GH_PLACE(gh_export_record, unsent, 64);
GH_GROWS(gh_sessions_export);
#undef GH_FROZEN
#undef GH_GROWS
#undef GH_PLACE

#ifdef __cplusplus
}
#endif
#endif /* GATEHOUSE_ABI_H */
