/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cost of a packet in memory, on one core, by kind: the functions that a
 * worker runs, fed with bursts of 32, without any I/O. Frames are made fresh
 * before each burst, outside the measured time, so they are in the first-level cache as if the
 * NIC had put them there; tables are as large as the row says and hit at random.
 *
 * Ticks are of the time stamp counter. Beside each row stands the floor of the
 * same run: the same bursts with their addresses touched and swapped, nothing else.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <x86intrin.h>

#include "cookie.h"
#include "load.h"

#define REPEATS_MAX 101

struct row {
	const char *name;
	const char *what;
	void (*fill)(struct load *load);
	bool (*prepare)(struct load *load);
	uint8_t mode;
	uint8_t cookies;
	bool uses_entries;
	uint32_t payload_len;
	bool floor;
	uint8_t unproven;
};

struct result {
	double min, median, max;
};

static uint32_t burst_number;

/* ---- what each row sends ---------------------------------------------- */

static void
fill_syn(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++)
		load_add(load, &(struct load_frame){ .flow = load_random(load) & 0x0fffffff,
		                                     .seq = load_random(load),
		                                     .flags = TCP_SYN,
		                                     .syn_options = true,
		                                     .tsval = 1 });
}

static void
fill_syn_bare(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++)
		load_add(load, &(struct load_frame){ .flow = load_random(load) & 0x0fffffff,
		                                     .seq = load_random(load),
		                                     .flags = TCP_SYN });
}

static void
fill_syn_duplicate(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++) {
		uint32_t flow = load_random(load) % load->params.entries;
		load_add(load, &(struct load_frame){ .flow = flow,
		                                     .seq = load_client_seq(flow),
		                                     .flags = TCP_SYN,
		                                     .syn_options = true,
		                                     .tsval = 1 });
	}
}

static void
fill_ack_blind(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++)
		load_add(load,
		         &(struct load_frame){ .flow = 0x10000000u + (load_random(load) & 0xffffff),
		                               .seq = load_random(load),
		                               .ack = load_random(load),
		                               .flags = TCP_ACK });
}

static void
fill_syn_closed(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++)
		load_add(load, &(struct load_frame){ .flow = load_random(load) & 0x0fffffff,
		                                     .seq = load_random(load),
		                                     .flags = TCP_SYN,
		                                     .syn_options = true,
		                                     .port = 81 });
}

static void
fill_client_data(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++) {
		uint32_t flow = load_random(load) % load->params.entries;
		load_add(load,
		         &(struct load_frame){ .flow = flow,
		                               .seq = load_client_seq(flow) + 1,
		                               .ack = load_random(load),
		                               .flags = TCP_ACK,
		                               .payload_len = (uint16_t)load->params.payload_len });
	}
}

static void
fill_server_data(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++) {
		uint32_t flow = load_random(load) % load->params.entries;
		load_add(load,
		         &(struct load_frame){ .flow = flow,
		                               .side = SIDE_INSIDE,
		                               .seq = load_server_seq(flow) + 1,
		                               .ack = load_client_seq(flow) + 1,
		                               .flags = TCP_ACK,
		                               .payload_len = (uint16_t)load->params.payload_len });
	}
}

static void
fill_foreign(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++)
		load_add(load, &(struct load_frame){ .flow = load_random(load) & 0x0fffffff,
		                                     .seq = load_random(load),
		                                     .ack = load_random(load),
		                                     .flags = TCP_ACK,
		                                     .port = 22 });
}

/* Nine SYNs of a flood to one segment of a real connection. */
static void
fill_mix(struct load *load)
{
	for (unsigned int i = 0; i < LOAD_BURST; i++) {
		uint32_t flow = load_random(load) % load->params.entries;
		if (i % 10 != 9)
			load_add(load, &(struct load_frame){ .flow = 0x10000000u +
			                                             (load_random(load) & 0xffffff),
			                                     .seq = load_random(load),
			                                     .flags = TCP_SYN,
			                                     .syn_options = true,
			                                     .tsval = 1 });
		else
			load_add(load, &(struct load_frame){
					       .flow = flow,
					       .seq = load_client_seq(flow) + 1,
					       .ack = load_random(load),
					       .flags = TCP_ACK,
					       .payload_len = (uint16_t)load->params.payload_len });
	}
}

