/* SPDX-License-Identifier: BSD-3-Clause */
/* Values that are lists: CPU numbers, ports, addresses, prefixes, texts. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "value.h"

#define HINT_SIZE 128

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

void
conf_format_prefix(const struct prefix *prefix, char text[CONF_PREFIX_SIZE])
{
	bool v4 = ip_addr_is_v4(&prefix->addr) && prefix->len >= 96;
	char address[INET6_ADDRSTRLEN];

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? &prefix->addr.bytes[12] : prefix->addr.bytes,
	          address, sizeof(address));
	if (prefix->len == 128)
		snprintf(text, CONF_PREFIX_SIZE, "%s", address);
	else
		snprintf(text, CONF_PREFIX_SIZE, "%s/%d", address,
		         v4 ? prefix->len - 96 : prefix->len);
}

static bool
parse_prefix(const char *text, struct prefix *prefix, char hint[HINT_SIZE])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char address[INET6_ADDRSTRLEN];
	size_t n = strcspn(text, "/");
	uint32_t len, v4_be;

	if (n >= sizeof(address))
		return false;
	memcpy(address, text, n);
	address[n] = '\0';

	bool v4 = inet_pton(AF_INET, address, &v4_be) == 1;
	if (v4)
		prefix->addr = ip_addr_v4(v4_be);
	else if (inet_pton(AF_INET6, address, prefix->addr.bytes) != 1)
		return false;

	uint32_t whole = v4 ? 32 : 128;
	len = whole;
	if (text[n] == '/' && (!conf_number(CONF_NUMBER, text + n + 1, &len) || len > whole))
		return false;
	prefix->len = (uint8_t)(v4 ? len + 96 : len);

	struct ip_addr masked = ip_addr_mask(&prefix->addr, prefix->len);
	if (!ip_addr_equal(&masked, &prefix->addr)) {
		struct prefix meant = { masked, prefix->len };
		char meant_text[CONF_PREFIX_SIZE];
		conf_format_prefix(&meant, meant_text);
		snprintf(hint, HINT_SIZE, "bits past the length must be zero: %s", meant_text);
		return false;
	}
	/* IPv4 lives inside ::ffff:0:0/96 here: an IPv6 prefix must not reach it. */
	if (!v4) {
		struct ip_addr base = { .quads_be = { 0, 0 } };
		memcpy(base.bytes, mapped, sizeof(mapped));
		if (prefix_contains(prefix, &base)) {
			snprintf(hint, HINT_SIZE, "%s; for all global IPv6 write 2000::/3",
			         "an IPv6 prefix must not contain ::ffff:0:0/96");
			return false;
		}
		if (memcmp(prefix->addr.bytes, mapped, sizeof(mapped)) == 0) {
			snprintf(hint, HINT_SIZE, "write the IPv4 address itself");
			return false;
		}
	}
	return true;
}

bool
conf_prefix_of(const char *text, struct prefix *prefix)
{
	char hint[HINT_SIZE];

	return parse_prefix(text, prefix, hint);
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

	if (!parse_prefix(text, &p, l->hint))
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
	if (ok && l->key->type == CONF_TEXTS) {
		for (const char *p = text; *p != '\0'; p++)
			ok = ok && (unsigned char)*p > ' ' && *p != 0x7f;
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
		struct conf_place member = { place, NULL, i, node };
		if (sequence)
			member.node = yaml_document_get_node(r->doc,
			                                     node->data.sequence.items.start[i]);
		if (add_member(&l, sequence ? &member : place) != 0)
			return -1;
	}
	*(void **)(void *)((char *)base + key->offset) = l.members;
	*(uint32_t *)(void *)((char *)base + key->count_offset) = l.n;
	return 0;
}
