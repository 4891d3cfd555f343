# SPDX-License-Identifier: BSD-3-Clause
"""As many frames as the attacker's cable takes, by tests/bench/generator.c on a port of DPDK."""

import os

from engines import BUILD
from lab import ATTACKER, SERVER, address, wait_for

GENERATOR = os.path.join(BUILD, "tests/bench/generator")
CPUS = sorted(os.sched_getaffinity(0))
# The engine's worker takes the last one.
SHARED_CPU = CPUS[0]
DEVICES = {"AF_XDP": "net_af_xdp0,iface=eth0",
           "AF_PACKET": "net_af_packet0,iface=eth0,qdisc_bypass=1,framesz=2048,framecnt=4096,"
                        "blocksz=65536"}
# More of its CPU than other work of this machine, less than clients and server.
NICE = -10
# A flood is ended when it has done its work; this only bounds it.
BOUND_S = 600


def count(lab, node, way):
    """Packets that a node's eth0 has sent ("tx") or received ("rx")."""
    with lab.inside(node), open("/proc/thread-self/net/dev") as file:
        for line in file:
            name, _, numbers = line.partition(":")
            if name.strip() == "eth0":
                return int(numbers.split()[1 if way == "rx" else 9])
    raise KeyError(node)


def prepare(lab):
    """The attacker's cable can be an AF_XDP port, which leaves its kernel no ARP and no
    neighbour discovery."""
    lab.run("box", "ip", "link", "set", "to-attacker", "mtu", "1500")
    for family in (4, 6):
        lab.run("server", "ip", "neigh", "replace", address(ATTACKER, family), "lladdr",
                lab.mac("attacker"), "dev", "eth0", "nud", "permanent")


def command(lab, ports, rate, *more, seconds=BOUND_S, family=4):
    """The words that start a flood."""
    return (GENERATOR, "--no-pci", "--no-huge", "-m", "128", "--single-file-segments",
            "--no-telemetry", "--file-prefix", lab.id + "-flood", "--lcores", "0@%d" % SHARED_CPU,
            "--vdev", DEVICES["AF_XDP" if ports == "AF_XDP" else "AF_PACKET"], "--",
            "--to", address(SERVER, family), "--port", "80", "--mac", lab.mac("server"),
            "--rate", str(int(rate)), "--blind", "--seconds", str(seconds), *more)


class FastFlood:
    """SYNs as of a real system from random sources, or with "--ack" among `more` blind ACKs.

    `rate` in frames per second, 0 for as many as go."""

    def __init__(self, lab, ports, rate, *more, **fields):
        self.lab = lab
        self.before = count(lab, "attacker", "tx")
        self.process = lab.spawn("attacker", "flood", *command(lab, ports, rate, *more, **fields),
                                 env=dict(os.environ, LIBXDP_SKIP_DISPATCHER="1"), nice=NICE)

    def sent(self):
        return count(self.lab, "attacker", "tx") - self.before

    def running(self):
        return self.process.running()

    def __enter__(self):
        def begins():
            if not self.running():
                raise RuntimeError("the flood ended:\n" + self.process.output())
            return self.sent() > 100

        wait_for("the flood to begin", begins, 30)
        return self

    def __exit__(self, *_):
        self.lab.end(self.process)
