# SPDX-License-Identifier: BSD-3-Clause
"""A farm: front ends on parallel wires between two routers that share the flows out.

    client   \\           / wire1: [engine] \\
              lan - outer - wire2: [engine] - inner - server
    attacker /           \\ wire3: [engine] /

Each name is a network namespace. The routers run config/ecmp's samples, by BIRD or by FRR, and
hash flows differently: the two directions of most connections take different wires.
"""

import contextlib
import json
import os
import selectors
import shutil
import socket
import threading
import time

from engines import Synfront
from lab import FAVOURED, ROOT, SERVER, Lab, wait_for

WIRES = (1, 2, 3)
SAMPLES = os.path.join(ROOT, "config/ecmp")
FRR = "/usr/lib/frr"
CLIENT4, ATTACKER4, OUTER4, INNER4 = "192.0.2.10", "192.0.2.66", "192.0.2.1", "198.51.100.254"
LAN6, SERVERS6 = "2001:db8:2::", "2001:db8:1::"
ROUTERS = ("outer", "inner")

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
    ports: [80]
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


class WireSynfront(Synfront):
    """The engine on one wire, on AF_PACKET sockets."""

    def __init__(self, number, text):
        super().__init__(text, "wire%d" % number, taps=())
        self.node = "wire%d" % number


class Farm(Lab):
    """Started with its cables and addresses; routers and engines come by their own calls."""

    nodes = ("client", "attacker", "outer", "inner", "server") + tuple(
        "wire%d" % number for number in WIRES)

    def __init__(self):
        super().__init__("farm")
        self.engines = {}
        self.daemons = {}

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
        for router in ROUTERS:
            start = self.bird if kind == "bird" else self.frr
            self.daemons[router] = start(router)
        for number in WIRES:
            self.wait_in_use(number)

    def bird(self, router):
        place = os.path.join(self.work, router)
        os.makedirs(place, exist_ok=True)
        return [self.spawn(router, "bird-" + router, "bird", "-f", "-c",
                           "%s/%s.bird.conf" % (SAMPLES, router), "-s", place + "/ctl", "-P",
                           place + "/pid", nice=FAVOURED)]

    def frr(self, router):
        place = os.path.join(self.work, router)
        os.makedirs(place, exist_ok=True)
        # They give up root for a user of their own, and read their file after that.
        os.chmod(self.work, 0o755)
        shutil.chown(place, "frr", "frr")
        sample = shutil.copy("%s/%s.frr.conf" % (SAMPLES, router), place)
        started = []
        for daemon, more in (("zebra", ()), ("bfdd", ("--bfdctl", place + "/bfdd.sock")),
                             ("bgpd", ())):
            started.append(self.spawn(
                router, "%s-%s" % (daemon, router), os.path.join(FRR, daemon), "-f",
                sample, "-z", place + "/zserv.api", "-i",
                "%s/%s.pid" % (place, daemon), "--vty_socket", place, "-P", "0", *more,
                nice=FAVOURED))
            if daemon == "zebra":
                wait_for("zebra", lambda: os.path.exists(place + "/zserv.api"))
        return started

    def in_use(self, number):
        """Do both routers send both families over this wire?"""
        for router, to4, to6 in (("outer", "198.51.100.10", SERVERS6 + "10"),
                                 ("inner", "0.0.0.0/0", "::/0")):
            for family, to in (("-4", to4), ("-6", to6)):
                match = ("match", to) if "/" not in to else ("exact", to)
                out = self.run(router, "ip", family, "route", "show", *match)
                if "dev wire%d" % number not in out:
                    return False
        return True

    def wait_in_use(self, number, timeout=60):
        wait_for("wire %d to be in use" % number, lambda: self.in_use(number), timeout, 0.1)

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


