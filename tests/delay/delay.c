/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A long line between two network interfaces; see usage() below.
 *
 * One thread reads both interfaces, gives each frame its due time, which counts from its
 * arrival in the kernel, and sleeps until the next frame is due or arrives.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "line.h"
#include "pool.h"
#include "port.h"
#include "settings.h"

#define NS_PER_S 1000000000ull
#define DEFAULT_MEMORY_MB 512ul
#define MOST_MEMORY_MB 65536ul
#define READ_AT_ONCE 256u
/* An arrival that the clocks put further back than this is one of a clock that was set. */
#define MOST_LATE_NS 100000000ll
/* A wake-up can cost more than a frame. Where every frame is held for long, frames may wait
 * in the ring for MOST_NAP_NS, and what is due comes out together with what is due up to
 * LEAST_NAP_NS before it. */
#define MOST_NAP_NS 400000ull
#define LEAST_NAP_NS 80000ull

enum {
	STATUS_OK,
	STATUS_FAILED,
	STATUS_USAGE
};

struct way {
	const char *name;
	struct line line;
	struct port *from, *to;
	uint64_t n_no_room; /* frames that the pool had no memory for */
};

static volatile sig_atomic_t stop, tell;

static void
usage(FILE *to)
{
	fputs("usage: delay [--seed N] [--there SETTINGS] [--back SETTINGS] [--memory MB]\n"
	      "             [--realtime] A B\n"
	      "\n"
	      "A long line between the interfaces A and B: every Ethernet frame that arrives at\n"
	      "one leaves by the other, later. --there is for frames from A to B, --back for\n"
	      "those from B to A; without settings a way is a plain wire. SETTINGS, by commas:\n"
	      "\n"
	      "  delay=50ms          each frame takes so long\n"
	      "  jitter=2ms          give or take up to so much, uniform; keeps the order\n"
	      "  loss=1%             share of frames that get lost\n"
	      "  dup=2%              share of frames that come twice\n"
	      "  reorder=5%:10ms     share of frames held up to so much longer, uniform;\n"
	      "                      others overtake those meanwhile\n"
	      "  rate=200mbit        bits of frames (with Ethernet header) per second\n"
	      "  queue=256k          what may wait for the rate, in bytes or as a time\n"
	      "                      (queue=20ms); what finds no room is dropped; else 100ms\n"
	      "\n"
	      "  --seed N            of the random numbers (1); what happens to the n-th frame of\n"
	      "                      a way depends on settings and seed alone\n"
	      "  --memory MB         most that frames on their way may take (512)\n"
	      "  --realtime          have a CPU as soon as a frame is due (SCHED_FIFO)\n"
	      "\n"
	      "\"ready\" is printed once frames are taken. SIGUSR1 prints counters as a line of\n"
	      "JSON, SIGTERM and SIGINT print them and end. Switch tso, gso, gro and tx off at\n"
	      "both interfaces and their peers: frames longer than the MTU are dropped "
	      "(too_long),\n"
	      "and checksums that are left to hardware (unsummed) are not made good.\n",
	      to);
}

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void
on_signal(int number)
{
	if (number == SIGUSR1)
		tell = 1;
	else
		stop = 1;
}

static void
print_way(struct way *way, const char *after)
{
	const struct line_counts *counts = &way->line.counts;

	port_count(way->from);
	printf("\"%s\": {\"received\": %llu, \"sent\": %llu, \"lost\": %llu, \"duplicated\": %llu, "
	       "\"held\": %llu, \"reordered\": %llu, \"queue_dropped\": %llu, "
	       "\"socket_dropped\": %llu, \"too_long\": %llu, \"unsummed\": %llu, "
	       "\"no_room\": %llu, \"unsent\": %llu}%s",
	       way->name, (unsigned long long)counts->received, (unsigned long long)counts->sent,
	       (unsigned long long)counts->lost, (unsigned long long)counts->duplicated,
	       (unsigned long long)counts->held, (unsigned long long)counts->reordered,
	       (unsigned long long)counts->queue_dropped,
	       (unsigned long long)way->from->n_socket_dropped,
	       (unsigned long long)way->from->n_too_long, (unsigned long long)way->from->n_unsummed,
	       (unsigned long long)way->n_no_room, (unsigned long long)way->to->n_unsent, after);
}

static void
print_counts(struct way ways[2])
{
	printf("{");
	print_way(&ways[0], ", ");
	print_way(&ways[1], "}\n");
	fflush(stdout);
}

