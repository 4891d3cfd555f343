/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands, and the JSON that each makes of the sums of stats.h. */
#include "telemetry.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <rte_version.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core_share.h"
#include "dpdk_versions.h"
#include "log.h"
#include "mailbox.h"
#include "stats.h"
#include "telemetry_capture.h"
#include "telemetry_control.h"
#include "telemetry_explain.h"
#include "telemetry_list.h"
#include "telemetry_lists.h"
#include "telemetry_memory.h"
#include "telemetry_talkers.h"

/* DPDK cuts an answer at 16 KiB. */
#define SERVICES_PAGE 32u
#define CONNECTIONS_PAGE 64u

/* Handlers get no argument of ours, so what they read stands here. */
static struct {
	pthread_mutex_t lock;
	struct plane *plane;
	const struct conf *conf;     /* that is in force */
	const struct policy *policy; /* its */
	const char *version;
} here = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int
info(const char *params, struct rte_tel_data *d)
{
	const struct plane *plane = here.plane;

	(void)params;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "instance", plane->conf->instance);
	rte_tel_data_add_dict_string(d, "version", here.version);
	rte_tel_data_add_dict_string(d, "dpdk", rte_version());
	rte_tel_data_add_dict_int(d, "pid", getpid());
	rte_tel_data_add_dict_uint(d, "uptime_s",
	                           (rte_rdtsc() - plane->base_tsc) / plane->tsc_per_ms / 1000);
	rte_tel_data_add_dict_uint(d, "workers", plane->n_workers);
	rte_tel_data_add_dict_string(d, "idle", plane_idle(plane));
	rte_tel_data_add_dict_string(d, "memory", rte_eal_has_hugepages() ? "hugepages" : "pages");
	rte_tel_data_add_dict_uint(d, "services", here.policy->n_services);
	rte_tel_data_add_dict_uint(d, "generation", here.policy->generation);
	rte_tel_data_add_dict_int(d, "draining", plane_is_draining(plane));
	rte_tel_data_add_dict_uint(d, "remaining", plane_live(plane));
	rte_tel_data_add_dict_string(d, "config", here.conf->source);
	telemetry_add_reloads(d);
	return 0;
}

static void
add_side(struct rte_tel_data *d, const char *what, enum side side, uint64_t value)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_%s", what, side_name(side));
	rte_tel_data_add_dict_uint(d, name, value);
}

static void
add_account(struct rte_tel_data *d, const struct worker_account *a)
{
	for (unsigned int side = 0; side < here.plane->n_ports; side++) {
		add_side(d, "received", (enum side)side, a->received[side]);
		add_side(d, "sent", (enum side)side, a->sent[side]);
		add_side(d, "tx_full", (enum side)side, a->tx_full[side]);
	}
	rte_tel_data_add_dict_uint(d, "alloc_failed", a->alloc_failed);
	rte_tel_data_add_dict_uint(d, "unfit", a->unfit);
	rte_tel_data_add_dict_uint(d, "handed_over", a->handed_over);
	rte_tel_data_add_dict_uint(d, "taken_over", a->taken_over);
	rte_tel_data_add_dict_uint(d, "loops", a->loops);
	rte_tel_data_add_dict_uint(d, "empty_loops", a->empty_loops);
	rte_tel_data_add_dict_uint(d, "sleeps", a->sleeps);
}

/* What observe has found, as far as it is not nothing: one answer holds 256 values at most. */
static void
add_would(struct rte_tel_data *d, bool drops_alone)
{
	struct counters would;

	if (!stats_would(here.plane, &would))
		return;
	for (unsigned int i = 0; i < COUNTER_COUNT; i++) {
		bool is_drop = counter_infos[i].class == OUTCOME_DROP ||
		               counter_infos[i].class == OUTCOME_ANSWER;
		if (would.values[i] != 0 && (is_drop || !drops_alone))
			rte_tel_data_add_dict_uint(d, counter_infos[i].would, would.values[i]);
	}
}

/* Everything, or with a parameter what one worker has counted. */
static int
stats(const char *params, struct rte_tel_data *d)
{
	const struct plane *plane = here.plane;
	struct worker_account account = { 0 };
	struct counters sum = { 0 };

	if (params != NULL && *params != '\0') {
		unsigned long id = strtoul(params, NULL, 10);
		if (id >= plane->n_workers)
			return -1;
		account_add(&sum, core_counters(plane->workers[id]->core));
		stats_add_account(&account, plane->workers[id]);
	} else {
		stats_counters(plane, &sum);
		stats_account(plane, &account);
	}
	rte_tel_data_start_dict(d);
	add_account(d, &account);
	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		rte_tel_data_add_dict_uint(d, counter_infos[i].name, sum.values[i]);
	if (params == NULL || *params == '\0')
		add_would(d, false);
	return 0;
}

