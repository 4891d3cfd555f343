/* SPDX-License-Identifier: BSD-3-Clause */
/* The maps; their values are described in adopt.h. */
#ifndef SYNFRONT_MAPS_BPF_H
#define SYNFRONT_MAPS_BPF_H

#include "adopt.h"
#include "kernel.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct adopt_clock);
} clock_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct adopt_settings);
} settings_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct adopt_ports);
} ports_map SEC(".maps");

/* The value tells the agent who wrote it. Those of two configurations fit. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct adopt_prefix);
	__type(value, __u32);
} prefixes_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ADOPT_SECRETS *ADOPT_EPOCHS);
	__type(key, __u32);
	__type(value, struct adopt_epoch);
} epochs_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ADOPT_PROFILES);
	__type(key, __u32);
	__type(value, struct adopt_profile);
} profiles_map SEC(".maps");

/*
 * Cookies that were given to the kernel, and have opened nothing so far. One client with a wrong
 * checksum can fill it, so it is apart from those that are spent, which only connections fill. An
 * entry is wanted until the kernel has looked at the segment: what is pushed out in that time
 * opens a connection whose cookie nobody remembers, so none may be pushed out soon.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct adopt_spent_key);
	__type(value, __u32);
} tried_map SEC(".maps");

/* Those that have opened a connection. The agent sets how many. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct adopt_spent_key);
	__type(value, __u32);
} spent_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct adopt_counters);
} counters_map SEC(".maps");

/*
 * Tokens of this CPU. Of each bucket one second's worth can be taken at once; they come back one
 * by one. Were a second's worth put in at its begin, a flood would have taken it a moment later,
 * and who sends again at the same point of each second would never find one.
 */
enum bucket {
	BUCKET_TAKEOVER, /* looks for a cookie over a live connection */
	BUCKET_DEAD,     /* looks for the epoch of a cookie that has died, and RSTs for one spent */
	BUCKETS
};
struct adopt_bucket {
	__u64 taken_ns; /* CLOCK_BOOTTIME until which all that has come back is taken */
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BUCKETS);
	__type(key, __u32);
	__type(value, struct adopt_bucket);
} bucket_map SEC(".maps");

static __always_inline void
count(enum adopt_counter which)
{
	__u32 zero = 0;
	struct adopt_counters *counters = bpf_map_lookup_elem(&counters_map, &zero);

	if (counters != NULL)
		counters->n[which]++;
}

static __always_inline int
take_token(__u32 which, __u32 a_second)
{
	struct adopt_bucket *bucket = bpf_map_lookup_elem(&bucket_map, &which);
	const __u64 second_ns = 1000000000ull;
	__u64 boot_ns = bpf_ktime_get_boot_ns();

	if (bucket == NULL || a_second == 0)
		return 0;
	__u64 token_ns = second_ns / a_second, since_ns = boot_ns - second_ns;
	if (since_ns < bucket->taken_ns || since_ns > boot_ns)
		since_ns = bucket->taken_ns;
	if (boot_ns - since_ns < token_ns)
		return 0;
	bucket->taken_ns = since_ns + token_ns;
	return 1;
}

#endif
