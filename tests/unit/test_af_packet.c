/* SPDX-License-Identifier: BSD-3-Clause */
/* The longest frame of a port by AF_PACKET. */
#include "af_packet.h"
#include "check.h"

static void
test_room_by_framesz(void)
{
	CU_ASSERT_EQUAL(af_packet_room("net_af_packet0,iface=eth0"), 1982);
	CU_ASSERT_EQUAL(af_packet_buffer("net_af_packet0,iface=eth0"), 2016);
	CU_ASSERT_EQUAL(af_packet_buffer("net_af_packet0,iface=eth0,framesz=9088"), 9056);
	CU_ASSERT_EQUAL(af_packet_room("net_af_packet0,iface=eth0,framesz=16384,blocksz=16384"),
	                16318);
	CU_ASSERT_EQUAL(af_packet_room("net_af_packet0,framesz=4096,iface=eth0"), 4030);
	CU_ASSERT_EQUAL(af_packet_room("net_af_packet0,iface=eth0,framesz=16"), 0);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_room_by_framesz),
		CU_TEST_INFO_NULL,
	};

	return check_run("af_packet", tests);
}
