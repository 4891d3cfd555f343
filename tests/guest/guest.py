# SPDX-License-Identifier: BSD-3-Clause
"""A guest under QEMU, with the engine in it, between the lab's bridges: its two NICs are TAPs in
the namespace "box".
"""

import json
import time

from engines import TAPS, has_link
from lab import SERVER, wait_for
from machine import PATIENCE_S, Machine

HUGEPAGES = 160  # of 2 MB
PCI = "/sys/bus/pci/devices/"


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


class Guest(Machine):
    """An engine of the lab, see Lab.insert(): the machine first, then synfront in it."""

    name = "guest"
    home = SERVER

    def __init__(self, device, kernel, initramfs):
        super().__init__(kernel, initramfs)
        self.device = device
        self.addresses = None

    # The machine

    def argv(self, lab):
        argv = super().argv(lab)
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

    def begin(self, lab):
        super().begin(lab)
        for tap, bridge in TAPS:
            wait_for("QEMU to make " + tap, lambda tap=tap: has_link(lab, tap))
            lab.run("box", "ip", "link", "set", tap, "mtu", "9000", "txqueuelen", "20000")
            lab.join(tap, bridge)
        self.addresses = self.find_nics()

    def set_link(self, number, is_up):
        self.hmp("set_link nic%d %s" % (number, "on" if is_up else "off"))

    def find_nics(self):
        """The PCI addresses of the NICs, outside first."""
        found = self.run("cd /sys/bus/pci/devices; for d in *; do case $(cat $d/class) in "
                         "0x0200*) echo $d;; esac; done").split()
        if len(found) != len(TAPS):
            raise RuntimeError("the guest has these NICs: %s" % found)
        return found

    def unbind(self):
        for address in self.addresses:
            self.run("[ ! -e {0}/driver ] || echo {1} >{0}/driver/unbind".format(
                PCI + address, address))

    def bind(self, driver):
        self.unbind()
        for address in self.addresses:
            self.run("echo {2} >{0}/driver_override; echo {1} >/sys/bus/pci/drivers_probe".format(
                PCI + address, address, driver))

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
