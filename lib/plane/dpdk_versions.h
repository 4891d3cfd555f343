/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What differs between the releases of DPDK that synfront builds with (22.11 to 25.11), under the
 * names and with the meaning that the newest one has. Everything else is the same in all of them.
 */
#ifndef SYNFRONT_DPDK_VERSIONS_H
#define SYNFRONT_DPDK_VERSIONS_H

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_telemetry.h>
#include <rte_version.h>
#include <stdbool.h>

/* Unsigned values of telemetry have had these names since 23.03; the old ones ended with 25.11. */
#if RTE_VERSION < RTE_VERSION_NUM(23, 3, 0, 0)
#define RTE_TEL_UINT_VAL RTE_TEL_U64_VAL

static inline int
rte_tel_data_add_array_uint(struct rte_tel_data *d, uint64_t value)
{
	return rte_tel_data_add_array_u64(d, value);
}

static inline int
rte_tel_data_add_dict_uint(struct rte_tel_data *d, const char *name, uint64_t value)
{
	return rte_tel_data_add_dict_u64(d, name, value);
}
#endif

/*
 * How many queues a TAP can have that says `said`. It sends other processes the descriptors of all
 * its queues, both ways, in one message. Before 24.11 a TAP says 16 and the message has room for 8
 * descriptors: the driver writes over its stack (tap_mp_req_on_rxtx()). From then on it says 64,
 * and the message has room for 253.
 */
static inline uint16_t
tap_queues_max(uint16_t said)
{
	return RTE_MIN(said, (uint16_t)(RTE_MP_MAX_FD_NUM / 2));
}

/*
 * What a port hashes by to spread the frames of `types` over its queues: with `key` where the driver
 * takes one, and by Toeplitz where it says what it can hash by. That it can say since 23.11, and few
 * drivers do; one that names no algorithm has one only. A driver that names no size of a key has a
 * key of its own, and since 23.11 takes no other.
 */
static inline struct rte_eth_rss_conf
rss_conf_make(const struct rte_eth_dev_info *info, uint64_t types, uint8_t *key)
{
	struct rte_eth_rss_conf conf = {
		.rss_key = info->hash_key_size != 0 ? key : NULL,
		.rss_key_len = info->hash_key_size,
		.rss_hf = types,
	};

#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
	if (info->rss_algo_capa & RTE_ETH_HASH_ALGO_CAPA_MASK(TOEPLITZ))
		conf.algorithm = RTE_ETH_HASH_FUNCTION_TOEPLITZ;
#endif
	return conf;
}

/* Does a port with this driver hash over addresses and ports as our owners are found, by Toeplitz
 * with a key of ours? */
static inline bool
rss_is_ours(const struct rte_eth_dev_info *info)
{
	uint32_t named = 0;

#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
	named = info->rss_algo_capa & ~RTE_ETH_HASH_ALGO_CAPA_MASK(DEFAULT);
	if (named & RTE_ETH_HASH_ALGO_CAPA_MASK(TOEPLITZ))
		named = 0;
#endif
	/* 40 bytes meet all that is hashed of IPv6. */
	return named == 0 && info->hash_key_size >= 40;
}

#endif
