# SPDX-License-Identifier: BSD-3-Clause
"""SYN to SYN-ACK over virtio and over memif, against testpmd in synfront's place.

A stock testpmd replays a pcap of SYNs (net_pcap, infinite_rx) into net_vhost or
net_memif on one core. On another either synfront answers them, or a testpmd that
swaps the MAC addresses sends them back: what it does is the ceiling of the port.
What comes back is counted at the generator's port.
"""

import os
import time

from generator import Generator
from growth import GOAL_UNIT, goal_ticks, ticks_per_us
from stage import (CPUS, ENGINE_CPU, GENERATOR_CPU, Rate, Stage, alternate, counters, median,
                   median_ratio, synfront, testpmd, wait_for, waited)
from syns import write_pcap

RESPONDER = """
ports:
  outside:
    device: %s
workers: { lcores: [@CPU@], idle: poll }
memory: { connections: 64k, half_open: 1k, sources: 4k }
services:
  - name: discard
    addresses: [198.18.0.0/15, "2001:2::/48"]
    ports: all
    mode: respond
    cookies: always
@NO_LIMITS@
instance: @TAG@
eal:
  hugepages: off
  args: [--single-file-segments]
"""

# name: (the generator's device, the device of what is measured)
PORTS = {
    "virtio": ("net_vhost0,iface=%s", "net_virtio_user0,path=%s,queue_size=1024"),
    "packed": ("net_vhost0,iface=%s", "net_virtio_user0,path=%s,queue_size=1024,packed_vq=1"),
    "memif": ("net_memif0,role=server,rsize=10,socket-abstract=no,socket=%s",
              "net_memif0,role=client,rsize=10,socket-abstract=no,socket=%s"),
}
REPLIES_LEAST = 1000
FLOOD_HARD = 4000000
# What is aimed at: what answering may cost more than swapping addresses, in GOAL_UNIT.
MEMIF_MORE = 30
# A measurement is made again if a polling thread had to wait for its CPU longer than this share.
WAITED_MOST, TRIES = 0.02, 5


def disturbance(values):
    """What to say of a machine that was busy with something else."""
    worst = max(rate["waited"] for row in values.values() for rate in row)
    return "; disturbed: a thread waited %.0f %% of the time" % (100 * worst) \
        if worst > WAITED_MOST else ""


def undisturbed(measure):
    """What measure() returns when nobody else wanted its CPUs, or the best of some. Its "waited" is
    the share of the time for which somebody else had one."""
    tries = []
    while len(tries) < TRIES and (not tries or tries[-1]["waited"] > WAITED_MOST):
        tries.append(measure())
    return min(tries, key=lambda found: found["waited"])


class Pair:
    """A generator, and one thing at the other end at a time."""

    number = 0  # of all pairs: a memif server cannot have a socket's path that was there before

    def __init__(self, stage, kind, pcap):
        self.stage, self.kind, self.pcap = stage, kind, pcap

    def begin(self):
        Pair.number += 1
        self.path = os.path.join(self.stage.work, "%s%d.sock" % (self.kind, self.number))
        near, far = (device % self.path for device in PORTS[self.kind])
        self.generator = testpmd(
            self.stage, None, "generator%s%d" % (self.kind, self.number), GENERATOR_CPU,
            ("net_pcap0,rx_pcap=%s,infinite_rx=1" % self.pcap, near), "io",
            ("--no-flush-rx", "--total-num-mbufs=32768"), 256).wait()
        # It forwards once all its ports have started, and listens by then.
        wait_for("the generator to forward", lambda: self.generator.port(0)["ipackets"] > 0)
        return far

    def measure(self, name, make, seconds):
        """Replies per second, from a fresh start of both."""
        far = self.begin()
        peer = make(far, "%s%s%d" % (name, self.kind, self.number))
        try:
            wait_for("replies of " + name, lambda: self.generator.port(1)["ipackets"]
                     > REPLIES_LEAST, 30)
            time.sleep(0.5)
            read = lambda: {"offered": self.generator.port(0)["ipackets"],
                            "back": self.generator.port(1)["ipackets"]}
            rate = undisturbed(lambda: self.part(Rate(read), seconds, peer))
            if name == "synfront":
                self.check(peer)
            return rate
        finally:
            peer.end()
            self.generator.end()

    def part(self, rate, seconds, peer):
        """A good part of these seconds, with what undisturbed() asks for."""
        before = waited(peer.process, self.generator.process)
        found = rate.good_part(seconds, "back")
        found["waited"] = (waited(peer.process, self.generator.process) - before) / seconds
        return found

    def check(self, engine):
        """That what came back were SYN-ACKs."""
        stats = counters(engine)
        answered = stats["answered_syn_cookie"]
        assert answered > 0.99 * self.generator.port(1)["ipackets"], stats

    def synfront(self, device, name):
        return synfront(self.stage, None, name, RESPONDER % device)

    def macswap(self, device, name):
        return testpmd(self.stage, None, name, ENGINE_CPU, (device,), "macswap",
                       ("--total-num-mbufs=32768",)).wait()


