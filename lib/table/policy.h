/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the engine is asked to do: services, limits, timeouts.
 *
 * A policy is an immutable value. The configuration makes one, the control
 * thread publishes it, each worker's core reads it and never writes it; a
 * reload publishes a new one. What changes while the engine runs (half-open
 * counts, cookie mode) is the core's, indexed by service id, and so survives a
 * reload: a service keeps its id for as long as its name exists.
 */
#ifndef SYNFRONT_POLICY_H
#define SYNFRONT_POLICY_H

#include <stddef.h>

#include "addr.h"

#define SERVICES_MAX 4096u
#define SERVICE_NONE 0xffffu
#define SERVICE_CLOSED 0xfffeu /* address protected, port not served */
#define SERVICE_NAME_MAX 32
#define SYN_ACK_RETRIES_MAX 4u /* each SYN-ACK leaves while its ISS is a good cookie */

enum service_mode {
	MODE_PROXY,   /* handshake with the client, then with the server, then splice */
	MODE_RESPOND, /* the engine is the server: acknowledges and discards */
	MODE_HANDOFF, /* answered by cookie; all else passes, the server's kernel adopts; no entry */
	MODE_BYPASS,  /* counted, untouched */
	MODE_OBSERVED, /* no service's own: what a core takes as that of a service under observe */
};

enum cookie_policy {
	COOKIES_AUTO,   /* between the watermarks and the sources' budgets */
	COOKIES_ALWAYS, /* never keep state before the client is proven */
	COOKIES_NEVER,  /* state only; refuse when it is full */
};

enum calm_policy {
	CALM_INTERCEPT,   /* always split the handshake */
	CALM_TRANSPARENT, /* below the high watermark SYNs pass and are tracked */
};

/* What to do with a segment that is not served. */
enum refusal {
	REFUSE_RESET, /* the RST of RFC 9293 3.10.7.1 */
	REFUSE_DROP,
	REFUSE_PASS,
};

struct port_range {
	uint16_t first; /* host order, inclusive */
	uint16_t last;
};

/* What a service of mode handoff promises to clients: no more than its servers' kernels grant. */
struct service_promise {
	uint32_t mss, mss6; /* IPv4, IPv6 */
	uint32_t wscale;
	bool window_scaling, sack, timestamps;
	const char *const *files; /* that say what servers grant; read already */
	uint32_t n_files;
};

#define SERVICE_GROUPS_MAX 15u /* of services that share a secret with their servers */

/* Limits count per engine; a core takes its share (limit / workers, at least 1).
 * 0 means no limit, except where said. */
struct service {
	char name[SERVICE_NAME_MAX];
	uint16_t id;
	uint8_t mode;       /* enum service_mode */
	uint8_t cookies;    /* enum cookie_policy */
	uint8_t calm;       /* enum calm_policy */
	uint8_t overload;   /* enum refusal: RESET or DROP, COOKIES_NEVER and no room for a SYN */
	uint8_t denied;     /* enum refusal: for sources in deny or not in allow */
	uint8_t unproven;   /* enum refusal: RESET or DROP, for what proves nothing, and for the
	                     * proven over a limit */
	uint8_t signed_syn; /* enum refusal: SYNs with MD5 or AO: PASS (capped), RESET or DROP */
	bool wait_for_data; /* open the server at the client's first byte */
	bool repeat_syn;    /* SYNs to the server go out twice: it takes no round-trip sample */
	bool observe;       /* all of it crosses, and what would be done is counted */
	bool adopts;        /* by a reload it has come before connections that crossed until then */
	/* Mode handoff: whose secret the cookies are made with, by name and by number (from 1),
	 * which lasts for as long as a service of the group exists; what is promised; SYNs that
	 * pass in a second, above which cookies answer. */
	char group[SERVICE_NAME_MAX];
	uint8_t group_id;
	struct service_promise promise;
	uint32_t calm_syn_per_s;
	uint32_t unknown_per_s;   /* segments of unknown flows that may pass: the shield; 0: all */
	uint32_t high;            /* half-open entries at which cookie mode begins */
	uint32_t low;             /* ... and at which it ends; low < high */
	uint32_t max_connections; /* connecting + established */
	uint32_t max_new_per_s;   /* proven clients per second */
	uint32_t max_connecting;  /* per backend (server address and port) */

