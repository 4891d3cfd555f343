# SPDX-License-Identifier: BSD-3-Clause
"""What else this machine did meanwhile, as its kernel counts it."""

import glob


def threads(pid):
    """For each thread of a process: how long it ran, and how long it was ready to run while
    something else had its CPU, in seconds. None of a process that is gone."""
    found = {}
    for path in glob.glob("/proc/%d/task/*/schedstat" % pid):
        try:
            with open(path) as file:
                ran, waited = (int(number) / 1e9 for number in file.read().split()[:2])
        except (OSError, ValueError):
            continue
        found[path] = ran, waited
    return found


def machine():
    """Seconds that the CPUs of this machine have had, and those that its host gave to others."""
    with open("/proc/stat") as file:
        numbers = [int(number) for number in file.readline().split()[1:9]]
    return sum(numbers) / 100, numbers[7] / 100


class Load:
    """From its making on. `waited` is the share of the time that the thread with most to do had
    to wait for its CPU, `stolen` that of all CPUs' time which the host of a virtual machine
    gave to others; None where the kernel does not count it."""

    def __init__(self, pid):
        self.pid = pid
        self.begin = threads(pid), machine()

    def waited(self):
        before, now = self.begin[0], threads(self.pid)
        grown = [(now[path][0] - ran, now[path][1] - waited)
                 for path, (ran, waited) in before.items() if path in now]
        ran, waited = max(grown, default=(0.0, 0.0))
        return waited / (ran + waited) if ran + waited > 0 else None

    def stolen(self):
        whole, stolen = (now - then for now, then in zip(machine(), self.begin[1]))
        return stolen / whole if whole > 0 else None