def clients(results, stage, seconds, repeats):
    """Real connections to the responder over memif: alone, as many as it goes; in a flood."""
    def measure(*options):
        path = os.path.join(stage.work, "clients%d.sock" % Generator.number)
        near, far = (device % path for device in PORTS["memif"])
        generator = Generator(stage, None, near, *options, seconds=seconds)
        engine = None
        try:
            wait_for("the generator's socket", lambda: os.path.exists(path)
                     or not generator.process.running())
            engine = synfront(stage, None, "clients%d" % Generator.number,
                              (RESPONDER % far).replace("connections: 64k", "connections: 8M"))
            time.sleep(0.5)
            pair = engine.process, generator.process
            before = waited(*pair)
            rate = Rate(lambda: {"served": counters(engine)["answered_data"]}).over(0.5)
            share = (waited(*pair) - before) / 0.5
            account = generator.account()
            account["waited"] = share
            account["served_per_s"] = rate["served"]
            return account
        finally:
            generator.end()
            if engine:
                engine.end()

    runs = [undisturbed(lambda: measure("--clients", "512", "--client-rate", "100000000"))
            for _ in range(repeats)]
    rates = [account["served_per_s"] / 1e6 for account in runs]
    results.row("ports", "handshakes with a request acknowledged, memif", ours=median(rates),
                unit="M/s", ours_all=rates, accounts=runs,
                note="generator and engine have a core each; a closed connection is remembered"
                     " until its cookie is dead, so memory bounds what lasts")
    accounts = [undisturbed(lambda: measure("--rate", str(FLOOD_HARD), "--clients", "4096",
                                            "--client-rate", "20000")) for _ in range(repeats)]
    served = median([a["served"] / a["started"] for a in accounts])
    kept = median([a["flood_sent"] / (a["flood_sent"] + a["flood_lost"]) for a in accounts])
    answered = median([a["flood_answered"] / a["seconds"] / 1e6 for a in accounts])
    results.row("ports", "real clients served in a flood over memif", served / kept, 1.0,
                ours=100 * served, peer=100 * kept, unit="%",
                against="frames that the port takes", accounts=accounts,
                note="%.1f M SYN/s asked for, %.1f M answered; connect p50 %.0f us, p99 %.0f us" % (
                    FLOOD_HARD / 1e6, answered,
                    median([a["connect_us"]["p50"] for a in accounts]),
                    median([a["connect_us"]["p99"] for a in accounts])))


def run(results, quick):
    seconds, repeats = (1.0, 2) if quick else (4.0, 3)
    bars = []
    mhz = ticks_per_us()
    with Stage() as stage:
        clients(results, stage, 3 if quick else 5, 1 if quick else 3)
        for kind, family, bar in (("virtio", 4, 0.9), ("virtio", 6, None), ("packed", 4, 0.95),
                                  ("memif", 4, None), ("memif", 6, None)):
            if quick and family == 6:
                continue
            pcap = os.path.join(stage.work, "syn%d.pcap" % family)
            if not os.path.exists(pcap):
                write_pcap(pcap, 8192, (family,))
            pair = Pair(stage, kind, pcap)
            values = alternate({"synfront": pair.synfront, "macswap": pair.macswap},
                               repeats + 2 if bar and not quick else repeats,
                               lambda name, make: pair.measure(name, make, seconds))
            ours = [rate["back"] / 1e6 for rate in values["synfront"]]
            theirs = [rate["back"] / 1e6 for rate in values["macswap"]]
            offered = median([rate["offered"] / 1e6 for rate in values["synfront"]])
            label = "%s, IPv%d" % ({"packed": "virtio packed ring"}.get(kind, kind), family)
            results.row("ports", "SYN to SYN-ACK over " + label, median_ratio(ours, theirs), bar,
                        ours=median(ours), peer=median(theirs), unit="Mpps",
                        against="testpmd macswap", offered=offered, ours_all=ours,
                        peer_all=theirs,
                        note="%.1f Mpps offered%s" % (offered, disturbance(values)))
            # All that a packet costs, receiving and sending with it: one core is never idle.
            clocks = [mhz / median(rates) for rates in (ours, theirs)]
            results.row("ports", "clocks per packet over " + label, ours=clocks[0],
                        peer=clocks[1], unit="clocks", against="testpmd macswap",
                        note="%.0f more, at %.0f MHz" % (clocks[0] - clocks[1], mhz))
            if label == "memif, IPv4":
                more = goal_ticks(clocks[0] - clocks[1], mhz)
                results.row("ports", "what synfront adds to the port, memif, IPv4", more / MEMIF_MORE,
                            1.0, True, ours=more, peer=MEMIF_MORE, unit=GOAL_UNIT)
            bars += [(label, median(ours), "synfront"), (label, median(theirs),
                                                         "testpmd macswap")]
    results.series("ports", "SYN to SYN-ACK, one core, shared memory", "Mpps", bars,
                   "generator: one testpmd on one core; %d CPUs" % len(CPUS))