/* Why frames went no further: ours by reason, then those of ports and memory. */
static int
drops(const char *params, struct rte_tel_data *d)
{
	struct worker_account account;
	struct counters sum;

	(void)params;
	stats_counters(here.plane, &sum);
	stats_account(here.plane, &account);
	rte_tel_data_start_dict(d);
	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		if (counter_infos[i].class == OUTCOME_DROP)
			rte_tel_data_add_dict_uint(d, counter_infos[i].name, sum.values[i]);
	for (unsigned int side = 0; side < here.plane->n_ports; side++)
		add_side(d, "tx_full", (enum side)side, account.tx_full[side]);
	rte_tel_data_add_dict_uint(d, "alloc_failed", account.alloc_failed);
	rte_tel_data_add_dict_uint(d, "unfit", account.unfit);
	add_would(d, true);
	return 0;
}

static int
services(const char *params, struct rte_tel_data *d)
{
	static const char *const modes[] = { [MODE_PROXY] = "proxy",
		                             [MODE_RESPOND] = "respond",
		                             [MODE_HANDOFF] = "handoff",
		                             [MODE_BYPASS] = "bypass" };
	const struct policy *policy = here.policy;
	uint32_t i = params != NULL ? (uint32_t)strtoul(params, NULL, 10) : 0;
	uint32_t end = policy->n_services - i > SERVICES_PAGE ? i + SERVICES_PAGE
	                                                      : policy->n_services;
	struct list list = { .n = 0 };

	if (i > policy->n_services)
		return -1;
	for (; i < end; i++) {
		list.at = 0;
		const struct service *s = &policy->services[i];
		struct service_view v = stats_service(here.plane, s->id);
		list_text(&list, "name", s->name);
		list_u64(&list, "id", s->id);
		list_text(&list, "mode", modes[s->mode]);
		list_u64(&list, "cookie_mode", v.cookie_mode);
		list_u64(&list, "half_open", v.half_open);
		bool has_marks = s->mode != MODE_BYPASS && s->mode != MODE_HANDOFF;
		list_u64(&list, "high", has_marks ? s->high : 0);
		list_u64(&list, "low", has_marks ? s->low : 0);
		list_u64(&list, "connections", v.connections);
		list_u64(&list, "syn", v.syn);
		list_u64(&list, "syn_ack", v.syn_ack);
		list_u64(&list, "opened", v.opened);
		list_u64(&list, "refused", v.refused);
		list_u64(&list, "observe", v.is_observed);
		list_u64(&list, "would_syn_ack", v.would_syn_ack);
		list_u64(&list, "would_opened", v.would_opened);
		list_u64(&list, "would_refused", v.would_refused);
		/* Arrays of DPDK's have one type, and no null. */
		list_text(&list, "unknown",
		          s->mode == MODE_HANDOFF ? "half_open connections opened" : "");
	}
	return list_answer(d, &list, i < policy->n_services ? i : 0);
}

static void
add_end(struct list *list, const char *name, const struct ip_addr *a, uint16_t port_be)
{
	char text[INET6_ADDRSTRLEN], both[INET6_ADDRSTRLEN + 10];

	if (ip_addr_is_v4(a)) {
		inet_ntop(AF_INET, &a->words_be[3], text, sizeof(text));
		snprintf(both, sizeof(both), "%s:%u", text, be16toh(port_be));
	} else {
		inet_ntop(AF_INET6, a, text, sizeof(text));
		snprintf(both, sizeof(both), "[%s]:%u", text, be16toh(port_be));
	}
	list_text(list, name, both);
}

static const char *
service_name(uint16_t id)
{
	for (uint32_t i = 0; i < here.policy->n_services; i++)
		if (here.policy->services[i].id == id)
			return here.policy->services[i].name;
	return "";
}

