# SPDX-License-Identifier: BSD-3-Clause
"""scripts/report: run what records figures, and write one report of them."""

import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile

from document import markdown
from sources import BUILD, ROOT, conformance, fuzz, fuzz_now, machine, read, soak

SYSTEM = os.path.join(ROOT, "tests/system")


def options():
    parser = argparse.ArgumentParser(prog="scripts/report", description=__doc__)
    parser.add_argument("--long", action="store_true", help="long variants of the tests")
    parser.add_argument("--only", default="", metavar="PATTERN",
                        help="only test files whose name has it")
    parser.add_argument("--figures", action="append", default=[], metavar="FILE",
                        help="figures of an earlier run instead of a new one; may be repeated")
    parser.add_argument("--conformance", metavar="FILE",
                        help="the report of an earlier tests/conformance/run --report FILE")
    parser.add_argument("--fuzz", type=int, default=0, metavar="SECONDS")
    parser.add_argument("--out", default=os.path.join(BUILD, "report"), metavar="DIRECTORY")
    return parser.parse_args()


def recording_tests(only):
    """Names of the system tests' files that record figures."""
    for path in sorted(glob.glob(os.path.join(SYSTEM, "test_*.py"))):
        name = os.path.basename(path)[5:-3]
        with open(path) as file:
            if only in name and ".record(" in file.read():
                yield name


def run_system(name, is_long):
    """One file of system tests: its closing line and its figures."""
    with tempfile.NamedTemporaryFile(suffix=".json") as figures:
        argv = ["/usr/bin/python3", os.path.join(SYSTEM, "run.py"), "--only", name + ".*",
                "--figures", figures.name] + ["--long"] * is_long
        print("report: %s" % name, flush=True)
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True) as process:
            line = ""
            for line in process.stdout:
                print("  " + line, end="", flush=True)
        text = figures.read()
        return line.strip(), process.returncode, json.loads(text) if text else {}


def main():
    chosen = options()
    data = {"machine": machine(), "long": chosen.long, "taken": chosen.figures, "runs": {},
            "tables": {}, "conformance": None}
    failed = False
    for path in chosen.figures:
        with open(path) as file:
            merge(data["tables"], json.load(file))
    if not chosen.figures:
        for name in recording_tests(chosen.only):
            line, status, figures = run_system(name, chosen.long)
            data["runs"]["system tests, " + name] = line
            failed |= status != 0
            merge(data["tables"], figures)
    if chosen.conformance:
        data["conformance"] = read(chosen.conformance)
    elif not chosen.figures and not chosen.only:
        found = conformance()
        if found:
            data["runs"]["conformance"], status, data["conformance"] = found
            failed |= status != 0
    if chosen.fuzz:
        failed |= fuzz_now(chosen.fuzz) != 0
    data["fuzz"], data["soak"] = fuzz(), soak()
    os.makedirs(chosen.out, exist_ok=True)
    with open(os.path.join(chosen.out, "report.json"), "w") as file:
        json.dump(data, file, indent=1)
        file.write("\n")
    with open(os.path.join(chosen.out, "report.md"), "w") as file:
        file.write(markdown(data))
    print("%s: report.md report.json" % chosen.out)
    return 1 if failed else 0


def merge(tables, figures):
    for table, rows in figures.items():
        tables.setdefault(table, []).extend(rows)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
