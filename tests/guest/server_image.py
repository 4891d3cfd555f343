# SPDX-License-Identifier: BSD-3-Clause
"""What a server behind mode handoff boots: systemd, synfront-adopt with its unit, and, for the
other side, the engine. From this machine's own files, and one of Debian's kernels.

The archive unpacks itself into a file system that can be left for another, as a namespace of
mounts wants it, which systemd makes for the unit; then systemd is the first process.
"""

import glob
import os
import re

from engines import BUILD
import image
from machine import Unavailable

SYSTEMD = "/lib/systemd"
# What clients and server are connected by.
MODULES = ("tun",)
DRIVERS = ("bus_pci", "bus_vdev", "mempool_ring", "net_tap")
TESTS = "usr/lib/synfront-tests"
# The kernels of Debian 12 and 13 by their packages; oldest first.
KERNELS = ("linux-image-amd64", "linux-image-6.12-amd64")
# Where the unit's program says what it does: there is no journal.
LOG = "/run/synfront-adopt.log"
MACHINE_ID = b"73796e66726f6e742d61646f70742121\n"

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
for module in @MODULES@; do insmod /lib/modules/$module.ko; done
mkdir /real
mount -t tmpfs -o mode=755 tmpfs /real
for each in /*; do
	case $each in /real | /proc | /init | /sys | /dev) ;; *) cp -a $each /real/ ;; esac
done
mkdir -p /real/proc /real/sys /real/dev /real/var/tmp
ln -s /run /real/var/run
umount /proc
exec switch_root /real /usr/lib/systemd/systemd
"""
COMMAND_LINE = """#!/bin/sh
export PATH=/usr/sbin:/bin:/usr/bin
mkdir -p /dev/shm
ip link set lo up
""" + image.LINE
COMMAND_LINE_UNIT = """[Unit]
Description=Commands over a serial line
[Service]
ExecStart=/bin/sh /etc/command-line
"""
DROP_IN = """[Service]
StandardOutput=append:%s
StandardError=append:%s
""" % (LOG, LOG)


def version_of(tree):
    """(major, minor) of an unpacked kernel."""
    found = re.search(r"vmlinuz-(\d+)\.(\d+)", image.vmlinuz(tree))
    return int(found.group(1)), int(found.group(2))


def fetch_kernels():
    """[(version, folder)] of those that this Debian has, and [reason] of those that it has not."""
    found, missing = {}, []
    for meta in KERNELS:
        try:
            tree = image.fetch_kernel(meta)
            found[version_of(tree)] = tree
        except Unavailable as reason:
            missing.append(str(reason))
    return sorted(found.items()), missing


def unit():
    """(its text, the program that it starts, its configuration)."""
    with open(os.path.join(BUILD, "config/synfront-adopt.service")) as file:
        text = file.read()
    found = re.search(r"(?m)^ExecStart=(\S+) --config (\S+)", text)
    return text, found.group(1), found.group(2)


def add_systemd(archive):
    if not os.path.exists(SYSTEMD + "/systemd"):
        raise Unavailable("no systemd: %s/systemd is not there" % SYSTEMD)
    programs = {"usr/lib/systemd/" + name: os.path.join(SYSTEMD, name)
                for name in ("systemd", "systemd-executor")
                if os.path.exists(os.path.join(SYSTEMD, name))}
    programs["bin/systemctl"] = "/bin/systemctl"
    image.add_programs(archive, programs)
    # What it loads only when it needs it.
    for name in ("libseccomp.so.2", "libbpf.so.1", "libmount.so.1"):
        image.add_plugins(archive, glob.glob("/usr/lib/*-linux-gnu/" + name))
    for path in glob.glob(SYSTEMD + "/system/*.target"):
        if not os.path.islink(path):
            with open(path, "rb") as file:
                archive.file("usr/lib/systemd/system/" + os.path.basename(path), file.read(), 0o644)
    archive.file("etc/machine-id", MACHINE_ID, 0o444)
    archive.file("etc/os-release", b"ID=synfront\nNAME=synfront\n", 0o644)
    archive.file("etc/command-line", COMMAND_LINE.encode())
    place = "etc/systemd/system/"
    archive.file(place + "command-line.service", COMMAND_LINE_UNIT.encode(), 0o644)
    archive.directory(place + "multi-user.target.wants")
    archive.add(place + "multi-user.target.wants/command-line.service", 0o120777,
                b"/etc/systemd/system/command-line.service")
    archive.add(place + "default.target", 0o120777, b"/usr/lib/systemd/system/multi-user.target")


def add_agent(archive):
    text, program, _ = unit()
    built = os.path.join(BUILD, "app/synfront-adopt")
    if not os.path.exists(built):
        raise Unavailable("synfront-adopt is not built: clang, bpftool or libbpf is missing")
    programs = {program.lstrip("/"): built, "bin/synfront-adopt": built}
    for name in ("test_adopt_vectors", "bench_packets"):
        programs[os.path.join(TESTS, name)] = os.path.join(BUILD, "tests/adopt", name)
    image.add_programs(archive, programs)
    archive.file("etc/systemd/system/synfront-adopt.service", text.encode(), 0o644)
    archive.file("etc/systemd/system/synfront-adopt.service.d/log.conf", DROP_IN.encode(), 0o644)


def make(tree):
    """(kernel, initramfs): their paths."""
    archive = image.begin_archive()
    add_systemd(archive)
    add_agent(archive)
    image.add_programs(archive, {"bin/synfront": os.path.join(BUILD, "app/synfront"),
                                 "bin/synfrontctl": os.path.join(BUILD, "app/synfrontctl"),
                                 "usr/sbin/ip": os.path.realpath("/sbin/ip")})
    image.add_plugins(archive, image.drivers(DRIVERS))
    modules = image.add_modules(archive, tree, MODULES)
    archive.file("init", INIT.replace("@MODULES@", " ".join(modules)).encode())
    initramfs = os.path.join(image.PLACE, "server.cpio")
    archive.write(initramfs)
    return image.vmlinuz(tree), initramfs
