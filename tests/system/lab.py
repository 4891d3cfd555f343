#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The lab: client, attacker and server around whatever stands in the middle.

    client   \\
              br-out -- sf-outside [ the engine ] sf-inside -- br-in -- server
    attacker /

Each name is a network namespace. The engine's two TAP ports, the two bridges and
nothing else are in a fourth, "box". In the engine's place can stand
dpdk-testpmd, which forwards every frame untouched, or a plain wire: what holds
with those and not with synfront is synfront's doing.

The server has its default route through the attacker, so that its answers to
spoofed sources leave it and get lost. (Without a route back the kernel drops
such a SYN at once, its backlog never fills, and a flood does no harm.)

A namespace is entered with setns() for as long as it takes to make a socket or
start a process; what was made there stays there. All that a Lab makes carries
the process id in its name, and is removed by stop(), which runs at exit, on
SIGINT and on SIGTERM, and finds it by that name: a signal may come at any moment.
After a SIGKILL, `lab.py --sweep` removes what is left.
"""

import atexit
import contextlib
import ctypes
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PREFIX = "sflab"
NODES = ("client", "attacker", "server", "box")
CLIENT, ATTACKER, SERVER, OTHER = 1, 2, 10, 20
NET4, NET6 = "198.51.100.", "2001:db8:1::"
# Further prefixes of the client, each in a /24 and /48 of its own.
N_PREFIXES = 8
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
FAVOURED = -15

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
libc = ctypes.CDLL(None, use_errno=True)


def address(host, family=4):
    """The address of a host by its number."""
    return "%s%d" % (NET4, host) if family == 4 else "%s%d" % (NET6, host)


def prefix_address(number, family=4):
    """The client's address in its prefix of that number (1 to N_PREFIXES)."""
    return "10.77.%d.1" % number if family == 4 else "2001:db8:%x::1" % (0x7700 + number)


def wait_for(what, condition, timeout=20.0, interval=0.02):
    """Wait until condition() is true, and return its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError("waited %g s in vain: %s" % (timeout, what))
        time.sleep(interval)


def end_with_parent():
    """In a child before exec: die with the thread that started it."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def favour(nice):
    """In a child before exec: have more of a CPU than others, and sooner. Where the
    kernel groups processes by session, a nice value counts only within the group,
    and the group has one of its own."""
    with contextlib.suppress(OSError):
        os.nice(nice)
        with open("/proc/self/autogroup", "w") as file:
            file.write(str(nice))


class Process:
    """A child process with its output in a file."""

    def __init__(self, lab, name, argv, env=None, nice=0):
        self.name = name
        self.log = os.path.join(lab.work, "%s.log" % name)
        with open(self.log, "ab") as log:
            self.begin = log.tell()
            self.popen = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                preexec_fn=lambda: (end_with_parent(), nice and favour(nice)),
                start_new_session=True)

    def running(self):
        return self.popen.poll() is None

    def output(self):
        """All that it has written so far."""
        with open(self.log, errors="replace") as log:
            log.seek(self.begin)
            return log.read()

    def kill(self, number):
        if self.running():
            self.popen.send_signal(number)

    def wait(self, timeout=60):
        return self.popen.wait(timeout)

    def end(self, number=signal.SIGTERM, patience=5):
        """End it, by force if it does not listen; its exit status."""
        self.kill(number)
        try:
            return self.popen.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(self.popen.pid, signal.SIGKILL)
            return self.popen.wait(patience)


