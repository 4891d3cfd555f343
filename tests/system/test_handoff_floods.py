# SPDX-License-Identifier: BSD-3-Clause
"""Hand-off in floods that are as fast as the ports: SYNs, which the engine answers, and blind ACKs,
which pass it and are dropped at the server, or by the engine's shield."""

import contextlib
import os
import threading
import time

from adopt import resets
from bench import Skip
from engines import XdpSynfront
from farm_load import Newcomers
from fast_flood import CPUS, SHARED_CPU, FastFlood, prepare
from lab import ATTACKER, address, wait_for
from test_adopt_engine import prepared, text_of

BRINGS_ENGINES = True

SERVICES = """services:
  - name: web
    addresses: [198.51.100.10, "2001:db8:1::10"]
    ports: [80, 443]
    mode: handoff
    cookies: always
"""
UNKNOWN_PER_S = 20000
SHIELD = "    unknown_per_s: %d\n" % UNKNOWN_PER_S
# Of what arrives when as many are sent as go: beyond that the ports lose segments of clients, too.
PART = 0.8
SECONDS = 10
CLIENTS = 200


@contextlib.contextmanager
def aside():
    """All that starts in this block, and this program, share a CPU that is not the engine's."""
    os.sched_setaffinity(0, {SHARED_CPU})
    try:
        yield
    finally:
        os.sched_setaffinity(0, CPUS)


@contextlib.contextmanager
def attackers_port(lab):
    """The attacker's cable fits an AF_XDP port."""
    prepare(lab)
    try:
        yield
    finally:
        lab.run("box", "ip", "link", "set", "to-attacker", "mtu", "9000")
        for family in (4, 6):
            lab.run("server", "ip", "neigh", "del", address(ATTACKER, family), "dev", "eth0")


def start(bench, services):
    """The engine on AF_XDP ports, and the servers' agent."""
    text = text_of(bench, services)
    for port in ("outside", "inside"):
        device = "iface=sf-%s\n" % port
        text = text.replace(device, device + "    queues: 1\n    rx_descriptors: 4k\n")
    engine = XdpSynfront(text, "floods")
    agent = bench.keep(prepared(bench, engine))
    os.sched_setaffinity(0, CPUS)
    try:
        bench.engine(engine)
    except (RuntimeError, TimeoutError) as error:
        bench.lab.remove()
        raise Skip("no AF_XDP port: %s" % str(error).splitlines()[0]) from error
    finally:
        os.sched_setaffinity(0, {SHARED_CPU})
    return engine, agent


def carried(bench, engine, *what, **fields):
    """Frames a second that arrive at the engine when as many are sent as go."""
    received = lambda: engine.port("outside")["received"]
    with FastFlood(bench.lab, "AF_XDP", 0, *what, seconds=20, **fields):
        begin = received()
        wait_for("the flood to arrive", lambda: received() > begin + 1000)
        begin, begun = received(), time.monotonic()
        time.sleep(1.5)
        return (received() - begin) / (time.monotonic() - begun)


class Backlog:
    """The most half-open connections that the server has had."""

    def __init__(self, lab):
        self.lab = lab
        self.most = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.over.wait(0.1):
            found = self.lab.run("server", "ss", "-Htan", "state", "syn-recv")
            self.most = max(self.most, len(found.splitlines()))

    def end(self):
        self.over.set()
        self.thread.join()
        return self.most


def flood(bench, engine, agent, name, family, *what):
    """One of them, with real clients; what is wrong with it, as text."""
    lab = bench.lab
    rate = PART * carried(bench, engine, *what, family=family)
    before, counters, dropped = resets(bench), engine.counters(), agent.count("unproven")
    received, begun = engine.port("outside")["received"], time.monotonic()
    backlog = Backlog(lab)
    with FastFlood(lab, "AF_XDP", rate, *what, seconds=120, family=family) as running, \
            Newcomers(lab) as clients:
        deadline = time.monotonic() + 60
        while time.monotonic() < begun + SECONDS or (
                clients.served < CLIENTS and time.monotonic() < deadline):
            time.sleep(0.2)
        lasted = running.running()
        sent, taken = running.sent(), time.monotonic() - begun
        received = engine.port("outside")["received"] - received
    most = backlog.end()
    grown = {key: value - counters[key] for key, value in engine.counters().items()}
    dropped = agent.count("unproven") - dropped
    sent_back = resets(bench) - before
    bench.record("handoff_floods", flood=name, family=family, sent_per_s=int(sent / taken),
                 received_per_s=int(received / taken), cookies=grown["answered_syn_cookie"],
                 thinned=grown["drop_unknown"], passed=grown["passed_handoff"],
                 dropped_by_server=dropped, clients=clients.served + len(clients.failed),
                 served=clients.served, half_open=most, resets=sent_back)
    for good, what_is in (
            (lasted, "the flood ended early"),
            (not clients.failed, "clients failed: %s" % clients.failed[:3]),
            (clients.served >= CLIENTS, "only %d clients came" % clients.served),
            (most == 0, "%d half-open connections" % most),
            (sent_back == 0, "the server sent %d RSTs" % sent_back),
            (grown["rst_sent"] == 0, "the engine sent %d RSTs" % grown["rst_sent"]),
            (received > sent / 2, "%d of %d frames arrived" % (received, sent)),
            (judged(name, grown, dropped, received, taken), "counted: %s, %d dropped by the server"
             % (grown, dropped))):
        if not good:
            yield "%s, IPv%d: %s" % (name, family, what_is)


def judged(name, grown, dropped, received, taken):
    """Was the flood dealt with where it should be?"""
    if name == "SYN":
        return grown["answered_syn_cookie"] > 0.9 * received
    if name == "ACK":
        return grown["drop_unknown"] == 0 and dropped > 0.5 * received
    # With a shield: what its rate lets through, and no more of strangers.
    return grown["drop_unknown"] > 0.5 * received and dropped < 2 * UNKNOWN_PER_S * taken


def test_floods_at_the_rate_of_the_ports(bench):
    """Of SYNs, of blind ACKs, and of these with a shield, by IPv4 and by IPv6: all real clients are
    served, the server keeps nothing half-open, and no stranger gets a RST. (--long)"""
    if not bench.options.long:
        raise Skip("it takes all of the machine: --long")
    bench.no_nginx()
    wrong = []
    with aside(), attackers_port(bench.lab):
        bench.nginx()
        for services, kinds in ((SERVICES, (("SYN",), ("ACK", "--ack"))),
                                (SERVICES + SHIELD, (("ACK, shield", "--ack"),))):
            engine, agent = start(bench, services)
            for name, *what in kinds:
                for family in (4, 6):
                    wrong += flood(bench, engine, agent, name, family, *what)
            bench.lab.remove()
            agent.end()
    bench.no_nginx()
    assert not wrong, "\n".join(wrong)
