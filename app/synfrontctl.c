/* SPDX-License-Identifier: BSD-3-Clause */
/* The operator's view of a running engine. */
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "cpu_guard.h"
#include "ctl_command.h"
#include "ctl_json.h"
#include "ctl_socket.h"
#include "ctl_table.h"

#define COMMAND_ROOT "/synfront/"

const int cpu_guard_status = EXIT_ENGINE;

enum layout {
	LAYOUT_LIST,
	LAYOUT_OBJECT,
	LAYOUT_COUNTERS
};

static const struct ctl_column service_columns[] = {
	{ "name", "SERVICE" },
	{ "mode", "MODE" },
	{ "cookie_mode", "COOKIES" },
	{ "half_open", "HALF-OPEN" },
	{ "high", "HIGH", true },
	{ "low", "LOW", true },
	{ "connections", "CONNS" },
	{ "syn", "SYN" },
	{ "syn_ack", "SYN-ACK" },
	{ "opened", "OPENED" },
	{ "refused", "REFUSED" },
	{ "observe", "OBSERVE", false, "observe" },
	{ "would_syn_ack", "WOULD-SYN-ACK", false, "observe" },
	{ "would_opened", "WOULD-OPENED", false, "observe" },
	{ "would_refused", "WOULD-REFUSED", false, "observe" },
};
static const struct ctl_column connection_columns[] = {
	{ "client", "CLIENT" },   { "server", "SERVER" },       { "state", "STATE" },
	{ "service", "SERVICE" }, { "expires_s", "EXPIRES/s" }, { "worker", "WORKER" },
};
static const struct ctl_column port_columns[] = {
	{ "side", "PORT" },
	{ "driver", "DRIVER" },
	{ "mac", "MAC" },
	{ "link", "LINK" },
	{ "link_downs", "DOWNS" },
	{ "rx_queues", "RXQ" },
	{ "tx_queues", "TXQ" },
	{ "syn_queues", "SYNQ" },
	{ "rss", "RSS" },
	{ "rx_interrupts", "RX-INT" },
	{ "received", "RECEIVED" },
	{ "received_syn", "BY-SYNQ", false, "received_syn" },
	{ "sent", "SENT" },
	{ "tx_full", "TX-FULL" },
	{ "port_missed", "MISSED" },
	{ "port_no_buffer", "NO-BUFFER" },
	{ "port_rx_errors", "RX-ERR" },
	{ "port_tx_errors", "TX-ERR" },
	{ "device", "DEVICE" },
	{ "syn_queues_why_not", "NO-SYNQ" },
};
static const struct ctl_column worker_columns[] = {
	{ "worker", "WORKER" },           { "cpu_ns", "CPU/ns" },    { "received", "RECEIVED" },
	{ "handed_over", "HANDED-OVER" }, { "taken_over", "TAKEN" }, { "loops", "ROUNDS" },
	{ "empty_loops", "EMPTY" },       { "sleeps", "RESTS" },
};
static const struct ctl_column memory_columns[] = {
	{ "table", "TABLE" },
	{ "entries", "ENTRIES" },
	{ "used", "USED" },
	{ "size", "BYTES" },
};

static const struct ctl_column event_columns[] = {
	{ "number", "NUMBER" }, { "time", "TIME" },  { "event", "EVENT" },
	{ "state", "STATE" },   { "subject", "OF" }, { "text", "TEXT" },
};

#define COLUMNS(c) c, sizeof(c) / sizeof((c)[0])

