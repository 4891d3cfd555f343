/* SPDX-License-Identifier: BSD-3-Clause */
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_QUEUE_NS 100000000ull
#define MOST_NS 60000000000ull

struct unit {
	const char *name;
	double times;
};

static const struct unit times[] = { { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { NULL, 0 } };
static const struct unit shares[] = { { "%", 0.01 }, { NULL, 0 } };
static const struct unit rates[] = {
	{ "bit", 1 }, { "kbit", 1e3 }, { "mbit", 1e6 }, { "gbit", 1e9 }, { NULL, 0 }
};
static const struct unit sizes[] = { { "", 1 }, { "k", 1024 }, { "m", 1048576 }, { NULL, 0 } };

/* A number with one of the units, which must be all of `text`. */
static bool
read_number(const char *text, const struct unit *units, double most, double *value)
{
	char *end;

	if (!strchr("0123456789.", text[0]) || !text[0])
		return false;
	errno = 0;
	*value = strtod(text, &end);
	if (errno || end == text)
		return false;
	for (; units->name; units++) {
		if (!strcmp(end, units->name)) {
			*value *= units->times;
			return *value <= most;
		}
	}
	return false;
}

static bool
read_ns(const char *text, uint64_t *ns)
{
	double value;

	if (!read_number(text, times, (double)MOST_NS, &value))
		return false;
	*ns = (uint64_t)value;
	return true;
}

static bool
read_share(const char *text, double *share)
{
	return read_number(text, shares, 1, share);
}

static bool
set_delay(struct line_settings *settings, char *value)
{
	return read_ns(value, &settings->delay_ns);
}

static bool
set_jitter(struct line_settings *settings, char *value)
{
	return read_ns(value, &settings->jitter_ns);
}

static bool
set_loss(struct line_settings *settings, char *value)
{
	return read_share(value, &settings->loss);
}

static bool
set_duplicate(struct line_settings *settings, char *value)
{
	return read_share(value, &settings->duplicate);
}

static bool
set_reorder(struct line_settings *settings, char *value)
{
	char *hold = strchr(value, ':');

	if (!hold)
		return false;
	*hold++ = '\0';
	return read_share(value, &settings->reorder) && read_ns(hold, &settings->hold_ns);
}

static bool
set_rate(struct line_settings *settings, char *value)
{
	double rate;

	if (!read_number(value, rates, 1e12, &rate) || rate < 1)
		return false;
	settings->rate_bps = (uint64_t)rate;
	return true;
}

static bool
set_queue(struct line_settings *settings, char *value)
{
	double size;

	if (read_ns(value, &settings->queue_ns))
		return settings->queue_ns > 0;
	if (!read_number(value, sizes, 1e12, &size) || size < 1)
		return false;
	settings->queue_bytes = (uint64_t)size;
	return true;
}

static const struct key {
	const char *name;
	bool (*set)(struct line_settings *settings, char *value);
	const char *expected;
} keys[] = {
	{ "delay", set_delay, "a time up to 60s, such as 50ms" },
	{ "jitter", set_jitter, "a time up to 60s, such as 2ms" },
	{ "loss", set_loss, "a share up to 100%, such as 1%" },
	{ "dup", set_duplicate, "a share up to 100%, such as 2%" },
	{ "reorder", set_reorder, "a share and a time, such as 5%:10ms" },
	{ "rate", set_rate, "bits per second, such as 200mbit" },
	{ "queue", set_queue, "bytes or a time, such as 256k or 20ms" },
};

static bool
set_key(struct line_settings *settings, char *pair, char *error)
{
	char *value = strchr(pair, '=');
	char found[64];

	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(pair, keys[i].name))
			continue;
		snprintf(found, sizeof(found), "%s", value ? value : "nothing");
		if (value && keys[i].set(settings, value))
			return true;
		snprintf(error, SETTINGS_ERROR_SIZE, "%s: found %s; expected %s", pair, found,
		         keys[i].expected);
		return false;
	}
	snprintf(error, SETTINGS_ERROR_SIZE,
	         "no setting \"%.32s\"; there are delay, jitter, loss, dup, reorder, rate, queue",
	         pair);
	return false;
}

bool
settings_parse(struct line_settings *settings, const char *text, char error[SETTINGS_ERROR_SIZE])
{
	char *copy, *rest, *pair;
	bool good = true;

	*settings = (struct line_settings){ 0 };
	if (!text[0] || !strcmp(text, "wire"))
		return true;
	copy = strdup(text);
	if (!copy) {
		snprintf(error, SETTINGS_ERROR_SIZE, "out of memory");
		return false;
	}
	rest = copy;
	while (good && (pair = strsep(&rest, ",")))
		good = set_key(settings, pair, error);
	free(copy);
	if (good && settings->jitter_ns > settings->delay_ns) {
		snprintf(error, SETTINGS_ERROR_SIZE,
		         "jitter is either way, so it can be no more than delay");
		return false;
	}
	if (good && !settings->rate_bps && (settings->queue_bytes || settings->queue_ns)) {
		snprintf(error, SETTINGS_ERROR_SIZE, "queue is the rate limit's: rate is missing");
		return false;
	}
	if (settings->rate_bps && !settings->queue_bytes && !settings->queue_ns)
		settings->queue_ns = DEFAULT_QUEUE_NS;
	return good;
}