static void
add_connection(struct list *list, const struct connection_view *view, unsigned int worker)
{
	static const char *const states[] = {
		[CONN_FREE] = "FREE",       [CONN_CONNECTING] = "CONNECTING",
		[CONN_TRACKED] = "TRACKED", [CONN_SPLICED] = "SPLICED",
		[CONN_CLOSING] = "CLOSING", [CONN_RESPONDING] = "RESPONDING",
		[CONN_SPENT] = "SPENT",
	};

	list->at = 0;
	add_end(list, "client", &view->flow.client, view->flow.client_port_be);
	add_end(list, "server", &view->flow.server, view->flow.server_port_be);
	list_text(list, "state", view->state < RTE_DIM(states) ? states[view->state] : "?");
	list_text(list, "service", service_name(view->service));
	list_u64(list, "expires_s", view->expires_s);
	list_u64(list, "worker", worker);
}

/* "START[,COUNT]". A place is worker << 32 | number in its table; "next" of an
 * answer is the START of the next question, 0 at the end. */
static int
connections(const char *params, struct rte_tel_data *d)
{
	struct connection_view views[CONNECTIONS_PAGE];
	uint64_t at = 0, count = CONNECTIONS_PAGE, n = 0;
	struct list list = { .n = 0 };
	char *end;

	if (params != NULL) {
		at = strtoull(params, &end, 10);
		if (*end == ',')
			count = strtoull(end + 1, NULL, 10);
	}
	count = count == 0 || count > CONNECTIONS_PAGE ? CONNECTIONS_PAGE : count;
	unsigned int worker = (unsigned int)RTE_MIN(at >> 32, CONF_WORKERS_MAX);
	uint32_t start = (uint32_t)at;
	while (worker < here.plane->n_workers && n < count) {
		struct mail mail = { .start = start, .max = (uint32_t)(count - n), .views = views };
		if (!mailbox_ask(here.plane->workers[worker], &mail))
			break;
		for (uint32_t i = 0; i < mail.n; i++, n++)
			add_connection(&list, &views[i], worker);
		start = mail.next;
		worker += mail.next == 0;
	}
	return list_answer(d, &list,
	                   worker < here.plane->n_workers ? (uint64_t)worker << 32 | start : 0);
}

static int
ports(const char *params, struct rte_tel_data *d)
{
	const struct plane *plane = here.plane;
	struct list list = { .n = 0 };
	struct worker_account account;

	(void)params;
	stats_account(plane, &account);
	for (unsigned int side = 0; side < plane->n_ports; side++) {
		const struct plane_port *port = &plane->ports[side];
		struct rte_eth_stats eth = { 0 };
		char mac[RTE_ETHER_ADDR_FMT_SIZE];
		list.at = 0;
		rte_eth_stats_get(port->id, &eth);
		rte_ether_format_addr(mac, sizeof(mac), &port->mac);
		list_text(&list, "side", side_name(side));
		list_text(&list, "device", port->conf->device);
		list_text(&list, "driver", port->driver);
		list_text(&list, "mac", mac);
		list_text(&list, "link", port_link_text(port_link_state(&port->link)));
		list_u64(&list, "link_downs", port_link_downs(&port->link));
		list_u64(&list, "rx_queues", port->n_rx);
		list_u64(&list, "tx_queues", port->n_tx);
		list_text(&list, "syn_queues", port->syns.n != 0 ? "yes" : "no");
		list_text(&list, "syn_queues_why_not", port->syns.why_not);
		list_u64(&list, "rss", port->rss);
		list_u64(&list, "rx_checksum", port->rx_checksum);
		list_u64(&list, "tx_checksum", port->tx_checksum);
		list_u64(&list, "rx_interrupts", port->rx_interrupts);
		list_u64(&list, "received", account.received[side]);
		list_u64(&list, "received_syn", side == SIDE_OUTSIDE ? account.received_syn : 0);
		list_u64(&list, "sent", account.sent[side]);
		list_u64(&list, "tx_full", account.tx_full[side]);
		list_u64(&list, "port_missed", eth.imissed);
		list_u64(&list, "port_rx_errors", eth.ierrors);
		list_u64(&list, "port_no_buffer", eth.rx_nombuf);
		list_u64(&list, "port_tx_errors", eth.oerrors);
	}
	return list_answer(d, &list, 0);
}

