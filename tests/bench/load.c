/* SPDX-License-Identifier: BSD-3-Clause */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <x86intrin.h>

#include "capture_ring.h"
#include "carry_out.h"
#include "checksum.h"
#include "cookie.h"
#include "families.h"

#define SERVICE_PORT 80u
#define KNOWN_FLOWS (1u << 20) /* as a configuration has it by default */
#define SERVER_V4 0xc6336401u  /* 198.51.100.1, and those after it */

static void
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

uint32_t
load_random(struct load *load)
{
	load->random ^= load->random << 13;
	load->random ^= load->random >> 7;
	load->random ^= load->random << 17;
	return (uint32_t)(load->random >> 16);
}

uint32_t
load_client_seq(uint32_t flow)
{
	return flow * 2654435761u + 1;
}

uint32_t
load_server_seq(uint32_t flow)
{
	return flow * 2246822519u + 7;
}

static void
load_services(struct load *load, uint8_t mode, uint8_t cookies)
{
	uint32_t n = load->params.n_services;
	struct prefix *addresses = calloc(2 * (size_t)n, sizeof(*addresses));
	struct port_range *ports = calloc(n, sizeof(*ports));

	load->services = calloc(n, sizeof(*load->services));
	for (uint32_t i = 0; i < n; i++) {
		addresses[2 * i] = (struct prefix){ ip_addr_v4(__builtin_bswap32(SERVER_V4 + i)),
			                            128 };
		put32(addresses[2 * i + 1].addr.bytes, 0x20010db8);
		put32(addresses[2 * i + 1].addr.bytes + 12, SERVER_V4 + i);
		addresses[2 * i + 1].len = 128;
		ports[i] = (struct port_range){ SERVICE_PORT, SERVICE_PORT };
		load->services[i] = (struct service){
			.id = (uint16_t)i,
			.mode = mode,
			.cookies = load->params.last_keeps && i + 1 == n ? COOKIES_NEVER : cookies,
			.unproven = load->params.unproven,
			.group_id = mode == MODE_HANDOFF ? 1 : 0,
			.promise = { .mss = 1460,
			             .mss6 = 1440,
			             .wscale = 7,
			             .window_scaling = true,
			             .sack = true,
			             .timestamps = true },
			.unknown_per_s = load->params.unknown_per_s,
			.high = UINT32_MAX,
			.low = UINT32_MAX - 1,
			.addresses = &addresses[2 * i],
			.n_addresses = 2,
			.ports = &ports[i],
			.n_ports = 1,
		};
	}
	load->policy = (struct policy){
		.services = load->services,
		.n_services = n,
		.syn_ack_retries = 3,
		.hold_bytes = 4096,
		/* The caps that a configuration has by default, out of the way. */
		.reflection = { .per_net_per_s = 1u << 30 },
		.timeouts = { .connecting = 10,
		              .idle = 3600,
		              .half_closed = 120,
		              .closing = 60,
		              .reset_linger = 2,
		              .probe = 5,
		              .protect = 30 },
	};
}

/* What all workers read: the policy and the secrets. */
static bool
load_shared(struct load *load, uint8_t mode, uint8_t cookies)
{
	static const uint8_t master[MASTER_SECRET_SIZE] = { 1, 2, 3 };
	const char *why;
	uint32_t a, b;

	load_services(load, mode, cookies);
	if ((why = policy_compile(&load->policy, &a, &b)) != NULL) {
		fprintf(stderr, "bench: %s\n", why);
		return false;
	}
	secret_init(&load->secrets, master, 1000000);
	secret_set_groups(&load->secrets, (const char *[SECRET_SETS]){ [1] = "bench" });
	if (load->params.unknown_per_s != 0) {
		void *memory = aligned_alloc(64, known_size(KNOWN_FLOWS));
		uint8_t key[64] = { 1, 2, 3 };
		if (memory == NULL)
			return false;
		known_init(&load->known, memory, KNOWN_FLOWS, key);
	}
	if (load->params.n_workers > 1)
		load->cookies_until_s = calloc(SERVICES_MAX, sizeof(*load->cookies_until_s));
	return true;
}

