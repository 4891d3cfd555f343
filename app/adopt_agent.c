/* SPDX-License-Identifier: BSD-3-Clause */
#include "adopt_agent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "adopt_socket.h"
#include "checks.h"
#include "fresh_file.h"
#include "log.h"
#include "program.h"
#include "adopt_report.h"
#include "secret.h"
#include "settings.h"

#define WATCH_S 10u  /* between two looks at settings and listeners */
#define RULES_S 60u  /* ... and at rules, which start a process */
#define LATELY_S 60u /* the life of a cookie */

struct agent {
	const struct agent_conf *conf;
	const uint8_t *const *secrets; /* as many as ADOPT_SECRETS */
	struct program program;
	struct findings findings; /* of the last look */
	struct findings rules;    /* of the last one at rules */
	struct granted granted;
	uint64_t begun_s; /* CLOCK_BOOTTIME, as is now_s */
	uint64_t now_s;
	uint64_t wall_s;          /* of the last look */
	uint64_t keys_epoch;      /* whose keys were written last, with those ahead */
	uint64_t spent[LATELY_S]; /* cookies spent until each of the last seconds */
	uint64_t look_s, rules_s; /* when to look again */
	bool metrics_fail;        /* to be written */
	bool lingers;
	int socket;
};

static uint64_t
seconds_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec;
}

/* Clock each second; keys when an epoch begins, or the wall clock has stepped. */
static int
turn(struct agent *a, bool all)
{
	a->now_s = seconds_of(CLOCK_BOOTTIME);
	a->wall_s = seconds_of(CLOCK_REALTIME);
	uint64_t epoch = a->wall_s / EPOCH_S;

	if (settings_write_clock(a->program.skeleton) != 0)
		return -1;
	if (epoch == a->keys_epoch && !all)
		return 0;
	if (settings_write_keys(a->program.skeleton, a->secrets, a->wall_s, all) != 0)
		return -1;
	a->keys_epoch = epoch;
	return 0;
}

static uint64_t
spent_of(const struct adopt_counters *counters)
{
	return counters->n[ADOPT_OPENED];
}

/* In the last LATELY_S seconds; `counters` are of now. */
static uint64_t
spent_lately(const struct agent *a, const struct adopt_counters *counters)
{
	return spent_of(counters) - a->spent[(a->now_s + 1) % LATELY_S];
}

static void
check_spent(struct findings *f, const struct agent *a)
{
	struct adopt_counters counters;

	program_counters(&a->program, &counters);
	uint64_t lately = spent_lately(a, &counters);
	/* The kernel gives places up in batches, before all are taken. */
	if (lately > a->conf->spent / 4 * 3)
		findings_add(f, FINDING_WARNING,
		             "more cookies are spent in 60 s than three quarters of `spent: %u`: "
		             "one that is forgotten could open a connection twice; set `spent` to "
		             "twice as much",
		             a->conf->spent);
}

/* Each finding is said when it comes and when it goes. */
static void
look(struct agent *a)
{
	static struct findings fresh;

	memset(&fresh, 0, sizeof(fresh));
	checks_traps(&fresh, a->conf);
	if (a->now_s >= a->rules_s) {
		a->rules_s = a->now_s + RULES_S;
		memset(&a->rules, 0, sizeof(a->rules));
		checks_rules(&a->rules);
	}
	for (unsigned int i = 0; i < a->rules.n; i++)
		findings_add(&fresh, a->rules.list[i].severity, "%s", a->rules.list[i].text);
	check_spent(&fresh, a);
	for (unsigned int i = 0; i < fresh.n; i++)
		if (!findings_have(&a->findings, fresh.list[i].text))
			log_message(fresh.list[i].severity == FINDING_ERROR ? CONF_LOG_ERROR
			                                                    : CONF_LOG_WARNING,
			            "%s", fresh.list[i].text);
	for (unsigned int i = 0; i < a->findings.n; i++)
		if (!findings_have(&fresh, a->findings.list[i].text))
			log_notice("no longer: %s", a->findings.list[i].text);
	a->findings = fresh;
}

/* The promise, if it is another than the one that was written. */
static void
promise(struct agent *a, bool first)
{
	struct granted now;

	granted_read(&now, a->conf);
	if (!first && granted_equal(&now, &a->granted))
		return;
	a->granted = now;
	if (a->conf->promise_file == NULL)
		return;
	if (granted_write(&now, a->conf->promise_file) != 0)
		log_error("promise: %s: %s", a->conf->promise_file, strerror(errno));
	else if (!first)
		log_warning("what this kernel grants has changed; bring %s to the front ends",
		            a->conf->promise_file);
}

static void
fill_report(const struct agent *a, struct adopt_report *r, bool is_attached[AGENT_INTERFACES_MAX])
{
	uint64_t last_s = (a->keys_epoch + SETTINGS_EPOCHS_AHEAD + 1) * EPOCH_S;

	for (uint32_t i = 0; i < a->conf->n_interfaces; i++)
		is_attached[i] = a->program.links[i].ifindex != 0;
	*r = (struct adopt_report){
		.conf = a->conf,
		.is_attached = is_attached,
		.findings = &a->findings,
		.granted = &a->granted,
		.up_s = a->now_s - a->begun_s,
		.keys_s = last_s > a->wall_s ? last_s - a->wall_s : 0,
		.lingers = a->lingers,
	};
	program_counters(&a->program, &r->counters);
	r->n_lately = spent_lately(a, &r->counters);
}

