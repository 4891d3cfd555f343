# SPDX-License-Identifier: BSD-3-Clause
"""Figures of the running engine, once a second, from a thread of its own."""

import os
import threading
import time

STEP = 1.0
PATIENCE = 10.0
TICKS = os.sysconf("SC_CLK_TCK")


def process_figures(pid):
    """Memory in bytes, CPU seconds, threads and open files of a process."""
    figures = {}
    with open("/proc/%d/status" % pid) as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in ("VmRSS", "RssAnon"):
                figures["rss" if name == "VmRSS" else "anonymous"] = int(value.split()[0]) * 1024
            elif name == "Threads":
                figures["threads"] = int(value)
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rpartition(")")[2].split()
    figures["cpu"] = (int(fields[11]) + int(fields[12])) / TICKS
    figures["files"] = len(os.listdir("/proc/%d/fd" % pid))
    return figures


def patiently(action, *arguments):
    """Try as long as the telemetry socket's queue is full: it holds one or two, and
    the engine may be stopped."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return action(*arguments)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def sample(engine):
    """One row of figures; raises OSError if the engine does not answer."""
    begun = time.monotonic()
    stats, memory, services = (patiently(engine.ask, what)
                               for what in ("stats", "memory", "services"))
    row = {"at": time.monotonic(), "answer_s": time.monotonic() - begun}
    row.update(process_figures(engine.process.popen.pid))
    row["used"] = dict(zip(memory["table"], memory["used"]))
    row["cookie_mode"] = {name: mode for name, mode in zip(services["name"],
                                                           services["cookie_mode"])}
    row["stats"] = stats
    return row


class Watch:
    """Samples until it is stopped."""

    def __init__(self, engine):
        self.engine = engine
        self.rows = []
        self.failures = []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.ending.wait(STEP):
            begun = time.monotonic()
            try:
                self.rows.append(sample(self.engine))
            except (OSError, ValueError, KeyError, TypeError) as error:
                self.failures.append((begun, time.monotonic(), repr(error)))

    def start(self):
        self.thread.start()

    def stop(self):
        self.ending.set()
        self.thread.join(15)
