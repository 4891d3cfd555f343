/* SPDX-License-Identifier: BSD-3-Clause */
/* The server's half of hand-off: reads what it is to do, judges the machine, and runs. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adopt_agent.h"
#include "adopt_socket.h"
#include "checks.h"
#include "cpu_guard.h"
#include "log.h"
#include "notify.h"
#include "program.h"
#include "secret_file.h"

/* Exit codes. */
enum {
	EXIT_OK = 0,
	EXIT_CONFIG = 1, /* the configuration cannot be used */
	EXIT_USAGE = 2,
	EXIT_START = 3, /* the kernel, the CPU or a capability refuses */
	EXIT_FOUND = 4, /* --check: clients would be refused */
	EXIT_AWAY = 5,  /* nobody of this name runs, or nothing lingers */
};

const int cpu_guard_status = EXIT_START;

struct options {
	const char *config;
	const char *command;
	bool check;
	bool json;
	bool lingers;
};

static void
usage(FILE *out)
{
	fputs("usage: synfront-adopt --config FILE [--linger] run\n"
	      "       synfront-adopt --config FILE --check\n"
	      "       synfront-adopt --config FILE [--json] status\n"
	      "       synfront-adopt --config FILE metrics | detach\n"
	      "\n"
	      "Has this server's kernel take over the clients that a synfront of mode handoff has\n"
	      "answered by SYN cookie.\n"
	      "  run                until SIGTERM or SIGINT\n"
	      "  status             what a running one does and finds\n"
	      "  metrics            its counters as OpenMetrics\n"
	      "  detach             remove what has lingered\n"
	      "  --config FILE      YAML; see synfront-adopt.yaml(5)\n"
	      "  --check            say what would keep clients from being taken over, and end\n"
	      "  --linger           leave the program in the kernel at the end, for the next "
	      "start\n"
	      "  --json             JSON, one document\n"
	      "  --version, --help\n"
	      "\n"
	      "exit status: 0 done, 1 unusable configuration, 2 usage, 3 the kernel, the CPU or a\n"
	      "capability refuses, 4 --check found an error, 5 none runs or lingers\n",
	      out);
}

/* 0, or -1; may end the process for --help and --version. */
static int
parse_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'k' },
		{ "linger", no_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int which;

	while ((which = getopt_long(argc, argv, "c:h", known, NULL)) != -1) {
		switch (which) {
		case 'c':
			o->config = optarg;
			break;
		case 'k':
			o->check = true;
			break;
		case 'l':
			o->lingers = true;
			break;
		case 'j':
			o->json = true;
			break;
		case 'v':
			puts("synfront-adopt " SYNFRONT_VERSION);
			exit(EXIT_OK);
		case 'h':
			usage(stdout);
			exit(EXIT_OK);
		default:
			return -1;
		}
	}
	o->command = optind < argc ? argv[optind++] : NULL;
	bool has_one = (o->command != NULL) != o->check;
	return o->config != NULL && has_one && optind == argc ? 0 : -1;
}

/* libbpf's own words, of which only complaints are for people. */
static int
print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

struct secrets {
	uint8_t bytes[ADOPT_SECRETS][MASTER_SECRET_SIZE];
};

/* Both, if there are two. */
static int
read_secrets(const struct agent_conf *conf, struct secrets *secrets)
{
	char problem[CONF_SECRET_PROBLEM_SIZE];

	if (conf_secret_file_read(conf->secret_file, secrets->bytes[0], problem) != 0) {
		log_error("%s: secret.file: %s", conf->source, problem);
		return -1;
	}
	if (conf->secret_next == NULL)
		return 0;
	if (conf_secret_file_read(conf->secret_next, secrets->bytes[1], problem) != 0) {
		log_error("%s: secret.next: %s", conf->source, problem);
		return -1;
	}
	if (memcmp(secrets->bytes[0], secrets->bytes[1], MASTER_SECRET_SIZE) != 0)
		return 0;
	log_error("%s: secret.next: found in \"%.100s\" the secret of secret.file; expected "
	          "another one",
	          conf->source, conf->secret_next);
	return -1;
}

static int
check(const struct agent_conf *conf)
{
	static struct findings findings;
	struct secrets secrets = { 0 };
	int rc = read_secrets(conf, &secrets);

	explicit_bzero(&secrets, sizeof(secrets));
	if (rc != 0)
		return EXIT_CONFIG;
	checks_kernel(&findings, CHECKS_BTF);
	checks_traps(&findings, conf);
	checks_rules(&findings);
	printf("%s is usable\n", conf->source);
	findings_print(stdout, &findings);
	if (findings_errors(&findings) != 0)
		return EXIT_FOUND;
	puts("this server can take clients over");
	return EXIT_OK;
}

static void
ready(void)
{
	notify("READY=1");
}

static int
run(const struct agent_conf *conf, bool lingers)
{
	static struct findings findings;
	struct secrets secrets = { 0 };
	const uint8_t *next = conf->secret_next != NULL ? secrets.bytes[1] : NULL;
	const uint8_t *const each[ADOPT_SECRETS] = { secrets.bytes[0], next };
	int rc = EXIT_CONFIG;

	checks_kernel(&findings, CHECKS_BTF);
	for (unsigned int i = 0; i < findings.n; i++)
		log_error("%s", findings.list[i].text);
	if (findings.n != 0)
		return EXIT_START;
	if (read_secrets(conf, &secrets) == 0)
		rc = adopt_agent_run(conf, each, lingers, ready) == 0 ? EXIT_OK : EXIT_START;
	explicit_bzero(&secrets, sizeof(secrets));
	return rc;
}

static int
ask(const struct agent_conf *conf, const char *word)
{
	if (adopt_socket_ask(conf->instance, word, stdout) == 0)
		return EXIT_OK;
	log_error("instance %s: %s; is it running?", conf->instance, strerror(errno));
	return EXIT_AWAY;
}

static int
detach(const struct agent_conf *conf)
{
	struct conf_error err;
	int rc = program_unpin(conf, &err);

	if (rc < 0)
		log_error("%s", err.text);
	return rc < 0 ? EXIT_START : rc > 0 ? EXIT_OK : EXIT_AWAY;
}

static int
carry_out(const struct agent_conf *conf, const struct options *o)
{
	if (o->check)
		return check(conf);
	if (strcmp(o->command, "run") == 0)
		return run(conf, o->lingers);
	if (strcmp(o->command, "status") == 0)
		return ask(conf, o->json ? "json" : "text");
	if (strcmp(o->command, "metrics") == 0)
		return ask(conf, "metrics");
	if (strcmp(o->command, "detach") == 0)
		return detach(conf);
	usage(stderr);
	return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	struct options options = { 0 };
	struct conf_error err;

	if (parse_options(argc, argv, &options) != 0) {
		usage(stderr);
		return EXIT_USAGE;
	}
	libbpf_set_print(print_libbpf);
	struct agent_conf *conf = agent_conf_load(options.config, &err);
	if (conf == NULL) {
		log_error("%s", err.text);
		return EXIT_CONFIG;
	}
	int rc = carry_out(conf, &options);
	agent_conf_free(conf);
	return rc;
}
