/* SPDX-License-Identifier: BSD-3-Clause */
#include "adopt_report.h"

#include <inttypes.h>
#include <jansson.h>

#include "openmetrics.h"

struct row {
	const char *name, *help;
};

static const struct row rows[ADOPT_COUNTERS] = {
#define X(name, text, help) { #text, help },
#include "adopt_counters.def"
#undef X
};

void
adopt_report_text(FILE *out, const struct adopt_report *r)
{
	const struct granted *g = r->granted;

	for (uint32_t i = 0; i < r->conf->n_interfaces; i++)
		fprintf(out, "interface %-16s %s\n", r->conf->interfaces[i],
		        r->is_attached[i] ? "attached" : "not there");
	fprintf(out, "running for %" PRIu64 " s, keys for %" PRIu64 " s%s\n", r->up_s, r->keys_s,
	        r->lingers ? ", lingers" : "");
	fprintf(out, "grants MSS %u and %u, window scale ", g->mss, g->mss6);
	if (g->window_scaling)
		fprintf(out, "%u", g->wscale);
	else
		fprintf(out, "none");
	fprintf(out, ", SACK %s, timestamps %s\n", g->sack ? "yes" : "no",
	        g->timestamps ? "yes" : "no");
	fprintf(out, "cookies spent in 60 s: %" PRIu64 " of %u\n", r->n_lately, r->conf->spent);
	for (unsigned int i = 0; i < ADOPT_COUNTERS; i++)
		fprintf(out, "  %-20s %12llu  %s\n", rows[i].name,
		        (unsigned long long)r->counters.n[i], rows[i].help);
	findings_print(out, r->findings);
}

static json_t *
json_interfaces(const struct adopt_report *r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < r->conf->n_interfaces; i++)
		json_array_append_new(list, json_pack("{s:s, s:b}", "name", r->conf->interfaces[i],
		                                      "attached", r->is_attached[i]));
	return list;
}

static json_t *
json_findings(const struct findings *f)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < f->n; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s}", "severity",
		                        f->list[i].severity == FINDING_ERROR ? "error" : "warning",
		                        "text", f->list[i].text));
	return list;
}

void
adopt_report_json(FILE *out, const struct adopt_report *r)
{
	const struct granted *g = r->granted;
	json_t *counters = json_object();

	for (unsigned int i = 0; i < ADOPT_COUNTERS; i++)
		json_object_set_new(counters, rows[i].name,
		                    json_integer((json_int_t)r->counters.n[i]));
	json_t *root = json_pack(
		"{s:o, s:I, s:I, s:b, s:{s:i, s:i, s:i, s:b, s:b, s:b}, s:{s:I, s:i}, s:o, s:o}",
		"interfaces", json_interfaces(r), "up_s", (json_int_t)r->up_s, "keys_s",
		(json_int_t)r->keys_s, "lingers", r->lingers, "grants", "mss", (int)g->mss, "mss6",
		(int)g->mss6, "wscale", (int)g->wscale, "window_scaling", g->window_scaling, "sack",
		g->sack, "timestamps", g->timestamps, "spent", "lately", (json_int_t)r->n_lately,
		"room", (int)r->conf->spent, "counters", counters, "findings",
		json_findings(r->findings));
	if (root != NULL)
		json_dumpf(root, out, JSON_INDENT(1));
	fputc('\n', out);
	json_decref(root);
}

/* Each counter is a family of its own: their sum would count what is named "besides" twice. */
void
adopt_report_metrics(FILE *out, const struct adopt_report *r, bool is_strict)
{
	struct openmetrics m = { .out = out, .is_strict = is_strict, .prefix = "synfront_adopt_" };
	char help[256];

	for (unsigned int i = 0; i < ADOPT_COUNTERS; i++) {
		snprintf(help, sizeof(help), "Segments: %s.", rows[i].help);
		openmetrics_family(&m, rows[i].name, OPENMETRICS_COUNTER, help);
		openmetrics_sample(&m, NULL, r->counters.n[i]);
	}
	openmetrics_family(&m, "attached", OPENMETRICS_GAUGE,
	                   "Whether the program is attached to the interface.");
	for (uint32_t i = 0; i < r->conf->n_interfaces; i++)
		openmetrics_sample(&m, OPENMETRICS_LABELS({ "interface", r->conf->interfaces[i] }),
		                   r->is_attached[i]);
	openmetrics_family(&m, "keys_seconds", OPENMETRICS_GAUGE,
	                   "How long the keys in the kernel will last.");
	openmetrics_sample(&m, NULL, r->keys_s);
	openmetrics_family(&m, "spent_lately", OPENMETRICS_GAUGE,
	                   "Cookies spent in the last 60 s.");
	openmetrics_sample(&m, NULL, r->n_lately);
	openmetrics_family(&m, "spent_room", OPENMETRICS_GAUGE, "Cookies that can be remembered.");
	openmetrics_sample(&m, NULL, r->conf->spent);
	openmetrics_family(&m, "errors", OPENMETRICS_GAUGE,
	                   "What was found that keeps clients from being taken over.");
	openmetrics_sample(&m, NULL, findings_errors(r->findings));
	openmetrics_end(&m);
}
