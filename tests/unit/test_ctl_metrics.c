/* SPDX-License-Identifier: BSD-3-Clause */
/* Figures for Prometheus: names, labels, both dialects, and how many series there are. */
#include "check.h"
#include "counters.h"
#include "ctl_metrics.h"

#define N_SERVICES 64u
#define N_WORKERS 16u
#define SERIES_MAX 3000u

static json_t *
row(const char *key, const char *name, unsigned int number)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%u", name, number);
	return json_pack("{s:s}", key, text);
}

/* Every column that an engine has, each with a number of its own. */
static void
fill(json_t *object, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		json_object_set_new(object, keys[i], json_integer((json_int_t)(i + 1)));
}

#define FILL(object, ...)                                  \
	fill(object, (const char *const[]){ __VA_ARGS__ }, \
	     sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static struct ctl_figures
figures(unsigned int n_services, unsigned int n_workers)
{
	static const char *const sides[] = { "outside", "inside" };
	struct ctl_figures f = {
		.info = json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:i, s:i}", "version", "9.8.7",
		                  "dpdk", "DPDK 22.11.1", "uptime_s", 5, "reloads", 7,
		                  "reloads_refused", 3, "last_reload_result", "refused", "draining",
		                  0, "remaining", 6),
		.health = json_pack("{s:s, s:[]}", "state", "degraded", "reasons"),
		.stats = json_object(),
		.services = json_array(),
		.ports = json_array(),
		.memory = json_array(),
		.workers = json_array(),
	};

	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		json_object_set_new(f.stats, counter_infos[i].name, json_integer(1000 + i));
	for (unsigned int i = 0; i < n_services; i++) {
		json_t *service = row("name", "service-", i);
		FILL(service, "cookie_mode", "half_open", "high", "low", "connections", "syn",
		     "syn_ack", "opened", "refused");
		json_array_append_new(f.services, service);
	}
	for (unsigned int i = 0; i < 2; i++) {
		json_t *port = json_pack("{s:s, s:s}", "side", sides[i], "link", i ? "up" : "down");
		FILL(port, "received", "sent", "tx_full", "port_missed", "port_no_buffer",
		     "port_rx_errors", "port_tx_errors", "link_downs");
		json_array_append_new(f.ports, port);
	}
	for (unsigned int i = 0; i < 12; i++) {
		json_t *table = row("table", "a table ", i);
		FILL(table, "entries", "used", "size");
		json_array_append_new(f.memory, table);
	}
	for (unsigned int i = 0; i < n_workers; i++) {
		json_t *worker = json_pack("{s:i, s:I}", "worker", (int)i, "cpu_ns",
		                           (json_int_t)12003000456);
		FILL(worker, "received", "handed_over", "empty_loops", "loops", "sleeps");
		json_array_append_new(f.workers, worker);
	}
	return f;
}

/* gcc 12 takes what stays in a stream's own variable for a pointer to it, unless it cannot see. */
static __attribute__((noinline)) char *
written(struct ctl_figures f, bool is_strict)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	ctl_metrics_write(out, is_strict, &f);
	fclose(out);
	ctl_figures_free(&f);
	return text;
}

static unsigned int
count_series(const char *text)
{
	unsigned int n = 0;

	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
		n += *line != '#';
	return n;
}

static bool
has(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (const char *at = text; (at = strstr(at, line)) != NULL; at++)
		if ((at == text || at[-1] == '\n') && at[n] == '\n')
			return true;
	printf("\n  not there: %s\n", line);
	return false;
}

static void
test_series_are_bounded(void)
{
	char *text = written(figures(N_SERVICES, N_WORKERS), false);
	unsigned int n = count_series(text);

	printf(" %u series at %u services and %u workers ", n, N_SERVICES, N_WORKERS);
	CU_ASSERT(n <= SERIES_MAX);
	CU_ASSERT(n > N_SERVICES * 9 + COUNTER_COUNT);
	free(text);
}

static void
test_names_and_labels(void)
{
	char *text = written(figures(1, 1), false);

	CU_ASSERT(has(text, "synfront_build_info{version=\"9.8.7\",dpdk=\"DPDK 22.11.1\"} 1"));
	CU_ASSERT(has(text, "synfront_health{state=\"ready\"} 0"));
	CU_ASSERT(has(text, "synfront_health{state=\"degraded\"} 1"));
	CU_ASSERT(has(text, "synfront_reloads_total{result=\"in_force\"} 4"));
	CU_ASSERT(has(text, "synfront_reloads_total{result=\"refused\"} 3"));
	CU_ASSERT(has(text, "synfront_last_reload_success 0"));
	CU_ASSERT(has(text, "synfront_cookie_mode{service=\"service-0\"} 1"));
	CU_ASSERT(has(text, "synfront_proven_total{service=\"service-0\"} 8"));
	CU_ASSERT(has(text, "synfront_port_frames_total{port=\"outside\",direction=\"in\"} 1"));
	CU_ASSERT(has(text, "synfront_port_frames_total{port=\"outside\",direction=\"out\"} 2"));
	CU_ASSERT(has(text, "synfront_port_link_up{port=\"outside\"} 0"));
	CU_ASSERT(has(text, "synfront_port_link_up{port=\"inside\"} 1"));
	CU_ASSERT(has(text, "synfront_table_used_entries{table=\"a_table_0\"} 2"));
	CU_ASSERT(has(text, "synfront_worker_busy_seconds_total{worker=\"0\"} 12.003000456"));
	CU_ASSERT(has(text, "synfront_worker_rounds_total{worker=\"0\",found=\"frames\"} 1"));
	CU_ASSERT(has(text, "synfront_worker_rounds_total{worker=\"0\",found=\"nothing\"} 3"));
	free(text);
}