/* The first ACK of a connection: SYNs first, whose cookies it echoes. */
static void
fill_ack_first(struct load *load)
{
	unsigned int l4 = load->params.is_v4 ? 34 : 54;
	uint32_t first = burst_number++ * LOAD_BURST;

	for (unsigned int i = 0; i < LOAD_BURST; i++)
		load_add(load, &(struct load_frame){ .flow = first + i,
		                                     .seq = load_client_seq(first + i),
		                                     .flags = TCP_SYN,
		                                     .syn_options = true,
		                                     .tsval = 1 });
	load_run(load);
	uint32_t iss[LOAD_BURST];
	for (unsigned int i = 0; i < LOAD_BURST; i++) {
		memcpy(&iss[i], load->frames[i] + l4 + 4, 4);
		iss[i] = __builtin_bswap32(iss[i]);
	}
	for (unsigned int i = 0; i < LOAD_BURST; i++)
		load_add(load, &(struct load_frame){ .flow = first + i,
		                                     .seq = load_client_seq(first + i) + 1,
		                                     .ack = iss[i] + 1,
		                                     .flags = TCP_ACK });
}

/* What fill_ack_first() opened is refused by the server, so that no record runs out. */
static void
refuse_all(struct load *load)
{
	uint32_t first = (burst_number - 1) * LOAD_BURST;

	for (unsigned int i = 0; i < LOAD_BURST; i++)
		load_add(load, &(struct load_frame){ .flow = first + i,
		                                     .side = SIDE_INSIDE,
		                                     .seq = load_server_seq(first + i),
		                                     .ack = load_client_seq(first + i) + 1,
		                                     .flags = TCP_SYN | TCP_ACK,
		                                     .syn_options = true,
		                                     .tsval = 1 });
	load_run(load);
}

static bool
prepare_open(struct load *load)
{
	return load_open(load, load->params.entries);
}

static bool
prepare_half_open(struct load *load)
{
	return load_half_open(load, load->params.entries);
}

/* clang-format off: a table */
static const struct row rows[] = {
	{ "floor", "touch and swap addresses", fill_syn, NULL, MODE_PROXY, COOKIES_ALWAYS, false, 0,
	  true },
	{ "syn-cookie", "SYN answered by cookie", fill_syn, NULL, MODE_RESPOND, COOKIES_ALWAYS,
	  false, 0, false },
	{ "syn-cookie-bare", "the same, SYN without options", fill_syn_bare, NULL, MODE_RESPOND,
	  COOKIES_ALWAYS, false, 0, false },
	{ "syn-cookie-proxy", "the same, with a server behind", fill_syn, NULL, MODE_PROXY,
	  COOKIES_ALWAYS, false, 0, false },
	{ "syn-state", "SYN answered with state", fill_syn, NULL, MODE_RESPOND, COOKIES_NEVER,
	  false, 0, false },
	{ "syn-duplicate", "SYN of a half-open entry again", fill_syn_duplicate, prepare_half_open,
	  MODE_RESPOND, COOKIES_NEVER, true, 0, false },
	{ "ack-first", "ACK proves a cookie, becomes SYN to the server", fill_ack_first, NULL,
	  MODE_PROXY, COOKIES_ALWAYS, false, 0, false },
	{ "ack-blind", "ACK that proves nothing, dropped", fill_ack_blind, NULL, MODE_PROXY,
	  COOKIES_ALWAYS, false, 0, false, REFUSE_DROP },
	{ "ack-blind-reset", "the same, answered by RST", fill_ack_blind, NULL, MODE_PROXY,
	  COOKIES_ALWAYS, false, 0, false, REFUSE_RESET },
	{ "syn-closed", "SYN to a closed port, RST", fill_syn_closed, NULL, MODE_PROXY,
	  COOKIES_ALWAYS, false, 0, false },
	{ "client-64", "client to server, 64-byte frames", fill_client_data, prepare_open,
	  MODE_PROXY, COOKIES_ALWAYS, true, 6, false },
	{ "client-1500", "client to server, 1,500-byte packets", fill_client_data, prepare_open,
	  MODE_PROXY, COOKIES_ALWAYS, true, 1446, false },
	{ "server-64", "server to client, 64-byte frames", fill_server_data, prepare_open,
	  MODE_PROXY, COOKIES_ALWAYS, true, 6, false },
	{ "server-1500", "server to client, 1,500-byte packets", fill_server_data, prepare_open,
	  MODE_PROXY, COOKIES_ALWAYS, true, 1446, false },
	{ "foreign", "TCP of no service", fill_foreign, NULL, MODE_PROXY, COOKIES_ALWAYS, false, 0,
	  false },
	{ "mix", "90 % SYN flood, 10 % spliced data", fill_mix, prepare_open, MODE_PROXY,
	  COOKIES_ALWAYS, true, 6, false },
};
/* clang-format on */

