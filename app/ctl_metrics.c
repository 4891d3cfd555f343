/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl_metrics.h"

#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "ctl_json.h"
#include "ctl_table.h"

#define PREFIX "synfront_"
#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Why a proven client was refused: one family, whose sum is how many were. */
static const char *const refused[] = {
	"limit_service_connections",
	"limit_service_new",
	"limit_connecting",
	"limit_source_connections",
	"limit_source_new",
	"limit_backend_down",
	"table_full",
	"pending_full",
};

/* A column of a list, as a family with the row's name for a label. */
struct column {
	const char *key, *name;
	enum openmetrics_type type;
	const char *help;
	bool zero_is_none;
	const char *label, *value; /* a second label; the columns of a family follow each other */
};

static const struct column service_columns[] = {
	{ "syn", "syn", OPENMETRICS_COUNTER, "SYNs to the service, from outside" },
	{ "syn_ack", "syn_ack", OPENMETRICS_COUNTER, "SYN-ACKs sent for the service" },
	{ "opened", "proven", OPENMETRICS_COUNTER,
	  "clients that proved their address and whose connection was opened" },
	{ "refused", "service_refused", OPENMETRICS_COUNTER, "proven clients refused" },
	{ "connections", "connections", OPENMETRICS_GAUGE, "connecting and established" },
	{ "half_open", "half_open", OPENMETRICS_GAUGE, "half-open entries" },
	{ "high", "half_open_high", OPENMETRICS_GAUGE,
	  "half-open entries at which cookie mode begins", true },
	{ "low", "half_open_low", OPENMETRICS_GAUGE, "half-open entries at which it ends", true },
	{ "cookie_mode", "cookie_mode", OPENMETRICS_GAUGE, "1 while cookies answer: a flood" },
};

/* Of services under observe alone. */
static const struct column observed_columns[] = {
	{ "would_syn_ack", "would_syn_ack", OPENMETRICS_COUNTER,
	  "under observe: SYN-ACKs that would have been sent for the service" },
	{ "would_opened", "would_proven", OPENMETRICS_COUNTER,
	  "under observe: clients whose connection would have been opened" },
	{ "would_refused", "would_service_refused", OPENMETRICS_COUNTER,
	  "under observe: proven clients that would have been refused" },
};

static const struct column port_columns[] = {
	{ "received", "port_frames", OPENMETRICS_COUNTER, "frames that crossed the port", false,
	  "direction", "in" },
	{ "sent", "port_frames", OPENMETRICS_COUNTER, "", false, "direction", "out" },
	{ "port_missed", "port_missed", OPENMETRICS_COUNTER,
	  "frames that the port had no room for: the workers are too slow" },
	{ "port_no_buffer", "port_no_buffer", OPENMETRICS_COUNTER, "frames that found no buffer" },
	{ "tx_full", "port_tx_full", OPENMETRICS_COUNTER, "frames that the port did not take" },
	{ "port_rx_errors", "port_errors", OPENMETRICS_COUNTER, "frames with errors", false,
	  "direction", "in" },
	{ "port_tx_errors", "port_errors", OPENMETRICS_COUNTER, "", false, "direction", "out" },
	{ "link_up", "port_link_up", OPENMETRICS_GAUGE, "1 while the link is up" },
	{ "link_downs", "port_link_downs", OPENMETRICS_COUNTER, "how often the link went down" },
};

static const struct column memory_columns[] = {
	{ "used", "table_used_entries", OPENMETRICS_GAUGE, "entries in use" },
	{ "entries", "table_size_entries", OPENMETRICS_GAUGE, "entries that there is room for" },
	{ "size", "table_size_bytes", OPENMETRICS_GAUGE, "what the table takes" },
};

static const struct column worker_columns[] = {
	{ "received", "worker_frames", OPENMETRICS_COUNTER, "frames that the worker received" },
	{ "handed_over", "worker_handed_over", OPENMETRICS_COUNTER,
	  "segments given to the worker that owns their connection" },
	{ "full_loops", "worker_rounds", OPENMETRICS_COUNTER,
	  "polls of the ports, by what they found", false, "found", "frames" },
	{ "empty_loops", "worker_rounds", OPENMETRICS_COUNTER, "", false, "found", "nothing" },
	{ "sleeps", "worker_rests", OPENMETRICS_COUNTER, "how often the worker gave its CPU back" },
};