static const struct command {
	const char *name, *help;
	enum layout layout;
	const struct ctl_column *columns;
	unsigned int n_columns;
	/* More than a question and its answer; `failed` where there is something to say without
	 * an engine, too; `argument` must be given, `word` may be. */
	int (*run)(struct ctl_socket *s, const struct ctl_request *request);
	int (*failed)(const char *why, const struct ctl_request *request);
	int (*alone)(const struct ctl_request *request); /* connects by itself */
	const char *argument, *word;
	bool takes_words; /* ... and options of its own */
	/* It has options and arguments of its own. */
	int (*options)(int argc, char **argv, struct ctl_request *request);
} commands[] = {
	{ "stats", "all counters [of worker N]", LAYOUT_COUNTERS, NULL, 0 },
	{ "drops", "frames dropped, by reason", LAYOUT_COUNTERS, NULL, 0 },
	{ "services", "services and what they are doing", LAYOUT_LIST, COLUMNS(service_columns) },
	{ "connections", "the connection tables", LAYOUT_LIST, COLUMNS(connection_columns) },
	{ "ports", "ports and their figures", LAYOUT_LIST, COLUMNS(port_columns) },
	{ "workers", "what each worker did", LAYOUT_LIST, COLUMNS(worker_columns) },
	{ "memory", "tables and buffers, sizes and use", LAYOUT_LIST, COLUMNS(memory_columns) },
	{ "drain", "make no new splices [on, the default; off; status]", LAYOUT_OBJECT, NULL, 0 },
	{ "info", "what runs", LAYOUT_OBJECT, NULL, 0 },
	{ "events", "what began and what ended, lately", LAYOUT_LIST, COLUMNS(event_columns) },
	{ "health", "ready, degraded and why, or failed; see the exit status", .run = ctl_health,
	  .failed = ctl_health_failed },
	{ "reload", "read the configuration again, until it is in force everywhere [status]",
	  .run = ctl_reload, .word = "status" },
	{ "check", "what a reload of FILE would change", .run = ctl_check, .argument = " FILE" },
	{ "deny", "the live deny list: add or del a prefix, load a file, list", .run = ctl_lists,
	  .takes_words = true },
	{ "allow", "the live allow list, which goes before: the same words", .run = ctl_lists,
	  .takes_words = true },
	{ "talkers", "the heaviest sources by service and outcome", .run = ctl_talkers,
	  .takes_words = true },
	{ "top", "all of it live, on a full screen; tables where there is no terminal",
	  .alone = ctl_top },
	{ "metrics", "all figures for Prometheus [openmetrics: in that dialect]",
	  .run = ctl_metrics, .word = "openmetrics" },
	{ "scrape", "the same as the answer to an HTTP request on standard input",
	  .run = ctl_scrape, .failed = ctl_scrape_failed },
	{ "capture", "frames with what became of them and why, as a pcapng file",
	  .run = ctl_capture, .options = ctl_capture_options },
	{ "explain", "what CLIENT[:PORT] has of a service, and what its next SYN and ACK would get",
	  .run = ctl_explain, .argument = " CLIENT SERVICE", .options = ctl_explain_options },
};

struct options {
	const char *instance;
	const struct command *command;
	const char *parameter;
	struct ctl_request request; /* of a command that is more than a question */
	double watch_s;             /* 0: once */
	bool json, all;
};

static void
usage(FILE *out)
{
	fputs("usage: synfrontctl [--instance NAME] [--json] [--all] [--watch SECONDS]\n"
	      "                   [--service NAME] [--for DURATION] [--why TEXT] COMMAND\n"
	      "       synfrontctl capture [--service NAME] [--client PREFIX] [--outcome NAME]\n"
	      "                   [--count N] [--seconds N] --write FILE\n\n",
	      out);
	for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const char *argument = commands[i].argument != NULL ? commands[i].argument : "";
		int width = 24 - (int)strlen(commands[i].name);
		fprintf(out, "  %s%-*s %s\n", commands[i].name, width, argument, commands[i].help);
	}
	fputs("\n  --client PREFIX     capture: of clients of this address or net\n"
	      "  --outcome NAME      capture: what ended so: pass, answer, taken, drop, or a "
	      "counter of\n"
	      "                      frames; again for more than one\n"
	      "  --count N           capture: end after so many\n"
	      "  --seconds N         capture: end after so long\n"
	      "  -w, --write FILE    capture: where to; - is standard output, for a pipe\n",
	      out);
	fputs("\n  --instance NAME   as in the configuration (default: synfront)\n"
	      "  --json            JSON, one document\n"
	      "  --all             counters at zero too\n"
	      "  --watch SECONDS   again and again, counters with their rate\n"
	      "  --service NAME    of deny, allow, talkers, capture: of this service alone\n"
	      "  --for DURATION    of deny, allow: until it ends by itself, such as 30s, 10m, 2h, "
	      "7d\n"
	      "  --why TEXT        of deny, allow: a reason, for who lists them\n"
	      "  --version, --help\n"
	      "\nexit status: 0 done, 1 the engine does not answer or has failed, or the CPU "
	      "lacks\n"
	      "something, 2 usage, 3 the file, the change or the capture is refused,\n4 the engine "
	      "is degraded, 5 the capture cannot be written\n",
	      out);
}