struct load *
load_init(const struct load_params *params, uint8_t mode, uint8_t cookies, uint32_t half_open,
          uint32_t connections)
{
	struct load *load = aligned_alloc(64, (sizeof(*load) + 63) & ~(size_t)63);

	memset(load, 0, sizeof(*load));
	load->params = *params;
	load->memo = EMIT_MEMO_NEW;
	load->random = 0x9e3779b97f4a7c15ull;
	if (params->beside == NULL && !load_shared(load, mode, cookies))
		return NULL;
	const struct load *shared = params->beside != NULL ? params->beside : load;
	/* Of a clock that has run for a while, as any has: memory that was never used is older
	 * than all that is counted by the second. */
	load->now = (struct instant){ 1000000, 1000000000, secret_current(&shared->secrets) };
	struct core_params p = {
		.connections = connections,
		.half_open = half_open,
		.backends = 4096,
		.paths = 64,
		.sources = 1024,
		.held = 4096,
		.hold_bytes = 4096,
		.n_workers = params->n_workers,
		.cookies_until_s = shared->cookies_until_s,
		.known = shared->known.words != NULL ? &shared->known : NULL,
		.has_inside = true,
	};
	for (unsigned int i = 0; i < sizeof(p.seed); i++)
		p.seed[i] = (uint8_t)(i * 37 + 11);
	load->memory_size = (core_size(&p) + (2u << 20) - 1) & ~((size_t)(2u << 20) - 1);
	load->memory = mmap(NULL, load->memory_size, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (load->memory == MAP_FAILED)
		return NULL;
	madvise(load->memory, load->memory_size, MADV_HUGEPAGE);
	/* As reserved hugepages are: no page is touched for the first time while it is measured. */
	for (size_t at = 0; at < load->memory_size; at += 4096)
		((volatile uint8_t *)load->memory)[at] = 0;
	load->core = core_init(load->memory, &p, &shared->policy, &load->now);
	load->actions = (struct actions){ load->list, 0,
		                          sizeof(load->list) / sizeof(load->list[0]) };
	return load;
}

void
load_fini(struct load *load)
{
	if (load->params.beside == NULL) {
		policy_free_index(&load->policy);
		free((void *)(uintptr_t)load->services[0].addresses);
		free((void *)(uintptr_t)load->services[0].ports);
		free(load->services);
		free(load->cookies_until_s);
		free(load->known.words);
	}
	munmap(load->memory, load->memory_size);
	free(load);
}

/* The options of a SYN; where TSval stands follows from the layout. */
static const struct {
	uint8_t bytes[24];
	uint8_t len, tsval_off; /* 0: none */
} layouts[LOAD_LAYOUTS] = {
	[LOAD_LINUX] = { { 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7 },
	                 20,
	                 8 },
	[LOAD_WINDOWS] = { { 2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2 }, 12, 0 },
	[LOAD_MACOS] = { { 2, 4, 5, 0xb4, 1, 3, 3, 6, 1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 4, 2 },
	                 24,
	                 12 },
	[LOAD_FREEBSD] = { { 2, 4, 5, 0xb4, 1, 3, 3, 6, 4, 2, 8, 10 }, 20, 12 },
	[LOAD_SCANNER] = { { 2, 4, 5, 0xb4 }, 4, 0 },
};

static unsigned int
put_options(uint8_t *o, const struct load_frame *f)
{
	uint8_t *start = o;

	if (f->syn_options) {
		memcpy(o, layouts[f->layout].bytes, layouts[f->layout].len);
		if (layouts[f->layout].tsval_off != 0)
			put32(o + layouts[f->layout].tsval_off, f->tsval);
		if (f->mss != 0)
			put16(o + 2, f->mss); /* MSS comes first in each */
		o += layouts[f->layout].len;
	} else if (f->timestamps) {
		put32(o, 0x0101080a);
		put32(o + 4, f->tsval);
		put32(o + 8, f->tsecr);
		o += 12;
	}
	return (unsigned int)(o - start);
}

/* The client of a flow is its number, spread over addresses and ports. */
static void
put_endpoints(const struct load *load, const struct load_frame *f, bool is_v4,
              struct ip_addr *client, struct ip_addr *server, uint16_t *port)
{
	uint32_t service = load->params.n_services == 1 ? 0 : f->flow % load->params.n_services;

	if (is_v4) {
		*client = ip_addr_v4(__builtin_bswap32(0x0a000000u + (f->flow >> 4)));
		*server = ip_addr_v4(__builtin_bswap32(SERVER_V4 + service));
	} else {
		*client = (struct ip_addr){ 0 };
		put32(client->bytes, 0x20010db9);
		put32(client->bytes + 4, f->flow >> 4);
		put32(client->bytes + 12, f->flow * 2654435761u);
		*server = load->services[service].addresses[1].addr;
	}
	*port = (uint16_t)(1024 + (f->flow & 15) * 4001);
}

void
load_add(struct load *load, const struct load_frame *f)
{
	uint8_t *frame = load->frames[load->n], *ip = frame + 14, *tcp;
	struct ip_addr client, server;
	const struct ip_addr *src = &client, *dst = &server;
	uint16_t port, server_port = f->port != 0 ? f->port : SERVICE_PORT;
	uint8_t options[40];
	unsigned int options_len = put_options(options, f);
	unsigned int tcp_len = 20 + options_len + f->payload_len;
	bool is_v4 = load->params.is_v4 != f->other_family;
	uint64_t sum;

	put_endpoints(load, f, is_v4, &client, &server, &port);
	memcpy(frame,
	       f->side == SIDE_OUTSIDE ? "\2\0\0\0\0\2\2\0\0\0\0\1" : "\2\0\0\0\0\1\2\0\0\0\0\2",
	       12);
	if (f->side == SIDE_INSIDE) {
		src = &server;
		dst = &client;
	}
	if (is_v4) {
		put16(frame + 12, 0x0800);
		put32(ip, 0x45000000u | (20 + tcp_len));
		put32(ip + 4, 0x00004000);
		put32(ip + 8, 0x40060000);
		memcpy(ip + 12, &src->words_be[3], 4);
		memcpy(ip + 16, &dst->words_be[3], 4);
		uint16_t check = (uint16_t)~checksum_fold(checksum_add(0, ip, 20));
		memcpy(ip + 10, &check, 2);
		tcp = ip + 20;
		sum = checksum_add(0, ip + 12, 8);
	} else {
		put16(frame + 12, 0x86dd);
		put32(ip, 0x60000000);
		put32(ip + 4, tcp_len << 16 | 6 << 8 | 64);
		memcpy(ip + 8, src, 16);
		memcpy(ip + 24, dst, 16);
		tcp = ip + 40;
		sum = checksum_add(0, ip + 8, 32);
	}
	bool out = f->side == SIDE_OUTSIDE;
	put16(tcp, out ? port : server_port);
	put16(tcp + 2, out ? server_port : port);
	put32(tcp + 4, f->seq);
	put32(tcp + 8, f->ack);
	tcp[12] = (uint8_t)((20 + options_len) / 4 << 4);
	tcp[13] = f->flags;
	put16(tcp + 14, 64240);
	put32(tcp + 16, 0);
	memcpy(tcp + 20, options, options_len);
	memset(tcp + 20 + options_len, 'x', f->payload_len);
	sum += __builtin_bswap16((uint16_t)tcp_len) + __builtin_bswap16(6);
	uint16_t check = (uint16_t)~checksum_fold(checksum_add(sum, tcp, tcp_len));
	memcpy(tcp + 16, &check, 2);
	load->taken[load->n] = (struct load_taken){ frame, (uint32_t)(tcp - frame) + tcp_len,
		                                    f->side };
	load->order[load->n] = &load->taken[load->n];
	load->n++;
}

/* With a capture as a worker decides where there is one (lib/plane/capture_worker.c): of a client
 * that is not there, so that nothing is copied. */
static inline void
decide(struct load *load, unsigned int n)
{
	static const struct capture_filter nobody = {
		.service = SERVICE_NONE,
		.client = { .quads_be = { 1, 1 } },
		.mask = { .quads_be = { UINT64_MAX, UINT64_MAX } },
		.outcomes = { UINT64_MAX, UINT64_MAX },
	};
	struct core_note notes[LOAD_BURST];
	uint8_t outcomes[LOAD_BURST];

	if (!load->params.captures || !capture_may_want(&nobody, load->segments, n)) {
		core_decide(load->core, load->segments, n, &load->now, &load->actions);
		return;
	}
	core_decide_noted(load->core, load->segments, n, &load->now, &load->actions, notes);
	load->n_wanted += capture_wanted(&nobody, &load->actions, load->segments, outcomes);
}

static inline const uint8_t *
frame_of(const void *item)
{
	const struct load_taken *taken = item;

	return taken->frame;
}

/* By its own name in every build: the guard counts what runs inside. */
__attribute__((noinline, noclone)) uint64_t
load_run(struct load *load)
{
	unsigned int n = load->n;
	uint64_t begin = __rdtsc();

	if (core_is_mixed(load->core))
		families_sort(load->order, n, frame_of);
	for (unsigned int i = 0; i < n; i++) {
		const struct load_taken *taken = load->order[i];

		segment_parse(&load->segments[i], taken->frame, taken->len, taken->len,
		              (enum side)taken->side);
		load->segments[i].checksum_good = load->params.checksum_good;
	}
	core_locate(load->core, load->segments, n, &load->now);
	decide(load, n);
	for (unsigned int i = 0; i < load->actions.n; i++) {
		const struct action *a = &load->actions.list[i];
		if (a->kind == ACTION_DROP)
			continue;
		load->n_out++;
		if (a->kind == ACTION_SEND)
			carry_out(load->out, NULL, a, EMIT_CHECKSUM_SOFTWARE, &load->memo);
		else
			carry_out(((struct load_taken *)load->order[a->seg])->frame,
			          &load->segments[a->seg], a, EMIT_CHECKSUM_SOFTWARE, &load->memo);
	}
	load->actions.n = 0;
	load->n = 0;
	return __rdtsc() - begin;
}

uint64_t
load_run_floor(struct load *load)
{
	unsigned int n = load->n;
	uint64_t begin = __rdtsc();

	for (unsigned int i = 0; i < n; i++) {
		uint8_t *frame = load->frames[i];
		uint64_t a, b;
		uint32_t src, dst;
		memcpy(&a, frame, 8);
		memcpy(&b, frame + 4, 8);
		memcpy(frame, (uint8_t *)&b + 2, 6);
		memcpy(frame + 6, &a, 6);
		memcpy(&src, frame + 26, 4);
		memcpy(&dst, frame + 30, 4);
		memcpy(frame + 26, &dst, 4);
		memcpy(frame + 30, &src, 4);
	}
	load->n_out += n;
	load->n = 0;
	return __rdtsc() - begin;
}

static uint32_t
get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return __builtin_bswap32(v);
}

