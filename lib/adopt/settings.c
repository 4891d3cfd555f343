/* SPDX-License-Identifier: BSD-3-Clause */
#include "settings.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <time.h>

#include "adopt.h"
#include "adopt.skel.h"
#include "cookie.h"

/* What a client without timestamps is promised: the engine's PROMISE_WSCALE (admission.h),
 * which no cookie can carry. */
#define WSCALE_WITHOUT_TIMESTAMPS 7u
/* A take-over of a live connection echoes a TSval this young: more than any round trip. It keeps
 * off what has been under way for long, and nobody who guesses: it is the time of day. */
#define FRESH_MS 10000u
/* Of 2^26 tries that a guess takes on average, so many a second are 18 h. */
#define TAKEOVERS_A_SECOND 1000u
/* Each is ten tries of a cookie at most, or twenty: with IPv6 some 2 or 5 us. */
#define DEAD_A_SECOND 1000u

#define NS_PER_S 1000000000ull

_Static_assert(sizeof(struct adopt_aes) == sizeof(((struct aes_key *)0)->round),
               "round keys are copied as they are");
_Static_assert(SETTINGS_EPOCHS_BEHIND + SETTINGS_EPOCHS_AHEAD + 1 <= ADOPT_EPOCHS,
               "all that is written has room");

static uint64_t
ns_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int
write_one(const struct bpf_map *map, const void *value)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(bpf_map__fd(map), &zero, value, BPF_ANY);
}

/* Prefixes that no service has any more, left by a process before: those that were not written
 * in this round. */
static void
forget_prefixes(int fd, uint32_t round)
{
	struct adopt_prefix key, next;
	uint32_t value;
	int rc = bpf_map_get_next_key(fd, NULL, &key);

	while (rc == 0) {
		rc = bpf_map_get_next_key(fd, &key, &next);
		if (bpf_map_lookup_elem(fd, &key, &value) == 0 && value != round)
			bpf_map_delete_elem(fd, &key);
		key = next;
	}
}

static int
write_prefixes(int fd, const struct agent_service *s, uint32_t set, uint32_t round)
{
	for (uint32_t i = 0; i < s->n_addresses; i++) {
		struct adopt_prefix key = { .len = ADOPT_PREFIX_LEN(s->addresses[i].len),
			                    .set = set };

		memcpy(key.addr_be, &s->addresses[i].addr, sizeof(key.addr_be));
		if (bpf_map_update_elem(fd, &key, &round, BPF_ANY) != 0)
			return -1;
	}
	return 0;
}

static int
write_services(struct adopt *skeleton, const struct agent_conf *conf)
{
	static struct adopt_ports ports;
	int fd = bpf_map__fd(skeleton->maps.prefixes_map);

	/* What lingers works on meanwhile: all is there before anything goes. */
	uint32_t round = (uint32_t)ns_of(CLOCK_BOOTTIME);
	memset(&ports, 0, sizeof(ports));
	for (uint32_t i = 0; i < conf->n_services; i++) {
		const struct agent_service *s = &conf->services[i];
		uint32_t set = s->n_addresses == 0 ? ADOPT_ANY : i + 1;

		if (write_prefixes(fd, s, set, round) != 0)
			return -1;
		for (uint32_t j = 0; j < s->n_ports; j++)
			memset(&ports.set[s->ports[j].first], (int)set,
			       (size_t)s->ports[j].last - s->ports[j].first + 1);
	}
	int rc = write_one(skeleton->maps.ports_map, &ports);
	forget_prefixes(fd, round);
	return rc;
}

static int
write_profiles(struct adopt *skeleton)
{
	for (uint32_t at = 0; at < ADOPT_PROFILES; at++) {
		struct tcp_offer offer = cookie_profile_offer(at % COOKIE_PROFILES,
		                                              at >= COOKIE_PROFILES);
		struct adopt_profile row = { .mss = offer.mss,
			                     .wscale = offer.wscale,
			                     .sack = offer.sack };

		if (bpf_map_update_elem(bpf_map__fd(skeleton->maps.profiles_map), &at, &row,
		                        BPF_ANY) != 0)
			return -1;
	}
	return 0;
}

