# SPDX-License-Identifier: BSD-3-Clause
"""What can stand between the lab's two bridges."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from lab import FAVOURED, ROOT, SERVER, wait_for

BUILD = os.environ.get("SYNFRONT_BUILD", os.path.join(ROOT, "build"))
# TAP ports of DPDK, and the bridge that each joins.
TAPS = (("sf-outside", "br-out"), ("sf-inside", "br-in"))


@contextlib.contextmanager
def for_anybody(name):
    """A folder with a copy of a program that any user may run: the tree may lie in one of root."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        shutil.copy(os.path.join(BUILD, "app", name), directory)
        os.chmod(os.path.join(directory, name), 0o755)
        yield directory


def has_link(lab, device):
    with lab.inside("box"):
        return subprocess.run(("ip", "link", "show", "dev", device), check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


class Wire:
    """No engine: a cable between the bridges."""

    name = "wire"
    home = SERVER  # whoever answers a ping once it is in place

    def begin(self, lab):
        self.lab = lab
        lab.run("box", "ip", "link", "add", "w-out", "mtu", "9000", "type", "veth", "peer",
                "name", "w-in", "mtu", "9000")
        for device, bridge in (("w-out", "br-out"), ("w-in", "br-in")):
            lab.join(device, bridge)

    def end(self):
        self.lab.run("box", "ip", "link", "del", "w-out", check=False)


class Testpmd:
    """DPDK's own forwarder: every frame crosses untouched."""

    name = "testpmd"
    home = SERVER

    def __init__(self, frame_size=2048):
        self.frame_size = frame_size

    def begin(self, lab):
        self.lab = lab
        argv = ["dpdk-testpmd", "--no-pci", "--no-huge", "-m", "256", "-l", "0,1",
                "--file-prefix", lab.id + "-pmd"]
        for number, (tap, _) in enumerate(TAPS):
            argv += ["--vdev", "net_tap%d,iface=%s" % (number, tap)]
        argv += ["--", "--forward-mode=io", "--auto-start", "--total-num-mbufs=16384",
                 "--rxd=1024", "--txd=1024", "--stats-period=3600",
                 "--mbuf-size=%d" % (self.frame_size + 256)]
        self.process = lab.spawn("box", "testpmd", *argv)
        join_taps(lab, self.process)

    def end(self):
        self.lab.end(self.process)
        self.process = None


def join_taps(lab, process, taps=TAPS):
    """Put the TAP ports on their bridges as soon as they exist."""
    def ready():
        if not process.running():
            raise RuntimeError("%s ended at its start:\n%s" % (process.name, process.output()))
        return all(has_link(lab, tap) for tap, _ in taps)

    wait_for(process.name + " to make its TAP ports", ready)
    for tap, bridge in taps:
        lab.join(tap, bridge)
        # Room for what comes while the engine's CPU is somebody else's.
        lab.run("box", "ip", "link", "set", tap, "txqueuelen", "20000")
    for tap, _ in taps:
        wait_for(tap + " to be up", lambda: "LOWER_UP" in lab.run("box", "ip", "link", "show",
                                                                    "dev", tap))


def tell(tag, command):
    """What a program of DPDK says to a command over its telemetry socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(10)
        connection.connect("/run/dpdk/%s/dpdk_telemetry.v2" % tag)
        connection.recv(16384)
        connection.send(command.encode())
        return json.loads(connection.recv(1 << 20))


def shuffled():
    """The environment of an engine whose ports give every frame to a random queue."""
    return dict(os.environ, SYNFRONT_SHUFFLE="1",
                LD_PRELOAD=os.path.join(BUILD, "tests/race/preload.so"))


class Synfront:
    """The engine, with a configuration file of the lab's."""

    name = "synfront"
    home = SERVER
    node = "box"
    build = BUILD  # whose program runs
    env = None  # of all that start from now on

    def __init__(self, text, instance="engine", taps=TAPS):
        self.text = text
        self.instance = instance
        self.taps = taps
        self.process = None

    def begin(self, lab):
        self.lab = lab
        self.tag = "%s-%s" % (lab.id, self.instance)
        self.path = os.path.join(lab.work, self.instance + ".yaml")
        self.write(self.text)
        self.launch()

    def filled(self, text):
        """A configuration with the lab's names in it."""
        return text.replace("@INSTANCE@", self.tag).replace("@WORK@", self.lab.work)

    def write(self, text):
        self.text = text
        with open(self.path, "w") as file:
            file.write(self.filled(text))

    def launch(self):
        # One that polls would leave the others on its CPU nothing.
        self.process = self.lab.spawn(self.node, self.instance,
                                      os.path.join(self.build, "app/synfront"), "--config",
                                      self.path, env=self.env,
                                      nice=0 if "idle: poll" in self.text else FAVOURED)
        join_taps(self.lab, self.process, self.taps)
        wait_for("telemetry of " + self.instance, self.answers)

    def answers(self):
        if not self.process.running():
            raise RuntimeError("synfront ended:\n" + self.process.output())
        try:
            return self.ask("info")
        except OSError:
            return False

    def end(self, number=signal.SIGTERM):
        """Stop at once, with no drain; the exit status."""
        if not self.process:
            return None
        process, self.process = self.process, None
        if number == signal.SIGTERM:
            process.kill(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.3)
        return self.lab.end(process, number)

    def restart(self, number=signal.SIGTERM):
        self.end(number)
        self.launch()

    def reload(self, text):
        """Another configuration, by SIGHUP; what the log says about it."""
        self.write(text)
        before = len(self.process.output())
        self.process.kill(signal.SIGHUP)
        wait_for("the answer to SIGHUP", lambda: "reloaded" in self.process.output()[before:])
        return self.process.output()[before:]

    # What it says of itself

    def tell(self, command):
        """What DPDK says to a command of any of its libraries."""
        return tell(self.tag, command)

    def ask(self, command):
        """What the engine itself says there; synfrontctl reads it too."""
        path = "/synfront/" + command
        return self.tell(path)[path.partition(",")[0]]

    def counters(self):
        """Every counter by its name, all workers together."""
        return self.ask("stats") or {}

    def workers(self):
        return self.ask("info")["workers"]

    def service(self, name):
        return next(row for row in self.report("services") if row["name"] == name)

    def port(self, side):
        return next(row for row in self.report("ports") if row["side"] == side)

    def control(self, *argv, check=True):
        """synfrontctl with some command; what it prints."""
        return self.lab.run(self.node, os.path.join(BUILD, "app/synfrontctl"), "--instance",
                            self.tag, *argv, check=check)

    def report(self, command):
        return json.loads(self.control("--json", command))


class XdpSynfront(Synfront):
    """The engine on AF_XDP ports where its configuration has TAPs: ends of two cables whose
    other ends are on the bridges."""

    CABLES = (("xdp-out", "sf-outside", "br-out"), ("xdp-in", "sf-inside", "br-in"))

    def __init__(self, text, instance="engine"):
        for number, (_, device, _) in enumerate(self.CABLES):
            text = text.replace("net_tap%d," % number, "net_af_xdp%d," % number)
            assert device in text
        super().__init__(text, instance, tuple((far, bridge) for far, _, bridge in self.CABLES))
        # libxdp would pin its program below /sys/fs/bpf, where it outlives the cables.
        self.env = dict(self.env or os.environ, LIBXDP_SKIP_DISPATCHER="1")

    def begin(self, lab):
        for far, device, _ in self.CABLES:
            lab.run("box", "ip", "link", "add", device, "type", "veth", "peer", "name", far)
            for end in (device, far):
                lab.run("box", "ethtool", "-K", end, "tx", "off", "tso", "off", "gso", "off",
                        "gro", "off")
                lab.run("box", "ip", "link", "set", end, "up")
        super().begin(lab)

    def end(self, *args):
        status = super().end(*args)
        for _, device, _ in self.CABLES:
            self.lab.run("box", "ip", "link", "del", device, check=False)
        return status
