/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of a service, as rows of the table, and of a file of what its servers grant. */
#include "conf.h"
#include "table_rows.h"

static const struct conf_choice mode_choices[] = {
	{ "proxy", MODE_PROXY },
	{ "handoff", MODE_HANDOFF },
	{ "respond", MODE_RESPOND },
	{ "bypass", MODE_BYPASS },
	{ NULL, 0 },
};
static const struct conf_choice cookies_choices[] = {
	{ "auto", COOKIES_AUTO },
	{ "always", COOKIES_ALWAYS },
	{ "never", COOKIES_NEVER },
	{ NULL, 0 },
};
static const struct conf_choice calm_choices[] = {
	{ "intercept", CALM_INTERCEPT },
	{ "transparent", CALM_TRANSPARENT },
	{ NULL, 0 },
};
const struct conf_choice conf_refusals[] = {
	{ "reset", REFUSE_RESET },
	{ "drop", REFUSE_DROP },
	{ "pass", REFUSE_PASS },
	{ NULL, 0 },
};
static const struct conf_choice silence_choices[] = {
	{ "reset", REFUSE_RESET },
	{ "drop", REFUSE_DROP },
	{ NULL, 0 },
};

static const struct conf_key watermark_keys[] = {
	{ "high", CONF_ENTRIES, 0, AT(service, high), .min = 2, .max = 1u << 24,
	  .derived = "3/8 of `memory.half_open`",
	  .help = "Half-open entries at which cookie mode begins; at most `memory.half_open`." },
	{ "low", CONF_ENTRIES, 0, AT(service, low), .min = 1, .max = (1u << 24) - 1,
	  .derived = "half of `high`", .help = "... and at which it ends; below `high`." },
};
static const struct conf_mapping watermark_mapping = { "Watermarks", KEYS(watermark_keys), 0 };

static const struct conf_key promise_keys[] = {
	{ "mss", CONF_NUMBER, 0, AT(service_promise, mss), .min = 536, .max = 65495,
	  .preset = "1460", .unit = "bytes", .help = "Largest segment of IPv4." },
	{ "mss6", CONF_NUMBER, 0, AT(service_promise, mss6), .min = 1220, .max = 65475,
	  .preset = "1440", .unit = "bytes", .help = "... and of IPv6." },
	{ "wscale", CONF_NUMBER, 0, AT(service_promise, wscale), .min = 0, .max = 14, .preset = "7",
	  .help = "Window scale; clients without timestamps are always promised 7." },
	{ "window_scaling", CONF_BOOL, 0, AT(service_promise, window_scaling), .preset = "true",
	  .help = "`net.ipv4.tcp_window_scaling` of the servers." },
	{ "sack", CONF_BOOL, 0, AT(service_promise, sack), .preset = "true",
	  .help = "`net.ipv4.tcp_sack` of the servers." },
	{ "timestamps", CONF_BOOL, 0, AT(service_promise, timestamps), .preset = "true",
	  .help = "`net.ipv4.tcp_timestamps` of the servers." },
	{ "files", CONF_TEXTS, 0, COUNTED(service_promise, files, n_files), .min = 0, .max = 1024,
	  .derived = "none",
	  .help = "Files with the keys above, one for each server, read at start and reload: no "
	          "more is promised than each of them says." },
};
static const struct conf_mapping promise_mapping = { "Promise of mode `handoff`",
	                                             KEYS(promise_keys), 0 };
/* All but the last. */
const struct conf_mapping conf_granted = {
	"Granted", .keys = promise_keys,
	.n_keys = sizeof(promise_keys) / sizeof(promise_keys[0]) - 1,
	.size = sizeof(struct service_promise)
};