	const struct prefix *addresses; /* destination */
	const struct port_range *ports;
	const struct prefix *allow; /* source; empty: everybody */
	const struct prefix *deny;  /* source; beats allow */
	uint32_t n_addresses, n_ports, n_allow, n_deny;
};

/* Per source prefix: IPv4 /32 and /24, IPv6 /64 and /48 ("host" and "net"). */
struct source_limits {
	uint32_t half_open_host, half_open_net;     /* entries; over it: cookies */
	uint32_t syn_per_s_host, syn_per_s_net;     /* over it: cookies */
	uint32_t connections_host, connections_net; /* connecting + established; over it: refused */
	uint32_t new_per_s_host, new_per_s_net;     /* proven; over it: refused */
};

/* Generated packets that answer what nobody has proven: SYN-ACK, RST, challenge ACK. */
struct reflection_limits {
	uint32_t per_net_per_s;   /* per /24 or /48; 0: no cap */
	uint32_t per_port_per_s;  /* per worker and outside port; 0: no cap */
	uint32_t rst_per_s;       /* RSTs of all kinds, per worker */
	uint32_t challenge_per_s; /* challenge ACKs, per worker (RFC 5961, 10) */
};

/* All in seconds. */
struct timeouts {
	uint32_t connecting;   /* server silent: client gets RST */
	uint32_t idle;         /* spliced or tracked, nothing seen */
	uint32_t half_closed;  /* one FIN seen */
	uint32_t closing;      /* both FINs seen */
	uint32_t reset_linger; /* exact RST seen */
	uint32_t adopt;        /* after start, 0: never adopt */
	uint32_t probe;        /* between probes of a backend that is down */
	uint32_t protect;      /* full table: a connection active so recently is never evicted */
};

struct policy {
	uint64_t generation; /* grows by one with each reload */
	const struct service *services;
	uint32_t n_services;
	uint32_t syn_ack_retries; /* 0..SYN_ACK_RETRIES_MAX, after 1, 2, 4 ... s */
	uint32_t hold_bytes;      /* early client data per connection: the window of the SYN-ACK */
	uint32_t adopt_per_net;   /* candidates per source net and second */
	uint8_t closed_port; /* enum refusal: SYN to a protected address, no service on the port
	                           * or its server down */
	bool observe;        /* every service, and closed ports */
	bool observes;       /* ... or one service at least */
	bool may_observe;    /* the running cores have what observe keeps: since they were made */
	struct source_limits sources;
	struct reflection_limits reflection;
	struct timeouts timeouts;

	/* Compiled from the services; see policy_compile(). */
	const struct policy_index *index;
};

/*
 * Compile the look-up index: one keyed hash probe for each distinct prefix length
 * in use, then a binary search over the ports of the prefix found. The cost
 * does not grow with the number of services. Two services may share addresses
 * or nest their prefixes as long as no address and port belongs to both.
 *
 * Sets policy->index, which policy_free_index() frees, and returns NULL; or sets
 * it to NULL and returns a static message. The indexes of the services to blame
 * are then in *a and *b (the same if it is one; 0 if memory is short). The
 * services must outlive the index.
 */
const char *policy_compile(struct policy *policy, uint32_t *a, uint32_t *b);
void policy_free_index(struct policy *policy);

/* What policy_find() found. */
enum policy_match {
	POLICY_NOT_OURS, /* address not protected */
	POLICY_CLOSED,   /* address protected, port not served */
	POLICY_SERVICE,
};

/* The service of a destination; `port` in host order. *service is set on
 * POLICY_SERVICE. */
enum policy_match policy_find(const struct policy *policy, const struct ip_addr *dst, uint16_t port,
                              const struct service **service);

/* The same for whom the id is enough: that of the service, SERVICE_CLOSED or SERVICE_NONE.
 * `is_v4` is ip_addr_is_v4(dst). */
uint16_t policy_find_id(const struct policy *policy, const struct ip_addr *dst, bool is_v4,
                        uint16_t port);

/* Whether a service of this mode has the address, on any port: a look at all its port ranges. */
bool policy_has_mode(const struct policy *policy, const struct ip_addr *dst,
                     enum service_mode mode);
/* Whether a service under observe has it. */
bool policy_observes(const struct policy *policy, const struct ip_addr *dst);

/* Whether the service's allow and deny lists admit this source. Constant in
 * the number of prefixes listed. */
bool policy_admits(const struct policy *policy, const struct service *service,
                   const struct ip_addr *src);

#endif