class Lab:
    """Namespaces, links and addresses; see the head of this file."""

    nodes = NODES

    def __init__(self, name=""):
        """`name` tells a second lab of the same process from the first."""
        self.id = "%s-%d%s" % (PREFIX, os.getpid(), name and "-" + name)
        self.handlers = {}
        self.work = None
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.fds = {}
        self.processes = []
        self.engine = None
        self.stopped = True
        self.is_making = False
        self.pending = 0

    # Coming and going

    def start(self):
        self.stopped = False
        atexit.register(self.stop)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.handlers[number] = signal.signal(number, self.interrupted)
        self.work = tempfile.mkdtemp(prefix=self.id + "-")
        for node in self.nodes:
            self.make_netns(node)
        self.lay_cables()
        self.number_hosts()
        return self

    def interrupted(self, number, _frame):
        """Ends the program; while a namespace is made, as soon as it is there."""
        self.pending = 128 + number
        if not self.is_making:
            sys.exit(self.pending)

    def make_netns(self, node):
        self.is_making = True
        self.ip("netns", "add", self.netns(node))
        self.is_making = False
        if self.pending:
            sys.exit(self.pending)
        self.fds[node] = os.open("/run/netns/" + self.netns(node), os.O_RDONLY | os.O_CLOEXEC)

    def stop(self):
        if self.stopped:
            return
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self.stopped = True
        if self.engine:
            self.engine.end()
            self.engine = None
        for process in reversed(self.processes):
            process.end()
        self.processes.clear()
        for fd in self.fds.values():
            os.close(fd)
        self.fds.clear()
        for path in glob.glob("/run/netns/%s-*" % self.id):
            remove_netns(os.path.basename(path))
        for place in (tempfile.gettempdir(), "/run/dpdk"):
            for entry in glob.glob("%s/%s-*" % (place, self.id)):
                shutil.rmtree(entry, ignore_errors=True)
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # Namespaces

    def netns(self, node):
        return "%s-%s" % (self.id, node)

    @contextlib.contextmanager
    def inside(self, node):
        """This thread, and what it makes meanwhile, is in the node's namespace."""
        if libc.setns(self.fds[node], CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns " + node)
        try:
            yield
        finally:
            libc.setns(self.home, CLONE_NEWNET)

    @staticmethod
    def ip(*args):
        # In a session of its own: a Ctrl-C must not end it half way.
        subprocess.run(("ip",) + args, check=True, start_new_session=True)

    def run(self, node, *argv, timeout=60, check=True, stdin=None):
        """Run a command in a node; its output, errors included."""
        with self.inside(node):
            done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  input=stdin, text=True, timeout=timeout, check=False)
        if check and done.returncode:
            raise RuntimeError("%s: %s: status %d\n%s" % (node, " ".join(argv), done.returncode,
                                                          done.stdout))
        return done.stdout

    def spawn(self, node, name, *argv, env=None, nice=0):
        """Start a process in a node; the lab ends it at the latest when it stops."""
        with self.inside(node):
            process = Process(self, name, argv, env, nice)
        self.processes.append(process)
        return process

    def end(self, process, number=signal.SIGTERM):
        if process in self.processes:
            self.processes.remove(process)
        return process.end(number)

    def sysctl(self, node, key, value=None):
        """Read or write a setting of a node's network; the value before."""
        with self.inside(node):
            path = "/proc/sys/net/" + key.replace(".", "/")
            with open(path) as file:
                old = file.read().strip()
            if value is not None:
                with open(path, "w") as file:
                    file.write(str(value))
        return old

    @contextlib.contextmanager
    def sysctls(self, node, settings):
        """Settings of a node for the length of a block."""
        old = {key: self.sysctl(node, key, value) for key, value in settings.items()}
        try:
            yield
        finally:
            for key, value in old.items():
                self.sysctl(node, key, value)

    def socket(self, node, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        with self.inside(node):
            return socket.socket(family, kind, protocol)

    # Cables and addresses

    def lay_cables(self):
        for key in ("conf.all.disable_ipv6", "conf.default.disable_ipv6"):
            self.sysctl("box", "ipv6." + key, 1)
        for bridge in ("br-out", "br-in"):
            self.run("box", "ip", "link", "add", bridge, "mtu", "9000", "type", "bridge",
                     "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0")
            # A firewall on this machine has no say in the lab.
            for key in ("iptables", "ip6tables", "arptables"):
                with contextlib.suppress(OSError):
                    self.sysctl("box", "bridge.bridge-nf-call-" + key, 0)
            self.run("box", "ip", "link", "set", bridge, "up")
        for node, bridge in (("client", "br-out"), ("attacker", "br-out"), ("server", "br-in")):
            self.sysctl(node, "ipv6.conf.all.accept_dad", 0)
            self.sysctl(node, "ipv6.conf.default.accept_dad", 0)
            self.sysctl(node, "ipv6.conf.default.router_solicitations", 0)
            far = "to-" + node
            self.run(node, "ip", "link", "set", "lo", "up")
            self.run(node, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", far,
                     "netns", self.netns("box"))
            self.run(node, "ip", "link", "set", "eth0", "up")
            self.run("box", "ip", "link", "set", far, "mtu", "9000", "master", bridge, "up")
            # Packets must be whole on the wire: no partial checksums, no 64 KiB frames.
            for where, device in ((node, "eth0"), ("box", far)):
                self.run(where, "ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off",
                         "gro", "off")

    def number_hosts(self):
        hosts = {"client": (CLIENT,), "attacker": (ATTACKER,), "server": (SERVER, OTHER)}
        for node, numbers in hosts.items():
            for number in numbers:
                self.run(node, "ip", "addr", "add", address(number) + "/24", "dev", "eth0")
                self.run(node, "ip", "addr", "add", address(number, 6) + "/64", "dev", "eth0",
                         "nodad")
        self.run("server", "ip", "route", "add", "default", "via", address(ATTACKER))
        self.run("server", "ip", "-6", "route", "add", "default", "via", address(ATTACKER, 6))
        for number in range(1, N_PREFIXES + 1):
            for family, length, flag in ((4, "/32", "-4"), (6, "/128", "-6")):
                to = prefix_address(number, family)
                self.run("client", "ip", "addr", "add", to + length, "dev", "lo")
                self.run("server", "ip", flag, "route", "add", to + length, "via",
                         address(CLIENT, family))

    def mac(self, node, device="eth0"):
        return json.loads(self.run(node, "ip", "-j", "link", "show", "dev", device))[0]["address"]

    def set_mtu(self, node, mtu):
        self.run(node, "ip", "link", "set", "eth0", "mtu", str(mtu))

    # What stands in the middle

    def insert(self, engine):
        """Start an engine between the bridges. It replaces the one before."""
        self.remove()
        self.engine = engine
        engine.begin(self)
        self.wait_for_path()
        return engine

    def wait_for_path(self):
        """Until a ping crosses, or is answered by an engine that is at home itself."""
        host = address(self.engine.home)
        wait_for("a ping to cross " + self.engine.name, lambda: "1 received" in self.run(
            "client", "ping", "-c1", "-W1", host, check=False))

    def remove(self):
        if self.engine:
            engine, self.engine = self.engine, None
            engine.end()

    def join(self, device, bridge):
        self.run("box", "ip", "link", "set", device, "master", bridge, "up")

    def link_counters(self, node, device):
        """The kernel's counters of a device, e.g. ["tx"]["dropped"]."""
        out = self.run(node, "ip", "-j", "-s", "link", "show", "dev", device)
        return json.loads(out)[0]["stats64"]


def remove_netns(name):
    for _ in range(3):
        pids = subprocess.run(("ip", "netns", "pids", name), stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False).stdout.split()
        pids = [int(pid) for pid in pids if int(pid) != os.getpid()]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not pids:
            break
        time.sleep(0.1)
    subprocess.run(("ip", "netns", "del", name), check=False, stderr=subprocess.DEVNULL)


def sweep():
    """Remove what labs of processes that no longer exist have left."""
    out = subprocess.run(("ip", "netns", "list"), stdout=subprocess.PIPE, text=True,
                         check=True).stdout
    names = [line.split()[0] for line in out.splitlines() if line.startswith(PREFIX + "-")]
    for name in names:
        if not os.path.exists("/proc/" + name.split("-")[1]):
            remove_netns(name)
            print("removed", name)
    for place in (tempfile.gettempdir(), "/run/dpdk"):
        for entry in os.listdir(place) if os.path.isdir(place) else ():
            parts = entry.split("-")
            if parts[0] == PREFIX and len(parts) > 1 and parts[1].isdigit() \
                    and not os.path.exists("/proc/" + parts[1]):
                shutil.rmtree(os.path.join(place, entry), ignore_errors=True)
                print("removed", os.path.join(place, entry))


if __name__ == "__main__":
    if sys.argv[1:] != ["--sweep"]:
        sys.exit("usage: lab.py --sweep")
    sweep()