static int
write_metrics(const struct agent *a)
{
	bool is_attached[AGENT_INTERFACES_MAX];
	struct adopt_report report;
	struct fresh_file file;

	/* No name that a collector reads while it is written. */
	if (fresh_file_begin(&file, a->conf->metrics_file) != 0)
		return -1;
	fill_report(a, &report, is_attached);
	adopt_report_metrics(file.out, &report, false);
	/* It is for the collector's user, whatever our umask says. */
	(void)fchmod(fileno(file.out), 0644);
	return fresh_file_end(&file, FRESH_FILE_WHOLE);
}

/* That it fails is said once, and that it no longer does. */
static void
metrics(struct agent *a)
{
	bool fails = write_metrics(a) != 0;

	if (fails && !a->metrics_fail)
		log_error("metrics: %s: %s", a->conf->metrics_file, strerror(errno));
	else if (!fails && a->metrics_fail)
		log_notice("metrics: %s is written again", a->conf->metrics_file);
	a->metrics_fail = fails;
}

static void
answer(const struct agent *a)
{
	bool is_attached[AGENT_INTERFACES_MAX];
	char word[ADOPT_WORD_SIZE];
	struct adopt_report report;
	FILE *out = adopt_socket_accept(a->socket, word);

	if (out == NULL)
		return;
	fill_report(a, &report, is_attached);
	if (strcmp(word, "json") == 0)
		adopt_report_json(out, &report);
	else if (strcmp(word, "metrics") == 0)
		adopt_report_metrics(out, &report, true);
	else
		adopt_report_text(out, &report);
	fclose(out);
}

static void
second(struct agent *a)
{
	struct adopt_counters counters;
	struct conf_error err;
	uint64_t before_s = a->now_s;

	if (turn(a, false) != 0)
		log_error("clock and keys cannot be written: %s", strerror(errno));
	if (a->now_s == before_s)
		return;
	if (program_attach(&a->program, &err) < 0)
		log_error("cannot attach: %s", err.text);
	program_counters(&a->program, &counters);
	for (uint64_t s = before_s + 1; s <= a->now_s && s <= before_s + LATELY_S; s++)
		a->spent[s % LATELY_S] = spent_of(&counters);
	if (a->now_s < a->look_s)
		return;
	a->look_s = a->now_s + WATCH_S;
	look(a);
	promise(a, false);
	if (a->conf->metrics_file != NULL)
		metrics(a);
}

static int
start(struct agent *a, int *signals)
{
	struct conf_error err;
	struct adopt_counters counters;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	*signals = signalfd(-1, &set, SFD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	a->socket = adopt_socket_open(a->conf->instance);
	if (a->socket < 0) {
		log_error("instance %s: %s", a->conf->instance,
		          errno == EADDRINUSE ? "it runs already" : strerror(errno));
		return -1;
	}
	if (program_load(&a->program, a->conf, a->lingers, &err) != 0) {
		log_error("%s", err.text);
		return -1;
	}
	if (turn(a, true) != 0) {
		log_error("clock and keys cannot be written: %s", strerror(errno));
		return -1;
	}
	a->begun_s = a->now_s;
	program_counters(&a->program, &counters);
	for (unsigned int i = 0; i < LATELY_S; i++)
		a->spent[i] = spent_of(&counters);
	/* Before it is attached, who reads the promise finds it. */
	promise(a, true);
	if (program_attach(&a->program, &err) < 0) {
		log_error("cannot attach: %s", err.text);
		return -1;
	}
	return 0;
}

static void
loop(struct agent *a, int signals)
{
	struct pollfd polled[] = { { .fd = signals, .events = POLLIN },
		                   { .fd = a->socket, .events = POLLIN } };

	while (true) {
		struct timespec t;

		clock_gettime(CLOCK_REALTIME, &t);
		/* To the begin of the next second, where an epoch may begin as well. */
		if (poll(polled, 2, (int)(1000 - t.tv_nsec / 1000000)) < 0 && errno != EINTR)
			return;
		if (polled[0].revents != 0)
			return;
		if (polled[1].revents != 0)
			answer(a);
		second(a);
	}
}

int
adopt_agent_run(const struct agent_conf *conf, const uint8_t *const secrets[ADOPT_SECRETS],
                bool lingers, void (*ready)(void))
{
	static struct agent agent;
	int signals = -1, rc = -1;

	agent = (struct agent){
		.conf = conf, .secrets = secrets, .lingers = lingers, .socket = -1
	};
	agent.program.conf = conf;
	if (start(&agent, &signals) == 0) {
		look(&agent);
		log_notice("running%s",
		           agent.program.has_taken_over ? ", took over what lingered" : "");
		ready();
		loop(&agent, signals);
		log_notice("ending%s", lingers ? "; program and keys stay in the kernel" : "");
		rc = 0;
	}
	/* What lingers serves clients even if this process could not start. */
	program_fini(&agent.program, lingers);
	adopt_socket_close(agent.socket, conf->instance);
	if (signals >= 0)
		close(signals);
	return rc;
}
