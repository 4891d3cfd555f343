/* SPDX-License-Identifier: BSD-3-Clause */
/* What --check prints: ports, memory table by table, services, and what is worth a warning. */
#include "check.h"

#include <inttypes.h>

#include "budget.h"
#include "core_share.h"
#include "plane.h"
#include "prefix_text.h"

#define MEMORY_ROWS_MAX 16
#define LISTED_MAX 8u

static const char *
size_text(char text[16], uint64_t size)
{
	static const char units[] = "BKMGT";
	double value = (double)size;
	unsigned int unit = 0;

	while (value >= 1024 && unit < sizeof(units) - 2) {
		value /= 1024;
		unit++;
	}
	snprintf(text, 16, unit == 0 ? "%.0f %c" : "%.1f %c", value, units[unit]);
	return text;
}

static void
print_port(FILE *out, const char *name, const struct port_conf *port, uint32_t n_workers)
{
	char mtu[16] = "its own";

	if (port->mtu != 0)
		snprintf(mtu, sizeof(mtu), "%u", port->mtu);
	fprintf(out, "  %-8s %s\n           queues up to %u, descriptors %u + %u, MTU %s%s\n", name,
	        port->device, port->queues != 0 ? port->queues : n_workers, port->rx_descriptors,
	        port->tx_descriptors, mtu, port->promiscuous ? ", promiscuous" : "");
}

static void
print_memory(FILE *out, const struct conf *conf)
{
	struct core_memory_row rows[MEMORY_ROWS_MAX];
	uint8_t seed[64] = { 0 };
	struct core_params params = core_share(conf, seed);
	unsigned int n = core_memory(&params, rows, MEMORY_ROWS_MAX);
	size_t known = known_size(conf->memory.known_flows);
	uint64_t n_workers = conf->workers.count, all = core_size(&params) * n_workers + known;
	char text[16];

	fprintf(out, "memory of the tables, %" PRIu64 " worker%s\n", n_workers,
	        n_workers == 1 ? "" : "s");
	for (unsigned int i = 0; i < n; i++)
		fprintf(out, "  %-24s %12" PRIu64 " entries %10s\n", rows[i].name,
		        rows[i].entries * n_workers, size_text(text, rows[i].size * n_workers));
	fprintf(out, "  %-24s %12zu entries %10s\n", "known flows", known / sizeof(uint32_t),
	        size_text(text, known));
	fprintf(out, "  %-24s %20s %10s\n", "all", "", size_text(text, all));
	fprintf(out, "  %-24s %20s %10s\n", "with buffers and EAL", "",
	        size_text(text, budget_memory(conf, conf->eal.hugepages != CONF_HUGEPAGES_OFF)));
}

static void
print_handoff(FILE *out, const struct service *s, const char *cookies)
{
	fprintf(out, "  cookies %s, group %s", cookies, s->group);
	if (s->calm == CALM_TRANSPARENT)
		fprintf(out, ", transparent up to %u SYNs a second", s->calm_syn_per_s);
	if (s->unknown_per_s != 0)
		fprintf(out, ", %u segments a second of unknown flows", s->unknown_per_s);
	fprintf(out, "\n  %-16s promises MSS %u, %u", "", s->promise.mss, s->promise.mss6);
	if (s->promise.window_scaling)
		fprintf(out, ", scale %u", s->promise.wscale);
	fprintf(out, "%s%s", s->promise.sack ? ", SACK" : "",
	        s->promise.timestamps ? ", timestamps" : "");
}

static void
print_service(FILE *out, const struct service *s)
{
	static const char *const modes[] = { [MODE_PROXY] = "proxy",
		                             [MODE_RESPOND] = "respond",
		                             [MODE_HANDOFF] = "handoff",
		                             [MODE_BYPASS] = "bypass" };
	static const char *const cookies[] = { "auto", "always", "never" };

	fprintf(out, "  %-16s %-8s", s->name, modes[s->mode]);
	for (uint32_t i = 0; i < s->n_addresses && i < LISTED_MAX; i++) {
		char text[CONF_PREFIX_SIZE];
		conf_format_prefix(&s->addresses[i], text);
		fprintf(out, "%c%s", i == 0 ? ' ' : ',', text);
	}
	if (s->n_addresses > LISTED_MAX)
		fprintf(out, ",... (%u)", s->n_addresses);
	for (uint32_t i = 0; i < s->n_ports && i < LISTED_MAX; i++) {
		fprintf(out, "%s%u", i == 0 ? "  ports " : ",", s->ports[i].first);
		if (s->ports[i].last != s->ports[i].first)
			fprintf(out, "-%u", s->ports[i].last);
	}
	if (s->n_ports > LISTED_MAX)
		fprintf(out, ",... (%u)", s->n_ports);
	if (s->mode == MODE_HANDOFF)
		print_handoff(out, s, cookies[s->cookies]);
	else if (s->mode != MODE_BYPASS)
		fprintf(out, "  cookies %s (%u/%u)%s", cookies[s->cookies], s->high, s->low,
		        s->calm == CALM_TRANSPARENT ? ", transparent when calm" : "");
	fputs(s->observe ? ", observed: everything crosses\n" : "\n", out);
}

/* Servers can check no cookie whose secret nobody can tell them. */
bool
check_warning(const struct conf *conf, const struct service *service, char text[CHECK_WARNING_SIZE])
{
	if (service->mode != MODE_HANDOFF || conf->secret_file != NULL)
		return false;
	snprintf(text, CHECK_WARNING_SIZE,
	         "service %s: mode handoff without secret.file: no server takes its clients over "
	         "while cookies answer",
	         service->name);
	return true;
}

void
check_print(FILE *out, const struct conf *conf)
{
	static const char *const hugepages[] = { "if free", "required", "off" };
	char text[CHECK_WARNING_SIZE];

	fprintf(out, "%s is usable\nports\n", conf->source);
	print_port(out, "outside", &conf->outside, conf->workers.count);
	if (conf->has_inside)
		print_port(out, "inside", &conf->inside, conf->workers.count);
	fprintf(out, "workers %u, hugepages %s, drain for %u s, secret %s\n", conf->workers.count,
	        hugepages[conf->eal.hugepages], conf->drain_timeout_s,
	        conf->secret_file != NULL ? conf->secret_file : "random at start");
	print_memory(out, conf);
	fprintf(out, "services (half-open entries: enter/leave cookie mode)\n");
	for (uint32_t i = 0; i < conf->policy.n_services; i++)
		print_service(out, &conf->policy.services[i]);
	for (uint32_t i = 0; i < conf->policy.n_services; i++)
		if (check_warning(conf, &conf->policy.services[i], text))
			fprintf(out, "warning: %s\n", text);
}
