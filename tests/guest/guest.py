# SPDX-License-Identifier: BSD-3-Clause
"""A guest under QEMU, with the engine in it, between the lab's bridges.

Everything is emulated (tcg): no /dev/kvm is asked for. The guest's two NICs are TAPs in the
namespace "box"; its console is a file, and commands go to it over a second serial line.
"""

import base64
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time

from engines import TAPS, has_link
from lab import SERVER, wait_for

MEMORY_MB = 1024
HUGEPAGES = 160  # of 2 MB
# Everything inside is emulated, and this machine may have other work too.
PATIENCE_S = 180
QEMU = os.environ.get("SYNFRONT_QEMU") or "qemu-system-x86_64"

# QEMU 7.2 computes AES of 256-bit vectors wrongly: the engine would say so and do without.
# An IOMMU that remaps interrupts is what vfio-pci wants, and Debian's kernel has no VFIO
# without one.
MACHINE = (QEMU, "-accel", "tcg,thread=multi", "-M", "q35,kernel-irqchip=split",
           "-cpu", "max,vaes=off", "-smp", "2", "-m", str(MEMORY_MB), "-nodefaults",
           "-no-reboot", "-display", "none", "-device", "intel-iommu,intremap=on,caching-mode=on")
# A guest that gets a tenth of a CPU takes its timer for broken: that is not to be looked at.
KERNEL = ("console=ttyS0 intel_iommu=on iommu=pt quiet panic=-1 mitigations=off no_timer_check "
          "nowatchdog")


class Device:
    """A kind of NIC: what QEMU calls it, and what is known of it."""

    def __init__(self, name, model, options="", queues=1, own_hash=False, vnet=False, port=False,
                 nic_queues=None, since=None):
        self.name, self.model, self.options = name, model, options
        self.queues = queues      # of QEMU's TAP
        self.nic_queues = nic_queues or queues  # that the driver finds
        self.own_hash = own_hash  # the engine can go by the NIC's hash
        self.vnet = vnet          # virtio: frames with a header of their own
        self.port = port          # sits behind a PCI Express root port
        self.since = since or (0, "")  # the QEMU from which on it is tried, and why not before


VIRTIO = "mq=on,vectors=6,iommu_platform=on,disable-legacy=on"
DEVICES = (
    Device("virtio", "virtio-net-pci", VIRTIO, 2, vnet=True),
    Device("virtio-packed", "virtio-net-pci", VIRTIO + ",packed=on", 2, vnet=True),
    Device("virtio-rss", "virtio-net-pci", VIRTIO + ",rss=on", 2, vnet=True,
           since=(10, "in 7.2 the flows of one queue hang after an overrun")),
    Device("e1000e", "e1000e"),
    Device("e1000", "e1000"),
    Device("vmxnet3", "vmxnet3", nic_queues=2),
    Device("igb", "igb", own_hash=True, port=True, nic_queues=2),
)


class Unavailable(Exception):
    """Something that the guest is made of cannot be had; says what."""


class Qemu:
    """What this QEMU is, and which NICs it has."""

    def __init__(self):
        self.version = re.search(r"version (\S+)", self.said("--version") + "version 0").group(1)
        self.models = set(re.findall(r'name "([^"]+)"', self.said("-device", "help")))

    @staticmethod
    def said(*argv):
        try:
            done = subprocess.run((QEMU,) + argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, check=False)
        except OSError as error:
            raise Unavailable("no QEMU: %s: %s" % (QEMU, error.strerror)) from error
        if done.returncode:
            raise Unavailable("%s %s: status %d: %s" % (QEMU, " ".join(argv), done.returncode,
                                                        done.stdout[-300:].strip()))
        return done.stdout

    def why_not(self, device):
        """What keeps a device from being tried with it, None if nothing does."""
        since, reason = device.since
        if device.model not in self.models:
            return "QEMU %s has no %s" % (self.version, device.model)
        if int(self.version.split(".")[0]) < since:
            return "wants QEMU %d, this is %s: %s" % (since, self.version, reason)
        return None


