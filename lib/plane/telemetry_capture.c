/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry_capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "dpdk_versions.h"
#include "log.h"
#include "pcapng.h"
#include "prefix_text.h"
#include "telemetry_control.h"

/* Strings of DPDK's telemetry end after 127 bytes; an answer has 16 KiB. */
#define PIECE_CHARS 124u
#define PIECE_BYTES (PIECE_CHARS / 4 * 3)
#define PIECES_MAX 112u
#define DATA_MAX (PIECES_MAX * PIECE_BYTES)
#define ERROR_MAX 256u
#define PARAMS_MAX 1024u

_Static_assert(DATA_MAX >= CAPTURE_SNAP + VERDICT_TEXT_MAX + PCAPNG_PACKET_OVERHEAD,
               "any packet fits an answer");

/* Base64 (RFC 4648, 4). */
static void
encode(const uint8_t *bytes, size_t size, char text[PIECE_CHARS + 1])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < size; i += 3) {
		uint32_t word = (uint32_t)bytes[i] << 16;
		if (i + 1 < size)
			word |= (uint32_t)bytes[i + 1] << 8;
		if (i + 2 < size)
			word |= bytes[i + 2];
		*text++ = digits[word >> 18];
		*text++ = digits[word >> 12 & 63];
		*text++ = i + 1 < size ? digits[word >> 6 & 63] : '=';
		*text++ = i + 2 < size ? digits[word & 63] : '=';
	}
	*text = '\0';
}

static int
add_data(struct rte_tel_data *d, const uint8_t *bytes, size_t size)
{
	struct rte_tel_data *array = rte_tel_data_alloc();
	char piece[PIECE_CHARS + 1];

	if (array == NULL)
		return -1;
	rte_tel_data_start_array(array, RTE_TEL_STRING_VAL);
	for (size_t at = 0; at < size; at += PIECE_BYTES) {
		encode(bytes + at, RTE_MIN(size - at, (size_t)PIECE_BYTES), piece);
		rte_tel_data_add_array_string(array, piece);
	}
	if (rte_tel_data_add_dict_container(d, "data", array, 0) == 0)
		return 0;
	rte_tel_data_free(array);
	return -1;
}

static void
add_sums(struct rte_tel_data *d, const struct capture *c)
{
	uint64_t n_taken, n_lost;

	capture_sums(c, &n_taken, &n_lost);
	rte_tel_data_add_dict_uint(d, "id", c->id);
	rte_tel_data_add_dict_uint(d, "taken", n_taken);
	rte_tel_data_add_dict_uint(d, "lost", n_lost);
}

/* ---- begin ------------------------------------------------------------- */

static bool
want_service(const struct policy *policy, const char *name, struct capture_filter *filter)
{
	for (uint32_t i = 0; i < policy->n_services; i++) {
		if (strcmp(policy->services[i].name, name) != 0)
			continue;
		filter->service = policy->services[i].id;
		return true;
	}
	return false;
}

/* One word of what is wanted. False, and why in `error`. */
static bool
want(const struct policy *policy, const char *word, struct capture_filter *filter,
     char error[ERROR_MAX])
{
	struct prefix prefix;
	char hint[CONF_PREFIX_HINT_SIZE] = "";

	if (strncmp(word, "service=", 8) == 0) {
		if (want_service(policy, word + 8, filter))
			return true;
		snprintf(error, ERROR_MAX, "there is no service \"%.64s\"", word + 8);
	} else if (strncmp(word, "client=", 7) == 0) {
		if (conf_parse_prefix(word + 7, &prefix, hint)) {
			capture_want_client(filter, &prefix);
			return true;
		}
		snprintf(error, ERROR_MAX,
		         "client \"%.64s\": expected an address or a prefix such as 192.0.2.0/24 "
		         "or 2001:db8::/64, with no bits past its length",
		         word + 7);
	} else if (strncmp(word, "outcome=", 8) == 0) {
		filter->has_outcomes = true;
		if (verdict_outcomes(word + 8, filter->outcomes))
			return true;
		snprintf(error, ERROR_MAX,
		         "there is no outcome \"%.64s\": expected pass, answer, taken, drop, or a "
		         "name that synfrontctl stats shows for frames",
		         word + 8);
	} else {
		snprintf(error, ERROR_MAX, "what is \"%.64s\"?", word);
	}
	return false;
}

/* `params`: what follows "start". */
static struct capture *
start(struct plane *plane, const struct policy *policy, const char *params, char error[ERROR_MAX])
{
	struct capture_filter filter = { .service = SERVICE_NONE, .is_any = true };
	char text[PARAMS_MAX], *rest = text, *word;
	char why[CAPTURE_NAME_MAX];

	snprintf(text, sizeof(text), "%s", params);
	while ((word = strsep(&rest, ",")) != NULL)
		if (*word != '\0' && !want(policy, word, &filter, error))
			return NULL;
	if (!filter.has_outcomes)
		memset(filter.outcomes, 0xff, sizeof(filter.outcomes));
	struct capture *c = capture_begin(plane, &filter, why);
	if (c == NULL)
		snprintf(error, ERROR_MAX, "%s", why);
	else
		log_notice("telemetry: capture %llu begins%s", (unsigned long long)c->id, params);
	return c;
}

/* ---- answers ----------------------------------------------------------- */

static int
refuse(struct rte_tel_data *d, const char *error)
{
	telemetry_add_text(d, "error", error);
	return 0;
}

static int
answer_status(const struct plane *plane, struct rte_tel_data *d)
{
	const struct capture *c = plane->own_capture;

	rte_tel_data_add_dict_string(d, "state", c == NULL ? "none" : c->is_ended ? "ends" : "on");
	if (c != NULL)
		add_sums(d, c);
	return 0;
}

static int
answer_start(struct plane *plane, const struct policy *policy, const char *params,
             struct rte_tel_data *d)
{
	char error[ERROR_MAX];
	struct capture *c = start(plane, policy, params, error);

	if (c == NULL)
		return refuse(d, error);
	return answer_status(plane, d);
}

static int
answer_read(struct plane *plane, const struct policy *policy, struct capture *c,
            struct rte_tel_data *d)
{
	uint8_t data[DATA_MAX];
	size_t size = capture_read(plane, policy, c, data, sizeof(data));
	bool is_over = c->is_ended && c->has_end;

	rte_tel_data_add_dict_string(d, "state", is_over ? "over" : c->is_ended ? "ends" : "on");
	add_sums(d, c);
	if (is_over) {
		log_notice("telemetry: capture %llu is over", (unsigned long long)c->id);
		capture_free(plane);
	}
	return add_data(d, data, size);
}

int
telemetry_capture(struct plane *plane, const struct policy *policy, const char *params,
                  struct rte_tel_data *d)
{
	bool is_stop = params != NULL && strncmp(params, "stop,", 5) == 0;
	bool is_kept = params != NULL && strncmp(params, "keep,", 5) == 0;

	rte_tel_data_start_dict(d);
	if (params == NULL || *params == '\0')
		return answer_status(plane, d);
	if (strcmp(params, "start") == 0 || strncmp(params, "start,", 6) == 0)
		return answer_start(plane, policy, params + 5, d);
	if (!is_stop && !is_kept && strncmp(params, "read,", 5) != 0)
		return -1;
	struct capture *c = capture_find(plane, strtoull(params + 5, NULL, 10));
	if (c == NULL)
		return refuse(d, "this capture has ended, since nothing was read of it for 5 s");
	if (is_kept)
		return answer_status(plane, d);
	if (is_stop)
		capture_end(plane, c);
	return answer_read(plane, policy, c, d);
}
