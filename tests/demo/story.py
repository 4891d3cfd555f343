# SPDX-License-Identifier: BSD-3-Clause
"""What the demo measures, as it is measured: acts, and samples in each of them."""


class Sample:
    """The last half a second: numbers are per second unless their names say otherwise."""

    def __init__(self, at, syns, answers, half_open, taken, n_failed, seconds):
        """`at`: seconds since the act began. `taken`: what each good request took, in
        seconds. `half_open`: connections that the server holds half-open, just now."""
        self.at, self.seconds = at, seconds
        self.syns, self.answers, self.half_open = syns, answers, half_open
        self.taken, self.n_failed = taken, n_failed


class Act:
    """A part of the demo, in which nothing is changed."""

    def __init__(self, key, title, is_guarded, is_flooded, remark=""):
        """`remark`: what the picture says of it besides its numbers."""
        self.key, self.title, self.remark = key, title, remark
        self.is_guarded, self.is_flooded = is_guarded, is_flooded
        self.samples = []
        self.failures = []  # what went wrong, for each failed request
        # Frames of the attacker's port while it lasted: SYNs sent, SYN-ACKs back; and SYNs
        # that arrived, which are only known behind synfront.
        self.n_sent = self.n_back = self.n_arrived = 0
        self.waited = self.stolen = None  # see load.py; of synfront's worker

    @property
    def taken(self):
        return [seconds for sample in self.samples for seconds in sample.taken]

    @property
    def n_good(self):
        return sum(len(sample.taken) for sample in self.samples)

    @property
    def n_failed(self):
        return sum(sample.n_failed for sample in self.samples)

    @property
    def n_requests(self):
        return self.n_good + self.n_failed

    @property
    def seconds(self):
        return self.samples[-1].at if self.samples else 0.0

    def mean(self, name):
        """The mean over the act of a rate of its samples."""
        whole = sum(sample.seconds for sample in self.samples)
        return sum(getattr(s, name) * s.seconds for s in self.samples) / whole if whole else 0.0

    def most(self, name):
        return max([getattr(s, name) for s in self.samples] or [0])


def point(seconds, share):
    """The value that this share of some does not exceed; None of none."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def thousands(number):
    return "{:,}".format(int(number))


def of(number, whole):
    return "%s (%s)" % (thousands(number), percent(number / whole) if whole else "none")


def percent(share):
    """A share, with as many digits as say something."""
    if share == 0:
        return "0 %"
    return "%.*f %%" % (0 if share >= 0.1 else 1 if share >= 0.01 else 2 if share >= 1e-4 else 4,
                        100 * share)


def milliseconds(seconds):
    if seconds is None:
        return "none"
    return "%.1f ms" % (1e3 * seconds) if seconds < 0.1 else "%.0f ms" % (1e3 * seconds)


def latency(taken):
    """Median and p99 as text."""
    if not taken:
        return "none"
    return "%s / %s" % (milliseconds(point(taken, 0.5))[:-3], milliseconds(point(taken, 0.99)))