class Regulars:
    """Clients that stay: each asks the web server again and again over one connection, half of
    them by IPv6. Nothing is tried twice."""

    def __init__(self, lab, number, every=0.1, path="/hello", port=80):
        self.every = every
        self.request = b"GET %s HTTP/1.1\r\nHost: server.lab\r\n\r\n" % path.encode()
        self.answered = 0
        self.lost = []
        self.worst = 0.0
        self.over = threading.Event()
        self.selector = selectors.DefaultSelector()
        self.clients = []
        begun = time.monotonic()
        for i in range(number):
            connection = lab.socket("client", socket.AF_INET6 if i % 2 else socket.AF_INET)
            connection.settimeout(20)
            connection.connect((SERVERS6 + "10" if i % 2 else "198.51.100.10", port))
            connection.setblocking(False)
            client = {"socket": connection, "asked": None, "got": b"", "answers": 0,
                      "due": time.monotonic() + every * i / number}
            self.selector.register(connection, selectors.EVENT_READ, client)
            self.clients.append(client)
        self.took = time.monotonic() - begun
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        while not self.over.is_set():
            for key, _ in self.selector.select(0.01):
                self.hear(key.data)
            now = time.monotonic()
            for client in self.clients:
                if client["asked"] is None and now >= client["due"]:
                    client["asked"], client["got"] = now, b""
                    try:
                        client["socket"].send(self.request)
                    except OSError as error:
                        self.lose(client, error)

    def hear(self, client):
        try:
            data = client["socket"].recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self.lose(client, error)
            return
        if not data:
            self.lose(client, "closed")
            return
        client["got"] += data
        head, end, body = client["got"].partition(b"\r\n\r\n")
        if not end:
            return
        size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:"))
        if not head.startswith(b"HTTP/1.1 200") or len(body) > size:
            self.lose(client, "another answer: %r" % client["got"][:60])
        elif len(body) == size:
            now = time.monotonic()
            self.answered += 1
            client["answers"] += 1
            self.worst = max(self.worst, now - client["asked"])
            client["asked"], client["due"] = None, now + self.every

    def lose(self, client, why):
        self.lost.append("%s: %s" % (client["socket"].getsockname()[:2], why))
        self.selector.unregister(client["socket"])
        self.clients.remove(client)

    def waiting(self):
        """For how long the one that waits longest has had no answer."""
        now = time.monotonic()
        return max((now - client["asked"] for client in list(self.clients)
                    if client["asked"] is not None), default=0.0)

    def gap(self):
        """The longest that any had to wait for an answer since gap() was asked before."""
        worst, self.worst = max(self.worst, self.waiting()), 0.0
        return worst

    def settle(self, patience=30):
        """Until each has asked and been answered after this call."""
        before = [(client, client["answers"]) for client in list(self.clients)]
        wait_for("every regular to be answered", lambda: all(
            client["answers"] >= answers + 2 for client, answers in before
            if client in self.clients), patience, 0.1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        for client in self.clients:
            client["socket"].close()


class Newcomers:
    """Clients that come one after another, ask once and leave; each must be served."""

    def __init__(self, lab, every=0.02, patience=20):
        self.lab, self.every, self.patience = lab, every, patience
        self.served = 0
        self.failed = []
        self.worst = 0.0
        self.over = threading.Event()
        # A wire that is gone costs one a second: more than one at a time.
        self.threads = [threading.Thread(target=self.work, args=(i,), daemon=True)
                        for i in range(4)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        while not self.over.wait(self.every * len(self.threads)):
            begun = time.monotonic()
            try:
                with self.lab.socket("client", socket.AF_INET6 if number % 2
                                     else socket.AF_INET) as connection:
                    connection.settimeout(self.patience)
                    connection.connect((SERVERS6 + "10" if number % 2 else "198.51.100.10", 80))
                    connection.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
                    answer = b""
                    while piece := connection.recv(65536):
                        answer += piece
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise OSError("another answer: %r" % answer[:60])
                self.served += 1
            except OSError as error:
                self.failed.append("%s after %.1f s" % (error, time.monotonic() - begun))
            self.worst = max(self.worst, time.monotonic() - begun)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
