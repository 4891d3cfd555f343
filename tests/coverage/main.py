#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which branches do the fast tests take both ways?

    scripts/coverage [--build DIR] [--keep] [--verbose]

Builds with clang-19 and its instrumentation, runs the unit tests, the golden cases and the
fuzzers' fixed runs, and reads what llvm-cov says of lib/wire, lib/proto and what belongs to it.
A branch is one outcome, true or false, of one condition. What was never taken is a gap: it
must stand in tests/coverage/gaps.txt with its reason, and gaps may be at most one branch in
twenty. Conditions that were each seen to decide alone (MC/DC) are counted, too, but not
asked for.

--build is where to build (default build-coverage), --keep does not build anew, --verbose
lists every gap. The last line is `N passed, N failed`.
"""
import argparse
import bisect
import glob
import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(HERE, "..", "mutants"))
import lexer  # noqa: E402
import reasons  # noqa: E402

FILES = re.compile(r"^lib/(wire|cookie|table|proto)/\w+\.[ch]$")
SUITES = ("unit", "golden", "fuzz")
WANTED = 0.95
FLAGS = "-fprofile-instr-generate -fcoverage-mapping -fcoverage-mcdc"


def must(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    if done.returncode != 0:
        sys.exit("coverage: %s\n%s" % (" ".join(command), done.stdout[-5000:]))
    return done.stdout


def programs(where):
    """What the tests run, of what is built."""
    tests = json.loads(must(["meson", "introspect", "--tests", where]))
    words = {os.path.relpath(os.path.join(where, word), where) for test in tests
             if test["suite"][0].split(":")[-1] in SUITES for word in test["cmd"]}
    built = {line.split(": ")[0] for line in
             must(["ninja", "-C", where, "-t", "targets", "all"]).splitlines()}
    return sorted(words & built)


def build(where):
    # What is run while it is built, meson's own trials too, records nothing that is wanted.
    os.environ["LLVM_PROFILE_FILE"] = os.devnull
    must(["clang-19", "--version"])
    if not os.path.exists(os.path.join(where, "build.ninja")):
        must(["meson", "setup", where, "-Db_lto=false", "-Doptimization=1", "-Dwerror=false",
              "-Dc_args=" + FLAGS, "-Dc_link_args=-fprofile-instr-generate"],
             cwd=ROOT, env=dict(os.environ, CC="clang-19"))
    must(["ninja", "-C", where, "build.ninja"])
    must(["ninja", "-C", where] + programs(where))


def run_tests(where):
    """The path of what all runs together have recorded."""
    raw = os.path.join(where, "profiles")
    os.makedirs(raw, exist_ok=True)
    for name in glob.glob(raw + "/*"):
        os.unlink(name)
    suites = [word for suite in SUITES for word in ("--suite", suite)]
    must(["meson", "test", "-C", where, "--no-rebuild", "--timeout-multiplier", "5"] + suites,
         env=dict(os.environ, LLVM_PROFILE_FILE=raw + "/%m-%p.profraw"))
    merged = os.path.join(raw, "merged")
    must(["llvm-profdata-19", "merge", "-sparse", "-o", merged] + glob.glob(raw + "/*.profraw"))
    return merged


class File:
    """The branches of one file, each by where its condition stands."""

    def __init__(self, path):
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            self.text = file.read()
        self.path = path
        self.starts = [0] + [m.end() for m in re.finditer("\n", self.text)]
        tokens = [t for t in lexer.read(self.text).tokens if t.function]
        self.offsets = [t.start for t in tokens]
        self.functions = [t.function for t in tokens]
        self.branches = {}   # (start, end) -> [times true, times false]
        self.decisions = {}  # (start, end) -> [decided alone?, for each condition]

    def offset(self, line, column):
        return self.starts[line - 1] + column - 1

    def add(self, entries):
        for entry in entries:
            where = self.offset(entry[0], entry[1]), self.offset(entry[2], entry[3])
            counts = self.branches.setdefault(where, [0, 0])
            counts[0] += entry[4]
            counts[1] += entry[5]

    def add_decisions(self, records):
        for record in records:
            where = self.offset(record[0], record[1]), self.offset(record[2], record[3])
            seen = record[-1]
            before = self.decisions.setdefault(where, [False] * len(seen))
            self.decisions[where] = [a or b for a, b in zip(before, seen)]

    def gaps(self):
        """(line, key), a key saying the same wherever the lines have gone."""
        for (start, end), counts in sorted(self.branches.items()):
            at = bisect.bisect_right(self.offsets, start) - 1
            function = self.functions[at] if at >= 0 else ""
            condition = " ".join(self.text[start:end].split()).replace("`", "'")
            line = bisect.bisect_right(self.starts, start)
            for times, word in zip(counts, ("true", "false")):
                if times == 0:
                    yield line, "%s %s: `%s` never %s" % (
                        os.path.basename(self.path), function, condition, word)


def read_coverage(where, merged):
    every = [os.path.join(where, name) for name in programs(where)]
    command = ["llvm-cov-19", "export", "--format=text", "--skip-expansions",
               "--skip-functions", "--instr-profile=" + merged, every[0]]
    for name in every[1:]:
        command += ["--object", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=True)
    files = {}
    for entry in json.loads(done.stdout)["data"][0]["files"]:
        path = os.path.relpath(entry["filename"], ROOT)
        if FILES.match(path):
            file = files.setdefault(path, File(path))
            file.add(entry["branches"])
            file.add_decisions(entry.get("mcdc_records", []))
    return files


def percent(part, whole):
    return "%5.1f %%" % (100.0 * part / max(whole, 1))


def report(files, known, verbose):
    n_branches = n_gaps = n_conditions = n_alone = 0
    unnamed, met = [], set()
    for path, file in sorted(files.items()):
        gaps = list(file.gaps())
        n = 2 * len(file.branches)
        if n:
            print("%s  %4d of %4d  %s" % (percent(n - len(gaps), n), n - len(gaps), n, path))
        for line, key in gaps:
            met.add(key)
            if not known.get(key):
                unnamed.append("%s:%d %s" % (path, line, key))
            elif verbose:
                print("        %d %s: %s" % (line, key, known[key]))
        n_branches += n
        n_gaps += len(gaps)
        n_conditions += sum(len(seen) for seen in file.decisions.values())
        n_alone += sum(sum(seen) for seen in file.decisions.values())
    print("%s of %d branches; MC/DC %s of %d conditions" % (
        percent(n_branches - n_gaps, n_branches), n_branches, percent(n_alone, n_conditions),
        n_conditions))
    for line in unnamed:
        print("no test, no reason: " + line)
    for key in sorted(set(known) - met):
        print("a reason for no gap: " + key)
    too_few = n_branches - n_gaps < WANTED * n_branches
    if too_few:
        print("less than %.0f %% of the branches" % (100 * WANTED))
    print("%d passed, %d failed" % (n_branches - len(unnamed), len(unnamed) + too_few))
    return 1 if unnamed or too_few else 0


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/coverage", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build-coverage")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    where = os.path.join(ROOT, args.build)
    if not args.keep:
        build(where)
    files = read_coverage(where, run_tests(where))
    return report(files, reasons.read(os.path.join(HERE, "gaps.txt")), args.verbose)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
