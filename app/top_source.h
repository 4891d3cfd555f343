/* SPDX-License-Identifier: BSD-3-Clause */
/* What `synfrontctl top` shows: an engine's figures, asked again and again, as tables. */
#ifndef SYNFRONT_TOP_SOURCE_H
#define SYNFRONT_TOP_SOURCE_H

#include <stdbool.h>
#include <stdio.h>

#include "ctl_socket.h"

struct top_figures {
	json_t *info, *health, *services, *ports, *workers, *talkers;
	double at_s; /* CLOCK_MONOTONIC */
};

/* An engine that may go and come back. Zero but for `instance` at first. */
struct top_source {
	const char *instance;
	struct ctl_socket socket; /* its error says why there is nothing */
	bool is_open;
	struct top_figures now, before; /* without services: there is none */
};

/* What the services are sorted by, in the order that a key goes through. */
enum top_order {
	TOP_BY_SYN,
	TOP_BY_SYN_ACK,
	TOP_BY_PROVEN,
	TOP_BY_REFUSED,
	TOP_BY_CONNECTIONS,
	TOP_BY_HALF_OPEN,
	TOP_BY_NAME,
	TOP_ORDERS,
};

extern const char *const top_order_names[TOP_ORDERS];

struct top_tables {
	char heading[160], workers[512]; /* lines */
	json_t *services, *ports, *talkers;
	json_int_t bar_scale; /* what the longest bar stands for */
};

/* Ask, connecting first if need be. 0, or -1: there is no engine now, and what was known of it is
 * forgotten, since one that comes back counts from zero. */
int top_source_take(struct top_source *source);
void top_source_end(struct top_source *source);

/* Of the last two looks. `service`: talkers of that one alone; NULL or "": of all. */
void top_tables_make(struct top_tables *tables, const struct top_source *source,
                     enum top_order order, const char *service);
void top_tables_free(struct top_tables *tables);

void top_print_services(FILE *out, const struct top_tables *tables);

/* What the bars show of a service, in this order. */
#define TOP_BARS 4u
extern const char *const top_bar_names[TOP_BARS];
/* How long the bar of row `service` of these is, of `width`: the largest of all services and of all
 * four has the whole, anything but nothing at least one. */
unsigned int top_bar(const struct top_tables *tables, size_t service, unsigned int bar,
                     unsigned int width);
void top_print_ports(FILE *out, const struct top_tables *tables);
void top_print_talkers(FILE *out, const struct top_tables *tables);

#endif
