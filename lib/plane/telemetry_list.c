/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry_list.h"

#include "dpdk_versions.h"

static struct rte_tel_data *
list_cell(struct list *list, const char *name, enum rte_tel_value_type type)
{
	unsigned int at = list->at++;

	if (at == list->n && at < LIST_COLUMNS_MAX) {
		list->names[at] = name;
		list->columns[at] = rte_tel_data_alloc();
		if (list->columns[at] != NULL)
			rte_tel_data_start_array(list->columns[at], type);
		list->n++;
	}
	return at < list->n ? list->columns[at] : NULL;
}

void
list_text(struct list *list, const char *name, const char *text)
{
	struct rte_tel_data *column = list_cell(list, name, RTE_TEL_STRING_VAL);

	if (column != NULL)
		rte_tel_data_add_array_string(column, text);
}

void
list_u64(struct list *list, const char *name, uint64_t value)
{
	struct rte_tel_data *column = list_cell(list, name, RTE_TEL_UINT_VAL);

	if (column != NULL)
		rte_tel_data_add_array_uint(column, value);
}

int
list_answer(struct rte_tel_data *d, struct list *list, uint64_t next)
{
	int rc = rte_tel_data_start_dict(d);

	rte_tel_data_add_dict_uint(d, "next", next);
	for (unsigned int i = 0; i < list->n; i++) {
		if (list->columns[i] == NULL)
			rc = -1;
		else if (rte_tel_data_add_dict_container(d, list->names[i], list->columns[i], 0) !=
		         0) {
			rte_tel_data_free(list->columns[i]);
			rc = -1;
		}
	}
	return rc;
}
