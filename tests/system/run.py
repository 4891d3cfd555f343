#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run the system tests: functions test_* of test_*.py, each with a Bench.

    run.py [--long | --brief | --thorough] [--only PATTERN] [--engine synfront|testpmd|wire] [--workers N]
           [--delay SPEC] [--shuffle] [--part K/N] [--later FILE | --from FILE]
           [--figures FILE] [--list]

One lab and one engine serve all tests; a test that needs another engine puts it
in with Bench.engine(), and the shared one comes back before the next test that may want it:
not where a module says BRINGS_ENGINES, since each of its tests puts one in. With another
engine than synfront only the tests run that must pass with any (@anywhere).
Parts are for running them beside each other: each has a lab of its own. What fails there may
have failed for want of a CPU: with --later its name is noted in a file and it counts as neither;
--from runs those again, alone, and then they count. The last line is `N passed, N failed[, N
skipped]`.
"""

import argparse
import contextlib
import fnmatch
import importlib
import json
import os
import resource
import secrets
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
# pylint: disable=wrong-import-position
from bench import Bench, Skip
from engines import Synfront, shuffled
from lab import Lab


def collect():
    """All tests as (module.name, function), in the order of the files' lines."""
    for file in sorted(os.listdir(HERE)):
        if file.startswith("test_") and file.endswith(".py"):
            module = importlib.import_module(file[:-3])
            for name, function in vars(module).items():
                if name.startswith("test_") and callable(function) \
                        and function.__module__ == module.__name__:
                    yield "%s.%s" % (file[5:-3], name[5:]), function


def run_one(bench, name, function):
    """One of "passed", "failed", "skipped", "later"."""
    later = bench.options.later
    begun = time.monotonic()
    try:
        function(bench)
    except Skip as reason:
        print("skip  %s: %s" % (name, reason), flush=True)
        return "skipped"
    except Exception:  # pylint: disable=broad-except
        print("%-5s %s (%.1f s)" % ("later" if later else "FAIL", name, time.monotonic() - begun))
        for line in traceback.format_exc().splitlines() + bench.evidence():
            print("      " + line)
        sys.stdout.flush()
        if not later:
            return "failed"
        with open(later, "a") as file:
            file.write(name + "\n")
        return "later"
    finally:
        bench.tidy()
    print("ok    %s (%.1f s)" % (name, time.monotonic() - begun), flush=True)
    return "passed"


def part(text):
    """The K and N of "K/N"."""
    try:
        number, of = (int(field) for field in text.split("/"))
    except ValueError:
        number, of = 0, 0
    if not 1 <= number <= of:
        raise argparse.ArgumentTypeError("%r is not K/N with 1 <= K <= N" % text)
    return number, of


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--long", action="store_true", help="full matrices")
    extent.add_argument("--brief", action="store_true",
                        help="without those that take many seconds of a CPU (@thorough)")
    extent.add_argument("--thorough", action="store_true", help="those alone")
    parser.add_argument("--only", metavar="PATTERN", help="tests whose name has or matches it")
    parser.add_argument("--engine", choices=("synfront", "testpmd", "wire"), default="synfront")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--shuffle", action="store_true",
                        help="every frame goes to a random worker")
    parser.add_argument("--delay", metavar="THERE[/BACK]",
                        help="the client is so far away, e.g. delay=50ms,loss=1%%; see"
                             " tests/delay/delay --help")
    parser.add_argument("--part", metavar="K/N", type=part, default=(1, 1),
                        help="only the Kth of every N tests")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--later", metavar="FILE", help="note there what fails, uncounted")
    again.add_argument("--from", metavar="FILE", dest="names", type=argparse.FileType(),
                       help="only the tests that are named there, a line each")
    parser.add_argument("--figures", metavar="FILE",
                        help="write what the tests measured and counted, as JSON")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()

    tests = [(name, function) for name, function in collect()
             if not options.only or options.only in name or fnmatch.fnmatch(name, options.only)]
    if options.brief or options.thorough:
        tests = [test for test in tests
                 if getattr(test[1], "thorough", False) == options.thorough]
    if options.names:
        names = set(options.names.read().split())
        tests = [test for test in tests if test[0] in names]
    number, of = options.part
    tests = tests[number - 1::of]
    if options.list:
        for name, function in tests:
            print("%-44s %s" % (name, (function.__doc__ or "").split("\n")[0]))
        return 0
    if options.shuffle:
        Synfront.env = shuffled()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count = dict.fromkeys(("passed", "failed", "skipped", "later"), 0)
    with Lab() as lab, contextlib.closing(Bench(lab, options)) as bench:
        secret = os.path.join(lab.work, "secret")
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
        bench.far(options.delay)
        tests = [test for test in tests if options.engine == "synfront"
                 or getattr(test[1], "anywhere", False)]
        for number, (name, function) in enumerate(tests):
            try:
                bench.renew(hasattr(sys.modules[function.__module__], "BRINGS_ENGINES"))
            except Exception as error:  # pylint: disable=broad-except
                print("FAIL  %s and all after it: the engine does not start: %s" % (name, error))
                count["failed"] += len(tests) - number
                break
            count[run_one(bench, name, function)] += 1
    if options.figures:
        with open(options.figures, "w") as file:
            json.dump(bench.figures, file, indent=1)
            file.write("\n")
    line = "%(passed)d passed, %(failed)d failed" % count
    if count["skipped"]:
        line += ", %(skipped)d skipped" % count
    print(line)
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