int
settings_write(struct adopt *skeleton, const struct agent_conf *conf)
{
	struct adopt_settings settings = { .promised_wscale = WSCALE_WITHOUT_TIMESTAMPS,
		                           .fresh_ms = FRESH_MS,
		                           .takeovers_a_second = TAKEOVERS_A_SECOND,
		                           .dead_a_second = DEAD_A_SECOND };

	if (write_one(skeleton->maps.settings_map, &settings) != 0 || write_profiles(skeleton) != 0)
		return -1;
	return write_services(skeleton, conf);
}

int
settings_write_clock(struct adopt *skeleton)
{
	struct adopt_clock clock;

	/* Between two readings this process may have been kept from its CPU: the best of some
	 * is the one that took least. */
	uint64_t least = UINT64_MAX;
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t before = ns_of(CLOCK_BOOTTIME), wall = ns_of(CLOCK_REALTIME);
		uint64_t took = ns_of(CLOCK_BOOTTIME) - before;
		if (took < least) {
			least = took;
			clock.wall_less_boot_ns = wall - before - took / 2;
		}
	}
	return write_one(skeleton->maps.clock_map, &clock);
}

static int
write_epoch(int fd, const uint8_t *secret, uint32_t epoch, uint32_t at)
{
	static struct secret_ring ring;
	static struct adopt_epoch keys;

	/* The engine's own derivation: the set of the epoch's first second. */
	secret_init(&ring, secret, (uint64_t)epoch * EPOCH_S);
	const struct epoch_keys *derived = &secret_current(&ring)->parity[epoch & 1];
	keys.epoch = epoch;
	memcpy(&keys.v4, derived->v4.round, sizeof(keys.v4));
	memcpy(&keys.v6, derived->v6.round, sizeof(keys.v6));
	memcpy(keys.mask, derived->profile_mask, sizeof(keys.mask));
	int rc = bpf_map_update_elem(fd, &at, &keys, BPF_ANY);
	secret_fini(&ring);
	explicit_bzero(&keys, sizeof(keys));
	return rc;
}

/* The epoch whose keys stand at a place; 0: none. */
static uint32_t
epoch_at(int fd, uint32_t at)
{
	static struct adopt_epoch keys;
	uint32_t epoch = bpf_map_lookup_elem(fd, &at, &keys) == 0 ? keys.epoch : 0;

	explicit_bzero(&keys, sizeof(keys));
	return epoch;
}

static int
write_keys(int fd, const uint8_t *secret, uint32_t which, uint32_t now, bool all)
{
	for (uint32_t epoch = now - SETTINGS_EPOCHS_BEHIND;
	     epoch != now + SETTINGS_EPOCHS_AHEAD + 1; epoch++) {
		uint32_t at = ADOPT_EPOCH_AT(epoch, which);

		if (!all && epoch_at(fd, at) == epoch)
			continue;
		if (write_epoch(fd, secret, epoch, at) != 0)
			return -1;
	}
	return 0;
}

/* A process before may have left them. */
static int
remove_keys(int fd, uint32_t which)
{
	static const struct adopt_epoch none;

	for (uint32_t i = 0; i < ADOPT_EPOCHS; i++) {
		uint32_t at = ADOPT_EPOCH_AT(i, which);

		if (bpf_map_update_elem(fd, &at, &none, BPF_ANY) != 0)
			return -1;
	}
	return 0;
}

int
settings_write_keys(struct adopt *skeleton, const uint8_t *const secrets[ADOPT_SECRETS],
                    uint64_t wall_s, bool all)
{
	uint32_t now = (uint32_t)(wall_s / EPOCH_S);
	int fd = bpf_map__fd(skeleton->maps.epochs_map);

	/* In this order: when the second becomes the first, it is always there as one of them. */
	if (write_keys(fd, secrets[0], 0, now, all) != 0)
		return -1;
	if (secrets[1] != NULL)
		return write_keys(fd, secrets[1], 1, now, all);
	return all ? remove_keys(fd, 1) : 0;
}
