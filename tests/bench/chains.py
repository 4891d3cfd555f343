# SPDX-License-Identifier: BSD-3-Clause
"""Client, distance, something in the middle, server; several such chains side by side.

    client --c0-- n0 [ delay ] o0 --b0-- [ bridge          ] --i0--s0-- server
           --c1-- n1 [ delay ] o1 --b1-- [ synfront        ] --i1--s1--
           --c2-- n2 [ delay ] o2 --b2-- [ nft synproxy    ] --i2--s2--
           --c3-- n3 [ delay ] o3 --b3-- [ mode handoff    ] --i3--s3-- with synfront-adopt

Client, the delays ("far"), the middles ("box") and the server are namespaces. Each chain
has a network of its own, so passes can alternate without anything being taken away.
Neighbours are written down at every end: no loss on the line costs an ARP request.
"""

import os
import secrets
import types

from adopt import Agent, group_secret
from delay import Delay
from stage import counters, synfront, wait_for
from transfers import Server, transfer

NODES = ("client", "far", "box", "server")
# State, cookie; and where the server speaks first.
PORTS = {"state": 7000, "cookie": 7100, "handoff": 7200}
GREETING = {"state": 7001, "cookie": 7101, "handoff": 7201}
# Room for 300 ms at the lines' rate. Offers scale 8, as Windows does: by cookie and without
# timestamps a larger one is rounded down to it.
WINDOW = (16 << 20) - 1
# A line with a rate, so that all chains are equally fast, and a queue that holds a transfer.
RATE = "rate=200mbit,queue=1s"
UNWANTED = ("queue_dropped", "socket_dropped", "too_long", "unsummed", "no_room", "unsent")
DEVICES = {"af_packet": "net_af_packet%d,iface=%s,qdisc_bypass=1,framesz=2048,framecnt=4096,"
                        "blocksz=65536",
           "af_xdp": "net_af_xdp%d,iface=%s"}

CONFIG = """
ports:
  outside: { device: "%s" }
  inside: { device: "%s" }
workers: { lcores: [@CPU@] }
memory: { connections: 64k, half_open: 4k, backends: 64, paths: 64 }
services:
  - { name: state, addresses: [198.51.101.10, "2001:db8:2::10"], ports: [7000-7099], mode: proxy }
  - { name: cookie, addresses: [198.51.101.10, "2001:db8:2::10"], ports: [7100-7199], mode: proxy,
      cookies: always }
@NO_LIMITS@
timeouts: { adopt: 0 }
drain_timeout: 0
instance: @TAG@
eal: { hugepages: off }
"""

HANDOFF = """
ports:
  outside: { device: "%s" }
  inside: { device: "%s" }
workers: { lcores: [@CPU@] }
memory: { connections: 1k, half_open: 1k }
secret: { file: @WORK@/master }
services:
  - { name: handoff, addresses: [198.51.103.10, "2001:db8:4::10"], ports: [7200-7299],
      mode: handoff, cookies: always, promise: { wscale: 8 } }
limits:
  reflection: { per_net_per_s: 0 }
drain_timeout: 0
instance: @TAG@
eal: { hugepages: off }
"""

AGENT = """
interfaces: [s3]
services:
  - { name: handoff, ports: [7200-7299] }
secret: { file: %(work)s/group }
instance: %(instance)s
"""

# What it tells clients about the server is written by hand: MSS of both families, scale.
SYNPROXY = """
table inet wan {
	chain first {
		type filter hook prerouting priority raw; policy accept;
		iifname "b2" tcp flags & (fin|syn|rst|ack) == syn notrack
	}
	chain through {
		type filter hook forward priority filter; policy accept;
		iifname "b2" meta nfproto ipv4 ct state invalid,untracked \
			synproxy mss 1460 wscale %(scale)d timestamp sack-perm
		iifname "b2" meta nfproto ipv6 ct state invalid,untracked \
			synproxy mss 1440 wscale %(scale)d timestamp sack-perm
		ct state invalid drop
	}
}
"""


def scale_of(window):
    """The scale that Linux offers for a receive buffer: tcp_select_initial_window()."""
    return min(14, max(0, window.bit_length() - 16))


def write_secret(path):
    """A master secret of a front end."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(secrets.token_hex(32) + "\n")


class Chain:
    """One of the lines between client and server; a subclass says what its middle is."""

    name = None
    number = None
    services = ("state",)  # of PORTS, those that differ here

    def __init__(self, stage):
        self.stage = stage
        self.line = None
        self.spec = None
        self.trouble = {}
        names = [letter + str(self.number) for letter in "cnobis"]
        self.client, self.near, self.out, self.outer, self.inner, self.server = names
        stage.cable("client", self.client, "far", self.near)
        stage.cable("far", self.out, "box", self.outer)
        stage.cable("box", self.inner, "server", self.server)
        for node, device, host in (("client", self.client, 1), ("server", self.server, 10)):
            stage.run(node, "ip", "addr", "add", self.address(host) + "/24", "dev", device)
            stage.run(node, "ip", "addr", "add", self.address(host, 6) + "/64", "dev", device,
                      "nodad")
        self.meet("client", self.client, 10, self.client_meets())
        self.meet("server", self.server, 1, self.server_meets())
        self.insert()

    def address(self, host, family=4):
        return "198.51.%d.%d" % (100 + self.number, host) if family == 4 \
            else "2001:db8:%x::%x" % (1 + self.number, host if host < 10 else 0x10)

    def meet(self, node, device, host, mac):
        """Write down who has a host's addresses."""
        for family in (4, 6):
            self.stage.run(node, "ip", "neigh", "replace", self.address(host, family), "lladdr",
                           mac, "dev", device, "nud", "permanent")

    def client_meets(self):
        return self.stage.address_of("server", self.server)

    def server_meets(self):
        return self.stage.address_of("client", self.client)

    def insert(self):
        """Put what is in the middle into its place."""
        raise NotImplementedError

    def distance(self, spec, seed=1, anew=False):
        """How long the line is, both ways; `anew`: the random numbers begin again."""
        if spec == self.spec and not anew:
            return
        self.hang_up()
        self.line = Delay(self.stage, "far", (self.near, self.out), spec, None, seed)
        self.spec = spec

    def hang_up(self):
        """Take the line away; remember what it dropped and should not have."""
        counts = self.line.end() if self.line else None
        self.line = self.spec = None
        for way in (counts or {}).values():
            for key in UNWANTED:
                if way[key]:
                    self.trouble[key] = self.trouble.get(key, 0) + way[key]

    def end(self):
        self.hang_up()