class Guest:
    """An engine of the lab, see Lab.insert(): the machine first, then synfront in it."""

    name = "guest"
    home = SERVER

    def __init__(self, device, kernel, initramfs):
        self.device, self.kernel, self.initramfs = device, kernel, initramfs
        self.process = self.line = self.addresses = None
        self.boot_s = None

    # The machine

    def argv(self, lab):
        argv = list(MACHINE)
        argv += ["-kernel", self.kernel, "-initrd", self.initramfs, "-append", KERNEL,
                 "-serial", "file:" + self.console(lab),
                 "-chardev", "socket,id=line,server=on,wait=off,path=" + self.path(lab, "line"),
                 "-serial", "chardev:line",
                 "-monitor", "unix:%s,server=on,wait=off" % self.path(lab, "monitor")]
        for number, (tap, _) in enumerate(TAPS):
            backend = "tap,id=net%d,ifname=%s,script=no,downscript=no,vhost=off" % (number, tap)
            if self.device.queues > 1:
                backend += ",queues=%d" % self.device.queues
            backend += ",vnet_hdr=" + ("on" if self.device.vnet else "off")
            argv += ["-netdev", backend]
            where = "bus=pcie.0,addr=%d" % (3 + number)
            if self.device.port:
                argv += ["-device", "pcie-root-port,id=root%d,chassis=%d,%s" % (number, number, where)]
                where = "bus=root%d" % number
            options = "," + self.device.options if self.device.options else ""
            argv += ["-device", "%s,netdev=net%d,id=nic%d,mac=52:54:00:00:00:%02x,%s%s"
                     % (self.device.model, number, number, number + 1, where, options)]
        return argv

    @staticmethod
    def path(lab, name):
        return os.path.join(lab.work, name)

    def console(self, lab):
        return self.path(lab, "console")

    def said(self, lab):
        """The last of what the guest's kernel and init have said."""
        with contextlib.suppress(OSError), open(self.console(lab), errors="replace") as file:
            return file.read()[-2000:]
        return ""

    def begin(self, lab):
        self.lab = lab
        begun = time.monotonic()
        self.process = lab.spawn("box", "qemu", *self.argv(lab))
        self.line = self.connect("line")
        self.monitor = self.connect("monitor")
        self.buffer = b""
        self.read_until(rb"@@ready\r?\n", PATIENCE_S)
        self.boot_s = time.monotonic() - begun
        for tap, bridge in TAPS:
            wait_for("QEMU to make " + tap, lambda tap=tap: has_link(lab, tap))
            lab.run("box", "ip", "link", "set", tap, "mtu", "9000", "txqueuelen", "20000")
            lab.join(tap, bridge)
        self.addresses = self.find_nics()

    def connect(self, name):
        path = self.path(self.lab, name)

        def tried():
            self.look()
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(path)
                return connection
            except OSError:
                connection.close()
                return None

        return wait_for("QEMU's " + name, tried)

    def look(self):
        if not self.process.running():
            raise RuntimeError("QEMU ended:\n%s\nthe guest's console:\n%s" % (
                self.process.output(), self.said(self.lab)))

    def end(self):
        for connection in (self.line, self.monitor):
            connection.close()
        process, self.process = self.process, None
        # There is nothing in it to be saved.
        self.lab.end(process, signal.SIGKILL)

    def hmp(self, command):
        """A command of QEMU's monitor."""
        self.monitor.sendall(command.encode() + b"\n")
        time.sleep(0.3)
        return self.monitor.recv(65536).decode(errors="replace")

    def set_link(self, number, is_up):
        self.hmp("set_link nic%d %s" % (number, "on" if is_up else "off"))

    # Inside

    def read_until(self, pattern, seconds):
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.buffer)
            if found:
                text, self.buffer = self.buffer[:found.start()], self.buffer[found.end():]
                return text.decode(errors="replace").replace("\r\n", "\n"), found
            self.line.settimeout(2)
            try:
                piece = self.line.recv(65536)
            except TimeoutError:
                piece = None
            if piece == b"":
                self.look()
                time.sleep(0.1)
            self.buffer += piece or b""
            if time.monotonic() > deadline:
                raise TimeoutError("the guest does not answer: %r\n%s" % (
                    self.buffer[-400:], self.said(self.lab)))

    def run(self, command, check=True):
        """A command of the guest's shell, on one line; its output."""
        line = b"%d %s\n" % (len(command), command.encode())
        for _ in range(5):
            self.line.sendall(line)
            text, found = self.read_until(rb"@@(?:status (\d+)|again)\r?\n", PATIENCE_S)
            if found.group(1) is not None:
                break
        else:
            raise RuntimeError("guest: %s: does not arrive whole" % command)
        if check and int(found.group(1)):
            raise RuntimeError("guest: %s: status %d\n%s" % (command, int(found.group(1)), text))
        return text

    def put(self, path, text):
        self.run("echo %s | base64 -d >%s" % (base64.b64encode(text.encode()).decode(), path))

    def find_nics(self):
        """The PCI addresses of the NICs, outside first."""
        found = self.run("cd /sys/bus/pci/devices; for d in *; do case $(cat $d/class) in "
                         "0x0200*) echo $d;; esac; done").split()
        if len(found) != len(TAPS):
            raise RuntimeError("the guest has these NICs: %s" % found)
        return found

    def bind(self, driver):
        for address in self.addresses:
            place = "/sys/bus/pci/devices/" + address
            self.run("[ ! -e {0}/driver ] || echo {1} >{0}/driver/unbind; "
                     "echo {2} >{0}/driver_override; "
                     "echo {1} >/sys/bus/pci/drivers_probe".format(place, address, driver))

    # The engine

    def launch(self, text, check=True):
        """Start it; what it has logged when it answers, or has ended."""
        # One that a check left running when it failed.
        self.run("while [ ! -e /tmp/status ] && kill -9 $(cat /tmp/pid); do sleep 0.2; done "
                 "2>/dev/null", check=False)
        self.put("/etc/synfront.yaml", text)
        self.run("rm -f /tmp/status /tmp/pid; { synfront --config /etc/synfront.yaml & "
                 "echo $! >/tmp/pid; wait $!; echo $? >/tmp/status; } >/tmp/log 2>&1 &")
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self.status() is not None:
                break
            if "running" in self.log() and "outside" in self.ask("ports", check=False):
                return self.log()
            time.sleep(0.2)
        if check:
            raise RuntimeError("synfront does not start:\n" + self.log())
        return self.log()

    def worker_seconds(self):
        """CPU time of all workers of the engine so far."""
        text = self.run("for t in /proc/$(cat /tmp/pid)/task/*; do case $(cat $t/comm) in "
                        "*worker*) cat $t/schedstat;; esac; done")
        return sum(int(line.split()[0]) for line in text.splitlines()) / 1e9

    def status(self):
        """The exit status of the last one that ended; None: it runs."""
        text = self.run("cat /tmp/status 2>/dev/null", check=False).strip()
        return int(text) if text else None

    def log(self):
        return self.run("cat /tmp/log")

    def ask(self, command, check=True):
        return self.run("synfrontctl --instance guest --json " + command + " 2>/dev/null",
                        check=check)

    def report(self, command):
        return json.loads(self.ask(command))

    def port(self, side):
        return next(row for row in self.report("ports") if row["side"] == side)

    def stop(self, number=15):
        """End it; its exit status."""
        self.run("kill -%d $(cat /tmp/pid)" % number)
        wait_for("synfront to end", lambda: self.status() is not None, PATIENCE_S, 0.2)
        return self.status()