/* CPU time of its thread; 0 before it runs and after it has. */
static uint64_t
cpu_ns(const struct worker *w)
{
	clockid_t clock = __atomic_load_n(&w->cpu_clock, __ATOMIC_RELAXED);
	struct timespec t;

	if (clock == 0 || clock_gettime(clock, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int
workers(const char *params, struct rte_tel_data *d)
{
	struct list list = { .n = 0 };

	(void)params;
	for (unsigned int i = 0; i < here.plane->n_workers; i++) {
		struct worker_account a = { 0 };
		stats_add_account(&a, here.plane->workers[i]);
		list.at = 0;
		list_u64(&list, "worker", i);
		list_u64(&list, "cpu_ns", cpu_ns(here.plane->workers[i]));
		list_u64(&list, "received", stats_received(&a));
		list_u64(&list, "handed_over", a.handed_over);
		list_u64(&list, "taken_over", a.taken_over);
		list_u64(&list, "loops", a.loops);
		list_u64(&list, "empty_loops", a.empty_loops);
		list_u64(&list, "sleeps", a.sleeps);
	}
	return list_answer(d, &list, 0);
}

static int
memory(const char *params, struct rte_tel_data *d)
{
	(void)params;
	return telemetry_memory(here.plane, d);
}

static int
drain(const char *params, struct rte_tel_data *d)
{
	if (params != NULL && strcmp(params, "on") == 0)
		plane_drain(here.plane, true);
	else if (params != NULL && strcmp(params, "off") == 0)
		plane_drain(here.plane, false);
	else if (params != NULL && *params != '\0')
		return -1;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_int(d, "draining", plane_is_draining(here.plane));
	rte_tel_data_add_dict_uint(d, "remaining", plane_live(here.plane));
	return 0;
}

static int
config(const char *params, struct rte_tel_data *d)
{
	return telemetry_config(here.conf, params, d);
}

static int
talkers(const char *params, struct rte_tel_data *d)
{
	return telemetry_talkers(here.plane, here.policy, params, d);
}

static int
capture(const char *params, struct rte_tel_data *d)
{
	return telemetry_capture(here.plane, here.policy, params, d);
}

static int
explain(const char *params, struct rte_tel_data *d)
{
	return telemetry_explain(here.plane, here.policy, params, d);
}

static const struct {
	const char *command, *help;
	int (*answer)(const char *params, struct rte_tel_data *d);
} commands[] = {
	{ "/synfront/info", "What runs. No parameters", info },
	{ "/synfront/stats", "All counters. Parameter: number of a worker (default: all)", stats },
	{ "/synfront/drops", "Frames dropped, by reason. No parameters", drops },
	{ "/synfront/services", "Services. Parameter: first one", services },
	{ "/synfront/connections", "Connections. Parameters: first one, how many", connections },
	{ "/synfront/ports", "Ports and their figures. No parameters", ports },
	{ "/synfront/workers", "What each worker did. No parameters", workers },
	{ "/synfront/memory", "Tables and buffers, sizes and use. No parameters", memory },
	{ "/synfront/drain", "Make no new splices. Parameter: on, off, or none to ask", drain },
	{ "/synfront/talkers", "Who sends most. Parameter: first service and outcome", talkers },
	{ "/synfront/capture", "Frames with what became of them: start, read, stop, or none to ask",
	  capture },
	{ "/synfront/explain",
	  "What a client gets, and why. Parameters: client=, port=, service=", explain },
	{ "/synfront/config", "What is in force. Parameter: first value", config },
};

static int
dispatch(const char *command, const char *params, struct rte_tel_data *d)
{
	int rc = -1;

	pthread_mutex_lock(&here.lock);
	for (unsigned int i = 0; here.plane != NULL && i < RTE_DIM(commands); i++)
		if (strcmp(commands[i].command, command) == 0)
			rc = commands[i].answer(params, d);
	pthread_mutex_unlock(&here.lock);
	return rc;
}

static void
offer(const char *command, telemetry_cb answer, const char *help)
{
	if (rte_telemetry_register_cmd(command, answer, help) != 0)
		log_warning("telemetry: %s cannot be registered", command);
}

void
telemetry_start(struct plane *plane, const struct conf *conf, const char *version)
{
	pthread_mutex_lock(&here.lock);
	here.plane = plane;
	here.version = version;
	pthread_mutex_unlock(&here.lock);
	telemetry_set_conf(conf);
	for (unsigned int i = 0; i < RTE_DIM(commands); i++)
		offer(commands[i].command, dispatch, commands[i].help);
	/* These read nothing of the plane, and must not wait for who waits for a worker. */
	telemetry_control_offer(offer);
	telemetry_lists_offer(offer);
}

void
telemetry_set_conf(const struct conf *conf)
{
	pthread_mutex_lock(&here.lock);
	here.conf = conf;
	here.policy = &conf->policy;
	pthread_mutex_unlock(&here.lock);
}

void
telemetry_stop(void)
{
	pthread_mutex_lock(&here.lock);
	here.plane = NULL;
	pthread_mutex_unlock(&here.lock);
}
