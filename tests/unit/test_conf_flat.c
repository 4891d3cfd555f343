/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration as flat values, in pages of any length, and where its keys stand. */
#include "check.h"
#include "conf_good.h"

#define PORTS "ports: {outside: {device: net_null0}, inside: {device: net_null1}}\n"
#define WEB                                                                                 \
	"services:\n"                                                                       \
	"- {name: web, addresses: [192.0.2.0/24, \"2001:db8::1\"], ports: [80, 443-445],\n" \
	"   mode: proxy, half_open: {high: 512}, deny: [198.51.100.0/24]}\n"

#define TEXT_SIZE 32768

struct found {
	char text[TEXT_SIZE];
	uint64_t n, n_live;
};

static void
append(void *arg, const struct conf_flat *flat)
{
	struct found *found = arg;
	size_t size = strlen(found->text);

	snprintf(found->text + size, TEXT_SIZE - size, "%s=%s%s\n", flat->path, flat->value,
	         flat->live ? "" : " fixed");
	found->n++;
	found->n_live += flat->live;
}

static struct found *
all(const struct conf *conf, uint64_t page)
{
	struct found *found = calloc(1, sizeof(*found));
	uint64_t at = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	do {
		uint64_t n = found->n, next = conf_flatten(conf, at, page, append, found);
		CU_ASSERT(found->n - n <= page);
		CU_ASSERT(next == 0 || next == at + page);
		at = next;
	} while (at != 0);
	return found;
}

#define HAS(found, line) CU_ASSERT_PTR_NOT_NULL(strstr((found)->text, "\n" line "\n"))

static void
test_every_value_has_its_path(void)
{
	struct conf *conf = parse(PORTS WEB);
	struct found *found = all(conf, UINT32_MAX);

	CU_ASSERT_EQUAL(strncmp(found->text, "ports.outside.device=net_null0 fixed\n", 37), 0);
	HAS(found, "ports.inside.device=net_null1 fixed");
	HAS(found, "services[web].name=web");
	HAS(found, "services[web].addresses=192.0.2.0/24");
	HAS(found, "services[web].addresses=2001:db8::1");
	HAS(found, "services[web].ports=80");
	HAS(found, "services[web].ports=443-445");
	HAS(found, "services[web].mode=proxy");
	HAS(found, "services[web].half_open.high=512");
	HAS(found, "services[web].half_open.low=256");
	HAS(found, "services[web].allow=(everybody)");
	HAS(found, "services[web].deny=198.51.100.0/24");
	HAS(found, "memory.connections=1M fixed");
	HAS(found, "handshake.hold_bytes=16k fixed");
	HAS(found, "handshake.syn_ack_retries=3");
	HAS(found, "log.level=notice");
	HAS(found, "log.target=stderr fixed");
	HAS(found, "secret.file=nothing fixed");
	CU_ASSERT(found->n_live > 20 && found->n > found->n_live + 20);
	free(found);
	conf_free(conf);
}

static void
test_pages_of_any_length_are_the_whole(void)
{
	struct conf *conf = parse(PORTS WEB);
	struct found *whole = all(conf, UINT32_MAX);

	for (uint64_t page = 1; page <= whole->n + 1; page++) {
		struct found *found = all(conf, page);
		CU_ASSERT_EQUAL(found->n, whole->n);
		CU_ASSERT_STRING_EQUAL(found->text, whole->text);
		free(found);
	}
	free(whole);
	conf_free(conf);
}

static void
test_absent_port_is_one_value(void)
{
	struct conf *conf = parse("ports: {outside: {device: net_null0}}\n"
	                          "services: [{name: a, addresses: 192.0.2.1, ports: all, "
	                          "mode: respond}]\n");
	struct found *found = all(conf, UINT32_MAX);

	HAS(found, "ports.inside=none fixed");
	HAS(found, "services[a].ports=1-65535");
	free(found);
	conf_free(conf);
}

static void
test_defaults_and_what_says_them_are_equal(void)
{
	struct conf *bare = parse(PORTS WEB);
	struct conf *said = parse("memory: {connections: 1M}\ndrain_timeout: 30s\n" PORTS WEB);
	struct found *a = all(bare, UINT32_MAX), *b = all(said, UINT32_MAX);

	CU_ASSERT_STRING_EQUAL(a->text, b->text);
	free(a);
	free(b);
	conf_free(bare);
	conf_free(said);
}

static void
test_positions(void)
{
	static const struct {
		const char *path;
		uint32_t line, column;
	} wanted[] = {
		{ "ports.outside.device", 1, 27 },
		{ "ports.outside.mtu", 1, 18 }, /* not there: the port */
		{ "ports.outside", 1, 18 },
		{ "memory.connections", 6, 16 },
		{ "memory.half_open", 6, 3 }, /* not there: its mapping */
		{ "drain_timeout", 7, 16 },
		{ "services", 3, 1 },
		{ "services[web].deny", 3, 1 }, /* where the services begin */
		{ "instance", 1, 1 },
	};
	struct conf *conf = parse(PORTS WEB "memory:\n  connections: 2M\ndrain_timeout: 5\n");

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		uint32_t line = 0, column = 0;
		conf_position(conf, wanted[i].path, &line, &column);
		if (line != wanted[i].line || column != wanted[i].column)
			printf("\n  %s: %u:%u\n", wanted[i].path, line, column);
		CU_ASSERT_EQUAL(line, wanted[i].line);
		CU_ASSERT_EQUAL(column, wanted[i].column);
	}
	conf_free(conf);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_every_value_has_its_path),
		CHECK_TEST(test_pages_of_any_length_are_the_whole),
		CHECK_TEST(test_absent_port_is_one_value),
		CHECK_TEST(test_defaults_and_what_says_them_are_equal),
		CHECK_TEST(test_positions),
		CU_TEST_INFO_NULL,
	};

	return check_run("conf_flat", tests);
}