/* Why nothing was answered about worker `number`, if that is because there is none. */
static void
explain_worker(struct ctl_socket *s, const char *number)
{
	json_t *info = ctl_ask(s, COMMAND_ROOT "info", "");
	json_int_t n_workers = json_integer_value(json_object_get(info, "workers"));

	if (n_workers > 0 && strtoll(number, NULL, 10) >= n_workers)
		snprintf(s->error, sizeof(s->error),
		         "there is no worker %.20s; the last one is %" JSON_INTEGER_FORMAT, number,
		         n_workers - 1);
	json_decref(info);
}

static json_t *
ask(struct ctl_socket *s, const struct options *o)
{
	char path[64];

	snprintf(path, sizeof(path), COMMAND_ROOT "%s", o->command->name);
	if (o->command->layout == LAYOUT_LIST)
		return ctl_ask_all(s, path);
	json_t *answer = ctl_ask(s, path, o->parameter);
	if (answer == NULL && o->command->layout == LAYOUT_COUNTERS && *o->parameter != '\0')
		explain_worker(s, o->parameter);
	return answer;
}

static void
print(const struct options *o, json_t *answer, const json_t *before, double seconds)
{
	if (o->json) {
		ctl_print_json(json_incref(answer));
		return;
	}
	switch (o->command->layout) {
	case LAYOUT_LIST:
		ctl_print_list(stdout, answer, o->command->columns, o->command->n_columns);
		break;
	case LAYOUT_OBJECT:
		ctl_print_object(stdout, answer);
		break;
	case LAYOUT_COUNTERS:
		ctl_print_counters(stdout, answer, before, seconds, o->all);
		break;
	}
}

static int
run_command(const struct options *o)
{
	struct ctl_request request = o->request;
	struct ctl_socket s;

	request.parameter = o->parameter;
	request.json |= o->json;
	request.command = o->command->name;
	if (ctl_open(&s, request.instance != NULL ? request.instance : o->instance) != 0) {
		if (o->command->failed != NULL)
			return o->command->failed(s.error, &request);
		fprintf(stderr, "synfrontctl: %s\n", s.error);
		return EXIT_ENGINE;
	}
	int rc = o->command->run(&s, &request);
	if (rc == EXIT_ENGINE && s.error[0] != '\0')
		fprintf(stderr, "synfrontctl: %s\n", s.error);
	ctl_close(&s);
	return rc;
}

