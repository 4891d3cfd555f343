# SPDX-License-Identifier: BSD-3-Clause
"""SYNs answered on veth: Linux by itself, Linux synproxy, and synfront.

A generator floods one end of a veth pair from one core and opens real
connections meanwhile; at the other end, on another core, stands one of: a
listener of the kernel that answers by cookie, nftables synproxy before that
listener, synfront or testpmd through net_af_packet or net_af_xdp. Both ends
handle what arrives on their own core (RPS), so the two never share one.
"""

import contextlib
import socket
import threading

from generator import Generator
from stage import (ENGINE_CPU, GENERATOR_CPU, Rate, Stage, alternate, median, synfront, testpmd,
                   wait_for)

TARGET, GATEWAY, PORT = "198.18.0.1", "198.18.0.2", 80
FLOOD_HARD = 700000
# SYNs per second that are asked for; 0 is as fast as the generator goes.
LEVELS = (250000, 500000, 0)
DEVICES = {"af_packet": "net_af_packet0,iface=eth0,qdisc_bypass=1,framesz=2048,framecnt=4096,"
                        "blocksz=65536",
           "af_xdp": "net_af_xdp0,iface=eth0"}

RESPONDER = """
ports:
  outside: { device: "%s" }
workers: { lcores: [@CPU@], idle: poll }
memory: { connections: 64k, half_open: 1k, sources: 4k }
services:
  - { name: discard, addresses: 198.18.0.0/15, ports: all, mode: respond, cookies: always }
@NO_LIMITS@
instance: @TAG@
eal: { hugepages: off }
"""

# What a DPDK port reads through a packet socket need not go through the kernel's TCP too.
KEEP_OFF = """
table netdev bench {
	chain in {
		type filter hook ingress device eth0 priority 0; policy drop;
	}
}
"""

SYNPROXY = """
table ip bench {
	chain first {
		type filter hook prerouting priority raw; policy accept;
		tcp dport 80 tcp flags & (fin|syn|rst|ack) == syn notrack
	}
	chain local {
		type filter hook input priority filter; policy accept;
		tcp dport 80 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
		ct state invalid drop
	}
}
"""


