/* SPDX-License-Identifier: BSD-3-Clause */
/* How much memory a configuration asks for, and whether the machine has it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "conf_table.h"

#define MIB (1024.0 * 1024.0)

static const struct conf_key *
find_key(const struct conf_mapping *mapping, const char *name)
{
	for (uint32_t i = 0; i < mapping->n_keys; i++)
		if (strcmp(mapping->keys[i].name, name) == 0)
			return &mapping->keys[i];
	return NULL;
}

struct conf_memory_size
conf_memory_size(const struct conf *conf)
{
	static const char *const names[CONF_MEMORY_ROWS] = {
		"memory.connections", "memory.half_open", "memory.backends",
		"memory.paths",       "memory.sources",   "memory.held_connections",
		"memory.known_flows",
	};
	const struct conf_mapping *memory = find_key(&conf_root, "memory")->mapping;
	struct conf_memory_size size = { .size = 0 };

	for (uint32_t i = 0; i < CONF_MEMORY_ROWS; i++) {
		const struct conf_key *key = find_key(memory, names[i] + strlen("memory."));
		const char *field = (const char *)&conf->memory + key->offset;
		struct conf_memory_row *row = &size.rows[i];

		row->key = names[i];
		row->entries = *(const uint32_t *)(const void *)field;
		row->entry_size = key->entry_size;
		/* What would be done under observe has tables of its own. */
		row->size = row->entries * row->entry_size * (conf->policy.observes ? 2 : 1);
		size.size += row->size;
	}
	return size;
}

int
conf_check_memory(const struct conf *conf, uint64_t available, struct conf_error *err)
{
	struct conf_memory_size size = conf_memory_size(conf);
	const struct conf_memory_row *most = &size.rows[0];

	if (size.size <= available)
		return 0;
	for (uint32_t i = 1; i < CONF_MEMORY_ROWS; i++)
		if (size.rows[i].size > most->size)
			most = &size.rows[i];
	snprintf(err->text, sizeof(err->text),
	         "%.128s: %s: found %" PRIu64 " entries of %" PRIu64
	         " bytes, %.1f MiB, and %.1f MiB with the "
	         "other tables; expected at most %.1f MiB in all, what this machine has available",
	         conf->source, most->key, most->entries, most->entry_size, (double)most->size / MIB,
	         (double)size.size / MIB, (double)available / MIB);
	return -1;
}

uint64_t
conf_memory_available(const struct conf *conf, const char *path)
{
	unsigned long long kib, pages = 0, page_kib = 0, available_kib = 0;
	char line[128];
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return UINT64_MAX;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			available_kib = kib;
		else if (sscanf(line, "HugePages_Free: %llu", &kib) == 1)
			pages = kib;
		else if (sscanf(line, "Hugepagesize: %llu kB", &kib) == 1)
			page_kib = kib;
	}
	fclose(f);
	if (conf->eal.hugepages != CONF_HUGEPAGES_OFF)
		available_kib += pages * page_kib;
	return (uint64_t)available_kib * 1024;
}
