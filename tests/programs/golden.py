# SPDX-License-Identifier: BSD-3-Clause
"""The captures of the golden cases."""
import os

from captures import GOLDEN, wire


def cases():
    return sorted(name for name in os.listdir(GOLDEN)
                  if os.path.exists(os.path.join(GOLDEN, name, "case.txt")))


class Case:
    def __init__(self, name):
        folder = os.path.join(GOLDEN, name)
        with open(os.path.join(folder, "config.yaml"), encoding="utf-8") as file:
            self.config = file.read()
        with open(os.path.join(folder, "case.txt"), encoding="utf-8") as file:
            self.args = [line for line in file if line.startswith("run:")]
        self.args = " ".join(self.args).split()
        self.outside, self.inside = (
            wire.pcap_read(path) if os.path.exists(path) else []
            for path in (os.path.join(folder, side + ".pcap") for side in ("outside", "inside")))
        times = [at_us for at_us, _ in self.outside + self.inside]
        self.begin_us, self.end_us = min(times), max(times)
