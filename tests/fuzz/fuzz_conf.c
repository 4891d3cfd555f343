/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any text as a configuration: it gives one error that names its place, or a
 * conf whose promises hold and which finds what its services say. A changed copy
 * is compared with it, as a reload would.
 *
 * Input: two texts with a zero byte between; without one, the text and itself.
 */
#include "fuzz.h"

#include "conf.h"

#define NAME "fuzz.yaml"

static void
check_service(const struct policy *policy, const struct service *s)
{
	const struct service *found;

	FUZZ_CHECK(memchr(s->name, 0, sizeof(s->name)) != NULL && s->name[0] != 0);
	FUZZ_CHECK(s->low < s->high);
	FUZZ_CHECK(s->id < SERVICES_MAX && s->n_addresses > 0);
	for (uint32_t i = 0; i < s->n_ports; i++)
		FUZZ_CHECK(s->ports[i].first <= s->ports[i].last);
	for (uint32_t i = 0; i < s->n_addresses; i++) {
		const struct prefix *p = &s->addresses[i];
		struct ip_addr masked = ip_addr_mask(&p->addr, p->len);
		FUZZ_CHECK(p->len <= 128 && ip_addr_equal(&masked, &p->addr));
		/* A longer prefix of another service may take the first address, never the port. */
		if (s->n_ports > 0)
			FUZZ_CHECK(policy_find(policy, &p->addr, s->ports[0].first, &found) !=
			           POLICY_NOT_OURS);
		policy_admits(policy, s, &p->addr);
	}
}

static void
check_conf(const struct conf *conf)
{
	struct conf_error err = { "" };
	struct conf_memory_size memory = conf_memory_size(conf);
	uint64_t sum = 0;

	FUZZ_CHECK(conf->policy.index != NULL && conf->policy.n_services <= SERVICES_MAX);
	FUZZ_CHECK(conf->policy.syn_ack_retries <= SYN_ACK_RETRIES_MAX &&
	           conf->policy.hold_bytes <= UINT16_MAX);
	FUZZ_CHECK(conf->policy.hold_bytes > 0);
	FUZZ_CHECK(conf->workers.count >= 1 && conf->outside.device != NULL);
	FUZZ_CHECK(conf->workers.n_lcores == 0 || conf->workers.n_lcores == conf->workers.count);
	for (uint32_t i = 0; i < conf->policy.n_services; i++)
		check_service(&conf->policy, &conf->policy.services[i]);
	for (unsigned int i = 0; i < CONF_MEMORY_ROWS; i++)
		sum += memory.rows[i].size;
	FUZZ_CHECK(sum == memory.size);
	FUZZ_CHECK(conf_check_memory(conf, memory.size, &err) == 0);
	FUZZ_CHECK(memory.size == 0 ||
	           (conf_check_memory(conf, memory.size - 1, &err) == -1 && err.text[0] != 0));
	FUZZ_CHECK(conf_compare(conf, conf, &err) == 0);
}

static struct conf *
parse(const uint8_t *text, size_t len)
{
	struct conf_error err = { "" };
	char *copy = (char *)fuzz_copy(text, len, len);
	struct conf *conf = conf_parse(copy, len, NAME, &err);

	free(copy); /* nothing may point into it */
	if (conf == NULL) {
		FUZZ_CHECK(memchr(err.text, 0, sizeof(err.text)) != NULL);
		FUZZ_CHECK(strncmp(err.text, NAME ":", sizeof(NAME)) == 0);
		FUZZ_CHECK(strstr(err.text, "; expected ") != NULL || strlen(err.text) > 500);
		return NULL;
	}
	check_conf(conf);
	return conf;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *cut = size > 0 ? memchr(data, 0, size) : NULL;
	size_t first = cut != NULL ? (size_t)(cut - data) : size;
	struct conf *running = parse(data, first);
	struct conf *fresh = cut != NULL ? parse(cut + 1, size - first - 1) : parse(data, first);

	if (running != NULL && fresh != NULL) {
		struct conf_error err = { "" };
		struct conf_ids ids = { { 0 } };
		conf_mark_ids(&ids, &running->policy);
		if (conf_compare(running, fresh, &err) != 0)
			FUZZ_CHECK(err.text[0] != 0);
		else if (conf_adopt_ids(&running->policy, fresh, &ids, &err) == 0)
			FUZZ_CHECK(fresh->policy.generation == running->policy.generation + 1);
	}
	conf_free(fresh);
	conf_free(running);
	return 0;
}
