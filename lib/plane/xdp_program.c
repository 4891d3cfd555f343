/* SPDX-License-Identifier: BSD-3-Clause */
#include "xdp_program.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

/* More than an interface's answer without statistics. */
#define ANSWER_SIZE 16384

/* Wait this long at most: whoever holds the kernel's lock on interfaces delays the answer. */
#define ANSWER_TIMEOUT_US 100000

static enum xdp_program
attached(struct rtattr *nest)
{
	int len = (int)RTA_PAYLOAD(nest);

	for (struct rtattr *a = RTA_DATA(nest); RTA_OK(a, len); a = RTA_NEXT(a, len))
		if (a->rta_type == IFLA_XDP_ATTACHED && RTA_PAYLOAD(a) >= 1)
			return *(uint8_t *)RTA_DATA(a) == XDP_ATTACHED_NONE ? XDP_PROGRAM_NONE
			                                                    : XDP_PROGRAM_ATTACHED;
	return XDP_PROGRAM_UNKNOWN;
}

static enum xdp_program
read_answer(struct nlmsghdr *head, unsigned int size)
{
	struct ifinfomsg *info = NLMSG_DATA(head);

	if (!NLMSG_OK(head, size) || head->nlmsg_type != RTM_NEWLINK)
		return XDP_PROGRAM_UNKNOWN;
	int len = (int)IFLA_PAYLOAD(head);
	for (struct rtattr *a = IFLA_RTA(info); RTA_OK(a, len); a = RTA_NEXT(a, len))
		if ((a->rta_type & NLA_TYPE_MASK) == IFLA_XDP)
			return attached(a);
	return XDP_PROGRAM_UNKNOWN;
}

enum xdp_program
xdp_program_of(unsigned int if_index)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
		struct rtattr attribute;
		uint32_t mask;
	} request = {
		.head = { .nlmsg_len = sizeof(request),
		          .nlmsg_type = RTM_GETLINK,
		          .nlmsg_flags = NLM_F_REQUEST },
		.info = { .ifi_family = AF_UNSPEC, .ifi_index = (int)if_index },
		.attribute = { .rta_len = RTA_LENGTH(sizeof(uint32_t)), .rta_type = IFLA_EXT_MASK },
		.mask = RTEXT_FILTER_SKIP_STATS,
	};
	_Alignas(struct nlmsghdr) uint8_t answer[ANSWER_SIZE];
	struct timeval timeout = { .tv_usec = ANSWER_TIMEOUT_US };
	enum xdp_program found = XDP_PROGRAM_UNKNOWN;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return found;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
	    send(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request)) {
		ssize_t size = recv(fd, answer, sizeof(answer), 0);
		if (size > 0)
			found = read_answer((struct nlmsghdr *)answer, (unsigned int)size);
	}
	close(fd);
	return found;
}