static uint64_t
number_of(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* The name of a row as a label: that of a table has no blanks. */
static const char *
label_of(const json_t *row, const char *key, char text[32])
{
	const json_t *value = json_object_get(row, key);

	if (json_is_integer(value))
		snprintf(text, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		snprintf(text, 32, "%s", ctl_text(row, key));
	for (char *p = text; *p != '\0'; p++)
		if (*p == ' ')
			*p = '_';
	return text;
}

static void
write_column(struct openmetrics *m, const struct column *c, const json_t *rows, const char *label,
             const char *key)
{
	const json_t *row;
	char name[32];
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const json_t *value = json_object_get(row, c->key);
		/* What is not known is null, and no sample. */
		if (!json_is_integer(value) || (c->zero_is_none && json_integer_value(value) == 0))
			continue;
		const struct openmetrics_label labels[] = { { label, label_of(row, key, name) },
			                                    { c->label, c->value },
			                                    { NULL, NULL } };
		openmetrics_sample(m, labels, (uint64_t)json_integer_value(value));
	}
}

/* A family of several columns has the help of its first. */
static void
write_list(struct openmetrics *m, const json_t *rows, const char *label, const char *key,
           const struct column *columns, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || strcmp(columns[i].name, columns[i - 1].name) != 0)
			openmetrics_family(m, columns[i].name, columns[i].type, columns[i].help);
		write_column(m, &columns[i], rows, label, key);
	}
}

static bool
is_refusal(const char *name)
{
	for (size_t i = 0; i < N_OF(refused); i++)
		if (strcmp(refused[i], name) == 0)
			return true;
	return false;
}

static const char *
counter_name(const struct counter_info *info, bool would)
{
	return would ? info->would : info->name;
}

static void
write_outcomes(struct openmetrics *m, const json_t *stats, bool would)
{
	static const char *const classes[] = {
		[OUTCOME_PASS] = "pass",
		[OUTCOME_ANSWER] = "answer",
		[OUTCOME_TAKEN] = "taken",
		[OUTCOME_DROP] = "drop",
	};

	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		if (counter_infos[i].class != OUTCOME_NOT)
			openmetrics_sample(
				m,
				OPENMETRICS_LABELS({ "outcome", counter_infos[i].name },
			                           { "class", classes[counter_infos[i].class] }),
				number_of(stats, counter_name(&counter_infos[i], would)));
}

static void
write_refused(struct openmetrics *m, const json_t *stats, bool would)
{
	char key[64];

	for (size_t i = 0; i < N_OF(refused); i++) {
		snprintf(key, sizeof(key), "%s%s", would ? "would_" : "", refused[i]);
		openmetrics_sample(m, OPENMETRICS_LABELS({ "reason", refused[i] }),
		                   number_of(stats, key));
	}
}

static void
write_others(struct openmetrics *m, const json_t *stats, bool would)
{
	char help[512];

	for (unsigned int i = 0; i < COUNTER_COUNT; i++) {
		const struct counter_info *info = &counter_infos[i];
		if (info->class != OUTCOME_NOT || is_refusal(info->name))
			continue;
		snprintf(help, sizeof(help), "%s%s", would ? "under observe it would be: " : "",
		         info->help);
		openmetrics_family(m, counter_name(info, would), OPENMETRICS_COUNTER, help);
		openmetrics_sample(m, NULL, number_of(stats, counter_name(info, would)));
	}
}

static void
write_counters(struct openmetrics *m, const json_t *stats)
{
	static const char *const of_account[] = { "alloc_failed", "unfit" };

	openmetrics_family(m, "frames", OPENMETRICS_COUNTER,
	                   "frames received, by what became of each: their sum is all of them");
	write_outcomes(m, stats, false);
	openmetrics_family(m, "refused", OPENMETRICS_COUNTER, "proven clients refused, by reason");
	write_refused(m, stats, false);
	write_others(m, stats, false);
	for (size_t i = 0; i < N_OF(of_account); i++) {
		openmetrics_family(m, of_account[i], OPENMETRICS_COUNTER,
		                   ctl_counter_help(of_account[i]));
		openmetrics_sample(m, NULL, number_of(stats, of_account[i]));
	}
}

/* While a service is under observe. The engine leaves out the counters that are zero; here they
 * are there, so that a rate begins with the first frame. */
static void
write_would(struct openmetrics *m, const struct ctl_figures *f)
{
	json_t *observed = json_array();
	json_t *row;
	size_t i;

	json_array_foreach(f->services, i, row)
	{
		if (number_of(row, "observe") != 0)
			json_array_append(observed, row);
	}
	if (json_array_size(observed) != 0) {
		write_list(m, observed, "service", "name", observed_columns,
		           N_OF(observed_columns));
		openmetrics_family(m, "would_frames", OPENMETRICS_COUNTER,
		                   "frames of services under observe, by what would have become "
		                   "of each");
		write_outcomes(m, f->stats, true);
		openmetrics_family(m, "would_refused", OPENMETRICS_COUNTER,
		                   "under observe: proven clients that would have been refused, "
		                   "by reason");
		write_refused(m, f->stats, true);
		write_others(m, f->stats, true);
	}
	json_decref(observed);
}

