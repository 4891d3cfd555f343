/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers are written over their questions, in the same buffer. */
#include "neighbour.h"

#include "bytes.h"
#include "checksum.h"
#include "protocols.h"

enum {
	FRAME_MIN = 60,
	TTL = 64,
};

/* RFC 826, for Ethernet and IPv4. */
enum {
	ARP_OPERATION_OFF = 6,
	ARP_SENDER_MAC_OFF = 8,
	ARP_SENDER_IP_OFF = 14,
	ARP_TARGET_MAC_OFF = 18,
	ARP_TARGET_IP_OFF = 24,
	ARP_SIZE = 28,
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
};

enum {
	ICMP_ECHO_SIZE = 8,
	ICMP_ECHO = 8,
	ICMP_ECHO_REPLY = 0,
	ICMPV6_ECHO = 128,
	ICMPV6_ECHO_REPLY = 129,
};

/* RFC 4861, 4.3 and 4.4. */
enum {
	ND_SOLICITATION = 135,
	ND_ADVERTISEMENT = 136,
	ND_TARGET_OFF = 8,
	ND_OPTION_OFF = 24,
	ND_SIZE = 24,
	ND_SIZE_WITH_OPTION = 32,
	ND_OPTION_TARGET_MAC = 2,
	ND_FLAG_SOLICITED = 0x40,
	ND_FLAG_OVERRIDE = 0x20,
	ND_HOP_LIMIT = 255,
};

static bool
is_answered_for(const struct policy *policy, const struct ip_addr *a)
{
	return policy_has_mode(policy, a, MODE_RESPOND);
}

/* Back to where it came from. */
static void
turn_macs(uint8_t *frame, const uint8_t mac[6])
{
	for (unsigned int i = 0; i < 6; i++) {
		frame[i] = frame[6 + i];
		frame[6 + i] = mac[i];
	}
}

static unsigned int
padded(uint8_t *frame, uint32_t len)
{
	if (len >= FRAME_MIN)
		return len;
	memset(frame + len, 0, FRAME_MIN - len);
	return FRAME_MIN;
}

static unsigned int
answer_arp(uint8_t *frame, uint32_t len, uint32_t off, const struct policy *policy,
           const uint8_t mac[6])
{
	/* Ethernet, IPv4, their address lengths, request. */
	static const uint8_t request[] = { 0, 1, 8, 0, 6, 4, 0, ARP_REQUEST };
	uint8_t *arp = frame + off;

	if (len < off + ARP_SIZE || memcmp(arp, request, sizeof(request)) != 0)
		return 0;
	struct ip_addr target = ip_addr_v4(bytes_get_u32_be(arp + ARP_TARGET_IP_OFF));
	if (!is_answered_for(policy, &target))
		return 0;
	bytes_put_u16(arp + ARP_OPERATION_OFF, ARP_REPLY);
	/* MAC and IP address. */
	for (unsigned int i = 0; i < ARP_TARGET_MAC_OFF - ARP_SENDER_MAC_OFF; i++)
		arp[ARP_TARGET_MAC_OFF + i] = arp[ARP_SENDER_MAC_OFF + i];
	for (unsigned int i = 0; i < 6; i++)
		arp[ARP_SENDER_MAC_OFF + i] = mac[i];
	bytes_put_u32_be(arp + ARP_SENDER_IP_OFF, target.words_be[3]);
	turn_macs(frame, mac);
	return padded(frame, off + ARP_SIZE);
}

/* Type and checksum of an echo; its data and so any error in them stay. */
static void
turn_echo(uint8_t *icmp, uint8_t reply)
{
	uint16_t old_be = bytes_get_u16_be(icmp);

	icmp[0] = reply;
	uint64_t sum = checksum_delta_init(bytes_get_u16_be(icmp + 2));
	sum = checksum_delta_u16(sum, old_be, bytes_get_u16_be(icmp));
	bytes_put_u16_be(icmp + 2, checksum_delta_finish(sum));
}

static unsigned int
answer_ping_v4(uint8_t *frame, uint32_t len, uint32_t off, const struct policy *policy,
               const uint8_t mac[6])
{
	uint8_t *ip = frame + off;

	if (len < off + IPV4_HEADER_SIZE)
		return 0;
	uint32_t header_len = (ip[0] & 0x0fu) * 4, total = bytes_get_u16(ip + 2);
	/* No fragment: 0x3fff is MF and the offset. */
	if (ip[0] >> 4 != 4 || header_len < IPV4_HEADER_SIZE || ip[9] != PROTO_ICMP ||
	    total < header_len + ICMP_ECHO_SIZE || total > len - off ||
	    (bytes_get_u16(ip + 6) & 0x3fff) != 0 || ip[header_len] != ICMP_ECHO)
		return 0;
	uint32_t src_be = bytes_get_u32_be(ip + 12), dst_be = bytes_get_u32_be(ip + 16);
	struct ip_addr dst = ip_addr_v4(dst_be);
	if (!is_answered_for(policy, &dst))
		return 0;

	ip[8] = TTL;
	bytes_put_u16_be(ip + 10, 0);
	bytes_put_u32_be(ip + 12, dst_be);
	bytes_put_u32_be(ip + 16, src_be);
	bytes_put_u16_be(ip + 10, (uint16_t)~checksum_fold(checksum_add(0, ip, header_len)));
	turn_echo(ip + header_len, ICMP_ECHO_REPLY);
	turn_macs(frame, mac);
	return padded(frame, off + total);
}