/* ---- measuring --------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static bool
measure(const struct row *row, const struct load_params *params, unsigned int repeats,
        unsigned int bursts, struct result *result)
{
	struct load_params p = *params;
	double ticks[REPEATS_MAX];
	bool ack_first = row->fill == fill_ack_first;

	p.payload_len = row->payload_len;
	p.unproven = row->unproven;
	uint32_t connections = row->uses_entries && row->prepare == prepare_open ? p.entries + 1024
	                       : ack_first ? (repeats + 1) * bursts * LOAD_BURST + 1024
	                                   : 1024;
	uint32_t half_open = row->prepare == prepare_half_open ? p.entries
	                     : row->fill == fill_syn && row->cookies == COOKIES_NEVER
	                             ? (repeats + 1) * bursts * LOAD_BURST
	                             : 1024;
	burst_number = 0;
	struct load *load = load_init(&p, row->mode, row->cookies, half_open, connections);
	if (load == NULL)
		return false;
	if (row->prepare != NULL && !row->prepare(load)) {
		fprintf(stderr, "bench: %s: the tables could not be filled\n", row->name);
		load_fini(load);
		return false;
	}
	for (unsigned int r = 0; r < repeats + 1; r++) { /* the first warms up */
		uint64_t sum = 0;
		for (unsigned int b = 0; b < bursts; b++) {
			row->fill(load);
			sum += row->floor ? load_run_floor(load) : load_run(load);
			if (ack_first)
				refuse_all(load);
		}
		if (r > 0)
			ticks[r - 1] = (double)sum / bursts / LOAD_BURST;
	}
	load_fini(load);
	qsort(ticks, repeats, sizeof(ticks[0]), compare);
	*result = (struct result){ ticks[0], ticks[repeats / 2], ticks[repeats - 1] };
	return true;
}

static double
ticks_per_us(void)
{
	struct timespec a, b;
	uint64_t begin, end;

	clock_gettime(CLOCK_MONOTONIC, &a);
	begin = __rdtsc();
	do {
		clock_gettime(CLOCK_MONOTONIC, &b);
	} while ((b.tv_sec - a.tv_sec) * 1000000000ll + (b.tv_nsec - a.tv_nsec) < 50000000ll);
	end = __rdtsc();
	return (double)(end - begin) * 1000 /
	       (double)((b.tv_sec - a.tv_sec) * 1000000000ll + (b.tv_nsec - a.tv_nsec));
}

/* What an engine with these many connections takes, by table. */
static void
print_memory(uint32_t connections)
{
	const struct core_params params = { .connections = connections,
		                            .half_open = 1u << 16,
		                            .backends = 4096,
		                            .paths = 4096,
		                            .sources = 1u << 16,
		                            .held = 4096,
		                            .hold_bytes = 4096 };
	struct core_memory_row table[16];
	unsigned int n = core_memory(&params, table, 16);

	for (unsigned int i = 0; i < n; i++)
		printf("%-12s %10llu entries %12llu bytes\n", table[i].name,
		       (unsigned long long)table[i].entries, (unsigned long long)table[i].size);
}

