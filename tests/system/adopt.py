# SPDX-License-Identifier: BSD-3-Clause
"""The server's half of hand-off in the lab: synfront-adopt, and clients who are handed over.

A cookie proves itself, so a client of raw.End that knows the secret can send its ACK
without a front end having answered a SYN: class Proven is both of them at once, with the time
and the options that a test wants.
"""

import contextlib
import itertools
import json
import os
import secrets
import signal
import subprocess
import time

import cookies
from bench import Skip
from engines import BUILD, Wire
from lab import SERVER, wait_for
from raw import End
from servers import Server, echo

PROGRAM = os.path.join(BUILD, "app/synfront-adopt")
# Profiles of lib/cookie: SACK and scale 7 and the MSS of Ethernet; neither, and 1460 or 1440.
FULL = {4: 24, 6: 24}
BARE = {4: 7, 6: 7}
CONFIG = """
interfaces: [eth0]
services:
  - {name: web, ports: [80, 443]}
  - {name: some, ports: 7000-9999}
secret: {file: %(work)s/group}
promise: %(work)s/promise.yaml
metrics: %(work)s/metrics.prom
instance: %(instance)s
pins: %(work)s/bpf
"""
PORTS = itertools.count(7000)  # of the service `some`


class Agent:
    """synfront-adopt on the lab's server."""

    def __init__(self, bench, linger=False, config=CONFIG, instance="adopt", secret=None):
        """`secret`: 32 bytes, of a group; drawn if none is given. Beside it lies a file
        `group.next` with `secret_next`, which a configuration may name."""
        if not os.path.exists(PROGRAM):
            raise Skip("synfront-adopt is not built: clang, bpftool or libbpf is missing")
        self.lab = bench.lab
        self.linger = linger
        self.instance = "%s-%s" % (self.lab.id, instance)
        self.path = os.path.join(self.lab.work, instance + ".yaml")
        self.secret = secret or secrets.token_bytes(32)
        self.secret_next = secrets.token_bytes(32)
        self.process = None
        self.write_secret("group", self.secret)
        self.write_secret("group.next", self.secret_next)
        self.write(config)
        self.require_kernel()
        if linger:
            self.mount()

    def mount(self):
        """A BPF file system of the lab's own."""
        pins = os.path.join(self.lab.work, "bpf")
        os.makedirs(pins, exist_ok=True)
        subprocess.run(("mount", "-t", "bpf", "bpf", pins), check=True)

    def write_secret(self, name, secret):
        place = os.path.join(self.lab.work, name)
        with contextlib.suppress(FileNotFoundError):
            os.remove(place)
        with open(os.open(place, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(secret.hex() + "\n")

    def write(self, config):
        with open(self.path, "w") as file:
            file.write(config % {"work": self.lab.work, "instance": self.instance})

    def argv(self, *words):
        return (PROGRAM, "--config", self.path) + words

    def check(self):
        """(status, output) of --check in the server's namespace."""
        with self.lab.inside("server"):
            done = subprocess.run(self.argv("--check"), stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        return done.returncode, done.stdout

    def require_kernel(self):
        for line in self.check()[1].splitlines():
            if line.startswith("error: Linux"):
                raise Skip(line[7:])

    def begin(self):
        words = (("--linger",) if self.linger else ()) + ("run",)
        self.process = self.lab.spawn("server", "synfront-adopt", *self.argv(*words))
        wait_for("synfront-adopt to run", self.runs)
        return self

    def runs(self):
        if not self.process.running():
            raise Skip(self.process.output()) if "EPERM" in self.process.output() else \
                RuntimeError("synfront-adopt ended:\n" + self.process.output())
        return "running" in self.process.output()

    def end(self, number=signal.SIGTERM):
        if self.process:
            process, self.process = self.process, None
            self.lab.end(process, number)

    def detach(self):
        self.lab.run("server", *self.argv("detach"), check=False)

    def status(self):
        return json.loads(self.lab.run("server", *self.argv("--json", "status")))

    def count(self, *names):
        counters = self.status()["counters"]
        return sum(counters[name] for name in names)

    @contextlib.contextmanager
    def grows(self, name, by=1):
        """Assert that a counter grows by just so much in a block."""
        before = self.count(name)
        yield
        wait_for("counter %s to grow by %d, not %d" % (name, by, self.count(name) - before),
                 lambda: self.count(name) >= before + by, 5)
        assert self.count(name) == before + by, (name, self.count(name) - before, by)

    def __enter__(self):
        return self.begin()

    def __exit__(self, *_):
        self.end()
        if self.linger:
            self.detach()
            subprocess.run(("umount", os.path.join(self.lab.work, "bpf")), check=True)


def group_secret(lab, config, group="default"):
    """What the servers of a group get of the master secret that a front end's configuration names."""
    place = os.path.join(lab.work, "group-%d" % time.monotonic_ns())
    done = subprocess.run((os.path.join(BUILD, "app/synfront"), "--config", config, "--group-secret",
                           group, "--output", place), check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    with open(place) as file:
        return bytes.fromhex(file.read())


def agent(bench, **fields):
    """An agent for this test, with the client next to the server."""
    if bench.is_synfront:
        bench.engine(Wire())
    return bench.keep(Agent(bench, **fields))


def serve(bench, handler=echo, **fields):
    """A server on a port of its own: (port, server)."""
    port = next(PORTS)
    return port, bench.keep(Server(bench.lab, port, handler, **fields))


class Proven(End):
    """A client who has sent a SYN and been answered by cookie. `at`: when that was, by the clock
    of the front end; `secret`: what that has for the group, the agent's own if none is given."""

    def __init__(self, agent, port=80, timestamps=True, full=True, at=None, profile=None, secret=None,
                 **fields):
        super().__init__(agent.lab, port, **fields)
        self.agent = agent
        self.profile = (FULL if full else BARE)[self.family] if profile is None else profile
        self.timestamps = timestamps
        self.secret = secret or agent.secret
        self.answer(at)

    def answer(self, at=None, iss=None):
        """The SYN-ACK of a front end, unsent: a new incarnation if `iss` is given."""
        at = time.time() if at is None else at
        if iss is not None:
            self.iss = iss
        keys = cookies.Keys(self.secret, int(at) // cookies.EPOCH_S)
        cookie = keys.cookie(self.own, self.peer, self.own_port, self.port, self.iss, self.profile)
        self.snd_nxt = (self.iss + 1) & 0xffffffff
        self.rcv_nxt = (cookie + 1) & 0xffffffff
        self.cookie = cookie
        promised = 7 if self.profile in FULL.values() else cookies.WSCALE_NONE
        self.tsecr = cookies.tsval(promised=promised, at=at) if self.timestamps else 0
        return cookie

    def exchange(self, message=b"hello"):
        """Ask an echoing server."""
        self.write(message)
        assert self.read(len(message)) == message


def resets(bench):
    """RSTs that the server's kernel has sent."""
    with bench.lab.inside("server"), open("/proc/thread-self/net/snmp") as file:
        names, values = [line.split() for line in file if line.startswith("Tcp:")]
    return int(values[names.index("OutRsts")])
