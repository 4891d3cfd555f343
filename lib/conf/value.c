/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers with units, names, addresses: text to value and back. */
#include <stdio.h>
#include <string.h>

#include "value.h"

struct suffix {
	enum conf_type type;
	char letter;
	uint32_t factor;
};

/* Falling factors: the first that divides a number is the one to print it with. */
static const struct suffix suffixes[] = {
	{ CONF_ENTRIES, 'G', 1u << 30 }, { CONF_ENTRIES, 'M', 1u << 20 },
	{ CONF_ENTRIES, 'k', 1u << 10 }, { CONF_RATE, 'G', 1000000000 },
	{ CONF_RATE, 'M', 1000000 },     { CONF_RATE, 'k', 1000 },
	{ CONF_DURATION, 'd', 86400 },   { CONF_DURATION, 'h', 3600 },
	{ CONF_DURATION, 'm', 60 },      { CONF_DURATION, 's', 1 },
};

#define N_SUFFIXES (sizeof(suffixes) / sizeof(suffixes[0]))

static const char name_bytes[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

bool
conf_number(enum conf_type type, const char *text, uint32_t *number)
{
	uint64_t n = 0;
	const char *p = text;

	/* A leading zero is refused: YAML 1.1 would read octal, people decimal. */
	if (*p < '0' || *p > '9' || (p[0] == '0' && p[1] >= '0' && p[1] <= '9'))
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (uint64_t)(*p - '0');
		if (n > UINT32_MAX)
			return false;
	}
	if (*p != '\0') {
		unsigned int i = 0;
		while (i < N_SUFFIXES && (suffixes[i].type != type || suffixes[i].letter != *p))
			i++;
		if (i == N_SUFFIXES || p[1] != '\0')
			return false;
		n *= suffixes[i].factor;
	}
	*number = (uint32_t)n;
	return n <= UINT32_MAX;
}

bool
conf_word_is(const char *text, const char *word)
{
	size_t n = strlen(word), n_capital = 0;

	if (strlen(text) != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool is_capital = text[i] == word[i] - 'a' + 'A';
		if (text[i] != word[i] && !is_capital)
			return false;
		n_capital += is_capital;
	}
	return n_capital == 0 || n_capital == n || (n_capital == 1 && text[0] != word[0]);
}

/* https://yaml.org/type/bool.html */
static bool
parse_bool(const char *text, bool *value)
{
	static const char *const words[2][4] = { { "false", "no", "off", "n" },
		                                 { "true", "yes", "on", "y" } };

	for (unsigned int i = 0; i < 8; i++) {
		*value = i & 1;
		if (conf_word_is(text, words[i & 1][i >> 1]))
			return true;
	}
	return false;
}

/* A choice that is on or off is often written as a boolean: YAML 1.1 takes these words, as
 * any of the others, for one. */
static const char *
choice_word(const char *text)
{
	bool value;

	if (!parse_bool(text, &value))
		return text;
	return value ? "on" : "off";
}

static bool
parse_mac(const char *text, uint8_t *source, uint8_t mac[6])
{
	unsigned int b[6];
	int end = 0;

	if (strcmp(text, "device") == 0 || strcmp(text, "outside") == 0) {
		*source = text[0] == 'd' ? CONF_MAC_DEVICE : CONF_MAC_OUTSIDE;
		return true;
	}
	if (strspn(text, "0123456789abcdefABCDEF:") != 17 || strlen(text) != 17 ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
	           &end) != 6 ||
	    end != 17)
		return false;
	/* A group address or zero cannot be a port's own. */
	if ((b[0] & 1) != 0 || (b[0] | b[1] | b[2] | b[3] | b[4] | b[5]) == 0)
		return false;
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	*source = CONF_MAC_GIVEN;
	return true;
}

static bool
text_fits(const struct conf_key *key, const char *text)
{
	size_t len = strlen(text);

	if (len < 1 || len > key->max)
		return false;
	if (key->type != CONF_TEXT)
		return strspn(text, name_bytes) == len && text[0] != '-';
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return false;
	return true;
}

