/* SPDX-License-Identifier: BSD-3-Clause */
/* One loop that waits for signals and the clock, and does what each asks for. */
#include "control.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "board.h"
#include "clock.h"
#include "condition.h"
#include "lists.h"
#include "log.h"
#include "stats.h"
#include "telemetry.h"
#include "wall_clock.h"

#define STEP_MS 250u
#define DRAIN_STEP_MS 20u
#define LOAD_STEP_MS 1
/* Long enough for any worker to have seen an order and shown its effect. */
#define SETTLE_MS 50u
/* Resets of all that remains; a full table takes a second or so. */
#define RESET_TIMEOUT_MS 10000u

void
control_block_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* The next signal, or 0 when there was none for so long. */
static int
wait_signal(const sigset_t *signals, unsigned int ms)
{
	struct timespec timeout = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
	int rc = sigtimedwait(signals, NULL, &timeout);

	return rc > 0 ? rc : 0;
}

/* The workers' clocks: of TSvals, and of keys. */
static void
step_clocks(struct control *c)
{
	struct timespec wall;

	wall_clock_follow(c->plane);

	clock_gettime(CLOCK_REALTIME, &wall);
	secret_step(c->plane->secrets, (uint64_t)wall.tv_sec);
}

/* That of the end has words of its own. */
static void
look_at_drain(struct control *c)
{
	bool is_draining = plane_is_draining(c->plane);
	struct event *e = NULL;

	if (!c->is_ending)
		e = events_edge(&c->events, EVENT_DRAIN, 0, "", is_draining);
	if (e == NULL)
		return;
	uint64_t n = plane_live(c->plane);
	event_u64(e, "remaining", n);
	if (is_draining)
		events_send(&c->events, e, CONF_LOG_NOTICE,
		            "draining: new connections pass to the servers untouched, %" PRIu64
		            " remain",
		            n);
	else
		events_send(&c->events, e, CONF_LOG_NOTICE,
		            "drain taken back after %.0f s: clients are answered again",
		            (double)e->lasted_ms / 1000);
}

/* What there is to see, and to tell of. */
static void
look_around(struct control *c)
{
	watch_step(&c->watch);
	flood_look(&c->flood, c->plane, &c->live->policy, &c->events, c->watch.monotonic_ms);
	pressure_look(&c->pressure, c->plane, &c->events, c->watch.monotonic_ms);
	outage_look(&c->outage, c->plane, &c->events);
	look_at_drain(c);
	events_step(&c->events, c->watch.monotonic_ms);
}

/* How things are now, for probes and in words. */
static void
look(struct control *c, char text[SUPERVISOR_STATUS_SIZE])
{
	struct health health;

	condition_look(c, &health);
	board_set_health(&health);
	condition_text(c, &health, text, SUPERVISOR_STATUS_SIZE);
}

static void
report(struct control *c)
{
	char text[SUPERVISOR_STATUS_SIZE];

	look(c, text);
	supervisor_step(&c->supervisor, c->watch.monotonic_ms, c->watch.all_move, text);
}

static void
report_ready(struct control *c)
{
	char text[SUPERVISOR_STATUS_SIZE];

	look(c, text);
	supervisor_ready(&c->supervisor, text);
}

struct loading {
	const char *path;
	struct conf *conf;
	struct conf_error *err;
	bool is_done; /* atomic */
};

