# SPDX-License-Identifier: BSD-3-Clause
"""Running synfront-pcap, and finding it."""
import json
import os
import subprocess
import tempfile

import wire

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SIDES = ("outside", "inside")


def binary(given):
    program = given or os.environ.get("SYNFRONT_PCAP") or os.path.join(
        ROOT, "build", "app", "synfront-pcap")
    if not os.access(program, os.X_OK):
        raise SystemExit("%s: not there; build it, or name it by --binary" % program)
    return program


class Failed(Exception):
    pass


def run(program, config, inputs, args):
    """inputs: side -> path of a capture file. Returns (side -> [(time, frame)], counters, rows of
    the decision table that were taken)."""
    with tempfile.TemporaryDirectory(prefix="golden-") as out:
        command = [program, "--config", config, "--counters", out + "/counters",
                   "--rows", out + "/rows"]
        for side, path in inputs.items():
            command += ["--" + side, path]
        for side in SIDES:
            command += ["--write-" + side, "%s/%s" % (out, side)]
        done = subprocess.run(command + list(args), capture_output=True, text=True, timeout=120,
                              check=False)
        if done.returncode != 0 or done.stderr:
            raise Failed("exit status %d: %s" % (done.returncode, done.stderr.strip()))
        with open(out + "/counters", encoding="ascii") as file:
            counters = json.load(file)
        with open(out + "/rows", encoding="ascii") as file:
            rows = set(file.read().split())
        return {s: wire.pcap_read("%s/%s" % (out, s)) for s in SIDES}, counters, rows


def asker(program, config, args):
    """For Case: frames in, frames out. Time goes on after the last one."""
    def ask(inputs, until_us):
        with tempfile.TemporaryDirectory(prefix="golden-") as where:
            paths = {}
            for side in SIDES:
                if inputs[side]:
                    paths[side] = "%s/%s.pcap" % (where, side)
                    with open(paths[side], "wb") as file:
                        file.write(wire.pcap_bytes(inputs[side]))
            left, _, _ = run(program, config, paths, list(args) + ["--until", "%.6f" % (until_us / 1e6)])
        return {side: [frame for _, frame in left[side]] for side in SIDES}
    return ask