static uint16_t
icmpv6_checksum(const uint8_t *ip, uint32_t size)
{
	uint64_t sum = htobe32(size) + (uint64_t)htobe32(PROTO_ICMPV6);

	sum = checksum_add(sum, ip + 8, 32);
	return checksum_fold(checksum_add(sum, ip + IPV6_HEADER_SIZE, size));
}

/* RFC 4861, 7.2.4; to all nodes when the asker has no address yet (RFC 4862, 5.4). */
static unsigned int
answer_solicitation(uint8_t *frame, uint32_t off, uint32_t size, const struct policy *policy,
                    const uint8_t mac[6])
{
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
	static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	uint8_t *ip = frame + off, *nd = ip + IPV6_HEADER_SIZE;
	struct ip_addr target, asker;

	if (size < ND_SIZE || ip[7] != ND_HOP_LIMIT || nd[1] != 0)
		return 0;
	memcpy(&target, nd + ND_TARGET_OFF, sizeof(target));
	if (!is_answered_for(policy, &target) || icmpv6_checksum(ip, size) != 0xffff)
		return 0;
	memcpy(&asker, ip + 8, sizeof(asker));
	bool is_unspecified = asker.quads_be[0] == 0 && asker.quads_be[1] == 0;

	memcpy(ip + 8, &target, sizeof(target));
	memcpy(ip + 24, is_unspecified ? all_nodes : asker.bytes, 16);
	bytes_put_u16(ip + 4, ND_SIZE_WITH_OPTION);
	memset(nd, 0, ND_TARGET_OFF);
	nd[0] = ND_ADVERTISEMENT;
	nd[4] = is_unspecified ? ND_FLAG_OVERRIDE : ND_FLAG_SOLICITED | ND_FLAG_OVERRIDE;
	nd[ND_OPTION_OFF] = ND_OPTION_TARGET_MAC;
	nd[ND_OPTION_OFF + 1] = 1;
	memcpy(nd + ND_OPTION_OFF + 2, mac, 6);
	bytes_put_u16_be(nd + 2, (uint16_t)~icmpv6_checksum(ip, ND_SIZE_WITH_OPTION));
	turn_macs(frame, mac);
	if (is_unspecified)
		memcpy(frame, all_nodes_mac, sizeof(all_nodes_mac));
	return off + IPV6_HEADER_SIZE + ND_SIZE_WITH_OPTION;
}

static unsigned int
answer_icmpv6(uint8_t *frame, uint32_t len, uint32_t off, const struct policy *policy,
              const uint8_t mac[6])
{
	uint8_t *ip = frame + off;

	if (len < off + IPV6_HEADER_SIZE + ICMP_ECHO_SIZE || ip[0] >> 4 != 6 ||
	    ip[6] != PROTO_ICMPV6)
		return 0;
	uint32_t size = bytes_get_u16(ip + 4);
	if (size < ICMP_ECHO_SIZE || size > len - off - IPV6_HEADER_SIZE)
		return 0;
	if (ip[IPV6_HEADER_SIZE] == ND_SOLICITATION)
		return answer_solicitation(frame, off, size, policy, mac);

	struct ip_addr src, dst;
	memcpy(&src, ip + 8, sizeof(src));
	memcpy(&dst, ip + 24, sizeof(dst));
	if (ip[IPV6_HEADER_SIZE] != ICMPV6_ECHO || !is_answered_for(policy, &dst))
		return 0;
	ip[7] = TTL;
	memcpy(ip + 8, &dst, sizeof(dst));
	memcpy(ip + 24, &src, sizeof(src));
	turn_echo(ip + IPV6_HEADER_SIZE, ICMPV6_ECHO_REPLY);
	turn_macs(frame, mac);
	return padded(frame, off + IPV6_HEADER_SIZE + size);
}

unsigned int
neighbour_answer(uint8_t *frame, uint32_t len, const struct segment *seg,
                 const struct policy *policy, const uint8_t mac[6])
{
	uint32_t off = seg->l3_off;

	/* No answer to a frame whose sender is a group. */
	if (off < 14 || len < off || (frame[6] & 1))
		return 0;
	switch (bytes_get_u16(frame + off - 2)) {
	case ETH_TYPE_ARP:
		return answer_arp(frame, len, off, policy, mac);
	case ETH_TYPE_IPV4:
		return answer_ping_v4(frame, len, off, policy, mac);
	case ETH_TYPE_IPV6:
		return answer_icmpv6(frame, len, off, policy, mac);
	}
	return 0;
}