/* Take what has arrived; how many frames. */
static unsigned int
take_in(struct way *way, struct pool *pool)
{
	uint64_t real_ns = clock_ns(CLOCK_REALTIME), now_ns = clock_ns(CLOCK_MONOTONIC);
	struct port_frame arrived;
	unsigned int n = 0;

	for (; n < READ_AT_ONCE && port_next(way->from, &arrived); n++) {
		/* Frames go on arriving while others are taken: those are a little ahead of now. */
		int64_t late_ns = (int64_t)(real_ns - arrived.arrived_ns);
		struct line_copy copies[LINE_COPIES];
		unsigned int n_copies;

		if (late_ns > MOST_LATE_NS || late_ns < -MOST_LATE_NS)
			late_ns = 0;
		n_copies = line_plan(&way->line, arrived.length, now_ns - (uint64_t)late_ns,
		                     copies);
		for (unsigned int i = 0; i < n_copies; i++) {
			struct frame *frame = pool_get(pool, arrived.length);

			if (!frame) {
				way->n_no_room++;
				continue;
			}
			port_copy(&arrived, frame->bytes);
			if (!line_put(&way->line, frame, &copies[i])) {
				way->n_no_room++;
				pool_put(pool, frame);
			}
		}
		port_done(way->from);
	}
	return n;
}

/* Send what is due. */
static void
let_out(struct way *way, struct pool *pool)
{
	struct frame *frames[PORT_BATCH];
	unsigned int n;

	do {
		uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

		for (n = 0; n < PORT_BATCH; n++) {
			frames[n] = line_take(&way->line, now_ns);
			if (!frames[n])
				break;
		}
		port_send(way->to, frames, n);
		for (unsigned int i = 0; i < n; i++)
			pool_put(pool, frames[i]);
	} while (n == PORT_BATCH);
}

/* How long arrivals may stay in the ring: they are due much later. */
static uint64_t
nap_of(const struct way ways[2])
{
	uint64_t nap_ns = MOST_NAP_NS;

	for (unsigned int i = 0; i < 2; i++) {
		const struct line_settings *settings = &ways[i].line.settings;
		uint64_t quarter_ns = (settings->delay_ns - settings->jitter_ns) / 4;

		nap_ns = quarter_ns < nap_ns ? quarter_ns : nap_ns;
	}
	return nap_ns < LEAST_NAP_NS ? 0 : nap_ns;
}

static void
rest(const struct way ways[2], unsigned int n_read, uint64_t nap_ns, const sigset_t *mask)
{
	struct pollfd fds[2] = { { .fd = ways[0].from->fd, .events = POLLIN },
		                 { .fd = ways[1].from->fd, .events = POLLIN } };
	uint64_t due_ns = line_due(&ways[0].line), back_ns = line_due(&ways[1].line), wait_ns;
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	struct timespec wait;
	bool nap;

	due_ns = back_ns < due_ns ? back_ns : due_ns;
	wait_ns = due_ns > now_ns ? due_ns - now_ns : 0;
	nap = nap_ns && (n_read || wait_ns < LEAST_NAP_NS);
	if (nap && wait_ns > nap_ns)
		wait_ns = nap_ns;
	if (nap && wait_ns < LEAST_NAP_NS)
		wait_ns = LEAST_NAP_NS;
	wait = (struct timespec){ .tv_sec = (time_t)(wait_ns / NS_PER_S),
		                  .tv_nsec = (long)(wait_ns % NS_PER_S) };
	ppoll(fds, nap ? 0 : 2, due_ns == UINT64_MAX && !nap ? NULL : &wait, mask);
}

static void
run(struct way ways[2], struct pool *pool, const sigset_t *mask)
{
	uint64_t nap_ns = nap_of(ways);

	while (!stop) {
		unsigned int n_read = 0;

		for (unsigned int i = 0; i < 2; i++) {
			n_read += take_in(&ways[i], pool);
			let_out(&ways[i], pool);
		}
		if (tell) {
			tell = 0;
			print_counts(ways);
		}
		if (n_read < READ_AT_ONCE)
			rest(ways, n_read, nap_ns, mask);
	}
	print_counts(ways);
}

