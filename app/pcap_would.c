/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcap_would.h"

#include <inttypes.h>
#include <stdlib.h>

#include "account.h"

int
would_init(struct would *would, const struct core *core, uint64_t now_us)
{
	*would = (struct would){ .begun_us = now_us, .now_us = now_us };
	if (core_would(core) == NULL)
		return 0;
	would->services = calloc(core_policy(core)->n_services, sizeof(*would->services));
	if (would->services != NULL)
		return 0;
	fputs("synfront-pcap: not enough memory for the services\n", stderr);
	return -1;
}

void
would_fini(struct would *would)
{
	free(would->services);
}

static void
look_at(struct would *would, struct would_service *s, const struct service_view *view)
{
	uint64_t at_us = would->now_us - would->begun_us;

	if (view->half_open > s->half_open_most)
		s->half_open_most = view->half_open;
	if (view->cookie_mode == s->is_on)
		return;
	s->is_on = view->cookie_mode;
	s->n_spans += s->is_on;
	if (s->n_spans > WOULD_SPANS_MAX)
		return;
	if (s->is_on)
		s->spans[s->n_spans - 1].from_us = at_us;
	else
		s->spans[s->n_spans - 1].to_us = at_us;
}

void
would_look(struct would *would, const struct core *core, uint64_t now_us)
{
	const struct policy *policy = core_policy(core);

	would->now_us = now_us;
	for (uint32_t i = 0; would->services != NULL && i < policy->n_services; i++) {
		struct service_view view = core_service_view(core, policy->services[i].id);
		if (view.is_observed)
			look_at(would, &would->services[i], &view);
	}
}

static void
print_spans(FILE *out, const struct would_service *s)
{
	if (s->n_spans == 0)
		fputs("never", out);
	for (uint32_t i = 0; i < s->n_spans && i < WOULD_SPANS_MAX; i++) {
		bool is_on = s->is_on && i + 1 == s->n_spans;
		fprintf(out, "%s%.2f s to ", i == 0 ? "" : ", ", (double)s->spans[i].from_us / 1e6);
		if (is_on)
			fputs("the end", out);
		else
			fprintf(out, "%.2f s", (double)s->spans[i].to_us / 1e6);
	}
	if (s->n_spans > WOULD_SPANS_MAX)
		fprintf(out, ", and %u times more", s->n_spans - WOULD_SPANS_MAX);
}

static void
print_services(FILE *out, const struct would *would, const struct core *core)
{
	const struct policy *policy = core_policy(core);

	fprintf(out, "\n%-16s %10s %10s %10s %10s %14s  %s\n", "SERVICE", "SYN", "SYN-ACK",
	        "OPENED", "REFUSED", "HALF-OPEN MOST", "COOKIE MODE");
	for (uint32_t i = 0; i < policy->n_services; i++) {
		const struct service *s = &policy->services[i];
		struct service_view view = core_service_view(core, s->id);

		if (!view.is_observed)
			continue;
		fprintf(out, "%-16s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %14u  ",
		        s->name, view.syn, view.would_syn_ack, view.would_opened,
		        view.would_refused, would->services[i].half_open_most);
		print_spans(out, &would->services[i]);
		fputc('\n', out);
	}
}

/* The counters of one kind that are not zero. */
static void
print_counters(FILE *out, const struct counters *would, const char *title, bool outcomes)
{
	fprintf(out, "\n%s\n", title);
	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		if ((counter_infos[i].class != OUTCOME_NOT) == outcomes && would->values[i] != 0)
			fprintf(out, "%-34s %10" PRIu64 "  %s\n", counter_infos[i].would,
			        would->values[i], counter_infos[i].help);
}

void
would_print(FILE *out, const struct would *would, const struct core *core, uint64_t n_received)
{
	const struct counters *c = core_counters(core), *twin = core_would(core);

	fprintf(out, "%" PRIu64 " frames in %.1f s, %" PRIu64 " of them to or from services\n",
	        n_received, (double)(would->now_us - would->begun_us) / 1e6,
	        c->values[COUNTER_passed_observed]);
	print_services(out, would, core);
	print_counters(out, twin, "What would have become of each of those frames:", true);
	print_counters(out, twin, "What else would have been counted:", false);
}

bool
would_adds_up(const struct counters *c, const struct counters *would)
{
	struct account_equation row = account_observed(c, would);

	if (row.left != row.right)
		fprintf(stderr, "synfront-pcap: does not hold: %s: %" PRIu64 " and %" PRIu64 "\n",
		        row.text, row.left, row.right);
	return row.left == row.right;
}