bool
load_half_open(struct load *load, uint32_t n)
{
	for (uint32_t flow = 0; flow < n; flow++) {
		load_add(load, &(struct load_frame){ .flow = flow,
		                                     .seq = load_client_seq(flow),
		                                     .flags = TCP_SYN,
		                                     .syn_options = true,
		                                     .tsval = 1 });
		if (load->n == LOAD_BURST || flow + 1 == n)
			load_run(load);
	}
	return core_usage(load->core).half_open == n;
}

void
load_known(struct load *load, uint32_t n)
{
	for (uint32_t flow = 0; flow < n; flow++) {
		load_add(load, &(struct load_frame){ .flow = flow,
		                                     .side = SIDE_INSIDE,
		                                     .seq = load_server_seq(flow) + 1,
		                                     .ack = load_client_seq(flow) + 1,
		                                     .flags = TCP_ACK,
		                                     .payload_len = 6 });
		if (load->n == LOAD_BURST || flow + 1 == n)
			load_run(load);
	}
}

void
load_accept(struct load *load, uint32_t first, uint32_t n)
{
	for (uint32_t flow = first; flow < first + n; flow++)
		load_add(load, &(struct load_frame){ .flow = flow,
		                                     .side = SIDE_INSIDE,
		                                     .seq = load_server_seq(flow),
		                                     .ack = load_client_seq(flow) + 1,
		                                     .flags = TCP_SYN | TCP_ACK,
		                                     .syn_options = true,
		                                     .tsval = 1 });
	load_run(load);
}