static void *
load(void *arg)
{
	struct loading *l = arg;

	l->conf = conf_load(l->path, l->err);
	__atomic_store_n(&l->is_done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* A million prefixes take seconds to read, in which secrets go on and a supervisor wants signs
 * of life: another thread reads. */
static struct conf *
load_meanwhile(struct control *c, struct conf_error *err)
{
	const struct timespec pause = { .tv_nsec = LOAD_STEP_MS * 1000000L };
	struct loading l = { .path = c->path, .err = err };
	pthread_t thread;

	if (pthread_create(&thread, NULL, load, &l) != 0)
		return conf_load(c->path, err);
	while (!__atomic_load_n(&l.is_done, __ATOMIC_ACQUIRE)) {
		nanosleep(&pause, NULL);
		if (clock_ms(CLOCK_MONOTONIC) - c->watch.monotonic_ms >= STEP_MS) {
			step_clocks(c);
			look_around(c);
			report(c);
		}
	}
	pthread_join(thread, NULL);
	return l.conf;
}

/* The file, whole and with the ids of what runs; NULL and *err if it is refused. */
static struct conf *
load_fresh(struct control *c, struct conf_error *err)
{
	struct conf *fresh = load_meanwhile(c, err);

	if (fresh != NULL && conf_compare(c->live, fresh, err) == 0 &&
	    conf_adopt_ids(&c->live->policy, fresh, &c->ids, err) == 0 &&
	    events_configure(&c->events, fresh, err) == 0)
		return fresh;
	conf_free(fresh);
	events_reopen(&c->events, c->live);
	return NULL;
}

/* When it returns no worker uses anything else. */
static void
put_in_force(struct control *c, struct conf *fresh)
{
	struct conf *old = c->live;

	flood_forget(&old->policy, &fresh->policy, &c->events);
	lists_before_policy(&fresh->policy);
	plane_publish(c->plane, &fresh->policy);
	lists_after_policy(&fresh->policy);
	telemetry_set_conf(fresh);
	c->live = fresh;
	if (old != c->first)
		conf_free(old);
	log_set_level((enum conf_log_level)(c->log_level >= 0 ? c->log_level : fresh->log.level));
}

static void
tell_of_refusal(struct control *c, const char *why)
{
	struct event *e = events_once(&c->events, EVENT_RELOAD, "");

	event_text(e, "result", "refused");
	event_text(e, "config", c->path);
	events_send(&c->events, e, CONF_LOG_ERROR, "not reloaded, nothing has changed: %s", why);
}

static void
tell_of_reload(struct control *c)
{
	const struct policy *policy = &c->live->policy;
	struct event *e = events_once(&c->events, EVENT_RELOAD, "");

	event_text(e, "result", "done");
	event_text(e, "config", c->path);
	event_u64(e, "services", policy->n_services);
	event_u64(e, "generation", policy->generation);
	events_send(&c->events, e, CONF_LOG_NOTICE, "reloaded %s: services %u, generation %" PRIu64,
	            c->path, policy->n_services, policy->generation);
}

static void
reload(struct control *c)
{
	uint64_t serves = board_begin_reload();
	char text[BOARD_TEXT_SIZE];
	struct conf_error err;

	supervisor_reloading();
	struct conf *fresh = load_fresh(c, &err);
	c->is_refused = fresh == NULL;
	if (fresh == NULL) {
		tell_of_refusal(c, err.text);
		board_end_reload(serves, true, err.text);
	} else {
		put_in_force(c, fresh);
		tell_of_reload(c);
		snprintf(text, sizeof(text),
		         "%.256s is in force on %u worker%s: services %u, generation %" PRIu64,
		         c->path, c->plane->n_workers, c->plane->n_workers == 1 ? "" : "s",
		         fresh->policy.n_services, fresh->policy.generation);
		board_end_reload(serves, false, text);
	}
	report_ready(c);
}

/* Wait until nothing remains, for `ms` at most, or, while it drains, until a port is lost
 * to what is left. False when a signal says that it is enough. */
static bool
wait_for_end(struct control *c, const sigset_t *signals, uint64_t ms, bool drains)
{
	uint64_t now_ms = clock_ms(CLOCK_MONOTONIC), end_ms = now_ms + ms;
	bool may_be_stale = true;

	do {
		int sig = wait_signal(signals, may_be_stale ? SETTLE_MS : DRAIN_STEP_MS);
		if (sig == SIGTERM || sig == SIGINT)
			return false;
		may_be_stale = false;
		step_clocks(c);
		now_ms = clock_ms(CLOCK_MONOTONIC);
		if (now_ms - c->watch.monotonic_ms >= STEP_MS) {
			look_around(c);
			report(c);
		}
	} while (plane_live(c->plane) != 0 && now_ms < end_ms &&
	         !(drains && c->watch.is_port_lost));
	return true;
}

static void
begin_drain(struct control *c)
{
	struct event *e = events_edge(&c->events, EVENT_DRAIN, 0, "", true);
	uint32_t timeout_s = c->live->drain_timeout_s;

	if (e == NULL) { /* an operator has begun it */
		log_notice("draining for at most %u s", timeout_s);
		return;
	}
	event_u64(e, "remaining", plane_live(c->plane));
	event_u64(e, "timeout_s", timeout_s);
	events_send(&c->events, e, CONF_LOG_NOTICE, "draining for at most %u s", timeout_s);
}

/* `n_reset`: connections that did not end by themselves. */
static void
end_drain(struct control *c, uint64_t n_reset, const char *text)
{
	struct event *e = events_edge(&c->events, EVENT_DRAIN, 0, "", false);

	if (e == NULL) {
		log_notice("%s", text);
		return;
	}
	event_u64(e, "reset", n_reset);
	events_send(&c->events, e, CONF_LOG_NOTICE, "%s", text);
}

/* Nobody can end well what crosses a port that is lost, so that is not waited for. */
static void
finish(struct control *c, const sigset_t *signals)
{
	char text[80];

	c->is_ending = true;
	supervisor_stopping();
	board_refuse_reloads("the engine is ending: nothing is reloaded any more");
	plane_drain(c->plane, true);
	if (!c->watch.is_port_lost) {
		begin_drain(c);
		if (!wait_for_end(c, signals, (uint64_t)c->live->drain_timeout_s * 1000, true)) {
			end_drain(c, 0, "stopping at once");
			return;
		}
	}
	uint64_t n = plane_live(c->plane);
	if (n == 0) {
		end_drain(c, 0, c->watch.is_port_lost ? "no connection remains" : "drained");
		return;
	}
	snprintf(text, sizeof(text), "resetting the %" PRIu64 " connections that remain", n);
	end_drain(c, n, text);
	plane_reset_remaining(c->plane);
	wait_for_end(c, signals, RESET_TIMEOUT_MS, false);
}

enum control_end
control_run(struct control *c, const sigset_t *signals)
{
	watch_begin(&c->watch);
	supervisor_begin(&c->supervisor);
	report_ready(c);
	for (;;) {
		int sig = wait_signal(signals, STEP_MS);
		step_clocks(c);
		look_around(c);
		report(c);
		if (sig == SIGHUP)
			reload(c);
		else if (sig != 0 || c->watch.is_port_lost)
			break;
	}
	finish(c, signals);
	return c->watch.is_port_lost ? CONTROL_PORT_LOST : CONTROL_TOLD;
}

static void
log_ports(const struct plane *plane, const struct worker_account *a)
{
	static const char *const names[] = { "outside", "inside" };

	for (unsigned int i = 0; i < plane->n_ports; i++) {
		const struct port_link *link = &plane->ports[i].link;
		log_notice("  %-28s received %" PRIu64 ", sent %" PRIu64
		           ", not taken by the port %" PRIu64,
		           names[i], a->received[i], a->sent[i], a->tx_full[i]);
		if (port_link_downs(link) != 0)
			log_notice("  %-28s %s, went down %u times", "link",
			           port_link_text(port_link_state(link)), port_link_downs(link));
	}
	if (a->handed_over != 0)
		log_notice("  %-28s %" PRIu64, "handed to other workers", a->handed_over);
	if (a->alloc_failed != 0 || a->unfit != 0)
		log_notice("  %-28s %" PRIu64 " for want of a buffer, %" PRIu64 " too long to send",
		           "lost", a->alloc_failed, a->unfit);
}

/* DPDK's AF_XDP driver ends without giving back the buffers that its fill ring holds. */
static bool
has_leaky_port(const struct plane *plane)
{
	for (unsigned int i = 0; i < plane->n_ports; i++)
		if (strcmp(plane->ports[i].driver, "net_af_xdp") == 0)
			return true;
	return false;
}

static bool
log_equation(const struct account_equation *row)
{
	bool holds = row->left == row->right;

	log_message(holds ? CONF_LOG_NOTICE : CONF_LOG_ERROR, "  %s: %s: %" PRIu64 " and %" PRIu64,
	            holds ? "holds" : "DOES NOT HOLD", row->text, row->left, row->right);
	return holds;
}

/* What observe has found. */
static bool
log_would(const struct plane *plane, const struct counters *sum)
{
	struct counters would;

	if (!stats_would(plane, &would))
		return true;
	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		if (would.values[i] != 0)
			log_notice("  %-34s %12" PRIu64 "  %s", counter_infos[i].would,
			           would.values[i], counter_infos[i].help);
	struct account_equation row = account_observed(sum, &would);
	return log_equation(&row);
}

/* Are all buffers back in the pools that they are from? */
static bool
log_buffers(const struct plane *plane)
{
	bool is_leaky = has_leaky_port(plane), is_good = true;

	for (unsigned int i = 0; i < plane->n_workers; i++) {
		unsigned int n = rte_mempool_avail_count(plane->pools[i]);
		bool is_whole = n == plane->pool_size;
		if (!is_whole && is_leaky) {
			log_notice(
				"  %u of %u buffers of worker %u are back; AF_XDP's driver keeps "
				"those of its fill ring",
				n, plane->pool_size, i);
			continue;
		}
		log_message(is_whole ? CONF_LOG_NOTICE : CONF_LOG_ERROR,
		            "  %s: buffers of worker %u are all back: %u of %u",
		            is_whole ? "holds" : "DOES NOT HOLD", i, n, plane->pool_size);
		is_good &= is_whole;
	}
	return is_good;
}

bool
control_final_account(const struct control *control)
{
	const struct plane *plane = control->plane;
	struct account_equation rows[ACCOUNT_EQUATIONS];
	struct worker_account account;
	struct counters sum;
	uint64_t remaining = 0;

	stats_account(plane, &account);
	stats_counters(plane, &sum);
	log_notice("account:");
	log_ports(plane, &account);
	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		if (sum.values[i] != 0)
			log_notice("  %-28s %12" PRIu64 "  %s", counter_infos[i].name,
			           sum.values[i], counter_infos[i].help);

	bool is_good = log_would(plane, &sum);

	for (unsigned int i = 0; i < plane->n_workers; i++)
		remaining += core_remaining(plane->workers[i]->core);
	account_equations(&sum, stats_received(&account), stats_usage(plane).half_open, remaining,
	                  rows);
	for (unsigned int i = 0; i < ACCOUNT_EQUATIONS; i++)
		is_good &= log_equation(&rows[i]);
	return log_buffers(plane) && is_good;
}
