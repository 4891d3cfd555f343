# SPDX-License-Identifier: BSD-3-Clause
"""A machine that QEMU emulates, with the command line of its init.

Everything is emulated (tcg): no /dev/kvm is asked for. Its console is a file, and commands go
to it over a second serial line; see image.py for what it boots.
"""

import base64
import contextlib
import os
import re
import signal
import socket
import subprocess
import time

from lab import wait_for

MEMORY_MB = 1024
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


class Machine:
    """A machine of its own, with what an initramfs brings."""

    def __init__(self, kernel, initramfs, options=""):
        """`options` go to the kernel, with those that all have."""
        self.kernel, self.initramfs, self.options = kernel, initramfs, options
        self.process = self.line = None
        self.boot_s = None

    def argv(self, lab):
        return list(MACHINE) + [
            "-kernel", self.kernel, "-initrd", self.initramfs,
            "-append", " ".join((KERNEL, self.options)).strip(),
            "-serial", "file:" + self.console(lab),
            "-chardev", "socket,id=line,server=on,wait=off,path=" + self.path(lab, "line"),
            "-serial", "chardev:line",
            "-monitor", "unix:%s,server=on,wait=off" % self.path(lab, "monitor")]

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
