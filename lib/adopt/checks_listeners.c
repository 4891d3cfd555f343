/* SPDX-License-Identifier: BSD-3-Clause */
/* Listening sockets of this network namespace, by the kernel's own list (sock_diag(7)). */
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checks.h"

/* Ports of a service beyond these are not asked for: nobody lists so many one by one. */
#define PORTS_MAX 64u

enum listener {
	LISTENER_NONE,
	LISTENER_TCP,
	LISTENER_MPTCP,
};

/* What listens on each port. */
struct listeners {
	uint8_t by_port[65536]; /* enum listener */
};

static int
ask(int fd, uint8_t family)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 body;
	} request = {
		.header = { .nlmsg_len = sizeof(request),
		            .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		            .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.body = { .sdiag_family = family,
		          .sdiag_protocol = IPPROTO_TCP,
		          .idiag_ext = 1 << (INET_DIAG_INFO - 1),
		          .idiag_states = 1 << TCP_LISTEN },
	};

	return send(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request) ? 0 : -1;
}

/* Is this socket a part of one of MPTCP? Its upper protocol is named so. */
static bool
is_mptcp(const struct nlmsghdr *header)
{
	const struct inet_diag_msg *msg = NLMSG_DATA(header);
	int left = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof(*msg)));

	for (const struct rtattr *a = (const struct rtattr *)(msg + 1); RTA_OK(a, left);
	     a = RTA_NEXT(a, left)) {
		if ((a->rta_type & NLA_TYPE_MASK) != INET_DIAG_ULP_INFO)
			continue;
		int inner_left = (int)RTA_PAYLOAD(a);
		for (const struct rtattr *b = RTA_DATA(a); RTA_OK(b, inner_left);
		     b = RTA_NEXT(b, inner_left))
			if ((b->rta_type & NLA_TYPE_MASK) == INET_ULP_INFO_NAME &&
			    RTA_PAYLOAD(b) >= 5 && memcmp(RTA_DATA(b), "mptcp", 5) == 0)
				return true;
	}
	return false;
}

/* 0 at the end of the list, 1 if there is more to come, -1. */
static int
take(struct listeners *l, int fd)
{
	char buffer[16384] __attribute__((aligned(8)));
	ssize_t got = recv(fd, buffer, sizeof(buffer), 0);

	if (got <= 0)
		return -1;
	unsigned int left = (unsigned int)got;
	for (const struct nlmsghdr *h = (const struct nlmsghdr *)buffer; NLMSG_OK(h, left);
	     h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR)
			return -1;
		const struct inet_diag_msg *msg = NLMSG_DATA(h);
		uint8_t *kind = &l->by_port[ntohs(msg->id.idiag_sport)];
		if (is_mptcp(h))
			*kind = LISTENER_MPTCP;
		else if (*kind == LISTENER_NONE)
			*kind = LISTENER_TCP;
	}
	return 1;
}

static int
read_all(struct listeners *l)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int rc = fd < 0 ? -1 : 0;

	memset(l, 0, sizeof(*l));
	for (unsigned int i = 0; rc == 0 && i < 2; i++) {
		if (ask(fd, families[i]) != 0)
			rc = -1;
		else
			while ((rc = take(l, fd)) == 1)
				;
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static void
check_port(struct findings *f, const struct agent_service *s, uint32_t port, uint8_t kind)
{
	if (kind == LISTENER_MPTCP)
		findings_add(f, FINDING_ERROR,
		             "port %u (service %s) is listened to by MPTCP, which cannot take "
		             "clients over; have its program listen by TCP (Go: "
		             "GODEBUG=multipathtcp=0; nginx: without `multipath`), or set "
		             "net.mptcp.enabled to 0 and restart it",
		             port, s->name);
	else if (kind == LISTENER_NONE)
		findings_add(f, FINDING_WARNING,
		             "nobody listens on port %u (service %s); the kernel resets its "
		             "clients; start the server",
		             port, s->name);
}

void
checks_listeners(struct findings *f, const struct agent_conf *conf)
{
	static struct listeners listeners;

	if (read_all(&listeners) != 0) {
		findings_add(f, FINDING_WARNING,
		             "the kernel does not list its listening sockets (inet_diag); see with "
		             "ss -tln that the services are there, and none by MPTCP");
		return;
	}
	for (uint32_t i = 0; i < conf->n_services; i++) {
		const struct agent_service *s = &conf->services[i];
		for (uint32_t j = 0; j < s->n_ports; j++) {
			/* Of a wide range some ports may well be unused. */
			bool is_wide = (uint32_t)(s->ports[j].last - s->ports[j].first) >=
			               PORTS_MAX;
			for (uint32_t p = s->ports[j].first; p <= s->ports[j].last; p++)
				if (!is_wide || listeners.by_port[p] == LISTENER_MPTCP)
					check_port(f, s, p, listeners.by_port[p]);
		}
	}
}
