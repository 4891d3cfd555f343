/* SPDX-License-Identifier: BSD-3-Clause */
#include "adopt_report.h"

#include <inttypes.h>
#include <jansson.h>

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

static void
gauge(FILE *out, const char *name, const char *help, uint64_t value)
{
	fprintf(out,
	        "# TYPE synfront_adopt_%s gauge\n# HELP synfront_adopt_%s %s\n"
	        "synfront_adopt_%s %" PRIu64 "\n",
	        name, name, help, name, value);
}

/* Each counter is a family of its own: their sum would count what is named "besides" twice. */
void
adopt_report_metrics(FILE *out, const struct adopt_report *r)
{
	for (unsigned int i = 0; i < ADOPT_COUNTERS; i++)
		fprintf(out,
		        "# TYPE synfront_adopt_%s counter\n# HELP synfront_adopt_%s Segments: %s.\n"
		        "synfront_adopt_%s_total %llu\n",
		        rows[i].name, rows[i].name, rows[i].help, rows[i].name,
		        (unsigned long long)r->counters.n[i]);
	fputs("# TYPE synfront_adopt_attached gauge\n"
	      "# HELP synfront_adopt_attached Whether the program is attached to the interface.\n",
	      out);
	for (uint32_t i = 0; i < r->conf->n_interfaces; i++)
		fprintf(out, "synfront_adopt_attached{interface=\"%s\"} %d\n",
		        r->conf->interfaces[i], r->is_attached[i]);
	gauge(out, "keys_seconds", "How long the keys in the kernel will last.", r->keys_s);
	gauge(out, "spent_lately", "Cookies spent in the last 60 s.", r->n_lately);
	gauge(out, "spent_room", "Cookies that can be remembered.", r->conf->spent);
	gauge(out, "errors", "What was found that keeps clients from being taken over.",
	      findings_errors(r->findings));
	fputs("# EOF\n", out);
}
