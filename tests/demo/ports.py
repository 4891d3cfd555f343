# SPDX-License-Identifier: BSD-3-Clause
"""The demo's engine and its ports: AF_XDP on veth, or what there is instead."""

import contextlib
import os
import subprocess

from engines import Synfront, XdpSynfront
from lab import ROOT


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
