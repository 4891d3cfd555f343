# SPDX-License-Identifier: BSD-3-Clause
"""The demo's attacker and its ports: AF_XDP on veth, or what there is instead."""

import contextlib
import os
import subprocess

from engines import BUILD, Synfront, XdpSynfront
from lab import ATTACKER, ROOT, SERVER, address, wait_for

GENERATOR = os.path.join(BUILD, "tests/bench/generator")
CPUS = sorted(os.sched_getaffinity(0))
# The engine's worker takes the last one.
SHARED_CPU = CPUS[0]
DEVICES = {"AF_XDP": "net_af_xdp0,iface=eth0",
           "AF_PACKET": "net_af_packet0,iface=eth0,qdisc_bypass=1,framesz=2048,framecnt=4096,"
                        "blocksz=65536"}
# More of its CPU than other work of this machine, less than clients and server.
NICE = -10
# A flood is ended when its act is over; this only bounds it.
BOUND_S = 600


def engine(ports):
    """synfront between the bridges, on ports of a kind."""
    with open(os.path.join(ROOT, "config/demo.yaml")) as file:
        text = file.read().replace("synfront-demo", "@INSTANCE@")
    if ports == "TAP":
        return Synfront(text)
    # Room for what comes while the engine's CPU is somebody else's for a turn.
    return XdpSynfront(text.replace("queues: 1", "queues: 1\n    rx_descriptors: 4k"))


def reason(error):
    """Why the engine did not start, from all that it printed, as short as it can be."""
    lines = [line.strip() for line in str(error).splitlines()]
    for sign in ("Kernel error message", "Error attaching", "Failed to", "synfront: "):
        for line in lines:
            if sign in line:
                return line
    return lines[0]


def count(lab, node, way):
    """Packets that a node's eth0 has sent ("tx") or received ("rx")."""
    with lab.inside(node), open("/proc/thread-self/net/dev") as file:
        for line in file:
            name, _, numbers = line.partition(":")
            if name.strip() == "eth0":
                return int(numbers.split()[1 if way == "rx" else 9])
    raise KeyError(node)


def steer(lab, device, cpu):
    """A CPU for all that the kernel does with what comes in by a device of the box; False
    where it cannot be told (rps_cpus of Documentation/networking/scaling.rst)."""
    digits = "%x" % (1 << cpu)
    mask = ",".join(digits[max(0, end - 8):end] for end in range(len(digits) % 8 or 8,
                                                               len(digits) + 1, 8))
    with contextlib.suppress(subprocess.CalledProcessError):
        lab.ip("netns", "exec", lab.netns("box"), "sh", "-c", "echo %s 2>/dev/null "
               ">/sys/class/net/%s/queues/rx-0/rps_cpus" % (mask, device))
        return True
    return False


def prepare(lab):
    """The attacker's cable can be an AF_XDP port, which leaves its kernel no ARP."""
    lab.run("box", "ip", "link", "set", "to-attacker", "mtu", "1500")
    lab.run("server", "ip", "neigh", "replace", address(ATTACKER), "lladdr", lab.mac("attacker"),
            "dev", "eth0", "nud", "permanent")


class Flood:
    """SYNs as of a real system from random sources, by tests/bench/generator.c.

    `rate` in SYNs per second, 0 for as many as go."""

    def __init__(self, lab, ports, rate):
        self.lab = lab
        self.before = count(lab, "attacker", "tx")
        self.process = lab.spawn("attacker", "flood", *command(lab, ports, rate),
                                 env=dict(os.environ, LIBXDP_SKIP_DISPATCHER="1"), nice=NICE)

    def sent(self):
        return count(self.lab, "attacker", "tx") - self.before

    def __enter__(self):
        def begins():
            if not self.process.running():
                raise RuntimeError("the flood ended:\n" + self.process.output())
            return self.sent() > 100

        wait_for("the flood to begin", begins, 30)
        return self

    def __exit__(self, *_):
        self.lab.end(self.process)


def command(lab, ports, rate, seconds=BOUND_S):
    """The words that start a flood."""
    return (GENERATOR, "--no-pci", "--no-huge", "-m", "128", "--single-file-segments",
            "--no-telemetry", "--file-prefix", lab.id + "-flood", "--lcores", "0@%d" % SHARED_CPU,
            "--vdev", DEVICES["AF_XDP" if ports == "AF_XDP" else "AF_PACKET"], "--",
            "--to", address(SERVER), "--port", "80", "--mac", lab.mac("server"),
            "--rate", str(int(rate)), "--blind", "--seconds", str(seconds))