class Bridge(Chain):
    """The bare wire."""

    name, number = "wire", 0

    def insert(self):
        self.stage.run("box", "ip", "link", "add", "br0", "type", "bridge", "stp_state", "0",
                       "forward_delay", "0", "mcast_snooping", "0")
        for device in (self.outer, self.inner, "br0"):
            master = () if device == "br0" else ("master", "br0")
            self.stage.run("box", "ip", "link", "set", device, *master, "up")


class Engine(Chain):
    """synfront, with a port of DPDK on each veth."""

    name, number = "synfront", 1
    services = ("state", "cookie")
    port = "af_packet"

    def insert(self):
        device = DEVICES[self.port]
        self.engine = synfront(self.stage, "box", "engine", CONFIG % (
            device % (0, self.outer), device % (1, self.inner)))

    def learn(self, server):
        """Until each service knows the server in both families and splits handshakes."""
        self.distance("wire")
        for port in (ports[service] for ports in (PORTS, GREETING) for service in self.services):
            for family in (4, 6):
                def splices(to=(self.address(10, family), port)):
                    before = counters(self.engine)["connected"]
                    transfer(self.stage, "client", server, to, "D", 1)
                    return counters(self.engine)["connected"] > before
                wait_for("synfront to know its server", splices)

    def end(self):
        super().end()
        self.engine.end()


class Handoff(Chain):
    """synfront in mode handoff; the server's kernel takes over who was answered by cookie."""

    name, number = "handoff", 3
    services = ("handoff",)

    def insert(self):
        device = DEVICES[Engine.port]
        write_secret(os.path.join(self.stage.work, "master"))
        self.engine = synfront(self.stage, "box", self.name, HANDOFF % (
            device % (0, self.outer), device % (1, self.inner)))
        secret = group_secret(self.stage, os.path.join(self.stage.work, self.name + ".yaml"))
        self.agent = Agent(types.SimpleNamespace(lab=self.stage), config=AGENT, secret=secret)
        self.agent.begin()

    def end(self):
        super().end()
        opened = self.agent.count("opened")
        self.agent.end()
        self.engine.end()
        if not opened:
            raise RuntimeError("mode handoff: no connection was opened from a cookie")


class Synproxy(Chain):
    """A router with nft synproxy; it has no address, and the hosts do not know of it."""

    name, number = "synproxy", 2

    def client_meets(self):
        return self.stage.address_of("box", self.outer)

    def server_meets(self):
        return self.stage.address_of("box", self.inner)

    def insert(self):
        run = self.stage.run
        for key in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
            self.stage.sysctl("box", key, 1)
        for device, host, node, far in ((self.outer, 1, "client", self.client),
                                        (self.inner, 10, "server", self.server)):
            self.stage.sysctl("box", "ipv6.conf.%s.disable_ipv6" % device, 0)
            for family, length in ((4, 32), (6, 128)):
                run("box", "ip", "-%d" % family, "route", "add",
                    "%s/%d" % (self.address(host, family), length), "dev", device)
            self.meet("box", device, host, self.stage.address_of(node, far))
        run("box", "nft", "-f", "-", stdin=SYNPROXY % {"scale": scale_of(WINDOW)})
        self.stage.sysctl("box", "netfilter.nf_conntrack_tcp_loose", 0)


class Chains:
    """All of them, with one server behind."""

    def __init__(self, stage, kinds, port):
        self.stage = stage
        for node in ("client", "server"):
            for key, value in (("tcp_no_metrics_save", 1), ("tcp_rmem", "4096 131072 %d" % WINDOW),
                               ("tcp_wmem", "4096 131072 %d" % WINDOW)):
                stage.sysctl(node, "ipv4." + key, value)
        for node in ("far", "box"):
            for key in ("all", "default"):
                stage.sysctl(node, "ipv6.conf.%s.disable_ipv6" % key, 1)
        self.server = Server(stage, "server", tuple(PORTS.values()), tuple(GREETING.values()))
        Engine.port = port
        self.chains = {kind.name: kind(stage) for kind in kinds}
        if "synfront" in self.chains:
            self.chains["synfront"].learn(self.server)

    def peers(self):
        """Everything that can be measured: (name, chain, service)."""
        for chain in self.chains.values():
            for service in chain.services:
                yield (service if len(chain.services) > 1 else chain.name), chain, service

    def end(self):
        """End it all; (name, counts) of each chain whose line dropped what it should not."""
        self.server.close()
        for chain in self.chains.values():
            chain.end()
        return [(chain.name, chain.trouble) for chain in self.chains.values() if chain.trouble]