/* Each counter of counters.def is there once, with its help; who adds one need not come here. */
static void
test_every_counter_is_there_by_itself(void)
{
	char *text = written(figures(1, 1), false), line[512];
	unsigned int n_frames = 0, n_refused = 0;

	for (unsigned int i = 0; i < COUNTER_COUNT; i++) {
		const struct counter_info *info = &counter_infos[i];
		/* What says so in its help is one of the reasons, and nothing else is. */
		bool is_refusal = strncmp(info->help, "proven clients refused: ", 24) == 0;
		if (info->class != OUTCOME_NOT) {
			snprintf(line, sizeof(line), "synfront_frames_total{outcome=\"%s\",",
			         info->name);
			CU_ASSERT_PTR_NOT_NULL(strstr(text, line));
			n_frames++;
			continue;
		}
		n_refused += is_refusal;
		if (is_refusal)
			snprintf(line, sizeof(line), "synfront_refused_total{reason=\"%s\"} %u",
			         info->name, 1000 + i);
		else
			snprintf(line, sizeof(line), "synfront_%s_total %u", info->name, 1000 + i);
		CU_ASSERT(has(text, line));
		snprintf(line, sizeof(line), "# TYPE synfront_%s_total counter\n", info->name);
		CU_ASSERT_EQUAL(strstr(text, line) != NULL, !is_refusal);
	}
	for (const char *at = text; (at = strstr(at, "\nsynfront_frames_total{")) != NULL; at++)
		n_frames--;
	for (const char *at = text; (at = strstr(at, "\nsynfront_refused_total{")) != NULL; at++)
		n_refused--;
	CU_ASSERT_EQUAL(n_frames, 0);
	CU_ASSERT_EQUAL(n_refused, 0);
	free(text);
}

static void
test_what_is_not_known_is_no_sample(void)
{
	struct ctl_figures f = figures(2, 1);
	json_t *service = json_array_get(f.services, 1);

	json_object_set_new(service, "connections", json_null());
	json_object_set_new(service, "high", json_integer(0));
	char *text = written(f, false);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "synfront_connections{service=\"service-0\"}"));
	CU_ASSERT_PTR_NULL(strstr(text, "synfront_connections{service=\"service-1\"}"));
	CU_ASSERT_PTR_NULL(strstr(text, "synfront_half_open_high{service=\"service-1\"}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "synfront_half_open{service=\"service-1\"}"));
	free(text);
}

/* The same samples; what is said of a family is as each dialect wants it. */
static void
test_dialects_differ_in_comments_alone(void)
{
	char *plain = written(figures(2, 2), false), *strict = written(figures(2, 2), true);
	const char *a = plain, *b = strict;

	CU_ASSERT_PTR_NOT_NULL(strstr(plain, "# TYPE synfront_frames_total counter\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(strict, "# TYPE synfront_frames counter\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(plain, "# TYPE synfront_build_info gauge\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(strict, "# TYPE synfront_build info\n"));
	CU_ASSERT_STRING_EQUAL(strict + strlen(strict) - 6, "# EOF\n");
	while (*a != '\0' && *b != '\0') {
		size_t n = strcspn(a, "\n") + 1, m = strcspn(b, "\n") + 1;
		if (*a != '#' || *b != '#') {
			CU_ASSERT_EQUAL(n, m);
			CU_ASSERT_EQUAL(strncmp(a, b, n), 0);
		}
		a += n;
		b += m;
	}
	CU_ASSERT_EQUAL(*a, '\0');
	free(plain);
	free(strict);
}

static void
test_texts_are_escaped(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct openmetrics m = { .out = out, .prefix = "x_" };

	openmetrics_family(&m, "y", OPENMETRICS_GAUGE, "a \\ and a\nline.");
	openmetrics_sample(&m, OPENMETRICS_LABELS({ "l", "\"\\\n" }), 1);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, "# HELP x_y A \\\\ and a\\nline.\n# TYPE x_y gauge\n"
	                             "x_y{l=\"\\\"\\\\\\n\"} 1\n");
	free(text);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_series_are_bounded),
		CHECK_TEST(test_names_and_labels),
		CHECK_TEST(test_every_counter_is_there_by_itself),
		CHECK_TEST(test_what_is_not_known_is_no_sample),
		CHECK_TEST(test_dialects_differ_in_comments_alone),
		CHECK_TEST(test_texts_are_escaped),
		CU_TEST_INFO_NULL,
	};

	return check_run("ctl_metrics", tests);
}