class Listener:
    """A server that accepts, reads to the end, and closes; from one thread."""

    def __init__(self, stage):
        self.socket = stage.socket("dut")
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((TARGET, PORT))
        self.socket.listen(4096)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        """A connection lasts until the next thousand have come: its client has ended it by then."""
        kept = []
        while True:
            try:
                kept.append(self.socket.accept()[0])
            except OSError:
                break
            if len(kept) > 1000:
                kept.pop(0).close()
        for connection in kept:
            connection.close()

    def end(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(5)


class Kernel:
    """The machine's own TCP, with or without synproxy before it."""

    process = None

    def __init__(self, stage, synproxy):
        self.stage = stage
        stage.run("dut", "ip", "addr", "add", TARGET + "/15", "dev", "eth0")
        stage.run("dut", "ip", "route", "add", "default", "via", GATEWAY)
        stage.run("dut", "ip", "neigh", "replace", GATEWAY, "lladdr",
                  stage.address_of("gen", "eth0"), "dev", "eth0", "nud", "permanent")
        self.listener = Listener(stage)
        for key, value in (("tcp_syncookies", 1), ("tcp_max_syn_backlog", 4096)):
            stage.sysctl("dut", "ipv4." + key, value)
        self.synproxy = synproxy
        if synproxy:
            stage.run("dut", "nft", "-f", "-", stdin=SYNPROXY)
            stage.sysctl("dut", "netfilter.nf_conntrack_tcp_loose", 0)

    def end(self):
        self.listener.end()
        if self.synproxy:
            self.stage.run("dut", "nft", "delete", "table", "ip", "bench")
        self.stage.run("dut", "ip", "addr", "flush", "dev", "eth0")


class Veth:
    """The pair of veth devices, and one thing at its far end at a time."""

    def __init__(self, stage):
        self.stage = stage
        self.number = 0
        self.device = DEVICES["af_packet"]
        self.lay()
        self.device = self.fastest()

    def fastest(self):
        """The port on which the generator sends most: net_af_xdp, where that works."""
        sent = {}
        for device in DEVICES.values():
            self.lay()
            generator = Generator(self.stage, "gen", device, "--rate", "0", "--blind", seconds=1)
            try:
                sent[device] = generator.account()["flood_sent"]
            except RuntimeError:
                sent[device] = 0
        return max(sent, key=sent.get)

    def lay(self):
        """A fresh pair: no queue, program or counter is left of the one before."""
        self.stage.run("gen", "ip", "link", "del", "eth0", check=False)
        self.stage.run("dut", "nft", "flush", "ruleset")
        self.stage.cable("gen", "eth0", "dut", "eth0")
        self.stage.steer("gen", "eth0", GENERATOR_CPU)
        self.stage.steer("dut", "eth0", ENGINE_CPU)

    def keep_off(self, make):
        """A maker of a DPDK program whose port the kernel leaves alone."""
        def begin(name):
            self.stage.run("dut", "nft", "-f", "-", stdin=KEEP_OFF)
            return make(name)
        return begin

    def read(self):
        near = self.stage.link_counters("gen", "eth0")
        return {"offered": near["tx"]["packets"], "back": near["rx"]["packets"]}

    def measure(self, make, seconds, rate, clients=0):
        """What comes back under a flood, and what becomes of clients meanwhile."""
        self.lay()
        self.number += 1
        peer = make("dut%d" % self.number)
        try:
            options = ["--mac", self.stage.address_of("dut", "eth0"), "--rate", str(rate)]
            if clients:
                options += ["--clients", "4096", "--client-rate", str(clients)]
            else:
                options += ["--blind"]
            generator = Generator(self.stage, "gen", self.device, *options,
                                  seconds=int(seconds + 2))
            begin = self.read()["offered"]
            wait_for("the flood", lambda: self.read()["offered"] > begin + 10000
                     or not generator.process.running())
            before = self.received(peer)
            figures = Rate(self.read).over(seconds)
            after = self.received(peer)
            figures["per_cpu"] = figures["back"] / max(figures["busy"], 0.01)
            if before is not None:
                figures["lost"] = max(0.0, 1 - (after - before) / seconds / figures["offered"])
            figures["account"] = generator.account()
            return figures
        finally:
            peer.end()

    @staticmethod
    def received(peer):
        """Frames that the port has given to what stands behind it."""
        return peer.port(0)["ipackets"] if peer.process is not None else None

    def makers(self):
        stage = self.stage
        found = {"listener": lambda _: Kernel(stage, False),
                 "synproxy": lambda _: Kernel(stage, True)}
        for kind, device in DEVICES.items():
            found["synfront " + kind] = self.keep_off(lambda name, device=device: synfront(
                stage, "dut", name, RESPONDER % device))
            found["macswap " + kind] = self.keep_off(lambda name, device=device: testpmd(
                stage, "dut", name, ENGINE_CPU, (device,), "macswap",
                ("--total-num-mbufs=16384",)).wait())
        return found


def works(veth, make):
    """Whether frames come back at all: net_af_xdp does not run everywhere."""
    try:
        return veth.measure(make, 1, 20000)["back"] > 1000
    except (RuntimeError, TimeoutError, OSError):
        return False


def rates(results, veth, makers, repeats, seconds):
    """SYNs answered per second. Each is given several rates, and stands with the one
    that suits it best: a poller that shares its CPU with the kernel's receive path gets
    little of it when too much arrives."""
    best, per_cpu, runs, answered = {}, {}, {}, {}
    for level in LEVELS:
        values = alternate(makers, repeats, lambda _, make, level=level: veth.measure(
            make, seconds, level))
        for name, row in values.items():
            back = [v["back"] / 1e3 for v in row]
            offered = median([v["offered"] / 1e3 for v in row])
            answered.setdefault(name, []).append((offered, median(back)))
            if median(back) > best.get(name, -1):
                best[name], runs[name] = median(back), back
                per_cpu[name] = median([v["per_cpu"] / 1e3 for v in row])
    engines = [name for name in makers if name.startswith("synfront")]
    fastest = max(engines, key=best.get)
    for name, label in (("synproxy", "nft synproxy"), ("listener", "kernel's own cookies")):
        for engine in engines:
            results.row("kernel", "SYNs answered on veth, most, %s" % engine,
                        best[engine] / best[name],
                        1.3 if name == "synproxy" and engine == fastest else None,
                        ours=best[engine], peer=best[name], unit="k/s", against=label,
                        note="per CPU-second %.0f k : %.0f k" % (per_cpu[engine], per_cpu[name]),
                        ours_all=runs[engine], peer_all=runs[name],
                        per_cpu={key: per_cpu[key] for key in (engine, name)})
    for engine in engines:
        peer = engine.replace("synfront", "macswap")
        results.row("kernel", "SYNs answered on veth, most, %s" % engine,
                    best[engine] / best[peer], 0.95, ours=best[engine], peer=best[peer],
                    unit="k/s", against="testpmd macswap", ours_all=runs[engine],
                    peer_all=runs[peer])
    results.series("kernel", "SYNs answered per second on veth, one core each", "k/s",
                   [("%s at %.0f k/s" % (name, offered), back,
                     "synfront" if name in engines else "others")
                    for name, points in answered.items() for offered, back in points],
                   "each at the rates that its port let through")


def shares(results, veth, makers, repeats, seconds, n_per_s):
    """Real clients served while the flood is as hard as 0.7 M SYN/s."""
    values = alternate({name: make for name, make in makers.items()
                        if not name.startswith("macswap")}, repeats,
                       lambda _, make: veth.measure(make, seconds, FLOOD_HARD, n_per_s))
    def share(name, key):
        return median([v["account"][key] / max(1, v["account"]["started"]) for v in values[name]])

    bars, others = [], []
    for name, row in values.items():
        offered = median([v["offered"] / 1e6 for v in row])
        bars.append(("%s, %.2f M/s" % (name, offered), 100 * share(name, "served"),
                     "synfront" if name.startswith("synfront") else "others"))
        if not name.startswith("synfront"):
            others.append("%s %.0f %% (%.0f %%) at %.2f M" % (
                name, 100 * share(name, "served"), 100 * share(name, "served_at_once"), offered))
    for name, row in values.items():
        if not name.startswith("synfront"):
            continue
        served, kept = share(name, "served"), 1 - median([v["lost"] for v in row])
        results.row("kernel", "real clients served in a flood on veth, %s" % name,
                    served / kept, 1.0, ours=100 * served, peer=100 * kept, unit="%",
                    against="packets that the port does not lose",
                    note="at once %.0f %%, %.2f M SYN/s offered; %s" % (
                        100 * share(name, "served_at_once"),
                        median([v["offered"] / 1e6 for v in row]), ", ".join(others)),
                    accounts=[v["account"] for v in row])
    results.series("share", "Real clients served in a flood on veth (%.1f M SYN/s asked for)"
                   % (FLOOD_HARD / 1e6), "%", bars, "with up to three resends")


def run(results, quick):
    seconds, repeats, n_per_s = (1.0, 1, 200) if quick else (2.0, 3, 500)
    with Stage("gen", "dut") as stage:
        veth = Veth(stage)
        makers = veth.makers()
        for kind in DEVICES:
            if not all(works(veth, makers[name + kind]) for name in ("synfront ", "macswap ")):
                print("net_%s does not run on veth here: its rows are left out" % kind)
                del makers["synfront " + kind], makers["macswap " + kind]
        rates(results, veth, makers, repeats, seconds)
        shares(results, veth, makers, repeats, seconds, n_per_s)
