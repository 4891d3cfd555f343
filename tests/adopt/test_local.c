/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose segments a listener on all addresses may have: those to this machine, and not those that it
 * forwards or only sees.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "frame.h"
#include "loaded.h"
#include "segment.h"

#define NOW_S 1800000010u
#define LOOPBACK 1 /* its interface */

/* Of linux/ipv6.h, which the C library's headers do not bear. */
struct in6_ifreq {
	struct in6_addr ifr6_addr;
	uint32_t ifr6_prefixlen;
	int ifr6_ifindex;
};

static struct program program;

/* An ACK, or with `more` SYN and ACK, that proves nothing. */
static int
run(bool is_v4, uint8_t more, bool is_to_us)
{
	struct frame_spec spec = is_v4 ? frame_spec_v4() : frame_spec_v6();
	uint8_t frame[FRAME_SIZE];

	spec.flags = TCP_ACK | more;
	spec.ack = 12345;
	size_t len = frame_build(frame, &spec);
	return is_to_us ? loaded_run(&program, frame, len)
	                : loaded_run_as_it_is(&program, frame, len);
}

static void
set_forwarding(const char *value)
{
	static const char *const paths[] = { "/proc/sys/net/ipv4/ip_forward",
		                             "/proc/sys/net/ipv6/conf/all/forwarding" };

	for (unsigned int i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int fd = open(paths[i], O_WRONLY | O_CLOEXEC);
		CU_ASSERT_FATAL(fd >= 0);
		CU_ASSERT_EQUAL_FATAL(write(fd, value, 1), 1);
		close(fd);
	}
}

/* Ask the kernel for this about the loopback interface. */
static void
ask(int family, unsigned long what, void *request)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(ioctl(fd, what, request), 0);
	close(fd);
}

static void
loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo" };

	ask(AF_INET, SIOCGIFFLAGS, &request);
	request.ifr_flags |= IFF_UP;
	ask(AF_INET, SIOCSIFFLAGS, &request);
}

static struct sockaddr
inet(uint32_t addr_be)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = addr_be };
	struct sockaddr any;

	memcpy(&any, &in, sizeof(any));
	return any;
}

/* A route to where the frames go, as a guest behind an interface has it. */
static void
route_on(void)
{
	static char device[] = "lo";
	struct rtentry route = { .rt_dst = inet(frame_spec_v4().dst.words_be[3]),
		                 .rt_genmask = inet(UINT32_MAX),
		                 .rt_flags = RTF_UP | RTF_HOST,
		                 .rt_dev = device };
	struct in6_rtmsg route6 = { .rtmsg_dst_len = 128,
		                    .rtmsg_flags = RTF_UP | RTF_HOST,
		                    .rtmsg_metric = 1,
		                    .rtmsg_ifindex = LOOPBACK };
	struct ip_addr to = frame_spec_v6().dst;

	memcpy(&route6.rtmsg_dst, &to, sizeof(route6.rtmsg_dst));
	ask(AF_INET, SIOCADDRT, &route);
	ask(AF_INET6, SIOCADDRT, &route6);
}

/* These addresses are this machine's own. */
static void
take_addresses(void)
{
	struct ifreq request = { .ifr_name = "lo",
		                 .ifr_addr = inet(frame_spec_v4().dst.words_be[3]) };
	struct in6_ifreq request6 = { .ifr6_prefixlen = 128, .ifr6_ifindex = LOOPBACK };
	struct ip_addr to = frame_spec_v6().dst;

	memcpy(&request6.ifr6_addr, &to, sizeof(request6.ifr6_addr));
	ask(AF_INET, SIOCSIFADDR, &request);
	ask(AF_INET6, SIOCSIFADDR, &request6);
	/* The kernel begins to use it a moment later. */
	for (unsigned int i = 0; i < 200 && run(false, 0, true) == ADOPT_FORWARDED; i++)
		usleep(10000);
}

static void
check_all(int ack, int syn_ack)
{
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		CU_ASSERT_EQUAL(run(is_v4, 0, true), ack);
		CU_ASSERT_EQUAL(run(is_v4, TCP_SYN, true), syn_ack);
	}
}

/* In this order, each beginning where the one before has ended. */
static void
test_local_what_is_to_another_station_passes(void)
{
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		CU_ASSERT_EQUAL(run(is_v4, 0, false), ADOPT_FORWARDED);
		CU_ASSERT_EQUAL(run(is_v4, TCP_SYN, false), ADOPT_FORWARDED);
	}
	check_all(ADOPT_UNPROVEN, ADOPT_SYN_ACK);
}

static void
test_local_who_forwards_nothing_has_all(void)
{
	loopback_up();
	route_on();
	check_all(ADOPT_UNPROVEN, ADOPT_SYN_ACK);
}

static void
test_local_what_is_forwarded_passes(void)
{
	set_forwarding("1");
	check_all(ADOPT_FORWARDED, ADOPT_FORWARDED);
}

static void
test_local_own_addresses_are_taken(void)
{
	take_addresses();
	check_all(ADOPT_UNPROVEN, ADOPT_SYN_ACK);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_local_what_is_to_another_station_passes),
		CHECK_TEST(test_local_who_forwards_nothing_has_all),
		CHECK_TEST(test_local_what_is_forwarded_passes),
		CHECK_TEST(test_local_own_addresses_are_taken),
		CU_TEST_INFO_NULL,
	};

	loaded_begin(&program);
	loaded_set_time(&program, NOW_S, false);
	int rc = check_run("adopt_local", tests);
	loaded_end(&program);
	return rc;
}
