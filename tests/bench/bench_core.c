/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cost of a packet in memory, on one core, by kind: the functions that a
 * worker runs, fed with bursts of 32, without any I/O. Frames are made fresh
 * before each burst, outside the measured time, so they are in the first-level cache as if the
 * NIC had put them there; tables are as large as the row says and hit at random.
 *
 * Ticks are of the time stamp counter: what VPP's `show runtime` and CSIT's reports call clocks,
 * for bursts ("vectors") of 32. Beside each row stands the floor of the
 * same run: the same bursts with their addresses touched and swapped, nothing else.
 * With --counters the processor's own counters stand beside them, where there are any.
 */
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <x86intrin.h>

#include "bench_rows.h"
#include "cookie.h"
#include "pmu.h"

#define REPEATS_MAX 101
#define WORKERS_MAX 16

struct result {
	double min, median, max;
	bool counted;
	double counts[PMU_EVENTS]; /* per packet */
};

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* A core for a row, its tables filled. */
static struct load *
prepare(const struct bench_row *row, const struct load_params *params, unsigned int n_frames)
{
	struct load_params p = *params;
	uint32_t connections = 1024, half_open = 1024;
	bool done = true;

	p.payload_len = row->payload_len;
	p.unproven = row->unproven;
	p.last_keeps = row->last_keeps;
	p.unknown_per_s = row->unknown_per_s;
	if (row->n_services != 0)
		p.n_services = row->n_services;
	if (row->tables == BENCH_OPEN || row->tables == BENCH_OPENS)
		connections += row->tables == BENCH_OPEN ? p.entries : n_frames;
	if (row->tables == BENCH_HALF_OPEN || row->tables == BENCH_HALF_OPENS)
		half_open = row->tables == BENCH_HALF_OPEN ? p.entries : n_frames;
	struct load *load = load_init(&p, row->mode, row->by_state ? COOKIES_NEVER : COOKIES_ALWAYS,
	                              half_open, connections);
	if (load == NULL)
		return NULL;
	if (row->tables == BENCH_OPEN)
		done = load_open(load, p.entries);
	else if (row->tables == BENCH_HALF_OPEN)
		done = load_half_open(load, p.entries);
	else if (row->tables == BENCH_KNOWN)
		load_known(load, p.entries);
	if (done)
		return load;
	fprintf(stderr, "bench: %s: the tables could not be filled\n", row->name);
	load_fini(load);
	return NULL;
}

/* One worker's share of a measurement. */
struct part {
	const struct bench_row *row;
	struct load *load;
	unsigned int repeats, bursts;
	pthread_barrier_t *together; /* at the beginning of each repeat; NULL: alone */
	double *ticks;               /* of `repeats` */
};

static inline uint64_t
run_burst(const struct part *part)
{
	return part->row->is_floor ? load_run_floor(part->load) : load_run(part->load);
}

static void *
measure_part(void *arg)
{
	const struct part *part = arg;
	const struct bench_row *row = part->row;

	for (unsigned int r = 0; r < part->repeats + 1; r++) { /* the first warms up */
		uint64_t sum = 0;
		if (part->together != NULL)
			pthread_barrier_wait(part->together);
		for (unsigned int b = 0; b < part->bursts; b++) {
			row->fill(part->load);
			sum += run_burst(part);
			if (row->after != NULL)
				row->after(part->load);
		}
		if (r > 0)
			part->ticks[r - 1] = (double)sum / part->bursts / LOAD_BURST;
	}
	return NULL;
}

/* What the processor counts per packet, less what it counts of nothing. After the ticks, which it
 * would disturb. */
static void
count_part(const struct part *part, struct result *result)
{
	uint64_t counts[2][PMU_EVENTS];
	struct pmu pmu;

	for (unsigned int of_nothing = 0; of_nothing < 2; of_nothing++) {
		if (!pmu_open(&pmu, pmu_events, PMU_EVENTS))
			return;
		for (unsigned int b = 0; b < part->bursts; b++) {
			part->row->fill(part->load);
			pmu_begin(&pmu);
			if (!of_nothing)
				run_burst(part);
			pmu_end(&pmu);
			if (of_nothing)
				run_burst(part);
			if (part->row->after != NULL)
				part->row->after(part->load);
		}
		result->counted = pmu_read(&pmu, counts[of_nothing]);
		pmu_close(&pmu);
		if (!result->counted)
			return;
	}
	for (unsigned int i = 0; i < PMU_EVENTS; i++)
		result->counts[i] = ((double)counts[0][i] - (double)counts[1][i]) / part->bursts /
		                    LOAD_BURST;
}

