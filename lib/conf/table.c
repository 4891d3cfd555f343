/* SPDX-License-Identifier: BSD-3-Clause */
/* Every key of the configuration, one row each, or where its rows are: the reference is made from
 * these. */
#include <string.h>
#include <syslog.h>

#include "conf.h"
#include "table_rows.h"

#include "backend.h"
#include "conn_table.h"
#include "flow_index.h"
#include "half_open.h"
#include "path.h"
#include "pending.h"
#include "source.h"

static const struct conf_choice checksum_choices[] = {
	{ "auto", CONF_OFFLOAD_AUTO },
	{ "off", CONF_OFFLOAD_OFF },
	{ NULL, 0 },
};
static const struct conf_choice idle_choices[] = {
	{ "auto", CONF_IDLE_AUTO },
	{ "poll", CONF_IDLE_POLL },
	{ NULL, 0 },
};
static const struct conf_choice numa_choices[] = {
	{ "warn", CONF_NUMA_WARN },
	{ "strict", CONF_NUMA_STRICT },
	{ NULL, 0 },
};
static const struct conf_choice level_choices[] = {
	{ "error", CONF_LOG_ERROR }, { "warning", CONF_LOG_WARNING }, { "notice", CONF_LOG_NOTICE },
	{ "info", CONF_LOG_INFO },   { "debug", CONF_LOG_DEBUG },     { NULL, 0 },
};
static const struct conf_choice target_choices[] = {
	{ "stderr", CONF_LOG_STDERR },
	{ "syslog", CONF_LOG_SYSLOG },
	{ NULL, 0 },
};
static const struct conf_choice facility_choices[] = {
	{ "daemon", LOG_DAEMON }, { "user", LOG_USER },     { "auth", LOG_AUTH },
	{ "local0", LOG_LOCAL0 }, { "local1", LOG_LOCAL1 }, { "local2", LOG_LOCAL2 },
	{ "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 }, { "local5", LOG_LOCAL5 },
	{ "local6", LOG_LOCAL6 }, { "local7", LOG_LOCAL7 }, { NULL, 0 },
};
static const struct conf_choice hugepages_choices[] = {
	{ "auto", CONF_HUGEPAGES_AUTO },
	{ "on", CONF_HUGEPAGES_ON },
	{ "off", CONF_HUGEPAGES_OFF },
	{ NULL, 0 },
};

static const struct conf_key port_keys[] = {
	{ "device", CONF_TEXT, CONF_REQUIRED, AT(port_conf, device), .max = 255,
	  .help = "PCI address, or a virtual device with its arguments, such as "
	          "`0000:3b:00.0` or `net_tap0,iface=sf-outside`." },
	{ "queues", CONF_NUMBER, 0, AT(port_conf, queues), .min = 1, .max = CONF_WORKERS_MAX,
	  .preset = "0", .zero = "one per worker",
	  .help = "Queues of each direction. Workers that have none of their own share." },
	{ "rx_descriptors", CONF_ENTRIES, 0, AT(port_conf, rx_descriptors), .min = 64, .max = 32768,
	  .preset = "1k", .help = "Receive ring; the driver may round it." },
	{ "tx_descriptors", CONF_ENTRIES, 0, AT(port_conf, tx_descriptors), .min = 64, .max = 32768,
	  .preset = "1k", .help = "Transmit ring; the driver may round it." },
	{ "mtu", CONF_NUMBER, 0, AT(port_conf, mtu), .min = 576, .max = 9978, .preset = "0",
	  .zero = "leave the port's", .unit = "bytes", .help = "Largest IP packet." },
	{ "mac", CONF_MAC, 0, COUNTED(port_conf, mac_source, mac), .preset = "device",
	  .help = "The port's address: its `device`'s own, one given here, or on the inside port "
	          "`outside`: that of the outside port." },
	{ "checksum_offload", CONF_CHOICE, 0, AT(port_conf, checksum), .choices = checksum_choices,
	  .preset = "auto",
	  .help = "`auto`: the port computes and verifies checksums where it can." },
	{ "syn_queues", CONF_CHOICE, 0, AT(port_conf, syn_queues), .choices = checksum_choices,
	  .preset = "auto",
	  .help = "Of the outside port. `auto`: SYNs come by receive queues of their own where "
	          "the port can tell them from the rest, so that more of them than can be "
	          "answered take nothing from established connections." },
	{ "promiscuous", CONF_BOOL, 0, AT(port_conf, promiscuous), .preset = "true",
	  .help = "Take frames for any address: an inline pair has to." },
};
static const struct conf_mapping port_mapping = { "Port", KEYS(port_keys),
	                                          sizeof(struct port_conf) };

static const struct conf_key ports_keys[] = {
	{ "outside", CONF_MAPPING, CONF_REQUIRED, AT(conf, outside), MAPPING(port_mapping),
	  .help = "The port towards the clients." },
	{ "inside", CONF_MAPPING, CONF_OPTIONAL, COUNTED(conf, inside, has_inside),
	  MAPPING(port_mapping),
	  .help = "The port towards the servers. Without it synfront is a "
	          "responder: every service has mode `respond`, and what would `pass` is "
	          "dropped." },
};
static const struct conf_mapping ports_mapping = { "Ports", KEYS(ports_keys), 0 };

static const struct conf_key workers_keys[] = {
	{ "count", CONF_NUMBER, 0, AT(workers_conf, count), .min = 1, .max = CONF_WORKERS_MAX,
	  .derived = "as many as `lcores` lists, or 1", .help = "Worker threads." },
	{ "lcores", CONF_LCORES, 0, COUNTED(workers_conf, lcores, n_lcores), .min = 0,
	  .max = CONF_WORKERS_MAX, .derived = "chosen at start",
	  .help = "CPUs for the workers, one each." },
	{ "control_lcore", CONF_NUMBER, 0, AT(workers_conf, control_lcore), .min = 0, .max = 1023,
	  .derived = "not pinned", .absent = CONF_LCORE_ANY,
	  .help = "CPU for the control thread; none of `lcores`." },
	{ "buffers", CONF_ENTRIES, 0, AT(workers_conf, buffers), .min = 160, .max = 1u << 24,
	  .preset = "0", .zero = "what rings and bursts can hold at most",
	  .help = "Packet buffers of each worker; at least 32 beside the descriptors of all "
	          "ports. More for a driver that keeps more than its rings; fewer save memory, "
	          "and packets are lost when none is left." },
	{ "idle", CONF_CHOICE, 0, AT(workers_conf, idle), .choices = idle_choices, .preset = "auto",
	  .help = "What a worker does with nothing to do. `auto`: after 0.2 ms it sleeps until an "
	          "interrupt comes, where all of its queues have one, else for pauses that grow. "
	          "`poll`: it never leaves its CPU." },
	{ "numa", CONF_CHOICE, 0, AT(workers_conf, numa), .choices = numa_choices, .preset = "warn",
	  .help = "`strict`: do not start when a worker would poll a port of another NUMA node." },
};
static const struct conf_mapping workers_mapping = { "Workers", KEYS(workers_keys), 0 };

/* An index bucket is half full when its tables are full. */
#define INDEXED (2 * sizeof(struct flow_bucket) / FLOW_SLOTS)

static const struct conf_key memory_keys[] = {
	{ "connections", CONF_ENTRIES, 0, AT(memory_conf, connections), .min = 1024,
	  .max = 1u << 28, .preset = "1M",
	  .entry_size = sizeof(struct conn) + sizeof(struct conn_side) + INDEXED,
	  .help = "Connections of any state but half-open. A full table evicts." },
	{ "half_open", CONF_ENTRIES, 0, AT(memory_conf, half_open), .min = 64, .max = 1u << 24,
	  .preset = "64k",
	  .entry_size = sizeof(struct half_open) + sizeof(struct half_open_side) + INDEXED,
	  .help = "SYN-RECEIVED entries. When it is full, cookies answer alone." },
	{ "backends", CONF_ENTRIES, 0, AT(memory_conf, backends), .min = 16, .max = 1u << 20,
	  .preset = "4k", .entry_size = sizeof(struct backend),
	  .help = "Server addresses and ports whose options are remembered." },
	{ "paths", CONF_ENTRIES, 0, AT(memory_conf, paths), .min = 16, .max = PATHS_MAX,
	  .preset = "4k", .entry_size = sizeof(struct path) + sizeof(uint32_t),
	  .help = "Distinct pairs of MAC addresses with tag stack." },
	{ "sources", CONF_ENTRIES, 0, AT(memory_conf, sources), .min = 1024, .max = 1u << 24,
	  .preset = "64k", .entry_size = sizeof(struct source),
	  .help = "Source prefixes counted at one time." },
	{ "held_connections", CONF_ENTRIES, 0, AT(memory_conf, held_connections), .min = 16,
	  .max = 1u << 20, .preset = "4k", .entry_size = PENDING_ENTRY_SIZE,
	  .help = "Connections that wait for their server at one time, each with its share of a "
	          "pool for early client data." },
	{ "known_flows", CONF_ENTRIES, 0, AT(memory_conf, known_flows), .min = 1024,
	  .max = 1u << 28, .preset = "1M", .entry_size = sizeof(uint32_t),
	  .help = "Flows that are remembered for `unknown_per_s`, rounded up to a power of two. "
	          "One that finds no room takes the place of another." },
};
static const struct conf_mapping memory_mapping = { "Memory", KEYS(memory_keys), 0 };

static const struct conf_key secret_keys[] = {
	{ "file", CONF_TEXT, 0, AT(conf, secret_file), .max = 4095,
	  .derived = "none: random at each start",
	  .help = "Master secret of the cookies, so that the next run and other nodes accept "
	          "them: 64 hex digits, or at least 32 raw bytes (the first 32 count). Group and "
	          "others must "
	          "not be able to read it." },
	{ "shared", CONF_BOOL, 0, AT(conf, secret_shared), .preset = "true",
	  .help = "With `file`: other nodes send cookies under it too, so none may be refused "
	          "unchecked because this node sent none." },
};
static const struct conf_mapping secret_mapping = { "Secret", KEYS(secret_keys), 0 };

/* Limits of sources: 0 switches one off. */
#define SOURCE_ENTRIES(name, field, preset_text, help_text) \
	{ name,                                             \
	  CONF_ENTRIES,                                     \
	  0,                                                \
	  AT(source_limits, field),                         \
	  .min = 1,                                         \
	  .max = 1u << 28,                                  \
	  .zero = "no limit",                               \
	  .preset = preset_text,                            \
	  .help = help_text }
#define SOURCE_RATE(name, field, preset_text, help_text) \
	{ name,                                          \
	  CONF_RATE,                                     \
	  0,                                             \
	  AT(source_limits, field),                      \
	  .min = 1,                                      \
	  .max = 1000000000,                             \
	  .zero = "no limit",                            \
	  .preset = preset_text,                         \
	  .unit = "1/s",                                 \
	  .help = help_text }

static const struct conf_key source_keys[] = {
	SOURCE_ENTRIES("half_open_host", half_open_host, "64",
	               "Half-open entries; over it: cookies."),
	SOURCE_ENTRIES("half_open_net", half_open_net, "1k", "The same per net."),
	SOURCE_RATE("syn_per_s_host", syn_per_s_host, "200", "SYNs; over it: cookies."),
	SOURCE_RATE("syn_per_s_net", syn_per_s_net, "2k", "The same per net."),
	SOURCE_ENTRIES("connections_host", connections_host, "0",
	               "Connecting and established; over it: refused."),
	SOURCE_ENTRIES("connections_net", connections_net, "0", "The same per net."),
	SOURCE_RATE("new_per_s_host", new_per_s_host, "0", "Proven clients; over it: refused."),
	SOURCE_RATE("new_per_s_net", new_per_s_net, "0", "The same per net."),
};
static const struct conf_mapping source_mapping = {
	"Limits per source: host (IPv4 /32, IPv6 /64) and net (IPv4 /24, IPv6 /48)",
	KEYS(source_keys), 0
};

static const struct conf_key reflection_keys[] = {
	{ "per_net_per_s", CONF_RATE, 0, AT(reflection_limits, per_net_per_s), .min = 1,
	  .max = 1000000000, .preset = "10k", .zero = "no cap", .unit = "1/s",
	  .help = "Answers of all kinds to one IPv4 /24 or IPv6 /48." },
	{ "per_port_per_s", CONF_RATE, 0, AT(reflection_limits, per_port_per_s), .min = 1,
	  .max = 1000000000, .preset = "0", .zero = "no cap", .unit = "1/s",
	  .help = "Answers of all kinds of one worker on the outside port." },
	{ "rst_per_s", CONF_RATE, 0, AT(reflection_limits, rst_per_s), .min = 1, .max = 1000000000,
	  .preset = "10k", .unit = "1/s", .help = "RSTs of one worker." },
	{ "challenge_per_s", CONF_RATE, 0, AT(reflection_limits, challenge_per_s), .min = 1,
	  .max = 1000000000, .preset = "1k", .unit = "1/s",
	  .help = "Challenge ACKs of one worker (RFC 5961, section 10)." },
};
static const struct conf_mapping reflection_mapping = {
	"Limits on answers to what nobody has proven", KEYS(reflection_keys), 0
};

static const struct conf_key limits_keys[] = {
	{ "sources", CONF_MAPPING, 0, AT(policy, sources), MAPPING(source_mapping),
	  .help = "What one source may take." },
	{ "reflection", CONF_MAPPING, 0, AT(policy, reflection), MAPPING(reflection_mapping),
	  .help = "What synfront may be made to send to others." },
	{ "adopt_per_net", CONF_ENTRIES, 0, AT(policy, adopt_per_net), .min = 1, .max = 1u << 20,
	  .preset = "256",
	  .help = "After start: unknown connections of one net that may become candidates in "
	          "one second." },
};
static const struct conf_mapping limits_mapping = { "Limits", KEYS(limits_keys), 0 };

static const struct conf_key handshake_keys[] = {
	{ "syn_ack_retries", CONF_NUMBER, CONF_LIVE, AT(policy, syn_ack_retries), .min = 0,
	  .max = SYN_ACK_RETRIES_MAX, .preset = "3",
	  .help = "SYN-ACKs sent again from state, after 1, 2, 4 ... seconds." },
	{ "hold_bytes", CONF_ENTRIES, 0, AT(policy, hold_bytes), .min = 1460, .max = 65535,
	  .preset = "16k", .unit = "bytes",
	  .help = "Most early data held for one client until its server answers, and so the window "
	          "of the SYN-ACK; it shrinks while the pool of `memory.held_connections` is "
	          "short." },
	{ "closed_port", CONF_CHOICE, CONF_LIVE, AT(policy, closed_port), .choices = conf_refusals,
	  .preset = "reset",
	  .help = "Answer to a SYN for a protected address on a port of no service, or to a "
	          "server that is down." },
};
static const struct conf_mapping handshake_mapping = { "Handshake", KEYS(handshake_keys), 0 };

/* The index keeps deadlines as seconds modulo 2^16, and tells past from future
 * by half of that. */
#define TIMEOUT_MAX_S (8 * 3600)
_Static_assert(TIMEOUT_MAX_S < 1 << 15, "a deadline is never taken for a past one");

#define TIMEOUT(name_, min_, max_, preset_, help_) \
	{ #name_,                                  \
	  CONF_DURATION,                           \
	  0,                                       \
	  AT(timeouts, name_),                     \
	  .min = min_,                             \
	  .max = max_,                             \
	  .preset = preset_,                       \
	  .help = help_ }

static const struct conf_key timeouts_keys[] = {
	TIMEOUT(connecting, 1, 300, "10s", "A server that stays silent: the client gets RST."),
	TIMEOUT(idle, 10, TIMEOUT_MAX_S, "125m", "Nothing seen in either direction."),
	TIMEOUT(half_closed, 1, TIMEOUT_MAX_S, "2m",
	        "One FIN seen; the client's counts once its server has acknowledged it."),
	TIMEOUT(closing, 1, 3600, "1m", "Both FINs seen, and the client's acknowledged."),
	TIMEOUT(reset_linger, 1, 60, "2s",
	        "An RST at exactly RCV.NXT seen. So long it still counts against limits."),
	{ "adopt", CONF_DURATION, 0, AT(timeouts, adopt), .min = 1, .max = 3600, .preset = "1m",
	  .zero = "never",
	  .help = "After a start, and for services that a reload puts before connections: how "
	          "long unknown connections may be adopted." },
	TIMEOUT(probe, 1, 3600, "5s",
	        "A server that is down: in each such interval up to three clients, of different "
	        "networks, try it once they have proven their address."),
	{ "protect", CONF_DURATION, 0, AT(timeouts, protect), .min = 1, .max = 3600,
	  .preset = "30s", .zero = "nothing is protected",
	  .help = "A full table never evicts a connection active so recently, and of what "
	          "has ended since then it forgets nothing before a client would be refused." },
};
static const struct conf_mapping timeouts_mapping = { "Timeouts", KEYS(timeouts_keys), 0 };

static const struct conf_key log_keys[] = {
	{ "level", CONF_CHOICE, CONF_LIVE, AT(log_conf, level), .choices = level_choices,
	  .preset = "notice", .help = "The least important message that is written." },
	{ "target", CONF_CHOICE, 0, AT(log_conf, target), .choices = target_choices,
	  .preset = "stderr", .help = "Where to." },
	{ "facility", CONF_CHOICE, 0, AT(log_conf, facility), .choices = facility_choices,
	  .preset = "daemon", .help = "With `syslog`." },
};
static const struct conf_mapping log_mapping = { "Log", KEYS(log_keys), 0 };

static const struct conf_key eal_keys[] = {
	{ "hugepages", CONF_CHOICE, 0, AT(eal_conf, hugepages), .choices = hugepages_choices,
	  .preset = "auto",
	  .help = "`auto`: used when the machine has enough free ones. `on`: required. `off`: "
	          "ordinary pages." },
	{ "args", CONF_TEXTS, 0, COUNTED(eal_conf, args, n_args), .min = 0, .max = 64,
	  .derived = "none", .help = "More arguments for DPDK's EAL, as they stand." },
};
static const struct conf_mapping eal_mapping = { "EAL", KEYS(eal_keys), 0 };

static const struct conf_key lists_keys[] = {
	{ "file", CONF_TEXT, 0, AT(conf, lists_file), .max = 4096, .derived = "memory alone",
	  .help = "Where they outlive a restart. Its folder is to be writable for `user`." },
};
static const struct conf_mapping lists_mapping = { "Live lists", KEYS(lists_keys), 0 };

static const struct conf_key root_keys[] = {
	{ "ports", CONF_MAPPING, CONF_REQUIRED, .offset = 0, MAPPING(ports_mapping),
	  .help = "The network ports." },
	{ "services", CONF_SEQUENCE, CONF_REQUIRED | CONF_LIVE,
	  .offset = offsetof(struct conf, policy.services),
	  .count_offset = offsetof(struct conf, policy.n_services), .min = 1, .max = SERVICES_MAX,
	  MAPPING(conf_service), .help = "What is protected, and how." },
	{ "observe", CONF_BOOL, CONF_LIVE, AT(conf, policy.observe), .preset = "false",
	  .help = "`observe` for each service of modes `proxy` and `handoff`, and for "
	          "`handshake.closed_port`." },
	{ "workers", CONF_MAPPING, 0, AT(conf, workers), MAPPING(workers_mapping),
	  .help = "Threads and CPUs." },
	{ "memory", CONF_MAPPING, 0, AT(conf, memory), MAPPING(memory_mapping),
	  .help = "Sizes of the tables, in entries of the whole engine; fixed at start." },
	{ "handshake", CONF_MAPPING, 0, AT(conf, policy), MAPPING(handshake_mapping),
	  .help = "How clients are answered." },
	{ "limits", CONF_MAPPING, CONF_LIVE, AT(conf, policy), MAPPING(limits_mapping),
	  .help = "What sources may take, and what synfront may be made to send." },
	{ "timeouts", CONF_MAPPING, CONF_LIVE, AT(conf, policy.timeouts), MAPPING(timeouts_mapping),
	  .help = "When state goes." },
	{ "secret", CONF_MAPPING, 0, .offset = 0, MAPPING(secret_mapping),
	  .help = "What cookies are made with." },
	{ "drain_timeout", CONF_DURATION, CONF_LIVE, AT(conf, drain_timeout_s), .min = 1,
	  .max = 86400, .preset = "30s", .zero = "reset at once",
	  .help = "At SIGTERM: how long connections may end by themselves." },
	{ "log", CONF_MAPPING, 0, AT(conf, log), MAPPING(log_mapping), .help = "Messages." },
	{ "events", CONF_MAPPING, 0, AT(conf, events), MAPPING(conf_events),
	  .help = "Who is told of floods, servers that are down and the like, beside the log." },
	{ "lists", CONF_MAPPING, 0, .offset = 0, MAPPING(lists_mapping),
	  .help = "What `synfrontctl deny` and `allow` change while it runs." },
	{ "telemetry", CONF_BOOL, 0, AT(conf, telemetry), .preset = "true",
	  .help = "DPDK's telemetry socket, which the operator tool needs." },
	{ "instance", CONF_NAME, 0, AT(conf, instance), .max = 63, .preset = "synfront",
	  .help = "Name of this process among others on the machine: EAL's file prefix, the "
	          "telemetry path, the syslog identity." },
	{ "user", CONF_TEXT, 0, AT(conf, user), .max = 32, .derived = "stay who it is",
	  .help = "Whom the process becomes when its ports are up; root can. Has to be able to "
	          "read this file and the secret, or reloads are refused." },
	{ "eal", CONF_MAPPING, 0, AT(conf, eal), MAPPING(eal_mapping), .help = "DPDK's EAL." },
};
const struct conf_mapping conf_root = { "The file", KEYS(root_keys), sizeof(struct conf) };

int
conf_log_level_of(const char *name)
{
	for (const struct conf_choice *c = level_choices; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c->value;
	return -1;
}
