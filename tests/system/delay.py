# SPDX-License-Identifier: BSD-3-Clause
"""Distance in a lab: tests/delay/delay between two devices.

A spec is what the program takes for each way, e.g. "delay=50ms,loss=1%"; two of
them, separated by "/", are for the ways there (from the client) and back.
"""

import contextlib
import json
import os
import signal

from engines import BUILD
from lab import wait_for

PROGRAM = os.path.join(BUILD, "tests/delay/delay")
# A cable of its own in the box: one end is the line's, the other is on the bridge.
NEAR, FAR, OUTSIDE = "to-client", "line", "line-out"


def ways(spec):
    """The specs (there, back) of one text."""
    there, slash, back = spec.partition("/")
    return there, back if slash else there


class Delay:
    """The element between two devices of a node, which must be on no bridge then."""

    number = 0

    def __init__(self, lab, node, devices, there, back=None, seed=1):
        Delay.number += 1
        self.lab = lab
        self.process = lab.spawn(node, "delay%d" % Delay.number, PROGRAM, "--realtime", "--seed",
                                 str(seed), "--there", there, "--back",
                                 there if back is None else back, *devices)
        try:
            wait_for("the delay to be ready", self.ready, 10, 0.01)
        except BaseException:
            self.end()
            raise

    def ready(self):
        if not self.process.running():
            raise RuntimeError("delay ended:\n" + self.process.output())
        return "ready\n" in self.process.output()

    def reports(self):
        return [line for line in self.process.output().splitlines(True)
                if line.startswith("{") and line.endswith("}\n")]

    def counts(self):
        """{"there": {"received": ...}, "back": ...} so far."""
        before = len(self.reports())
        self.process.kill(signal.SIGUSR1)
        return json.loads(wait_for("the counts of the delay",
                                   lambda: self.reports()[before:], 10, 0.005)[-1])

    def end(self):
        """Take it away; what is in it is lost. The last counts."""
        self.lab.end(self.process)
        reports = self.reports()
        return json.loads(reports[-1]) if reports else None


@contextlib.contextmanager
def far_client(lab, there, back=None, seed=1):
    """The lab's client is far away from br-out, and everybody else, for the length of a
    block."""
    run = lambda *argv, **more: lab.run("box", *argv, **more)
    run("ip", "link", "add", FAR, "mtu", "9000", "type", "veth", "peer", "name", OUTSIDE, "mtu",
        "9000")
    try:
        for device in (FAR, OUTSIDE):
            run("ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
            run("ip", "link", "set", device, "up")
        lab.join(OUTSIDE, "br-out")
        run("ip", "link", "set", NEAR, "nomaster")
        line = Delay(lab, "box", (NEAR, FAR), there, back, seed)
        try:
            yield line
        finally:
            line.end()
    finally:
        run("ip", "link", "del", FAR, check=False)
        lab.join(NEAR, "br-out")