/* A handshake to the end for one flow at a time, cookie by cookie: one burst of
 * SYNs, one of ACKs, one of the server's SYN-ACKs, and one in which it speaks. */
bool
load_open(struct load *load, uint32_t n)
{
	unsigned int l4 = load->params.is_v4 ? 34 : 54;

	for (uint32_t first = 0; first < n; first += LOAD_BURST) {
		uint32_t count = n - first < LOAD_BURST ? n - first : LOAD_BURST;
		uint32_t iss[LOAD_BURST];
		/* SYNs that have passed, to teach what their server does: it answers them. */
		bool has_passed[LOAD_BURST];

		for (uint32_t i = 0; i < count; i++)
			load_add(load, &(struct load_frame){ .flow = first + i,
			                                     .seq = load_client_seq(first + i),
			                                     .flags = TCP_SYN,
			                                     .syn_options = true,
			                                     .tsval = 1 });
		load_run(load);
		for (uint32_t i = 0; i < count; i++) {
			has_passed[i] = (load->frames[i][l4 + 13] & TCP_ACK) == 0;
			iss[i] = has_passed[i] ? load_server_seq(first + i)
			                       : get32(load->frames[i] + l4 + 4);
		}
		for (uint32_t i = 0; i < count; i++)
			if (has_passed[i])
				load_accept(load, first + i, 1);
		for (uint32_t i = 0; i < count; i++)
			load_add(load, &(struct load_frame){ .flow = first + i,
			                                     .seq = load_client_seq(first + i) + 1,
			                                     .ack = iss[i] + 1,
			                                     .flags = TCP_ACK });
		load_run(load);
		load_accept(load, first, count);
		/* Until a server has said something its segments are watched for it. */
		for (uint32_t i = 0; i < count; i++)
			load_add(load, &(struct load_frame){ .flow = first + i,
			                                     .side = SIDE_INSIDE,
			                                     .seq = load_server_seq(first + i) + 1,
			                                     .ack = load_client_seq(first + i) + 1,
			                                     .flags = TCP_ACK,
			                                     .payload_len = 1 });
		load_run(load);
	}
	return core_usage(load->core).connections >= n;
}