/* All workers at once, each on a CPU of its own among those that we may use. */
static bool
measure_together(struct part *parts, unsigned int n)
{
	pthread_barrier_t together;
	pthread_t threads[WORKERS_MAX];
	cpu_set_t allowed, one;
	int cpu = -1;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	if (CPU_COUNT(&allowed) < (int)n) {
		fprintf(stderr, "bench: %u workers, %d CPUs\n", n, CPU_COUNT(&allowed));
		return false;
	}
	pthread_barrier_init(&together, NULL, n);
	for (unsigned int i = 0; i < n; i++) {
		pthread_attr_t attr;

		do
			cpu++;
		while (!CPU_ISSET(cpu, &allowed));
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		parts[i].together = &together;
		pthread_attr_init(&attr);
		pthread_attr_setaffinity_np(&attr, sizeof(one), &one);
		pthread_create(&threads[i], &attr, measure_part, &parts[i]);
		pthread_attr_destroy(&attr);
	}
	for (unsigned int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&together);
	return true;
}

static bool
measure(const struct bench_row *row, const struct load_params *params, unsigned int repeats,
        unsigned int bursts, bool counters, struct result *result)
{
	static double ticks[WORKERS_MAX * REPEATS_MAX];
	struct part parts[WORKERS_MAX];
	struct load_params p = *params;
	unsigned int n = 0;
	bool done = true;

	for (; n < params->n_workers && done; n++) {
		parts[n] = (struct part){
			row,     prepare(row, &p, (repeats + 3) * bursts * LOAD_BURST),
			repeats, bursts,
			NULL,    ticks + n * repeats
		};
		done = parts[n].load != NULL;
		p.beside = parts[0].load;
	}
	*result = (struct result){ 0 };
	if (done && n == 1) {
		measure_part(&parts[0]);
		if (counters)
			count_part(&parts[0], result);
	} else if (done) {
		done = measure_together(parts, n);
	}
	while (n-- > 0)
		if (parts[n].load != NULL)
			load_fini(parts[n].load);
	n = params->n_workers * repeats;
	qsort(ticks, n, sizeof(ticks[0]), compare);
	result->min = ticks[0];
	result->median = ticks[n / 2];
	result->max = ticks[n - 1];
	return done;
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
	      "                  [--workers N] [--repeats N] [--bursts N] [--json] [--memory]\n"
	      "                  [--capture] [--counters]\n"
	      "--counters: what the processor counts per packet, too, if it does; of one worker\n"
	      "--capture: with a capture that wants none of the frames\n"
	      "--workers N: so many cores at once, each with tables of its own, all with one\n"
	      "policy and one set of secrets; ticks are each worker's\n"
	      "rows:\n",
	      out);
	for (size_t i = 0; i < BENCH_ROWS; i++)
		fprintf(out, "  %-16s %s\n", bench_rows[i].name, bench_rows[i].what);
}

struct choice {
	struct load_params params;
	unsigned int repeats, bursts;
	const char *row, *variant;
	int family;
	bool json, memory, counters;
};

/* Status to end with, or -1 to go on. */
static int
choose(int argc, char **argv, struct choice *to)
{
	static const struct option options[] = {
		{ "row", required_argument, NULL, 'r' },
		{ "family", required_argument, NULL, 'f' },
		{ "entries", required_argument, NULL, 'e' },
		{ "services", required_argument, NULL, 's' },
		{ "workers", required_argument, NULL, 'w' },
		{ "variant", required_argument, NULL, 'v' },
		{ "checksum-good", no_argument, NULL, 'c' },
		{ "repeats", required_argument, NULL, 'n' },
		{ "bursts", required_argument, NULL, 'b' },
		{ "capture", no_argument, NULL, 'x' },
		{ "counters", no_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "memory", no_argument, NULL, 'm' },
		{ NULL, 0, NULL, 0 },
	};
	struct load_params *p = &to->params;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		unsigned int number = optarg != NULL ? (unsigned int)atoi(optarg) : 0;

		/* clang-format off: a table */
		switch (c) {
		case 'r':
			to->row = optarg;
			break;
		case 'f':
			to->family = (int)number;
			break;
		case 'e':
			p->entries = number;
			break;
		case 's':
			p->n_services = number;
			break;
		case 'w':
			p->n_workers = number;
			break;
		case 'v':
			to->variant = optarg;
			break;
		case 'c':
			p->checksum_good = true;
			break;
		case 'n':
			to->repeats = number;
			break;
		case 'b':
			to->bursts = number;
			break;
		case 'x':
			p->captures = true;
			break;
		case 'p':
			to->counters = true;
			break;
		case 'j':
			to->json = true;
			break;
		case 'm':
			to->memory = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
		/* clang-format on */
	}
	if (to->repeats == 0 || to->repeats > REPEATS_MAX || to->bursts == 0 || p->entries == 0 ||
	    p->n_services == 0 || p->n_services > SERVICES_MAX || p->n_workers == 0 ||
	    p->n_workers > WORKERS_MAX) {
		usage(stderr);
		return 2;
	}
	return -1;
}

