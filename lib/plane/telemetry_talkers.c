/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry_talkers.h"

#include <stdlib.h>

#include "dpdk_versions.h"
#include "prefix_text.h"
#include "talkers.h"
#include "talkers_top.h"
#include "telemetry_list.h"

static const char *
service_name(const struct policy *policy, uint16_t id)
{
	if (id == SERVICE_CLOSED)
		return "(closed)";
	for (uint32_t i = 0; i < policy->n_services; i++)
		if (policy->services[i].id == id)
			return policy->services[i].name;
	return "(removed)";
}

static int
compare(const void *a, const void *b)
{
	const struct talkers_pair *x = a, *y = b;

	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	if (x->would != y->would)
		return x->would ? 1 : -1;
	return (int)x->outcome - (int)y->outcome;
}

static void
add_rows(struct list *list, const struct talkers_top *top)
{
	for (unsigned int i = 0; i < top->n; i++) {
		char prefix[CONF_PREFIX_SIZE];
		conf_format_prefix(&top->list[i].prefix, prefix);
		list->at = 0;
		list_text(list, "prefix", prefix);
		list_u64(list, "frames", top->list[i].frames);
		list_u64(list, "at_least", top->list[i].frames - top->list[i].error);
	}
}

int
telemetry_talkers(const struct plane *plane, const struct policy *policy, const char *params,
                  struct rte_tel_data *d)
{
	struct talkers_pair pairs[2 * CORE_TALKS_MAX * 4];
	unsigned int n = talkers_pairs(plane, pairs, RTE_DIM(pairs));
	uint64_t number = params != NULL ? strtoull(params, NULL, 10) : 0;
	struct list list = { .n = 0 };
	struct talkers_top *top = malloc(sizeof(*top));

	if (top == NULL)
		return -1;
	qsort(pairs, n, sizeof(pairs[0]), compare);
	bool is_there = number < n && talkers_top(plane, &pairs[number], top);
	if (is_there)
		add_rows(&list, top);
	int rc = list_answer(d, &list, number + 1 < n ? number + 1 : 0);
	rte_tel_data_add_dict_uint(d, "window_s", 2 * TALK_WINDOW_MS / 1000);
	if (is_there) {
		const struct counter_info *info = &counter_infos[top->outcome];
		rte_tel_data_add_dict_string(d, "service", service_name(policy, top->service));
		rte_tel_data_add_dict_string(d, "outcome", top->would ? info->would : info->name);
		rte_tel_data_add_dict_uint(d, "total", top->frames);
		rte_tel_data_add_dict_uint(d, "samples", top->n_samples);
	}
	free(top);
	return rc;
}