enum conf_set
conf_set_text(struct conf_arena *arena, const struct conf_key *key, void *base, const char *text)
{
	char *field = (char *)base + key->offset;

	switch (key->type) {
	case CONF_NUMBER:
	case CONF_ENTRIES:
	case CONF_RATE:
	case CONF_DURATION: {
		uint32_t n;
		if (!conf_number(key->type, text, &n) ||
		    ((n < key->min || n > key->max) && !(n == 0 && key->zero != NULL)))
			return CONF_SET_REFUSED;
		*(uint32_t *)(void *)field = n;
		return CONF_SET_OK;
	}
	case CONF_BOOL:
		return parse_bool(text, (bool *)field) ? CONF_SET_OK : CONF_SET_REFUSED;
	case CONF_CHOICE:
		text = choice_word(text);
		for (const struct conf_choice *c = key->choices; c->name != NULL; c++) {
			if (strcmp(c->name, text) == 0) {
				*(uint8_t *)field = c->value;
				return CONF_SET_OK;
			}
		}
		return CONF_SET_REFUSED;
	case CONF_TEXT:
	case CONF_NAME: {
		if (!text_fits(key, text))
			return CONF_SET_REFUSED;
		const char *copy = conf_arena_copy(arena, text);
		*(const char **)(void *)field = copy;
		return copy != NULL ? CONF_SET_OK : CONF_SET_NO_MEMORY;
	}
	case CONF_LABEL:
		if (!text_fits(key, text))
			return CONF_SET_REFUSED;
		strcpy(field, text);
		return CONF_SET_OK;
	case CONF_MAC:
		return parse_mac(text, (uint8_t *)field, (uint8_t *)base + key->count_offset)
		               ? CONF_SET_OK
		               : CONF_SET_REFUSED;
	default:
		return CONF_SET_REFUSED;
	}
}

void
conf_format_number(enum conf_type type, uint32_t number, char *text, size_t size)
{
	for (unsigned int i = 0; i < N_SUFFIXES && number > 0; i++) {
		if (suffixes[i].type == type && number % suffixes[i].factor == 0) {
			snprintf(text, size, "%u%c", number / suffixes[i].factor,
			         suffixes[i].letter);
			return;
		}
	}
	snprintf(text, size, "%u", number);
}

static void
expected_number(const struct conf_key *key, char expected[CONF_EXPECTED_SIZE])
{
	static const char *const kinds[] = {
		[CONF_NUMBER] = "a number",
		[CONF_ENTRIES] = "a count",
		[CONF_RATE] = "a rate",
		[CONF_DURATION] = "a duration",
	};
	static const char *const notes[] = {
		[CONF_NUMBER] = "",
		[CONF_ENTRIES] = " (k, M, G: powers of 1024)",
		[CONF_RATE] = " (k, M, G: powers of 1000)",
		[CONF_DURATION] = " (s, m, h, d; alone: seconds)",
	};
	char min[16], max[16];

	conf_format_number(key->type, key->min, min, sizeof(min));
	conf_format_number(key->type, key->max, max, sizeof(max));
	snprintf(expected, CONF_EXPECTED_SIZE, "%s from %s to %s%s%s%s%s", kinds[key->type], min,
	         max, key->zero != NULL ? ", or 0 (" : "", key->zero != NULL ? key->zero : "",
	         key->zero != NULL ? ")" : "", notes[key->type]);
}

static void
expected_choice(const struct conf_key *key, char expected[CONF_EXPECTED_SIZE])
{
	size_t at = (size_t)snprintf(expected, CONF_EXPECTED_SIZE, "one of");
	for (const struct conf_choice *c = key->choices; c->name != NULL; c++)
		if (at < CONF_EXPECTED_SIZE)
			at += (size_t)snprintf(expected + at, CONF_EXPECTED_SIZE - at, "%s %s",
			                       c == key->choices ? "" : ",", c->name);
}

void
conf_expected(const struct conf_key *key, char expected[CONF_EXPECTED_SIZE])
{
	static const char *const fixed[] = {
		[CONF_BOOL] = "true or false",
		[CONF_MAC] = "device, outside (inside port only), or a unicast address such as "
			     "02:00:00:00:00:01",
		[CONF_TEXTS] = "a list of texts without white space",
		[CONF_ARGUMENTS] = "the path of a program, or a list of it and its arguments, "
				   "without control characters",
		[CONF_LCORES] = "a list of distinct CPU numbers and ranges such as 2-5",
		[CONF_PORTS] =
			"all, or a list of ports from 1 to 65535 and ranges such as 8000-8100",
		[CONF_PREFIXES] =
			"a list of addresses and prefixes such as 192.0.2.0/24 or 2001:db8::/32",
		[CONF_ADDRESSES] = "a list of unicast addresses and prefixes such as 192.0.2.1 or "
				   "2001:db8::/64",
		[CONF_MAPPING] = "a mapping",
		[CONF_SEQUENCE] = "a list of mappings, each begun with \"- \"",
	};

	if (conf_type_is_number(key->type))
		expected_number(key, expected);
	else if (key->type == CONF_CHOICE)
		expected_choice(key, expected);
	else if (key->type == CONF_TEXT)
		snprintf(expected, CONF_EXPECTED_SIZE,
		         "a text of at most %u bytes without white space", key->max);
	else if (key->type == CONF_NAME || key->type == CONF_LABEL)
		snprintf(expected, CONF_EXPECTED_SIZE,
		         "a name of at most %u letters, digits, dots, underscores and (not first) "
		         "hyphens",
		         key->max);
	else
		snprintf(expected, CONF_EXPECTED_SIZE, "%s", fixed[key->type]);
}