static const struct conf_key service_keys[] = {
	{ "name", CONF_LABEL, CONF_REQUIRED, AT(service, name), .max = SERVICE_NAME_MAX - 1,
	  .help = "Its name in logs and counters. State stays with the name over a reload." },
	{ "addresses", CONF_ADDRESSES, CONF_REQUIRED, COUNTED(service, addresses, n_addresses),
	  .min = 1, .max = 4096, .help = "Destination addresses and prefixes of either family." },
	{ "ports", CONF_PORTS, CONF_REQUIRED, COUNTED(service, ports, n_ports), .min = 1,
	  .max = 1024, .help = "Destination ports." },
	{ "mode", CONF_CHOICE, CONF_REQUIRED, AT(service, mode), .choices = mode_choices,
	  .help = "`proxy`: handshake with the client, then with the server, then splice. "
	          "`handoff`: "
	          "a SYN is answered by cookie, everything else passes, and the server's kernel "
	          "takes the proven client over; nothing is kept. "
	          "`respond`: handshake, data is acknowledged and discarded, no server. `bypass`: "
	          "counted "
	          "and passed." },
	{ "cookies", CONF_CHOICE, 0, AT(service, cookies), .choices = cookies_choices,
	  .preset = "auto",
	  .help = "`auto`: between the watermarks and over the budgets of sources. `always`: never "
	          "keep state for an unproven client. `never`: refuse when there is no room for "
	          "state." },
	{ "calm", CONF_CHOICE, 0, AT(service, calm), .choices = calm_choices, .preset = "intercept",
	  .help = "`transparent`: handshakes pass untouched; mode `proxy`: and are tracked, below "
	          "the high watermark; mode `handoff`: up to `calm_syn_per_s`." },
	{ "calm_syn_per_s", CONF_RATE, 0, AT(service, calm_syn_per_s), .min = 2, .max = 1000000000,
	  .preset = "1k", .unit = "1/s",
	  .help = "Mode `handoff`, `calm: transparent`: SYNs that pass; above it cookies answer, "
	          "until no more than half as many come. Each node's part of half of what the "
	          "servers' listen queues take." },
	{ "unknown_per_s", CONF_RATE, 0, AT(service, unknown_per_s), .min = 100, .max = 1000000000,
	  .preset = "0", .zero = "all", .unit = "1/s",
	  .help = "Mode `handoff`: segments that pass to the servers of flows for which nothing "
	          "speaks: no proven cookie, no data of the server, nothing of it that they "
	          "acknowledge. Those without timestamps are dropped first. Set it to each node's "
	          "part of half of the blind ACKs that the servers stand." },
	{ "group", CONF_LABEL, 0, AT(service, group), .max = SERVICE_NAME_MAX - 1,
	  .preset = "default",
	  .help = "Mode `handoff`: whose secret the cookies are made with. It is derived from the "
	          "master secret; `synfront --group-secret` writes it for the servers." },
	{ "promise", CONF_MAPPING, 0, AT(service, promise), MAPPING(promise_mapping),
	  .help = "Mode `handoff`: what clients are promised in the servers' name." },
	{ "half_open", CONF_MAPPING, 0, .offset = 0, MAPPING(watermark_mapping),
	  .help = "When cookie mode begins and ends." },
	{ "overload", CONF_CHOICE, 0, AT(service, overload), .choices = silence_choices,
	  .preset = "drop",
	  .help = "With `cookies: never`: answer to a SYN that finds no room for state." },
	{ "denied", CONF_CHOICE, 0, AT(service, denied), .choices = conf_refusals, .preset = "drop",
	  .help = "Answer to a source in `deny` or not in `allow`." },
	{ "unproven", CONF_CHOICE, 0, AT(service, unproven), .choices = silence_choices,
	  .preset = "reset",
	  .help = "Answer to an ACK that proves no cookie (dropped if it may be of a client whose "
	          "first data was lost: in and shortly after cookie mode, and after its half-open "
	          "entry has expired), and to a proven client over a limit." },
	{ "signed_syn", CONF_CHOICE, 0, AT(service, signed_syn), .choices = conf_refusals,
	  .preset = "pass",
	  .help = "SYNs with TCP MD5 or TCP-AO, whose handshake cannot be split; "
	          "`pass` is under a cap." },
	{ "wait_for_data", CONF_BOOL, 0, AT(service, wait_for_data), .preset = "false",
	  .help = "Mode `proxy`: open the server at the client's first byte, "
	          "which must come while its cookie lives (28 to 58 s). Not for protocols in "
	          "which the server speaks first." },
	{ "repeat_syn", CONF_BOOL, 0, AT(service, repeat_syn), .preset = "true",
	  .help = "Mode `proxy`: SYNs to the server go out twice, so that it does not take the "
	          "short way to the engine for the client's round trip." },
	{ "observe", CONF_BOOL, 0, AT(service, observe), .preset = "false",
	  .help = "Modes `proxy` and `handoff`: every frame of the service crosses as it is, and "
	          "what would be done is counted (`would_...`). The first one wants a start, and "
	          "twice the memory of the tables; switching it off does not." },
	{ "max_connections", CONF_ENTRIES, 0, AT(service, max_connections), .min = 1,
	  .max = 1u << 28, .preset = "0", .zero = "no limit",
	  .help = "Connecting and established; closing ones do not count." },
	{ "max_new_per_s", CONF_RATE, 0, AT(service, max_new_per_s), .min = 1, .max = 1000000000,
	  .preset = "0", .zero = "no limit", .unit = "1/s", .help = "Proven clients." },
	{ "max_connecting", CONF_ENTRIES, 0, AT(service, max_connecting), .min = 1, .max = 1u << 24,
	  .preset = "1k", .zero = "no limit",
	  .help = "Handshakes under way with one server address and port; keep it below the "
	          "server's backlog (Linux: the lesser of `listen()`'s, 511 of nginx and Apache, "
	          "and "
	          "`net.core.somaxconn`)." },
	{ "allow", CONF_PREFIXES, 0, COUNTED(service, allow, n_allow), .min = 0, .max = 1u << 20,
	  .derived = "everybody", .help = "Sources that are served." },
	{ "deny", CONF_PREFIXES, 0, COUNTED(service, deny, n_deny), .min = 0, .max = 1u << 20,
	  .derived = "nobody", .help = "Sources that are not; beats `allow`." },
};
const struct conf_mapping conf_service = { "Service", KEYS(service_keys), sizeof(struct service) };
