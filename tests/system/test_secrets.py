# SPDX-License-Identifier: BSD-3-Clause
"""Where no key may be: core dumps, the log, what telemetry says; and who may read files."""

import os
import shutil
import subprocess
import time

from bench import Skip, thorough
from engines import BUILD
from servers import ask, dial, echo

EPOCH_S = 30
FINDER = os.path.join(BUILD, "tests/secrets/find_secrets")
COMMANDS = ("/", "/info", "/synfront/info", "/synfront/stats", "/synfront/drops",
            "/synfront/services", "/synfront/connections", "/synfront/ports",
            "/synfront/memory", "/synfront/drain", "/eal/params", "/eal/app_params")


class Search:
    """For the keys of all epochs since the engine's start."""

    def __init__(self, bench):
        with open(os.path.join(bench.lab.work, "secret")) as file:
            self.master = file.read().strip()
        self.begun = int(time.time()) - EPOCH_S
        self.bench = bench

    def find(self, path):
        """What of the secret lies in a file."""
        done = subprocess.run(
            (FINDER, self.master, str(self.begun // EPOCH_S - 1),
             str(int(time.time()) // EPOCH_S + 1), path),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode in (0, 1), done.stdout
        return done.stdout.splitlines()

    def expect_nothing(self, what, path):
        found = self.find(path)
        self.bench.record("secrets", what=what, bytes_searched=os.path.getsize(path),
                          found=len(found))
        assert not found, found


def exercise(bench):
    """Cookies made and checked by every worker, of both families."""
    port = bench.serve("cookie", echo)
    with bench.flood(5000, 30, port=port):
        for number in range(10):
            for family in (4, 6):
                with dial(bench.lab, port, family) as connection:
                    assert ask(connection, b"%d" % number) == b"%d" % number


def test_search_finds(bench):
    """The search itself: it finds the secret where it is."""
    search = Search(bench)
    assert len(search.find(os.path.join(bench.lab.work, "secret"))) == 4


def test_no_secret_in_core_dumps(bench):
    """Neither the master secret nor a round key nor a mask, in memory or in registers."""
    if shutil.which("gcore") is None:
        raise Skip("gcore (of gdb) is not installed")
    search = Search(bench)
    exercise(bench)
    pid = bench.lab.engine.process.popen.pid
    prefix = os.path.join(bench.lab.work, "core")
    path = "%s.%d" % (prefix, pid)
    try:
        subprocess.run(("gcore", "-o", prefix, str(pid)), stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=True)
        search.expect_nothing("core dump", path)
    finally:
        if os.path.exists(path):
            os.remove(path)


@thorough
def test_no_secret_in_log_and_telemetry(bench):
    """With the log at its most talkative."""
    engine = bench.lab.engine
    search = Search(bench)
    said = os.path.join(bench.lab.work, "said")
    try:
        engine.reload(engine.text.replace("level: info", "level: debug"))
        exercise(bench)
        with open(said, "w") as file:
            for command in COMMANDS:
                file.write(str(engine.tell(command)))
    finally:
        engine.reload(engine.text.replace("level: debug", "level: info"))
    search.expect_nothing("telemetry", said)
    search.expect_nothing("log", engine.process.log)


def test_files_are_tight(bench):
    """What the engine makes in the file system is its own user's alone."""
    place = "/run/dpdk/" + bench.lab.engine.tag
    for name in [place] + [os.path.join(place, name) for name in os.listdir(place)]:
        mode = os.stat(name).st_mode & 0o777
        assert mode & 0o077 == 0, "%s has mode %o" % (name, mode)
