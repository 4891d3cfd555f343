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
from stage import (ENGINE_CPU, GENERATOR_CPU, Rate, Stage, alternate,
                   median, median_ratio, synfront, testpmd, wait_for)

TARGET, GATEWAY, PORT = "198.18.0.1", "198.18.0.2", 80
FLOOD_HARD = 700000
DEVICES = {"af_packet": "net_af_packet0,iface=eth0,qdisc_bypass=1,framesz=2048,framecnt=4096,"
                        "blocksz=65536",
           "af_xdp": "net_af_xdp0,iface=eth0"}
GENERATOR_DEVICE = DEVICES["af_packet"]

RESPONDER = """
ports:
  outside: { device: "%s" }
workers: { lcores: [@CPU@], idle: poll }
memory: { connections: 64k, half_open: 1k, sources: 4k }
services:
  - { name: discard, addresses: 198.18.0.0/15, ports: all, mode: respond, cookies: always }
limits:
  sources: { half_open_host: 0, half_open_net: 0, syn_per_s_host: 0, syn_per_s_net: 0 }
  reflection: { per_net_per_s: 0 }
instance: @TAG@
eal: { hugepages: off }
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
        self.lay()

    def lay(self):
        """A fresh pair: no queue, program or counter is left of the one before."""
        self.stage.run("gen", "ip", "link", "del", "eth0", check=False)
        self.stage.cable("gen", "eth0", "dut", "eth0")
        self.stage.steer("gen", "eth0", GENERATOR_CPU)
        self.stage.steer("dut", "eth0", ENGINE_CPU)

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
            generator = Generator(self.stage, "gen", GENERATOR_DEVICE, *options,
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
        found = {"listener": lambda _: Kernel(stage, False), "synproxy": lambda _: Kernel(stage, True)}
        for kind, device in DEVICES.items():
            found["synfront " + kind] = lambda name, device=device: synfront(
                stage, "dut", name, RESPONDER % device)
            found["macswap " + kind] = lambda name, device=device: testpmd(
                stage, "dut", name, ENGINE_CPU, (device,), "macswap",
                ("--total-num-mbufs=16384",)).wait()
        return found


def works(veth, make):
    """Whether frames come back at all: net_af_xdp does not run everywhere."""
    try:
        return veth.measure(make, 1, 20000)["back"] > 1000
    except (RuntimeError, TimeoutError, OSError):
        return False


def rates(results, veth, makers, repeats, seconds):
    """SYNs answered per second as fast as the generator sends."""
    values = alternate(makers, repeats, lambda _, make: veth.measure(make, seconds, 0))
    back = {name: [v["back"] / 1e3 for v in row] for name, row in values.items()}
    per_cpu = {name: median([v["per_cpu"] / 1e3 for v in row]) for name, row in values.items()}
    offered = median([v["offered"] / 1e3 for row in values.values() for v in row])
    engines = [name for name in makers if name.startswith("synfront")]
    best = max(engines, key=lambda name: median(back[name]))
    for name in ("synproxy", "listener"):
        for engine in engines:
            results.row("kernel", "SYNs answered on veth, %s" % engine,
                        median_ratio(back[engine], back[name]),
                        1.3 if name == "synproxy" and engine == best else None,
                        ours=median(back[engine]), peer=median(back[name]), unit="k/s",
                        against={"synproxy": "nft synproxy", "listener": "kernel's own cookies"}[name],
                        note="per CPU-second %.0f k : %.0f k; %.0f k/s offered" % (
                            per_cpu[engine], per_cpu[name], offered),
                        per_cpu={key: per_cpu[key] for key in (engine, name)},
                        ours_all=back[engine], peer_all=back[name])
    for engine in engines:
        peer = engine.replace("synfront", "macswap")
        results.row("kernel", "SYNs answered on veth, %s" % engine,
                    median_ratio(back[engine], back[peer]), 0.95, ours=median(back[engine]),
                    peer=median(back[peer]), unit="k/s", against="testpmd macswap",
                    ours_all=back[engine], peer_all=back[peer])
    results.series("kernel", "SYNs answered per second on veth, one core each", "k/s",
                   [(name, median(back[name]), "synfront" if name in engines else "others")
                    for name in makers])


def shares(results, veth, makers, repeats, seconds, n_per_s):
    """Real clients served while the flood is as hard as 0.7 M SYN/s."""
    values = alternate({name: make for name, make in makers.items()
                        if not name.startswith("macswap")}, repeats,
                       lambda _, make: veth.measure(make, seconds, FLOOD_HARD, n_per_s))
    served = {name: median([v["account"]["served"] / max(1, v["account"]["started"])
                            for v in row]) for name, row in values.items()}
    bars = []
    for name, row in values.items():
        offered = median([v["offered"] / 1e6 for v in row])
        bars.append((name, 100 * served[name], "synfront" if "synfront" in name else "others"))
        if not name.startswith("synfront"):
            continue
        kept = 1 - median([v["lost"] for v in row])
        results.row("kernel", "real clients served in a flood on veth, %s" % name,
                    served[name] / kept, 1.0, ours=100 * served[name], peer=100 * kept, unit="%",
                    against="packets that the port does not lose",
                    note="%.2f M SYN/s offered; nft synproxy %.0f %%, kernel's own cookies %.0f %%"
                         % (offered, 100 * served["synproxy"], 100 * served["listener"]),
                    served=served)
    results.series("share", "Real clients served under %.1f M SYN/s asked for, veth"
                   % (FLOOD_HARD / 1e6), "%", bars)


def run(results, quick):
    seconds, repeats, n_per_s = (1.0, 1, 200) if quick else (3.0, 3, 500)
    with Stage("gen", "dut") as stage:
        veth = Veth(stage)
        makers = veth.makers()
        for kind in DEVICES:
            if not all(works(veth, makers[name + kind]) for name in ("synfront ", "macswap ")):
                print("net_%s does not run on veth here: its rows are left out" % kind)
                del makers["synfront " + kind], makers["macswap " + kind]
        rates(results, veth, makers, repeats, seconds)
        shares(results, veth, makers, repeats, seconds, n_per_s)