static void
print_head(const struct choice *choice, double per_us)
{
	const struct load_params *p = &choice->params;
	struct pmu pmu;

	printf("%u entries, %u services, %u workers, cookies by %s, %.0f ticks/us, vectors of %u\n"
	       "%-16s %6s %9s %9s %9s %9s",
	       p->entries, p->n_services, p->n_workers, choice->variant, per_us, LOAD_BURST, "row",
	       "family", "min", "median", "max", "Mpps");
	if (choice->counters && pmu_open(&pmu, pmu_events, PMU_EVENTS)) {
		for (unsigned int i = 0; i < PMU_EVENTS; i++)
			printf(" %13s", pmu_events[i].name);
		pmu_close(&pmu);
	} else if (choice->counters) {
		printf(" (this machine has no counters of the processor)");
	}
	printf("\n");
}

static void
print_result(const struct choice *choice, const struct bench_row *row, int family, double per_us,
             const struct result *r, bool first)
{
	const struct load_params *p = &choice->params;

	if (!choice->json) {
		printf("%-16s %6d %9.1f %9.1f %9.1f %9.2f", row->name, family, r->min, r->median,
		       r->max, per_us / r->median);
		for (unsigned int i = 0; i < PMU_EVENTS && r->counted; i++)
			printf(" %13.2f", r->counts[i]);
		printf("\n");
		return;
	}
	printf("%s  {\"row\": \"%s\", \"family\": %d, \"entries\": %u, \"services\": %u, "
	       "\"workers\": %u, \"variant\": \"%s\", \"ticks_min\": %.2f, "
	       "\"ticks_median\": %.2f, \"ticks_max\": %.2f, \"ticks_per_us\": %.1f",
	       first ? "" : ",\n", row->name, family, p->entries, p->n_services, p->n_workers,
	       choice->variant, r->min, r->median, r->max, per_us);
	for (unsigned int i = 0; i < PMU_EVENTS && r->counted; i++)
		printf("%s\"%s\": %.2f", i == 0 ? ", \"counters\": {" : ", ", pmu_events[i].name,
		       r->counts[i]);
	printf(r->counted ? "}}" : "}");
}

int
main(int argc, char **argv)
{
	struct choice choice = { .params = { .entries = 1000, .n_services = 1, .n_workers = 1 },
		                 .repeats = 11,
		                 .bursts = 2000,
		                 .variant = "auto" };
	struct load_params *p = &choice.params;
	int status = choose(argc, argv, &choice);
	bool first = true;

	if (status >= 0)
		return status;
	if (choice.memory) {
		print_memory(p->entries);
		return 0;
	}
	choice.variant = cookie_select(choice.variant, NULL);
	if (choice.variant == NULL) {
		fprintf(stderr, "bench: this CPU does not have that variant\n");
		return 2;
	}
	double per_us = ticks_per_us();
	if (choice.json)
		printf("[\n");
	else
		print_head(&choice, per_us);
	for (int family = 4; family <= 6; family += 2)
		for (size_t i = 0; i < BENCH_ROWS; i++) {
			struct result r;

			if ((choice.family != 0 && choice.family != family) ||
			    (choice.row != NULL && strcmp(choice.row, bench_rows[i].name) != 0))
				continue;
			p->is_v4 = family == 4;
			if (!measure(&bench_rows[i], p, choice.repeats, choice.bursts,
			             choice.counters, &r))
				return 1;
			print_result(&choice, &bench_rows[i], family, per_us, &r, first);
			first = false;
		}
	if (choice.json)
		printf("\n]\n");
	return 0;
}
