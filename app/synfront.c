/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon: reads what it is to do, starts the plane, and ends it well. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "check.h"
#include "clock.h"
#include "control.h"
#include "cpu_guard.h"
#include "group_secret.h"
#include "lists.h"
#include "lists_keeper.h"
#include "lists_load.h"
#include "log.h"
#include "privilege.h"
#include "telemetry.h"

/* Exit codes. */
enum {
	EXIT_OK = 0,
	EXIT_CONFIG = 1, /* the configuration cannot be used */
	EXIT_USAGE = 2,
	EXIT_START = 3,   /* ports, memory, EAL or the CPU refused */
	EXIT_ACCOUNT = 4, /* ran and ended, but its account does not add up */
	EXIT_PORT = 5,    /* a port was lost for good */
};

const int cpu_guard_status = EXIT_START;

struct options {
	const char *config;
	const char *user; /* NULL: as configured */
	int log_level;    /* -1: as configured */
	bool check;
	const char *group, *output; /* a group's secret is to be written there */
};

static void
usage(FILE *out)
{
	fputs("usage: synfront --config FILE [--check] [--user NAME] [--log-level LEVEL]\n"
	      "                [-- EAL ARGUMENTS]\n"
	      "       synfront --config FILE --group-secret GROUP --output FILE\n"
	      "\n"
	      "Answers SYNs before they reach a server, and connects only proven clients.\n"
	      "  --config FILE      YAML; see synfront.yaml(5)\n"
	      "  --check            say what the configuration would do, and end\n"
	      "  --group-secret GROUP --output FILE\n"
	      "                     write the secret of a group of mode handoff, for its servers,\n"
	      "                     to a new file, and end\n"
	      "  --user NAME        whom to become when the ports are up; beats the file\n"
	      "  --log-level LEVEL  error, warning, notice, info or debug; beats the file\n"
	      "  --version, --help\n"
	      "\n"
	      "SIGTERM and SIGINT drain, reset what is left and end; a second one ends at once.\n"
	      "SIGHUP reads the configuration again, all of it or nothing.\n"
	      "\n"
	      "exit status: 0 done, 1 unusable configuration, 2 usage, 3 ports, memory, EAL or\n"
	      "the CPU refuse, 4 the final account does not add up, 5 a port was lost for good\n",
	      out);
}

/* 0, or -1; may end the process for --help and --version. */
static int
parse_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'k' },
		{ "group-secret", required_argument, NULL, 'g' },
		{ "output", required_argument, NULL, 'o' },
		{ "user", required_argument, NULL, 'u' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int which;

	while ((which = getopt_long(argc, argv, "+c:h", known, NULL)) != -1) {
		switch (which) {
		case 'c':
			o->config = optarg;
			break;
		case 'k':
			o->check = true;
			break;
		case 'g':
			o->group = optarg;
			break;
		case 'o':
			o->output = optarg;
			break;
		case 'u':
			o->user = optarg;
			break;
		case 'l':
			o->log_level = conf_log_level_of(optarg);
			if (o->log_level < 0)
				return -1;
			break;
		case 'v':
			puts("synfront " SYNFRONT_VERSION);
			exit(EXIT_OK);
		case 'h':
			usage(stdout);
			exit(EXIT_OK);
		default:
			return -1;
		}
	}
	if ((o->group != NULL) != (o->output != NULL))
		return -1;
	bool has_rest = optind < argc;
	return o->config != NULL && (!has_rest || strcmp(argv[optind - 1], "--") == 0) ? 0 : -1;
}

static int
read_master(const struct conf *conf, uint8_t master[MASTER_SECRET_SIZE])
{
	struct conf_error err;

	if (conf->secret_file != NULL) {
		if (conf_read_secret(conf, master, &err) == 0)
			return 0;
		log_error("%s", err.text);
		return -1;
	}
	if (getrandom(master, MASTER_SECRET_SIZE, 0) == MASTER_SECRET_SIZE)
		return 0;
	log_error("no randomness: %m");
	return -1;
}

static void
warn(const struct conf *conf)
{
	char text[CHECK_WARNING_SIZE];

	for (uint32_t i = 0; i < conf->policy.n_services; i++)
		if (check_warning(conf, &conf->policy.services[i], text))
			log_warning("%s", text);
}

static int
run(struct conf *conf, const struct options *options, char **eal_args, unsigned int n_eal_args)
{
	static struct plane plane;
	static struct control control;
	static struct lists_keeper keeper;
	uint8_t master[MASTER_SECRET_SIZE];
	struct conf_error err;
	const char *user = options->user != NULL ? options->user : conf->user;
	sigset_t signals;

	privilege_begin();
	log_open(&conf->log, conf->instance);
	if (options->log_level >= 0)
		log_set_level((enum conf_log_level)options->log_level);
	warn(conf);
	control_block_signals(&signals);
	if (events_init(&control.events, conf, user, &err) != 0) {
		log_error("%s", err.text);
		return EXIT_CONFIG;
	}
	if (read_master(conf, master) != 0)
		return EXIT_CONFIG;
	if (!lists_begin(&conf->policy) || lists_keeper_read(&keeper, conf->lists_file) != 0)
		return EXIT_CONFIG;
	int rc = plane_start(&plane, conf, eal_args, n_eal_args, master);
	explicit_bzero(master, sizeof(master));
	if (rc != 0)
		return EXIT_START;

	flood_begin(&control.flood, clock_ms(CLOCK_MONOTONIC));
	control.plane = &plane;
	control.path = options->config;
	control.log_level = options->log_level;
	control.first = control.live = conf;
	conf_mark_ids(&control.ids, &conf->policy);
	watch_init(&control.watch, &plane, &control.events);
	if (privilege_drop(&plane, user, options->config) == 0) {
		lists_keeper_start(&keeper);
		/* No command of ours is answered by a thread that still has privileges. */
		telemetry_start(&plane, conf, SYNFRONT_VERSION);
		log_notice("running");
		if (control_run(&control, &signals) == CONTROL_PORT_LOST)
			rc = EXIT_PORT;
	} else {
		rc = EXIT_START;
	}
	telemetry_stop();
	lists_keeper_stop(&keeper);
	lists_detach();
	lists_load_end();
	plane_stop(&plane);
	events_end(&control.events);
	if (rc != EXIT_START && !control_final_account(&control))
		rc = EXIT_ACCOUNT;
	plane_fini(&plane);
	lists_end();
	if (control.live != conf)
		conf_free(control.live);
	return rc;
}

int
main(int argc, char **argv)
{
	struct options options = { .log_level = -1 };
	struct conf_error err;

	if (parse_options(argc, argv, &options) != 0) {
		usage(stderr);
		return EXIT_USAGE;
	}
	struct conf *conf = conf_load(options.config, &err);
	if (conf == NULL ||
	    conf_check_memory(conf, conf_memory_available(conf, CONF_MEMINFO), &err) != 0) {
		fprintf(stderr, "synfront: %s\n", err.text);
		conf_free(conf);
		return EXIT_CONFIG;
	}
	int rc = EXIT_OK;
	if (options.group != NULL) {
		if (group_secret_write(conf, options.group, options.output, &err) != 0) {
			fprintf(stderr, "synfront: %s\n", err.text);
			rc = EXIT_CONFIG;
		}
	} else if (options.check) {
		check_print(stdout, conf);
	} else {
		rc = run(conf, &options, argv + optind, (unsigned int)(argc - optind));
	}
	conf_free(conf);
	return rc;
}