static void
format_list(const struct conf_key *key, const void *base, char *text, size_t size)
{
	const void *members = *(const void *const *)(const void *)((const char *)base +
	                                                           key->offset);
	uint32_t n = *(const uint32_t *)(const void *)((const char *)base + key->count_offset);
	size_t at = (size_t)snprintf(text, size, "[");

	for (uint32_t i = 0; i < n && at < size; i++) {
		const char *comma = i > 0 ? ", " : "";
		if (key->type == CONF_TEXTS || key->type == CONF_ARGUMENTS)
			at += (size_t)snprintf(text + at, size - at, "%s%s", comma,
			                       ((const char *const *)members)[i]);
		else if (key->type == CONF_LCORES)
			at += (size_t)snprintf(text + at, size - at, "%s%u", comma,
			                       ((const uint32_t *)members)[i]);
	}
	if (at < size)
		snprintf(text + at, size - at, "]");
}

void
conf_format_value(const struct conf_key *key, const void *base, char *text, size_t size)
{
	const char *field = (const char *)base + key->offset;

	if (conf_type_is_number(key->type)) {
		uint32_t n = *(const uint32_t *)(const void *)field;
		if (key->preset == NULL && n == key->absent)
			snprintf(text, size, "nothing");
		else
			conf_format_number(key->type, n, text, size);
	} else if (key->type == CONF_BOOL) {
		snprintf(text, size, "%s", *(const bool *)field ? "true" : "false");
	} else if (key->type == CONF_CHOICE) {
		const struct conf_choice *c = key->choices;
		while (c->name != NULL && c->value != *(const uint8_t *)field)
			c++;
		snprintf(text, size, "%s", c->name != NULL ? c->name : "?");
	} else if (key->type == CONF_TEXT || key->type == CONF_NAME) {
		const char *s = *(const char *const *)(const void *)field;
		snprintf(text, size, "%s", s != NULL ? s : "nothing");
	} else if (key->type == CONF_LABEL) {
		snprintf(text, size, "%s", field);
	} else if (key->type == CONF_MAC) {
		const uint8_t *m = (const uint8_t *)base + key->count_offset;
		if (*(const uint8_t *)field == CONF_MAC_GIVEN)
			snprintf(text, size, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2],
			         m[3], m[4], m[5]);
		else
			snprintf(text, size, "%s",
			         *(const uint8_t *)field == CONF_MAC_DEVICE ? "device" : "outside");
	} else {
		format_list(key, base, text, size);
	}
}

static bool
list_equal(const struct conf_key *key, const void *a, const void *b)
{
	const void *ma = *(const void *const *)(const void *)((const char *)a + key->offset);
	const void *mb = *(const void *const *)(const void *)((const char *)b + key->offset);
	uint32_t na = *(const uint32_t *)(const void *)((const char *)a + key->count_offset);
	uint32_t nb = *(const uint32_t *)(const void *)((const char *)b + key->count_offset);

	if (na != nb)
		return false;
	for (uint32_t i = 0; i < na; i++) {
		if ((key->type == CONF_TEXTS || key->type == CONF_ARGUMENTS) &&
		    strcmp(((const char *const *)ma)[i], ((const char *const *)mb)[i]) != 0)
			return false;
		if (key->type == CONF_LCORES &&
		    ((const uint32_t *)ma)[i] != ((const uint32_t *)mb)[i])
			return false;
	}
	return true;
}

bool
conf_value_equal(const struct conf_key *key, const void *a, const void *b)
{
	if (conf_type_is_list(key->type))
		return list_equal(key, a, b);
	if (key->type == CONF_TEXT || key->type == CONF_NAME) {
		const char *ta = *(const char *const *)(const void *)((const char *)a +
		                                                      key->offset);
		const char *tb = *(const char *const *)(const void *)((const char *)b +
		                                                      key->offset);
		return ta == tb || (ta != NULL && tb != NULL && strcmp(ta, tb) == 0);
	}
	/* One way of writing each value: equal texts are equal values. */
	char text_a[64], text_b[64];
	conf_format_value(key, a, text_a, sizeof(text_a));
	conf_format_value(key, b, text_b, sizeof(text_b));
	return strcmp(text_a, text_b) == 0;
}
