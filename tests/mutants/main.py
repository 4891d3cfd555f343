#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Do the fast tests notice when the code is wrong? Small sabotages, one at a time.

    scripts/mutants [--count N] [--seed N] [--slice I/N] [--only FILE]... [--jobs N]
                    [--again FILE] [--list] [--verbose]

Each sabotage changes one thing in lib/wire, lib/proto and what belongs to it, lib/front or the
worker: a comparison, a boundary, a constant, a condition, a cap; or it drops a call. It is
compiled alone, in a private copy of the tree, and the unit tests, the golden cases, the fuzzers' fixed
runs and, for the worker, its threads run until one of them fails. One whose object code is the
same as before is no sabotage and does not count; neither is one that does not compile.

Which ones are drawn depends on --seed and on what the code says, not on where it stands.
--slice runs the I-th of N parts of them, --only those of files with FILE in their path,
--again those that were not noticed by the run whose output is in FILE, --list shows them and
runs none.

What no test notices is listed with file and line, and counts as failed unless
tests/mutants/explained.txt has it with a sentence that says why nothing can notice it. The
last line is `N passed, N failed`.
"""
import argparse
import concurrent.futures
import os
import queue
import re
import signal
import sys
import tempfile
import threading

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import operators  # noqa: E402
import reasons  # noqa: E402
import trial  # noqa: E402

FILES = re.compile(
    r"^lib/(?:wire|cookie|table|proto|front)/\w+\.[ch]$"
    r"|^lib/plane/(?:worker|burst|egress|housekeeping|owner|mailbox)\.[ch]$")
# Their code runs only where the processor has these.
NEEDS = {"cookie_vaes256.c": ("vaes", "avx2"), "cookie_vaes512.c": ("vaes", "avx512f")}
COUNT = 520


def usable(path):
    flags = set()
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("flags"):
                    flags = set(line.split())
                    break
    except OSError:
        pass
    return all(flag in flags for flag in NEEDS.get(os.path.basename(path), ()))


class Order:
    """Which test to ask first: one that has noticed sabotages of this file, one whose name says
    that it is about it, the quickest."""

    def __init__(self, tests):
        self.tests, self.lock, self.kills = tests, threading.Lock(), {}

    def of(self, path, changed):
        stem = re.sub(r"\W", "_", os.path.splitext(os.path.basename(path))[0])

        def rank(test):
            near = stem in test.name or test.name in stem
            kills = self.kills.get((path, test.name), 0)
            return (test.suite in ("race", "fuzz"), -kills, not near, test.seconds)
        with self.lock:
            return sorted((t for t in self.tests if t.objects & set(changed) and (
                t.suite != "race" or trial.THREADED.match(path))), key=rank)

    def note(self, path, test):
        with self.lock:
            self.kills[path, test.name] = self.kills.get((path, test.name), 0) + 1


def attempt(job, mutation, order):
    """("noticed", test), ("survived", ""), ("equal", "") or ("not compiled", "")."""
    changed = job.objects(mutation)
    if changed is None:
        return "not compiled", ""
    if not changed:
        return "equal", ""
    for test in order.of(mutation.path, changed):
        noticed = job.noticed_by(test, changed)
        if noticed is None:
            return "not compiled", ""
        if noticed:
            order.note(mutation.path, test)
            return "noticed", test.name
    # An optimizer that sees more may find that nothing has changed.
    if not job.objects(mutation, ["-O2"]):
        return "equal", ""
    return "survived", ""


def show(mutation, word, reason=""):
    print("%-9s %s:%d %s (%s)" % (word, mutation.path, mutation.line, mutation.function,
                                  mutation.kind))
    print("      - %s\n      + %s" % (mutation.before, mutation.after))
    if reason:
        print("      " + reason)
    sys.stdout.flush()


def run_all(base, drawn, jobs, explained, verbose):
    order, places = Order(base.tests), queue.Queue()
    for i in range(jobs):
        places.put(trial.Job(base, i))
    counts = {}

    def one(mutation):
        job = places.get()
        try:
            return mutation, attempt(job, mutation, order)
        finally:
            places.put(job)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        todo = [pool.submit(one, mutation) for mutation in drawn]
        try:
            for done in concurrent.futures.as_completed(todo):
                mutation, (result, by) = done.result()
                if result == "survived":
                    reason = explained.get(mutation.key)
                    result = "explained" if reason else "survived"
                    show(mutation, "ok" if reason else "FAIL", reason or mutation.key)
                elif verbose:
                    show(mutation, result, by)
                if result == "noticed" and mutation.key in explained:
                    print("      explained, yet noticed by %s: %s" % (by, mutation.key))
                counts[result] = counts.get(result, 0) + 1
        except BaseException:
            base.processes.stop()
            pool.shutdown(cancel_futures=True)
            raise
    return counts


def part_of(text):
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found.group(1)) <= int(found.group(2)):
        raise argparse.ArgumentTypeError("a slice is I/N, 1 to N of N")
    return int(found.group(1)), int(found.group(2))


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/mutants", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT, help="how many to draw (%d)" % COUNT)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--slice", type=part_of, default=(1, 1), metavar="I/N")
    parser.add_argument("--only", action="append", metavar="FILE")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--again", metavar="FILE")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def sources(root):
    for folder, _, names in os.walk(os.path.join(root, "lib")):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root)
            if FILES.match(path) and usable(path):
                yield path


def main():
    args = parse_arguments()

    def read(path):
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            return file.read()

    found = operators.find([p for p in sources(ROOT)
                            if not args.only or any(part in p for part in args.only)], read)
    part, parts = args.slice
    drawn = operators.draw(found, args.seed, args.count)[part - 1::parts]
    if args.again:
        with open(args.again, encoding="utf-8") as file:
            lines = {line.strip() for line in file}
        drawn = [mutation for mutation in drawn if mutation.key in lines]
    print("%d of %d possible sabotages, seed %s" % (len(drawn), len(found), args.seed))
    if args.list:
        for mutation in drawn:
            print("%s:%d %s" % (mutation.path, mutation.line, mutation.key))
        return 0
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    processes = trial.Processes()
    with tempfile.TemporaryDirectory(prefix="mutants-") as work:
        try:
            base = trial.Base(ROOT, work, processes)
            base.prepare(args.jobs)
            failed = base.measure()
            if failed:
                print("these tests fail without any sabotage: " + ", ".join(failed))
                print("0 passed, 1 failed")
                return 1
            counts = run_all(base, drawn, args.jobs,
                             reasons.read(os.path.join(HERE, "explained.txt")), args.verbose)
        except RuntimeError as error:
            print(error)
            print("0 passed, 1 failed")
            return 1
        except (KeyboardInterrupt, SystemExit):
            processes.stop()
            raise
    noticed, unnoticed = counts.get("noticed", 0), counts.get("survived", 0)
    explained = counts.get("explained", 0)
    counted = noticed + unnoticed + explained
    print("noticed %d of %d (%.1f %%), explained %d; the same code %d, not compiled %d" % (
        noticed, counted, 100.0 * noticed / max(counted, 1), explained, counts.get("equal", 0),
        counts.get("not compiled", 0)))
    print("%d passed, %d failed" % (noticed + explained, unnoticed))
    return 1 if unnoticed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
