# SPDX-License-Identifier: BSD-3-Clause
"""A farm: front ends on parallel wires between two routers that share the flows out.

    client   \\           / wire1: [engine] \\
              lan - outer - wire2: [engine] - inner - server
    attacker /           \\ wire3: [engine] /

Each name is a network namespace. The routers run config/ecmp's samples, by BIRD or by FRR, and
hash flows differently: the two directions of most connections take different wires.
"""

import contextlib
import datetime
import json
import os
import re
import shutil

from engines import Synfront
from lab import FAVOURED, ROOT, SERVER, Lab, wait_for

WIRES = (1, 2, 3)
SAMPLES = os.path.join(ROOT, "config/ecmp")
FRR = "/usr/lib/frr"
CLIENT4, ATTACKER4, OUTER4, INNER4 = "192.0.2.10", "192.0.2.66", "192.0.2.1", "198.51.100.254"
LAN6, SERVERS6 = "2001:db8:2::", "2001:db8:1::"
ROUTERS = ("outer", "inner")
BFD_MS = 40  # as the samples have it

ENGINE = """
ports:
  outside:
    device: net_af_packet0,iface=outside
  inside:
    device: net_af_packet1,iface=inside
workers:
  count: 1
memory:
  connections: 8k
  half_open: 4k
secret:
  file: @WORK@/secret
services:
  - name: web
    addresses: [198.51.100.10, "2001:db8:1::10"]
    ports: [80, 7000-7009]
    mode: handoff
    calm: transparent
    calm_syn_per_s: 400
limits:
  reflection:
    per_net_per_s: 0
drain_timeout: 1s
instance: @INSTANCE@
eal:
  hugepages: off
"""


class Watch:
    """Which wires a router's routes to what is beyond them have had, as its kernel told."""

    # Daemons change a route in several steps, or take it away to put another in its place.
    BRIEF_S = 0.02

    def __init__(self, lab, router):
        self.prefixes = ("198.51.100.0/24", SERVERS6 + "/64") if router == "outer" else ("default",)
        self.process = lab.spawn(router, "routes-" + router, "ip", "-ts", "-o", "monitor", "route")

    def changes(self):
        """(time, family, wires) from each change on, but for those that were brief."""
        last = {}
        for line in self.process.output().splitlines():
            when, _, what = line[1:].partition("] ")
            words = what.replace("\\", " ").split()
            if not set(words[:2]) & set(self.prefixes):
                continue
            family = 6 if "pref" in words else 4
            wires = frozenset() if words[0] == "Deleted" else frozenset(
                int(word[4:]) for word in words if re.fullmatch(r"wire\d", word))
            begun = datetime.datetime.fromisoformat(when).timestamp()
            if family in last and begun - last[family][0] > self.BRIEF_S:
                yield (last[family][0], family, last[family][1])
            last[family] = (begun, wires)
        for family, (begun, wires) in last.items():
            yield (begun, family, wires)

    def losses(self):
        """(time, family, wire) whenever a wire was taken out of use."""
        before = {4: frozenset(), 6: frozenset()}
        for begun, family, wires in self.changes():
            for wire in before[family] - wires:
                yield (begun, family, wire)
            before[family] = wires


class WireSynfront(Synfront):
    """The engine on one wire, on AF_PACKET sockets."""

    def __init__(self, number, text):
        super().__init__(text, "wire%d" % number, taps=())
        self.node = "wire%d" % number


