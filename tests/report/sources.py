# SPDX-License-Identifier: BSD-3-Clause
"""What a report is made of besides the system tests' figures."""

import glob
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "bench"))
# pylint: disable=wrong-import-position
from stage import BUILD, ROOT, machine  # noqa: F401  pylint: disable=unused-import

BUILD_FUZZ = os.environ.get("SYNFRONT_BUILD_FUZZ", os.path.join(ROOT, "build-fuzz"))
CONFORMANCE = os.path.join(ROOT, "tests/conformance/run")


def conformance():
    """(closing line, status, the report as Markdown), or None without such tests."""
    if not os.access(CONFORMANCE, os.X_OK):
        return None
    print("report: conformance", flush=True)
    with tempfile.TemporaryDirectory() as place:
        path = os.path.join(place, "conformance.md")
        done = subprocess.run((CONFORMANCE, "--report", path), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        lines = done.stdout.strip().splitlines() or [""]
        print("".join("  %s\n" % line for line in lines if not line.startswith("ok ")), end="")
        return lines[-1], done.returncode, read(path)


def read(path):
    """A text that may be missing."""
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def fuzz_now(seconds):
    print("report: fuzzers, %d s" % seconds, flush=True)
    return subprocess.run((os.path.join(ROOT, "scripts/fuzz"), str(seconds)),
                          check=False).returncode


def fuzz():
    """One row for each fuzzer, from the log of its last run."""
    rows = []
    for path in sorted(glob.glob(os.path.join(BUILD_FUZZ, "*.log"))):
        with open(path, errors="replace") as file:
            text = file.read()
        done = re.search(r"Done (\d+) runs in (\d+) second", text)
        reached = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", text)
        if done and reached:
            rows.append({"fuzzer": os.path.basename(path)[:-4], "executions": int(done.group(1)),
                         "seconds": int(done.group(2)), "edges": int(reached[-1][0]),
                         "features": int(reached[-1][1]), "inputs": int(reached[-1][2]),
                         "findings": len(re.findall("Test unit written to", text))})
    return rows


def soak():
    """The account of the last soak, as Markdown, or None."""
    return read(os.path.join(BUILD, "soak/account.md"))
