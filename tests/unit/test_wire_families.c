/* SPDX-License-Identifier: BSD-3-Clause */
/* A burst sorted by families: each in its order, and nothing moved that has no family to see. */
#include "check.h"
#include "families.h"

#define N 32u

struct item {
	uint8_t frame[ETH_HEADER_SIZE];
};

static struct item burst[N];
static void *order[N];

static const uint8_t *
frame_of(const void *item)
{
	return ((const struct item *)item)->frame;
}

/* A burst of n frames, IPv6 where `v6` has a bit. */
static void
make(unsigned int n, uint64_t v6)
{
	for (unsigned int i = 0; i < n; i++) {
		memset(burst[i].frame, 0xff, ETH_HEADER_SIZE);
		bytes_put_u16(burst[i].frame + ETH_TYPE_OFF,
		              v6 >> i & 1 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4);
		order[i] = &burst[i];
	}
}

/* Are the first n in place as this says: first those without a bit, then those with one? */
static bool
is_sorted(unsigned int n, uint64_t v6)
{
	unsigned int at = 0;

	for (unsigned int with = 0; with < 2; with++)
		for (unsigned int i = 0; i < n; i++)
			if ((v6 >> i & 1) == with && order[at++] != &burst[i])
				return false;
	return true;
}

static void
test_families_each_in_order(void)
{
	uint64_t state = 1;
	unsigned int n_wrong = 0;

	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int n = (unsigned int)check_random(&state) % (N + 1);
		uint64_t v6 = check_random(&state) & check_random(&state);

		make(n, v6);
		families_sort(order, n, frame_of);
		n_wrong += !is_sorted(n, v6);
	}
	CU_ASSERT_EQUAL(n_wrong, 0);
}

/* One with a tag, ARP, or anything else among them. */
static void
test_families_unknown_stays(void)
{
	static const uint16_t types[] = { ETH_TYPE_VLAN, ETH_TYPE_QINQ, 0x0806, 0, 0xffff, 0x0801 };
	unsigned int n_moved = 0;

	for (unsigned int i = 0; i < N * sizeof(types) / sizeof(types[0]); i++) {
		make(N, 0x5a5a5a5a);
		bytes_put_u16(burst[i % N].frame + ETH_TYPE_OFF, types[i / N]);
		families_sort(order, N, frame_of);
		n_moved += !is_sorted(N, 0);
	}
	CU_ASSERT_EQUAL(n_moved, 0);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_families_each_in_order),
		CHECK_TEST(test_families_unknown_stays),
		CU_TEST_INFO_NULL,
	};

	return check_run("wire_families", tests);
}
