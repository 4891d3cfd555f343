# SPDX-License-Identifier: BSD-3-Clause
"""What a segment costs in the program that synfront-adopt loads, by case."""

import json
import os
import subprocess

from stage import BUILD

PROGRAM = os.path.join(BUILD, "tests/adopt/bench_packets")
SKIPPED = 77
# What is found by one look-up is what every packet of a server pays.
BASE = "of a connection"
# What a start of the agent may take of the kernel, most of it the verifier's.
LOAD_MS = 1000


def run(results, quick):
    if not os.path.exists(PROGRAM):
        raise RuntimeError("synfront-adopt is not built: clang, bpftool or libbpf is missing")
    done = subprocess.run((PROGRAM, "5000" if quick else "500000"), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == SKIPPED:
        print("bench: adopt %s" % done.stderr.strip())
        return
    if done.returncode:
        raise RuntimeError(done.stderr)
    found = json.loads(done.stdout)
    load_ms, verified = found.pop("load, ms"), found.pop("verified instructions", None)
    results.row("adopt", "load into the kernel, time of the CPU", ratio=load_ms / LOAD_MS, bar=1, at_most=True,
                ours=load_ms, peer=LOAD_MS, unit="ms", against="a second",
                note="" if verified is None else "the verifier looked at %d instructions" % verified)
    for name, ns in found.items():
        results.row("adopt", "segment that is " + name if name.startswith(("of", "not"))
                    else "segment: " + name, ratio=ns / found[BASE] if found[BASE] else None,
                    ours=ns, peer=found[BASE], unit="ns", against="one of a connection")