static int
run(const struct options *o)
{
	struct ctl_socket s;
	json_t *before = NULL;
	double before_s = 0;

	if (o->command->alone != NULL) {
		struct ctl_request request = { .instance = o->instance, .watch_s = o->watch_s };
		return o->command->alone(&request);
	}
	if (o->command->run != NULL)
		return run_command(o);
	if (ctl_open(&s, o->instance) != 0) {
		fprintf(stderr, "synfrontctl: %s\n", s.error);
		return EXIT_ENGINE;
	}
	for (;;) {
		json_t *answer = ask(&s, o);
		double now_s = clock_s(CLOCK_MONOTONIC);
		if (answer == NULL) {
			fprintf(stderr, "synfrontctl: %s\n", s.error);
			break;
		}
		if (o->watch_s > 0 && !o->json && isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		print(o, answer, before, now_s - before_s);
		fflush(stdout);
		json_decref(before);
		before = answer;
		before_s = now_s;
		if (o->watch_s <= 0) {
			json_decref(before);
			ctl_close(&s);
			return EXIT_OK;
		}
		struct timespec pause = { .tv_sec = (time_t)o->watch_s };
		pause.tv_nsec = (long)((o->watch_s - (double)pause.tv_sec) * 1e9);
		nanosleep(&pause, NULL);
	}
	json_decref(before);
	ctl_close(&s);
	return EXIT_ENGINE;
}

/* The engine only tells on an empty parameter, and only acts on a word. */
static int
choose_parameter(struct options *o, const char *given)
{
	bool takes_number = strcmp(o->command->name, "stats") == 0;

	o->parameter = given != NULL ? given : "";
	if (strcmp(o->command->name, "drain") == 0) {
		if (given == NULL)
			o->parameter = "on";
		else if (strcmp(given, "status") == 0)
			o->parameter = "";
		else if (strcmp(given, "on") != 0 && strcmp(given, "off") != 0)
			return -1;
		return 0;
	}
	if (o->command->word != NULL)
		return given == NULL || strcmp(given, o->command->word) == 0 ? 0 : -1;
	if (o->command->argument != NULL)
		return given != NULL ? 0 : -1;
	if (given == NULL)
		return 0;
	return takes_number && strspn(given, "0123456789") == strlen(given) ? 0 : -1;
}

static const struct command *
command_of(const char *name)
{
	for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* `order`: "+" ends at the first word that is no option. */
static int
read_options(int argc, char **argv, const char *order, struct options *o)
{
	static const struct option known[] = {
		{ "instance", required_argument, NULL, 'i' },
		{ "json", no_argument, NULL, 'j' },
		{ "all", no_argument, NULL, 'a' },
		{ "watch", required_argument, NULL, 'w' },
		{ "service", required_argument, NULL, 's' },
		{ "for", required_argument, NULL, 'f' },
		{ "why", required_argument, NULL, 'y' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	char *end, letters[16];
	int which;

	snprintf(letters, sizeof(letters), "%si:jaw:h", order);
	optind = 0; /* from the first one on, as glibc takes it */
	while ((which = getopt_long(argc, argv, letters, known, NULL)) != -1) {
		switch (which) {
		case 'i':
			o->instance = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		case 'a':
			o->all = true;
			break;
		case 'w':
			o->watch_s = strtod(optarg, &end);
			if (*end != '\0' || !(o->watch_s >= 0.1 && o->watch_s < 1e6))
				return -1;
			break;
		case 's':
			o->request.service = optarg;
			break;
		case 'f':
			o->request.for_how_long = optarg;
			break;
		case 'y':
			o->request.why = optarg;
			break;
		case 'v':
			puts("synfrontctl " SYNFRONT_VERSION);
			exit(EXIT_OK);
		case 'h':
			usage(stdout);
			exit(EXIT_OK);
		default:
			return -1;
		}
	}
	return 0;
}

/* An option was given that only commands with words have. */
static bool
is_of_lists(const struct ctl_request *given)
{
	return given->service != NULL || given->for_how_long != NULL || given->why != NULL;
}

static int
parse_options(int argc, char **argv, struct options *o)
{
	const struct ctl_request *given = &o->request;

	if (read_options(argc, argv, "+", o) != 0 || optind == argc)
		return -1;
	o->command = command_of(argv[optind]);
	if (o->command != NULL && o->command->options != NULL) {
		o->parameter = "";
		if (o->watch_s > 0 || is_of_lists(given))
			return -1;
		return o->command->options(argc - optind, argv + optind, &o->request);
	}
	if (read_options(argc, argv, "", o) != 0 || optind == argc)
		return -1;
	if (o->command == NULL || (o->command->run != NULL && o->watch_s > 0) ||
	    (o->command->alone != NULL && o->json))
		return -1;
	o->request.words = argv + optind + 1;
	o->request.n_words = (unsigned int)(argc - optind - 1);
	if (o->command->takes_words)
		return choose_parameter(o, NULL);
	if (given->n_words > 1 || is_of_lists(given))
		return -1;
	return choose_parameter(o, argv[optind + 1]);
}

int
main(int argc, char **argv)
{
	struct options options = { .instance = "synfront" };

	if (parse_options(argc, argv, &options) != 0) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return run(&options);
}
