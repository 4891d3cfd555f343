/* SPDX-License-Identifier: BSD-3-Clause */
/* Values that are lists: CPU numbers, ports, addresses, prefixes, texts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "value.h"

#define HINT_SIZE CONF_PREFIX_HINT_SIZE

/* A list being filled. One member of the file may make several (CPU ranges). */
struct list {
	struct conf_reader *r;
	const struct conf_key *key;
	void *members;
	uint32_t n;
	char hint[HINT_SIZE];
};

static size_t
member_size(enum conf_type type)
{
	switch (type) {
	case CONF_TEXTS:
	case CONF_ARGUMENTS:
		return sizeof(const char *);
	case CONF_LCORES:
		return sizeof(uint32_t);
	case CONF_PORTS:
		return sizeof(struct port_range);
	default:
		return sizeof(struct prefix);
	}
}

/* "5" or "5-9", within min..max. */
static bool
parse_range(const char *text, uint32_t min, uint32_t max, uint32_t *first, uint32_t *last)
{
	char left[8];
	size_t n = strcspn(text, "-");

	if (n >= sizeof(left))
		return false;
	memcpy(left, text, n);
	left[n] = '\0';
	if (!conf_number(CONF_NUMBER, left, first))
		return false;
	*last = *first;
	if (text[n] == '-' && !conf_number(CONF_NUMBER, text + n + 1, last))
		return false;
	return *first >= min && *first <= *last && *last <= max;
}

static bool
add_lcores(struct list *l, const char *text)
{
	uint32_t first, last, *lcores = l->members;

	if (!parse_range(text, 0, 1023, &first, &last))
		return false;
	for (; first <= last; first++) {
		for (uint32_t i = 0; i < l->n; i++) {
			if (lcores[i] == first) {
				snprintf(l->hint, HINT_SIZE, "%u is listed twice", first);
				return false;
			}
		}
		if (l->n == l->key->max) {
			snprintf(l->hint, HINT_SIZE, "at most %u", l->key->max);
			return false;
		}
		lcores[l->n++] = first;
	}
	return true;
}

static bool
add_ports(struct list *l, const char *text)
{
	uint32_t first = 1, last = 65535;
	struct port_range *ranges = l->members;

	if (strcmp(text, "all") != 0 && !parse_range(text, 1, 65535, &first, &last))
		return false;
	for (uint32_t i = 0; i < l->n; i++) {
		if (first <= ranges[i].last && ranges[i].first <= last) {
			snprintf(l->hint, HINT_SIZE, "overlaps %u-%u of the same list",
			         ranges[i].first, ranges[i].last);
			return false;
		}
	}
	ranges[l->n++] = (struct port_range){ (uint16_t)first, (uint16_t)last };
	return true;
}

static bool
is_multicast(const struct prefix *p)
{
	if (ip_addr_is_v4(&p->addr) && p->len >= 96)
		return p->len >= 100 && (p->addr.bytes[12] & 0xf0) == 0xe0;
	return p->len >= 8 && p->addr.bytes[0] == 0xff;
}

static bool
add_prefix(struct list *l, const char *text)
{
	struct prefix p, *prefixes = l->members;

	if (!conf_parse_prefix(text, &p, l->hint))
		return false;
	if (l->key->type == CONF_ADDRESSES) {
		if (is_multicast(&p)) {
			snprintf(l->hint, HINT_SIZE, "TCP knows no multicast");
			return false;
		}
		for (uint32_t i = 0; i < l->n; i++) {
			if (prefix_contains(&prefixes[i], &p.addr) ||
			    prefix_contains(&p, &prefixes[i].addr)) {
				char other[CONF_PREFIX_SIZE];
				conf_format_prefix(&prefixes[i], other);
				snprintf(l->hint, HINT_SIZE, "overlaps %s of the same list", other);
				return false;
			}
		}
	}
	prefixes[l->n++] = p;
	return true;
}

/* 0, or -1 and the error. */
static int
add_member(struct list *l, const struct conf_place *place)
{
	const char *text = conf_scalar(place->node);
	bool ok = text != NULL && text[0] != '\0';

	l->hint[0] = '\0';
	if (ok && (l->key->type == CONF_TEXTS || l->key->type == CONF_ARGUMENTS)) {
		unsigned char least = l->key->type == CONF_TEXTS ? ' ' + 1 : ' ';
		for (const char *p = text; *p != '\0'; p++)
			ok = ok && (unsigned char)*p >= least && *p != 0x7f;
		char *copy = ok ? conf_arena_copy(l->r->arena, text) : NULL;
		if (ok && copy == NULL)
			return conf_fail_memory(l->r);
		((const char **)l->members)[l->n] = copy;
		l->n += ok;
	} else if (ok) {
		ok = l->key->type == CONF_LCORES  ? add_lcores(l, text)
		     : l->key->type == CONF_PORTS ? add_ports(l, text)
		                                  : add_prefix(l, text);
	}
	if (ok)
		return 0;
	if (l->hint[0] == '\0')
		return conf_fail_value(l->r, place, l->key);

	char found[CONF_FOUND_SIZE], expected[CONF_EXPECTED_SIZE];
	conf_describe(place->node, found);
	conf_expected(l->key, expected);
	return conf_fail(l->r, place, "found %s; expected %s (%s)", found, expected, l->hint);
}

int
conf_read_list(struct conf_reader *r, const struct conf_place *place, const struct conf_key *key,
               void *base)
{
	const yaml_node_t *node = place->node;
	bool sequence = node->type == YAML_SEQUENCE_NODE;
	uint32_t n = 1;

	if (sequence)
		n = (uint32_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	else if (conf_scalar(node) == NULL)
		return conf_fail_value(r, place, key);
	if (n < key->min)
		return conf_fail_value(r, place, key);
	if (n > key->max)
		return conf_fail(r, place, "found %u members; expected at most %u", n, key->max);

	uint32_t capacity = key->type == CONF_LCORES ? key->max : n;
	struct list l = { .r = r, .key = key };
	if (capacity == 0)
		return 0;
	l.members = conf_arena_alloc(r->arena, capacity, member_size(key->type));
	if (l.members == NULL)
		return conf_fail_memory(r);

	for (uint32_t i = 0; i < n; i++) {
		struct conf_place at = sequence ? conf_member(r, place, i) : *place;
		if (add_member(&l, &at) != 0)
			return -1;
	}
	*(void **)(void *)((char *)base + key->offset) = l.members;
	*(uint32_t *)(void *)((char *)base + key->count_offset) = l.n;
	return 0;
}