class Farm(Lab):
    """Started with its cables and addresses; routers and engines come by their own calls."""

    nodes = ("client", "attacker", "outer", "inner", "server") + tuple(
        "wire%d" % number for number in WIRES)

    def __init__(self, bfd_ms=BFD_MS):
        super().__init__("farm")
        self.bfd_ms = bfd_ms
        self.engines = {}
        self.routing = None
        self.watches = {}

    # Cables and addresses

    def lay_cables(self):
        for node in self.nodes:
            self.run(node, "ip", "link", "set", "lo", "up")
            for key, value in (("all.accept_dad", 0), ("default.accept_dad", 0),
                               ("default.router_solicitations", 0)):
                self.sysctl(node, "ipv6.conf." + key, value)
        for router, seed in zip(ROUTERS, (0x5eed, 0x0dd)):
            for key, value in (("ipv4.ip_forward", 1), ("ipv6.conf.all.forwarding", 1),
                               ("ipv4.conf.all.rp_filter", 0),
                               ("ipv4.conf.default.rp_filter", 0),
                               # Ports take part in the choice of a wire.
                               ("ipv4.fib_multipath_hash_policy", 1),
                               ("ipv6.fib_multipath_hash_policy", 1)):
                self.sysctl(router, key, value)
            with contextlib.suppress(OSError):  # Linux 6.11
                self.sysctl(router, "ipv4.fib_multipath_hash_seed", seed)
        self.run("outer", "ip", "link", "add", "lan", "type", "bridge", "stp_state", "0",
                 "forward_delay", "0", "mcast_snooping", "0")
        self.run("outer", "ip", "link", "set", "lan", "up")
        for node in ("client", "attacker"):
            self.cable(node, "eth0", "outer", "to-" + node)
            self.run("outer", "ip", "link", "set", "to-" + node, "master", "lan")
        self.cable("server", "eth0", "inner", "lan")
        for number in WIRES:
            wire = "wire%d" % number
            for key in ("all.disable_ipv6", "default.disable_ipv6"):
                self.sysctl(wire, "ipv6.conf." + key, 1)
            self.cable("outer", wire, wire, "outside")
            self.cable("inner", wire, wire, "inside")

    def cable(self, node, device, far_node, far_device):
        self.run(node, "ip", "link", "add", device, "type", "veth", "peer", "name", far_device,
                 "netns", self.netns(far_node))
        for where, what in ((node, device), (far_node, far_device)):
            # Packets must be whole on the wire.
            self.run(where, "ethtool", "-K", what, "tx", "off", "tso", "off", "gso", "off",
                     "gro", "off")
            self.run(where, "ip", "link", "set", what, "up")

    def number_hosts(self):
        def add(node, device, *addresses):
            for text in addresses:
                more = ("nodad",) if ":" in text else ()
                self.run(node, "ip", "addr", "add", text, "dev", device, *more)

        def lead(node, via4, via6):
            self.run(node, "ip", "route", "add", "default", "via", via4)
            self.run(node, "ip", "-6", "route", "add", "default", "via", via6)

        for node, device, own4, own6 in (
                ("outer", "lan", OUTER4, LAN6 + "1"), ("client", "eth0", CLIENT4, LAN6 + "10"),
                ("attacker", "eth0", ATTACKER4, LAN6 + "66"),
                ("inner", "lan", INNER4, SERVERS6 + "254"),
                ("server", "eth0", "198.51.100.%d" % SERVER, SERVERS6 + "%d" % SERVER)):
            add(node, device, own4 + "/24", own6 + "/64")
        for number in WIRES:
            for host, router in enumerate(ROUTERS, 1):
                add(router, "wire%d" % number, "10.255.%d.%d/24" % (number, host),
                    "fd00:255:%d::%d/64" % (number, host))
        lead("client", OUTER4, LAN6 + "1")
        lead("server", INNER4, SERVERS6 + "254")
        # What is answered to forged sources leaves, and gets lost.
        lead("outer", ATTACKER4, LAN6 + "66")

    def mac(self, node):
        """Where the attacker's frames to a node go: to its router."""
        if node != "server":
            return super().mac(node)
        return json.loads(self.run("outer", "ip", "-j", "link", "show", "dev", "lan"))[0]["address"]

    # Routers

    def route(self, kind):
        """Start the routers' daemons, "bird" or "frr", and wait until every wire is in use."""
        self.routing = kind
        for router in ROUTERS:
            self.watches[router] = Watch(self, router)
            place = os.path.join(self.work, router)
            os.makedirs(place, exist_ok=True)
            (self.bird if kind == "bird" else self.frr)(router, place)
        for number in WIRES:
            self.wait_in_use(number)

    def bird(self, router, place):
        path = shutil.copy("%s/%s.bird.conf" % (SAMPLES, router), place)
        with open(path) as file:
            text, n = re.subn(r"(min [rt]x interval) \d+ ms", r"\1 %d ms" % self.bfd_ms, file.read())
        assert n == 2, (path, n)
        with open(path, "w") as file:
            file.write(text)
        self.spawn(router, "bird-" + router, "bird", "-f", "-c", path, "-s", place + "/ctl", "-P",
                   place + "/pid", nice=FAVOURED)

    def frr(self, router, place):
        # They give up root for a user of their own, and read their file after that.
        os.chmod(self.work, 0o755)
        shutil.chown(place, "frr", "frr")
        sample = shutil.copy("%s/%s.frr.conf" % (SAMPLES, router), place)
        for daemon, more in (("zebra", ()), ("bfdd", ("--bfdctl", place + "/bfdd.sock")),
                             ("bgpd", ()), ("staticd", ())):
            self.spawn(
                router, "%s-%s" % (daemon, router), os.path.join(FRR, daemon), "-f",
                sample, "-z", place + "/zserv.api", "-i",
                "%s/%s.pid" % (place, daemon), "--vty_socket", place, "-P", "0", *more,
                nice=FAVOURED)
            if daemon == "zebra":
                wait_for("zebra", lambda: os.path.exists(place + "/zserv.api"))

    def uses(self, number):
        """How many of the four routes, of both routers and families, have this wire."""
        found = 0
        for router, to4, to6 in (("outer", "198.51.100.10", SERVERS6 + "10"),
                                 ("inner", "0.0.0.0/0", "::/0")):
            for family, to in (("-4", to4), ("-6", to6)):
                match = ("match", to) if "/" not in to else ("exact", to)
                out = self.run(router, "ip", family, "route", "show", *match)
                found += "dev wire%d" % number in out
        return found

    def in_use(self, number):
        """Do both routers send both families over this wire?"""
        return self.uses(number) == 4

    def wait_in_use(self, number, timeout=60):
        wait_for("wire %d to be in use" % number, lambda: self.in_use(number), timeout, 0.1)

    def drain(self, number):
        """Have the routers take a wire out of use that forwards as before."""
        self.administer(number, True)
        wait_for("wire %d to be out of use" % number, lambda: not self.uses(number), 60, 0.1)

    def put_back(self, number):
        self.administer(number, False)
        self.wait_in_use(number)

    def administer(self, number, is_out):
        for router in ROUTERS:
            place = os.path.join(self.work, router)
            if self.routing == "bird":
                self.administer_bird(router, place, number, is_out)
            else:
                far = 3 - 1 - ROUTERS.index(router)
                what = ("" if is_out else "no ") + "neighbor %s shutdown"
                self.run(router, "vtysh", "--vty_socket", place, "-c", "configure terminal",
                         "-c", "router bgp %d" % (65001 + ROUTERS.index(router)),
                         "-c", what % ("10.255.%d.%d" % (number, far)),
                         "-c", what % ("fd00:255:%d::%d" % (number, far)))

    def administer_bird(self, router, place, number, is_out):
        """The wire's lines become comments, or lines again."""
        path = "%s/%s.bird.conf" % (place, router)
        with open(path) as file:
            text = file.read()
        ours = r"(via (?:10\.255\.%d\.|fd00:255:%d::).* bfd)$" % (number, number)
        text, n = re.subn(*((r"(?m)^(\t+)" + ours, r"\1# \2") if is_out else
                            (r"(?m)^(\t+)# " + ours, r"\1\2")), text)
        assert n == 2, (path, n)
        with open(path, "w") as file:
            file.write(text)
        said = self.run(router, "birdc", "-s", place + "/ctl", "configure")
        assert "Reconfigured" in said or "in progress" in said, said

    def losses(self, since=0.0):
        """(time, router, family, wire) whenever a wire was taken out of use."""
        return sorted((when, router, family, wire) for router, watch in self.watches.items()
                      for when, family, wire in watch.losses() if when >= since)

    # Front ends

    def front(self, number, text=ENGINE):
        """Put an engine on a wire."""
        engine = WireSynfront(number, text)
        engine.begin(self)
        self.engines[number] = engine
        return engine

    def counted(self, name):
        """A counter of each engine that runs."""
        return {number: engine.counters()[name] for number, engine in self.engines.items()
                if engine.process}

    def stop(self):
        if not self.stopped:
            for engine in self.engines.values():
                engine.end()
            self.engines.clear()
        super().stop()
