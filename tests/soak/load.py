#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The legitimate load of the soak: clients and servers in one process.

    load.py LAB-ID OUT SEED      clients and servers, until SIGTERM
    load.py --serve PORT         the server that comes and goes, in its own process

Each connection is one line in OUT, a JSON list: kind, family, port, begin, seconds
to connect, seconds in all, bytes that were compared, and what went wrong (null if nothing
did). Times are of CLOCK_MONOTONIC. Lines of kind "lag" say how late this process
itself woke up: begin, seconds. The last line says whether all has ended.
"""

import asyncio
import dataclasses
import errno
import json
import os
import random
import resource
import signal
import socket
import sys
import time

import conversation as c
# pylint: disable=wrong-import-order
from lab import N_PREFIXES, NODES, SERVER, Lab, address, prefix_address

PORTS = (80, 7000, 7100, 7200, 7300)
LAZY_PORT = 7200
FLAP_PORT = 8100
FLAP_PATIENCE = 15
PATIENCE = 30
OUTSTANDING_MAX = 250
LAG_STEP = 0.1
LAG_REPORTS = 50
IP_BIND_ADDRESS_NO_PORT = 24

# Kind, arrivals in a second, bytes to the server and to the client (from, to).
ARRIVALS = (
    (c.SHORT, 20, (20, 2000), (20, 30000)),
    (c.BULK, 0.25, (500000, 4000000), (500000, 8000000)),
    (c.CLIENT_HALF, 1.5, (1, 40000), (1, 40000)),
    (c.SERVER_HALF, 1.5, (1, 40000), (1, 40000)),
    (c.CLIENT_ABORTS, 1.5, (0, 0), (1, 100000)),
    (c.SERVER_ABORTS, 1.5, (1, 40000), (1, 40000)),
    (c.PING, 0.5, (0, 0), (0, 0)),
    (c.VISIT, 1, (0, 0), (0, 0)),
)
FLAP_PER_S = 4
GREETED_SHARE = 0.05


@dataclasses.dataclass
class Plan:
    """What one connection is to do."""

    kind: int
    number: int
    family: int
    port: int
    source: str
    up: int = 0
    down: int = 0
    flags: int = 0
    pauses: tuple = ()
    keeps_alive: bool = False
    patience: float = PATIENCE
    keeps_ledger: bool = True
    name: str = ""
    stop: asyncio.Event = None


class Load:
    """Arrivals, and the record of what became of each."""

    def __init__(self, lab, out, seed):
        self.lab = lab
        self.out = out
        self.random = random.Random(seed)
        self.ledger = c.Ledger()
        self.number = seed << 32
        self.tasks = set()
        self.stopping = asyncio.Event()
        self.servers = []

    def note(self, *fields):
        self.out.write(json.dumps(fields) + "\n")

    # What comes next

    def plan(self, kind, up, down):
        draw = self.random
        self.number += 2
        family = draw.choice((4, 6))
        port = draw.choice(PORTS)
        if kind == c.SHORT and draw.random() < GREETED_SHARE:
            port = c.GREETING_PORT
        if kind == c.VISIT and port == LAZY_PORT:
            port = PORTS[0]
        source = draw.randint(0, N_PREFIXES)
        plan = Plan(kind, self.number, family, port,
                    prefix_address(source, family) if source else "",
                    draw.randint(*up), draw.randint(*down), name=c.NAMES[kind],
                    stop=self.stopping)
        if kind in (c.SHORT, c.BULK):
            plan.flags = draw.choice((0, c.SERVER_CLOSES))
        if kind == c.PING:
            life, plan.keeps_alive = draw.uniform(20, 240), draw.random() < 0.5
            while sum(plan.pauses) < life:
                plan.pauses += (draw.choice((draw.uniform(0, 1), draw.uniform(1, 25))),)
        plan.keeps_ledger = kind != c.VISIT
        return plan

    def flap_plan(self):
        plan = self.plan(c.SHORT, (20, 2000), (20, 30000))
        return dataclasses.replace(plan, port=FLAP_PORT, patience=FLAP_PATIENCE,
                                   keeps_ledger=False, name="flap")

    async def arrive(self, per_s, make):
        while not self.stopping.is_set():
            try:
                await asyncio.wait_for(self.stopping.wait(), self.random.expovariate(per_s))
                return
            except TimeoutError:
                pass
            plan = make()
            if len(self.tasks) >= OUTSTANDING_MAX:
                self.note("too many", plan.family, plan.port, time.monotonic(), 0, 0, 0,
                          "not tried: %d are under way" % OUTSTANDING_MAX)
                continue
            task = asyncio.create_task(self.live(plan))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    # One connection

    async def live(self, plan):
        begun = time.monotonic()
        connected, stage, wrong = 0.0, "connect", None
        if plan.keeps_ledger:
            self.ledger.enter(plan.number)
        sock = self.lab.socket("client",
                               socket.AF_INET if plan.family == 4 else socket.AF_INET6)
        sock.setblocking(False)
        if plan.source:
            sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((plan.source, 0))
        if plan.keeps_alive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2)
        try:
            async with asyncio.timeout(plan.patience):
                await asyncio.get_running_loop().sock_connect(
                    sock, (address(SERVER, plan.family), plan.port))
            connected = time.monotonic() - begun
            stage = "talk"
            async with asyncio.timeout(plan.patience + sum(plan.pauses)):
                await c.talk(sock, plan, self.ledger)
        except TimeoutError as error:
            wrong = "%s: timed out%s" % (stage, " (kernel)" if error.errno else "")
        except OSError as error:
            wrong = "%s: %s" % (stage, errno.errorcode.get(error.errno, error))
        except c.Wrong as error:
            wrong = "%s: %s" % (stage, error)
        finally:
            sock.close()
            if wrong and self.ledger.complaint(plan.number):
                wrong += "; server: %s" % self.ledger.complaint(plan.number)
            self.ledger.leave(plan.number)
        size = 0 if wrong else plan.up + plan.down + c.PING_SIZE * len(plan.pauses)
        self.note(plan.name, plan.family, plan.port, round(begun, 3), round(connected, 6),
                  round(time.monotonic() - begun, 6), size, wrong)

    async def watch_lag(self):
        """How late this process wakes up: what it adds to every latency."""
        worst, since = 0.0, time.monotonic()
        for count in range(1, 1 << 62):
            before = time.monotonic()
            await asyncio.sleep(LAG_STEP)
            worst = max(worst, time.monotonic() - before - LAG_STEP)
            if count % LAG_REPORTS == 0:
                self.note("lag", round(since, 3), round(worst, 4))
                self.out.flush()
                worst, since = 0.0, time.monotonic()

    # From the first to the last

    async def run(self):
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stopping.set)
        for port in PORTS + (c.GREETING_PORT,):
            listener = c.listen(self.lab.socket("server", socket.AF_INET6), port)
            self.servers.append(asyncio.create_task(c.serve(listener, port, self.ledger)))
        self.servers.append(asyncio.create_task(self.watch_lag()))
        print("ready", flush=True)
        await asyncio.gather(
            *(self.arrive(per_s, lambda args=(kind, up, down): self.plan(*args))
              for kind, per_s, up, down in ARRIVALS),
            self.arrive(FLAP_PER_S, self.flap_plan))
        # Long-lived ones end early, at their next pause.
        deadline = time.monotonic() + 2 * PATIENCE
        while self.tasks and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        self.note("end", len(self.tasks))
        self.out.flush()


def attach(lab_id):
    """A view of a lab that another process made."""
    lab = Lab()
    lab.id = lab_id
    for node in NODES:
        lab.fds[node] = os.open("/run/netns/" + lab.netns(node), os.O_RDONLY | os.O_CLOEXEC)
    return lab


async def serve_alone(port):
    listener = c.listen(socket.socket(socket.AF_INET6, socket.SOCK_STREAM), port)
    print("ready", flush=True)
    await c.serve(listener, port, c.Ledger())


def main():
    if sys.argv[1] == "--serve":
        asyncio.run(serve_alone(int(sys.argv[2])))
        return
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with open(sys.argv[2], "w") as out:
        load = Load(attach(sys.argv[1]), out, int(sys.argv[3]))
        asyncio.run(load.run())


if __name__ == "__main__":
    main()