/* Signals come only while it waits; the mask to wait with. */
static void
set_signals(sigset_t *mask)
{
	struct sigaction action = { .sa_handler = on_signal };
	static const int numbers[] = { SIGUSR1, SIGTERM, SIGINT };
	sigset_t ours;

	sigemptyset(&ours);
	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaddset(&ours, numbers[i]);
		sigaction(numbers[i], &action, NULL);
	}
	sigprocmask(SIG_BLOCK, &ours, mask);
	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigdelset(mask, numbers[i]);
}

struct options {
	struct line_settings settings[2];
	const char *names[2];
	unsigned long seed, memory_mb;
	bool realtime;
};

static bool
read_count(const char *name, const char *text, unsigned long most, unsigned long *value)
{
	char *end;

	errno = 0;
	*value = strtoul(text, &end, 10);
	if (!errno && end != text && !*end && text[0] != '-' && *value <= most)
		return true;
	fprintf(stderr, "delay: --%s: found %s; expected a number up to %lu\n", name, text, most);
	return false;
}

/* STATUS_OK to go on, or the status to end with. -1: asked for help. */
static int
read_options(struct options *options, int argc, char **argv)
{
	static const struct option known[] = { { "there", required_argument, NULL, 't' },
		                               { "back", required_argument, NULL, 'b' },
		                               { "seed", required_argument, NULL, 's' },
		                               { "memory", required_argument, NULL, 'm' },
		                               { "realtime", no_argument, NULL, 'r' },
		                               { "help", no_argument, NULL, 'h' },
		                               { NULL, 0, NULL, 0 } };
	char error[SETTINGS_ERROR_SIZE];
	int found;

	*options = (struct options){ .seed = 1, .memory_mb = DEFAULT_MEMORY_MB };
	while ((found = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		bool good = true;

		switch (found) {
		case 't':
		case 'b':
			good = settings_parse(&options->settings[found == 'b'], optarg, error);
			if (!good)
				fprintf(stderr, "delay: --%s: %s\n",
				        found == 'b' ? "back" : "there", error);
			break;
		case 's':
			good = read_count("seed", optarg, UINT32_MAX, &options->seed);
			break;
		case 'm':
			good = read_count("memory", optarg, MOST_MEMORY_MB, &options->memory_mb);
			break;
		case 'r':
			options->realtime = true;
			break;
		case 'h':
			usage(stdout);
			return -1;
		default:
			good = false;
		}
		if (!good)
			return STATUS_USAGE;
	}
	if (argc - optind != 2 || !strcmp(argv[optind], argv[optind + 1])) {
		fputs("delay: expected two interfaces; --help says more\n", stderr);
		return STATUS_USAGE;
	}
	options->names[0] = argv[optind];
	options->names[1] = argv[optind + 1];
	return STATUS_OK;
}

int
main(int argc, char **argv)
{
	static const char *const names[2] = { "there", "back" };
	struct port ports[2] = { { .fd = -1 }, { .fd = -1 } };
	char error[PORT_ERROR_SIZE];
	struct way ways[2];
	struct options options;
	struct pool pool;
	sigset_t mask;
	int status = read_options(&options, argc, argv);

	if (status)
		return status < 0 ? STATUS_OK : status;
	pool = (struct pool){ .most = options.memory_mb << 20 };
	for (unsigned int i = 0; i < 2; i++) {
		if (!port_open(&ports[i], options.names[i], error)) {
			fprintf(stderr, "delay: %s\n", error);
			return STATUS_FAILED;
		}
		ways[i] = (struct way){ .name = names[i], .from = &ports[i], .to = &ports[1 - i] };
		/* Neighbouring seeds share no numbers: the second way's is far from all. */
		line_init(&ways[i].line, &options.settings[i], options.seed + ((uint64_t)i << 63));
	}
	if (options.realtime &&
	    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 })) {
		fprintf(stderr, "delay: --realtime: %s\n", strerror(errno));
		return STATUS_FAILED;
	}
	/* The kernel may be 50 us late with a wake-up otherwise. */
	prctl(PR_SET_TIMERSLACK, 1ul);
	set_signals(&mask);
	puts("ready");
	fflush(stdout);
	run(ways, &pool, &mask);
	for (unsigned int i = 0; i < 2; i++) {
		struct frame *frame;

		while ((frame = line_take(&ways[i].line, UINT64_MAX - 1)))
			pool_put(&pool, frame);
		line_fini(&ways[i].line);
		port_close(&ports[i]);
	}
	pool_fini(&pool);
	return STATUS_OK;
}
