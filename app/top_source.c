/* SPDX-License-Identifier: BSD-3-Clause */
#include "top_source.h"

#include <string.h>

#include "clock.h"
#include "ctl_json.h"
#include "ctl_table.h"
#include "ctl_talkers.h"
#include "top_rates.h"

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))
#define NAME_MAX 12 /* of a service: what leaves room for its figures in 80 columns */
#define TALKERS_MAX 100

static const struct top_figure service_figures[] = {
	{ "name", TOP_VALUE },        { "cookie_mode", TOP_VALUE }, { "syn", TOP_RATE },
	{ "syn_ack", TOP_RATE },      { "opened", TOP_RATE },       { "refused", TOP_RATE },
	{ "connections", TOP_VALUE }, { "half_open", TOP_VALUE },
};
static const struct top_figure port_figures[] = {
	{ "side", TOP_VALUE },   { "link", TOP_VALUE },          { "received", TOP_RATE },
	{ "sent", TOP_RATE },    { "port_missed", TOP_RATE },    { "port_no_buffer", TOP_RATE },
	{ "tx_full", TOP_RATE }, { "port_rx_errors", TOP_RATE }, { "port_tx_errors", TOP_RATE },
};
static const struct top_figure worker_figures[] = {
	{ "worker", TOP_VALUE },
	{ "cpu_ns", TOP_SHARE },
};

static const struct ctl_column service_columns[] = {
	{ "shown", "SERVICE" },     { "state", "STATE" },         { "syn", "SYN/s" },
	{ "syn_ack", "SYN-ACK/s" }, { "opened", "PROVEN/s" },     { "refused", "REFUSED/s" },
	{ "connections", "CONNS" }, { "half_open", "HALF-OPEN" },
};
static const struct ctl_column port_columns[] = {
	{ "side", "PORT" },
	{ "link", "LINK" },
	{ "received", "IN/s" },
	{ "sent", "OUT/s" },
	{ "port_missed", "MISSED/s" },
	{ "port_no_buffer", "NOBUF/s" },
	{ "tx_full", "TXFULL/s" },
	{ "port_rx_errors", "RX-ERR/s" },
	{ "port_tx_errors", "TX-ERR/s" },
};
/* What is long stands last, where the least is lost if the screen ends. */
static const struct ctl_column talker_columns[] = {
	{ "service", "SERVICE" }, { "outcome", "OUTCOME" }, { "frames", "FRAMES" },
	{ "percent", "PERCENT" }, { "prefix", "PREFIX" },
};

const char *const top_order_names[TOP_ORDERS] = {
	[TOP_BY_SYN] = "SYN/s",         [TOP_BY_SYN_ACK] = "SYN-ACK/s",
	[TOP_BY_PROVEN] = "PROVEN/s",   [TOP_BY_REFUSED] = "REFUSED/s",
	[TOP_BY_CONNECTIONS] = "CONNS", [TOP_BY_HALF_OPEN] = "HALF-OPEN",
	[TOP_BY_NAME] = "SERVICE",
};
static const char *const order_keys[TOP_ORDERS] = {
	[TOP_BY_SYN] = "syn",
	[TOP_BY_SYN_ACK] = "syn_ack",
	[TOP_BY_PROVEN] = "opened",
	[TOP_BY_REFUSED] = "refused",
	[TOP_BY_CONNECTIONS] = "connections",
	[TOP_BY_HALF_OPEN] = "half_open",
	[TOP_BY_NAME] = "name",
};

static void
figures_free(struct top_figures *f)
{
	json_decref(f->info);
	json_decref(f->health);
	json_decref(f->services);
	json_decref(f->ports);
	json_decref(f->workers);
	json_decref(f->talkers);
	*f = (struct top_figures){ 0 };
}

static int
figures_ask(struct top_figures *f, struct ctl_socket *s)
{
	*f = (struct top_figures){ .info = ctl_ask(s, "/synfront/info", "") };
	if (f->info == NULL || (f->health = ctl_ask(s, "/synfront/health", "")) == NULL ||
	    (f->talkers = ctl_talkers_ask(s)) == NULL ||
	    (f->services = ctl_ask_all(s, "/synfront/services")) == NULL ||
	    (f->ports = ctl_ask_all(s, "/synfront/ports")) == NULL ||
	    (f->workers = ctl_ask_all(s, "/synfront/workers")) == NULL) {
		figures_free(f);
		return -1;
	}
	f->at_s = clock_s(CLOCK_MONOTONIC);
	return 0;
}

int
top_source_take(struct top_source *source)
{
	struct top_figures figures;

	if (!source->is_open && ctl_open(&source->socket, source->instance) != 0)
		return -1;
	source->is_open = true;
	if (figures_ask(&figures, &source->socket) != 0) {
		top_source_end(source);
		return -1;
	}
	figures_free(&source->before);
	source->before = source->now;
	source->now = figures;
	return 0;
}

void
top_source_end(struct top_source *source)
{
	if (source->is_open)
		ctl_close(&source->socket);
	source->is_open = false;
	figures_free(&source->now);
	figures_free(&source->before);
}

static void
make_services(struct top_tables *t, const struct top_source *source, double seconds,
              enum top_order order)
{
	size_t i;
	json_t *row;

