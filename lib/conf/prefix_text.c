/* SPDX-License-Identifier: BSD-3-Clause */
#include "prefix_text.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "value.h"

void
conf_format_prefix(const struct prefix *prefix, char text[CONF_PREFIX_SIZE])
{
	bool v4 = ip_addr_is_v4(&prefix->addr) && prefix->len >= 96;
	char address[INET6_ADDRSTRLEN];

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? &prefix->addr.bytes[12] : prefix->addr.bytes,
	          address, sizeof(address));
	if (prefix->len == 128)
		snprintf(text, CONF_PREFIX_SIZE, "%s", address);
	else
		snprintf(text, CONF_PREFIX_SIZE, "%s/%d", address,
		         v4 ? prefix->len - 96 : prefix->len);
}

bool
conf_parse_prefix(const char *text, struct prefix *prefix, char hint[CONF_PREFIX_HINT_SIZE])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char address[INET6_ADDRSTRLEN];
	size_t n = strcspn(text, "/");
	uint32_t len, v4_be;

	if (n >= sizeof(address))
		return false;
	memcpy(address, text, n);
	address[n] = '\0';

	bool v4 = inet_pton(AF_INET, address, &v4_be) == 1;
	if (v4)
		prefix->addr = ip_addr_v4(v4_be);
	else if (inet_pton(AF_INET6, address, prefix->addr.bytes) != 1)
		return false;

	uint32_t whole = v4 ? 32 : 128;
	len = whole;
	if (text[n] == '/' && (!conf_number(CONF_NUMBER, text + n + 1, &len) || len > whole))
		return false;
	prefix->len = (uint8_t)(v4 ? len + 96 : len);

	struct ip_addr masked = ip_addr_mask(&prefix->addr, prefix->len);
	if (!ip_addr_equal(&masked, &prefix->addr)) {
		struct prefix meant = { masked, prefix->len };
		char meant_text[CONF_PREFIX_SIZE];
		conf_format_prefix(&meant, meant_text);
		snprintf(hint, CONF_PREFIX_HINT_SIZE, "bits past the length must be zero: %s",
		         meant_text);
		return false;
	}
	/* IPv4 lives inside ::ffff:0:0/96 here: an IPv6 prefix must not reach it. */
	if (!v4) {
		struct ip_addr base = { .quads_be = { 0, 0 } };
		memcpy(base.bytes, mapped, sizeof(mapped));
		if (prefix_contains(prefix, &base)) {
			snprintf(hint, CONF_PREFIX_HINT_SIZE,
			         "an IPv6 prefix must not contain ::ffff:0:0/96; for all global "
			         "IPv6 write 2000::/3");
			return false;
		}
		if (memcmp(prefix->addr.bytes, mapped, sizeof(mapped)) == 0) {
			snprintf(hint, CONF_PREFIX_HINT_SIZE, "write the IPv4 address itself");
			return false;
		}
	}
	return true;
}
