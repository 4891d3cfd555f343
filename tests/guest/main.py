#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The engine on PCI NICs, or synfront-adopt on other kernels, in a guest that QEMU emulates: see
scripts/guest."""

import argparse
import os
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "system")]
# pylint: disable=wrong-import-position
import image
import server_image
from guest import DEVICES
from machine import MEMORY_MB, Qemu, Unavailable
from server_trial import SINCE, ServerTrial
from trial import Trial

WORDS = {"ok": "passed", "FAIL": "failed", "skip": "skipped"}


def memory_free_mb():
    with open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) >> 10
    return 0


class Account:
    """Lines as they come, and how many of each kind."""

    def __init__(self):
        self.count = dict.fromkeys(WORDS.values(), 0)
        self.rows = []

    def tell(self, device, word, check, seconds, detail):
        self.count[WORDS[word]] += 1
        self.rows.append((device, word, check, detail))
        line = "%-5s %s: %s" % (word, device, check)
        if word == "FAIL":
            print("%s (%.1f s)" % (line, seconds))
            for part in detail.splitlines():
                print("      " + part)
        else:
            print(line + (": " + detail if detail else "")
                  + (" (%.1f s)" % seconds if word == "ok" else ""))
        sys.stdout.flush()

    def close(self):
        line = "%(passed)d passed, %(failed)d failed" % self.count
        if self.count["skipped"]:
            line += ", %(skipped)d skipped" % self.count
        print(line)
        return 1 if self.count["failed"] else 0


def prepare():
    """QEMU, if there is memory for it."""
    free_mb = memory_free_mb()
    if free_mb < 2 * MEMORY_MB:
        raise Unavailable("a guest takes %d MB and leaves as much, and of this machine's memory %d MB "
                          "are free" % (MEMORY_MB, free_mb))
    return Qemu()


def run(devices, account):
    try:
        qemu = prepare()
        kernel, initramfs = image.make()
    except Unavailable as reason:
        for device in devices:
            account.tell(device.name, "skip", "all", 0, str(reason))
        return
    for device in devices:
        why_not = qemu.why_not(device)
        if why_not:
            account.tell(device.name, "skip", "all", 0, why_not)
            continue
        begun = time.monotonic()
        tell = lambda *result, name=device.name: account.tell(name, *result)
        try:
            Trial(device, kernel, initramfs, tell).run()
        except Exception:  # pylint: disable=broad-except
            tell("FAIL", "goes on to its end", time.monotonic() - begun, traceback.format_exc())
        print("      %s took %.0f s, QEMU %s" % (device.name, time.monotonic() - begun, qemu.version),
              flush=True)


def run_adopt(account):
    """Each kernel of this Debian; one at least is to be there on either side of SINCE."""
    name = lambda version: "Linux %d.%d" % version
    try:
        qemu = prepare()
        kernels, missing = server_image.fetch_kernels()
    except Unavailable as reason:
        account.tell("adopt", "skip", "all", 0, str(reason))
        return
    for what, is_there in (("a kernel without the function", any(v < SINCE for v, _ in kernels)),
                           ("a kernel with it", any(v >= SINCE for v, _ in kernels))):
        if not is_there:
            account.tell("adopt", "skip", what, 0, "; ".join(missing) or "this system has none")
    for version, tree in kernels:
        begun = time.monotonic()
        tell = lambda *result, version=version: account.tell(name(version), *result)
        try:
            kernel, initramfs = server_image.make(tree)
            ServerTrial(version, kernel, initramfs, tell).run()
        except Unavailable as reason:
            tell("skip", "all", 0, str(reason))
        except Exception:  # pylint: disable=broad-except
            tell("FAIL", "goes on to its end", time.monotonic() - begun, traceback.format_exc())
        print("      %s took %.0f s, QEMU %s" % (name(version), time.monotonic() - begun,
                                                 qemu.version), flush=True)


def main():
    names = [device.name for device in DEVICES]
    parser = argparse.ArgumentParser(prog="guest", description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=names + ["all"], default="all",
                        help="the kind of NIC; all by default")
    parser.add_argument("--adopt", action="store_true", help="synfront-adopt instead")
    options = parser.parse_args()
    account = Account()
    if options.adopt:
        run_adopt(account)
        return account.close()
    run([device for device in DEVICES if options.device in (device.name, "all")], account)
    return account.close()


if __name__ == "__main__":
    sys.exit(main())