	t->services = top_rates(source->now.services, source->before.services, "name",
	                        service_figures, N_OF(service_figures), seconds);
	json_array_foreach(t->services, i, row)
	{
		bool floods = json_integer_value(json_object_get(row, "cookie_mode")) != 0;
		char name[NAME_MAX + 1];
		snprintf(name, sizeof(name), "%.*s", NAME_MAX, ctl_text(row, "name"));
		json_object_set_new(row, "shown", json_string(name));
		json_object_set_new(row, "state", json_string(floods ? "flood" : "calm"));
	}
	top_sort(t->services, order_keys[order]);
}

/* "WORKERS busy  0: 12 %  1: 100 %". */
static void
make_workers(struct top_tables *t, const struct top_source *source, double seconds)
{
	json_t *workers = top_rates(source->now.workers, source->before.workers, "worker",
	                            worker_figures, N_OF(worker_figures), seconds);
	size_t n = (size_t)snprintf(t->workers, sizeof(t->workers), "WORKERS busy"), i;
	json_t *row;

	json_array_foreach(workers, i, row)
	{
		const json_t *share = json_object_get(row, "cpu_ns");
		char percent[24] = "-";
		if (json_is_integer(share))
			snprintf(percent, sizeof(percent), "%" JSON_INTEGER_FORMAT,
			         json_integer_value(share));
		if (n < sizeof(t->workers))
			n += (size_t)snprintf(t->workers + n, sizeof(t->workers) - n,
			                      "  %" JSON_INTEGER_FORMAT ": %s %%",
			                      json_integer_value(json_object_get(row, "worker")),
			                      percent);
	}
	json_decref(workers);
}

static void
make_talkers(struct top_tables *t, const struct top_source *source, const char *service)
{
	t->talkers = ctl_talkers_rows(source->now.talkers);
	for (size_t i = json_array_size(t->talkers); i-- > 0 && service != NULL && *service;) {
		if (strcmp(ctl_text(json_array_get(t->talkers, i), "service"), service) != 0)
			json_array_remove(t->talkers, i);
	}
	top_sort(t->talkers, "frames");
	while (json_array_size(t->talkers) > TALKERS_MAX)
		json_array_remove(t->talkers, json_array_size(t->talkers) - 1);
}

static void
make_heading(struct top_tables *t, const struct top_source *source)
{
	json_int_t up_s = json_integer_value(json_object_get(source->now.info, "uptime_s"));
	unsigned int n_floods = 0;
	json_t *row;
	size_t i;

	json_array_foreach(source->now.services, i, row)
	{
		n_floods += json_integer_value(json_object_get(row, "cookie_mode")) != 0;
	}
	snprintf(t->heading, sizeof(t->heading),
	         "%.40s: %.12s%s, up %u d %02u:%02u:%02u, flood on %u of %zu services",
	         source->instance, ctl_text(source->now.health, "state"),
	         json_integer_value(json_object_get(source->now.info, "draining")) != 0 ? ", drains"
	                                                                                : "",
	         (unsigned int)(up_s / 86400), (unsigned int)(up_s / 3600 % 24),
	         (unsigned int)(up_s / 60 % 60), (unsigned int)(up_s % 60), n_floods,
	         json_array_size(source->now.services));
}

const char *const top_bar_names[TOP_BARS] = { "SYNs", "answers", "proven", "refused" };

static json_int_t
bar_value(const json_t *row, unsigned int bar)
{
	static const char *const keys[TOP_BARS] = { "syn", "syn_ack", "opened", "refused" };

	return json_integer_value(json_object_get(row, keys[bar])); /* 0: not known */
}

static json_int_t
bar_scale(const json_t *services)
{
	json_int_t most = 0;
	json_t *row;
	size_t i;

	json_array_foreach(services, i, row)
	{
		for (unsigned int bar = 0; bar < TOP_BARS; bar++)
			most = bar_value(row, bar) > most ? bar_value(row, bar) : most;
	}
	return most;
}

unsigned int
top_bar(const struct top_tables *t, size_t service, unsigned int bar, unsigned int width)
{
	json_int_t value = bar_value(json_array_get(t->services, service), bar);

	if (value <= 0 || width == 0)
		return 0;
	unsigned int n = (unsigned int)((double)value * width / (double)t->bar_scale + 0.5);
	return n > 0 ? n : 1;
}

void
top_tables_make(struct top_tables *t, const struct top_source *source, enum top_order order,
                const char *service)
{
	double seconds = source->now.at_s - source->before.at_s;

	make_heading(t, source);
	make_services(t, source, seconds, order);
	t->bar_scale = bar_scale(t->services);
	make_workers(t, source, seconds);
	make_talkers(t, source, service);
	t->ports = top_rates(source->now.ports, source->before.ports, "side", port_figures,
	                     N_OF(port_figures), seconds);
}

void
top_tables_free(struct top_tables *t)
{
	json_decref(t->services);
	json_decref(t->ports);
	json_decref(t->talkers);
}

void
top_print_services(FILE *out, const struct top_tables *t)
{
	ctl_print_list(out, t->services, service_columns, N_OF(service_columns));
}

void
top_print_ports(FILE *out, const struct top_tables *t)
{
	ctl_print_list(out, t->ports, port_columns, N_OF(port_columns));
}

void
top_print_talkers(FILE *out, const struct top_tables *t)
{
	ctl_print_list(out, t->talkers, talker_columns, N_OF(talker_columns));
}
