# SPDX-License-Identifier: BSD-3-Clause
"""What the guest boots: Debian's kernel and an initramfs with nothing in it but busybox, our
programs with their libraries, and the drivers of the NICs that QEMU has.

There is no disk image and no installation. The kernel is taken out of Debian's package, which
is downloaded once; the archive (newc, see cpio(5)) is written here.
"""

import glob
import lzma
import os
import re
import shutil
import subprocess

from engines import BUILD
from machine import Unavailable

PLACE = os.path.join(BUILD, "guest")
# In an order in which each finds what it needs; newer kernels have some of them built in.
MODULES = ("irqbypass", "vfio", "vfio_virqfd", "vfio-virqfd", "vfio_iommu_type1", "vfio-pci-core",
           "vfio-pci", "uio", "uio_pci_generic")
DRIVERS = ("bus_pci", "bus_vdev", "mempool_ring", "net_virtio", "net_e1000", "net_vmxnet3")
DIRECTORIES = ("bin", "dev", "etc", "lib", "lib/modules", "proc", "run", "sys", "tmp", "usr",
               "usr/bin")

# The command line: a line in, after its length, its output, and a line with its status. On a busy
# machine the guest's serial port loses bytes, so a line of another length is asked for again; see
# Machine.run().
LINE = """stty -F /dev/ttyS1 raw -echo
exec </dev/ttyS1 >/dev/ttyS1 2>&1
echo @@ready
while IFS= read -r line; do
	length=${line%% *}
	line=${line#* }
	if [ "$length" = ${#line} ]; then
		sh -c "$line"
		echo "@@status $?"
	else
		echo @@again
	fi
done
"""
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin
chmod 755 /
mkdir -p /var /run && ln -s /run /var/run
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/hugepages /dev/shm
mount -t tmpfs tmpfs /run
mount -t hugetlbfs none /dev/hugepages
ip link set lo up
for module in @MODULES@; do insmod /lib/modules/$module.ko; done
""" + LINE + """poweroff -f
"""


def output(*argv, cwd=None):
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd,
                              text=True, check=False)
    except OSError as error:
        raise Unavailable("%s: %s" % (argv[0], error.strerror)) from error
    if done.returncode:
        raise Unavailable("%s: %s" % (" ".join(argv), done.stdout.strip()))
    return done.stdout


def kernel_package(meta):
    """The name of the package of the present kernel by which Debian's `meta` goes."""
    names = re.findall(r"Depends: (linux-image-\S+)", output("apt-cache", "depends", meta))
    if not names:
        raise Unavailable("apt knows no " + meta)
    return names[0]


def fetch_kernel(meta="linux-image-amd64"):
    """The folder in which the kernel's package is unpacked."""
    package = kernel_package(meta)
    tree = os.path.join(PLACE, package)
    if os.path.isdir(tree):
        return tree
    os.makedirs(PLACE, exist_ok=True)
    debs = os.path.join(PLACE, package + "_*.deb")
    if not glob.glob(debs):
        output("apt-get", "download", package, cwd=PLACE)
    part = tree + ".part"
    shutil.rmtree(part, ignore_errors=True)
    output("dpkg-deb", "-x", glob.glob(debs)[0], part)
    os.rename(part, tree)
    for deb in glob.glob(debs):
        os.remove(deb)
    return tree


def libraries(path):
    """The shared objects that a program or library needs, its loader too."""
    return set(re.findall(r"(/\S+) \(0x", output("ldd", path)))


class Archive:
    """An initramfs in the making."""

    def __init__(self):
        self.pieces = []
        self.names = set()

    def add(self, name, mode, data=b"", device=(0, 0)):
        if name in self.names:
            return
        self.names.add(name)
        fields = (len(self.names), mode, 0, 0, 1, 0, len(data), 0, 0) + device + (len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        for piece in (head, data):
            self.pieces.append(piece + bytes(-len(piece) % 4))

    def directory(self, name):
        path = ""
        for part in name.split("/"):
            path = os.path.join(path, part)
            self.add(path, 0o40755)

    def file(self, name, data, mode=0o755):
        self.directory(os.path.dirname(name) or "tmp")
        self.add(name, 0o100000 | mode, data)

    def copy(self, path):
        """A file where it is here, and where links lead to it: a library that was there twice
        would be loaded twice."""
        real = os.path.realpath(path)
        with open(real, "rb") as file:
            self.file(real.lstrip("/"), file.read())
        if real != path:
            self.directory(os.path.dirname(path).lstrip("/"))
            self.add(path.lstrip("/"), 0o120777, real.encode())

    def write(self, path):
        self.add("TRAILER!!!", 0)
        with open(path, "wb") as file:
            file.write(b"".join(self.pieces))


def drivers(names=DRIVERS):
    """Those of DPDK's drivers that the guest gets: EAL loads all that are in its folder."""
    libdir = output("pkg-config", "--variable=libdir", "libdpdk").strip()
    found = [path for name in names for path in
             glob.glob(os.path.join(libdir, "dpdk", "pmds-*", "librte_%s.so.*.*" % name))]
    if not found:
        raise Unavailable("DPDK's drivers are not in %s" % libdir)
    return found


def add_modules(archive, tree, modules):
    """Those of the modules that there are."""
    names = []
    for module in modules:
        for path in glob.glob(os.path.join(tree, "**", module + ".ko*"), recursive=True):
            with open(path, "rb") as file:
                data = file.read()
            archive.file("lib/modules/%s.ko" % module,
                         lzma.decompress(data) if path.endswith(".xz") else data)
            names.append(module)
    return names


def add_programs(archive, programs):
    """{name in the archive: path here}, and what they are linked with."""
    needed = set()
    for name, path in programs.items():
        with open(path, "rb") as file:
            archive.file(name, file.read())
        needed |= libraries(path)
    for path in sorted(needed):
        archive.copy(path)


def add_plugins(archive, paths):
    """Files where they are here, and what they are linked with."""
    for path in paths:
        archive.copy(path)
    for path in sorted(set().union(*map(libraries, paths))):
        archive.copy(path)


def begin_archive():
    """One with busybox and users in it."""
    archive = Archive()
    for name in DIRECTORIES:
        archive.directory(name)
    archive.add("dev/console", 0o20600, device=(5, 1))
    try:
        with open("/bin/busybox", "rb") as file:
            archive.file("bin/busybox", file.read())
    except OSError as error:
        raise Unavailable("no busybox: /bin/busybox: %s" % error.strerror) from error
    archive.file("etc/passwd", b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n", 0o644)
    archive.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n", 0o644)
    return archive


def vmlinuz(tree):
    return glob.glob(os.path.join(tree, "boot/vmlinuz-*"))[0]


def make():
    """(kernel, initramfs): their paths."""
    tree = fetch_kernel()
    archive = begin_archive()
    add_programs(archive, {"bin/" + name: os.path.join(BUILD, "app", name)
                           for name in ("synfront", "synfrontctl")})
    add_plugins(archive, drivers())
    modules = add_modules(archive, tree, MODULES)
    archive.file("init", INIT.replace("@MODULES@", " ".join(modules)).encode())
    initramfs = os.path.join(PLACE, "initramfs.cpio")
    archive.write(initramfs)
    return vmlinuz(tree), initramfs