static void
usage(FILE *out)
{
	fputs("usage: bench_core [--row NAME] [--family 4|6] [--entries N] [--services N]\n"
	      "                  [--variant aesni|vaes256|vaes512] [--checksum-good]\n"
	      "                  [--repeats N] [--bursts N] [--json] [--memory]\n"
	      "rows:\n",
	      out);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		fprintf(out, "  %-16s %s\n", rows[i].name, rows[i].what);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "row", required_argument, NULL, 'r' },
		{ "family", required_argument, NULL, 'f' },
		{ "entries", required_argument, NULL, 'e' },
		{ "services", required_argument, NULL, 's' },
		{ "variant", required_argument, NULL, 'v' },
		{ "checksum-good", no_argument, NULL, 'c' },
		{ "repeats", required_argument, NULL, 'n' },
		{ "bursts", required_argument, NULL, 'b' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "memory", no_argument, NULL, 'm' },
		{ NULL, 0, NULL, 0 },
	};
	struct load_params params = { .entries = 1000, .n_services = 1 };
	unsigned int repeats = 11, bursts = 2000;
	const char *only = NULL, *variant = "auto";
	int family = 0, json = 0, memory = 0, c, n = 0;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			only = optarg;
			break;
		case 'f':
			family = atoi(optarg);
			break;
		case 'e':
			params.entries = (uint32_t)atoi(optarg);
			break;
		case 's':
			params.n_services = (uint32_t)atoi(optarg);
			break;
		case 'v':
			variant = optarg;
			break;
		case 'c':
			params.checksum_good = true;
			break;
		case 'n':
			repeats = (unsigned int)atoi(optarg);
			break;
		case 'b':
			bursts = (unsigned int)atoi(optarg);
			break;
		case 'j':
			json = 1;
			break;
		case 'm':
			memory = 1;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (repeats == 0 || repeats > REPEATS_MAX || bursts == 0 || params.entries == 0 ||
	    params.n_services == 0 || params.n_services > SERVICES_MAX) {
		usage(stderr);
		return 2;
	}
	if (memory) {
		print_memory(params.entries);
		return 0;
	}
	variant = cookie_select(variant);
	if (variant == NULL) {
		fprintf(stderr, "bench: this CPU does not have that variant\n");
		return 2;
	}
	double per_us = ticks_per_us();
	printf(json ? "[\n" : "%u entries, %u services, cookies by %s, %.0f ticks/us\n",
	       params.entries, params.n_services, variant, per_us);
	if (!json)
		printf("%-16s %6s %9s %9s %9s %9s\n", "row", "family", "min", "median", "max",
		       "Mpps");
	for (int f = 4; f <= 6; f += 2) {
		if (family != 0 && family != f)
			continue;
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct result r;
			if (only != NULL && strcmp(only, rows[i].name) != 0)
				continue;
			params.is_v4 = f == 4;
			if (!measure(&rows[i], &params, repeats, bursts, &r))
				return 1;
			if (json)
				printf("%s  {\"row\": \"%s\", \"family\": %d, \"entries\": %u, "
				       "\"services\": %u, "
				       "\"variant\": \"%s\", \"ticks_min\": %.2f, "
				       "\"ticks_median\": %.2f, "
				       "\"ticks_max\": %.2f, \"ticks_per_us\": %.1f}",
				       n++ ? ",\n" : "", rows[i].name, f, params.entries,
				       params.n_services, variant, r.min, r.median, r.max, per_us);
			else
				printf("%-16s %6d %9.1f %9.1f %9.1f %9.2f\n", rows[i].name, f,
				       r.min, r.median, r.max, per_us / r.median);
		}
	}
	if (json)
		printf("\n]\n");
	return 0;
}