static void
write_one(struct openmetrics *m, const char *name, const char *help, uint64_t value)
{
	openmetrics_family(m, name, OPENMETRICS_GAUGE, help);
	openmetrics_sample(m, NULL, value);
}

static void
write_info(struct openmetrics *m, const struct ctl_figures *f)
{
	static const char *const states[] = { "ready", "degraded", "failed" };
	uint64_t n = number_of(f->info, "reloads"),
		 n_refused = number_of(f->info, "reloads_refused");
	const char *last = ctl_text(f->info, "last_reload_result");

	openmetrics_family(m, "build", OPENMETRICS_INFO, "what runs");
	openmetrics_sample(m,
	                   OPENMETRICS_LABELS({ "version", ctl_text(f->info, "version") },
	                                      { "dpdk", ctl_text(f->info, "dpdk") }),
	                   1);
	write_one(m, "uptime_seconds", "how long it has been running",
	          number_of(f->info, "uptime_s"));
	openmetrics_family(m, "health", OPENMETRICS_GAUGE, "1 for the state that it is in");
	for (size_t i = 0; i < N_OF(states); i++)
		openmetrics_sample(m, OPENMETRICS_LABELS({ "state", states[i] }),
		                   strcmp(ctl_text(f->health, "state"), states[i]) == 0);
	openmetrics_family(m, "reloads", OPENMETRICS_COUNTER, "reloads, by what became of them");
	openmetrics_sample(m, OPENMETRICS_LABELS({ "result", "in_force" }), n - n_refused);
	openmetrics_sample(m, OPENMETRICS_LABELS({ "result", "refused" }), n_refused);
	write_one(m, "last_reload_success", "whether the file of the last reload is in force",
	          strcmp(last, "refused") != 0);
	write_one(m, "draining", "1 while new connections pass untouched",
	          number_of(f->info, "draining"));
	write_one(m, "remaining_connections", "connections that a drain would wait for",
	          number_of(f->info, "remaining"));
}

static void
write_workers(struct openmetrics *m, const json_t *workers)
{
	const json_t *row;
	char name[32];
	size_t i;

	openmetrics_family(m, "worker_busy_seconds", OPENMETRICS_COUNTER,
	                   "CPU time of the worker; with workers.idle: poll it never rests");
	json_array_foreach(workers, i, row) openmetrics_sample_seconds(
		m, OPENMETRICS_LABELS({ "worker", label_of(row, "worker", name) }),
		number_of(row, "cpu_ns"));
	/* What found something is the rest. */
	json_array_foreach(workers, i, row)
		json_object_set_new((json_t *)row, "full_loops",
	                            json_integer((json_int_t)(number_of(row, "loops") -
	                                                      number_of(row, "empty_loops"))));
	write_list(m, workers, "worker", "worker", worker_columns, N_OF(worker_columns));
}

static void
write_ports(struct openmetrics *m, const json_t *ports)
{
	const json_t *row;
	size_t i;

	json_array_foreach(ports, i, row) json_object_set_new(
		(json_t *)row, "link_up", json_integer(strcmp(ctl_text(row, "link"), "up") == 0));
	write_list(m, ports, "port", "side", port_columns, N_OF(port_columns));
}

void
ctl_metrics_write(FILE *out, bool is_strict, const struct ctl_figures *f)
{
	struct openmetrics m = { .out = out, .is_strict = is_strict, .prefix = PREFIX };

	write_info(&m, f);
	write_list(&m, f->services, "service", "name", service_columns, N_OF(service_columns));
	write_counters(&m, f->stats);
	write_would(&m, f);
	write_list(&m, f->memory, "table", "table", memory_columns, N_OF(memory_columns));
	write_ports(&m, f->ports);
	write_workers(&m, f->workers);
	openmetrics_end(&m);
}

int
ctl_figures_ask(struct ctl_figures *f, struct ctl_socket *s)
{
	*f = (struct ctl_figures){ .info = ctl_ask(s, "/synfront/info", "") };
	if (f->info == NULL || (f->health = ctl_ask(s, "/synfront/health", "")) == NULL ||
	    (f->stats = ctl_ask(s, "/synfront/stats", "")) == NULL ||
	    (f->services = ctl_ask_all(s, "/synfront/services")) == NULL ||
	    (f->ports = ctl_ask_all(s, "/synfront/ports")) == NULL ||
	    (f->memory = ctl_ask_all(s, "/synfront/memory")) == NULL ||
	    (f->workers = ctl_ask_all(s, "/synfront/workers")) == NULL)
		return -1;
	return 0;
}

void
ctl_figures_free(struct ctl_figures *f)
{
	json_decref(f->info);
	json_decref(f->health);
	json_decref(f->stats);
	json_decref(f->services);
	json_decref(f->ports);
	json_decref(f->memory);
	json_decref(f->workers);
}
