# SPDX-License-Identifier: BSD-3-Clause
"""Runs tests/bench/generator.c."""

import json
import os

from stage import BUILD, GENERATOR_CPU, leave_nothing


class Generator:
    """tests/bench/generator.c on a device; bounded by its own --seconds."""

    number = 0

    def __init__(self, stage, node, device, *options, seconds, cpu=GENERATOR_CPU):
        Generator.number += 1
        self.stage = stage
        self.tag = "%s-gen%d" % (stage.id, Generator.number)
        argv = [os.path.join(BUILD, "tests/bench/generator"), "--no-pci", "--no-huge", "-m", "128",
                "--single-file-segments", "--no-telemetry", "--file-prefix", self.tag,
                "--lcores", "0@%d" % cpu, "--vdev", device, "--", *options,
                "--seconds", str(seconds)]
        self.process = stage.spawn(node, "gen%d" % Generator.number, *argv)

    def end(self):
        self.stage.end(self.process)
        leave_nothing(self.tag)

    def account(self, patience=60):
        """Wait for its end; what it says of itself."""
        try:
            self.process.wait(patience)
        finally:
            self.end()
        for line in self.process.output().splitlines():
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError("the generator failed:\n" + self.process.output())
