# SPDX-License-Identifier: BSD-3-Clause
"""Finding out what SYN rate the ports of this machine carry."""

import time

from story import milliseconds, percent, thousands

RATE_MIN = 1000
# What is tried first, of what arrives flat out, when some are lost; and what is flooded with, of
# what was carried.
FIRST = 0.97
PART = 0.93
STEP = 0.96
LOST_MAX = 0.003
SENT_MIN = 0.97
SLOW_S = 0.1


def rounded(rate):
    """A rate in whole thousands, but never none."""
    return max(RATE_MIN, int(rate) // 1000 * 1000)


class Trial:
    """A second of a flood, with requests."""

    def __init__(self, due, sent, arrived, p95, n_good, n_failed):
        """SYNs that should have been sent, were sent, and arrived; `p95`: of the latency of the
        good requests, in seconds."""
        self.due, self.sent, self.arrived = due, sent, arrived
        self.p95, self.n_good, self.n_failed = p95, n_good, n_failed

    def fault(self):
        """Why this was too much, or None."""
        lost = (self.sent - self.arrived) / max(self.sent, 1)
        if self.sent < SENT_MIN * self.due:
            return "the attacker cannot send as many"
        if lost > LOST_MAX:
            return "%s of the SYNs were lost on the way" % percent(lost)
        if self.n_failed or not self.n_good:
            return "requests failed"
        if self.p95 >= SLOW_S:
            return "a request in twenty took %s or more" % milliseconds(self.p95)
        return None


class Search:
    """`most`: SYN/s that arrive when as many are sent as go. `carried`: the highest rate of
    those tried at which nothing was amiss, None if the time was over before. `fault`: what was
    amiss at the rate before that. `rate`: what to flood with."""

    def __init__(self, most, attempt, seconds, clock=time.monotonic):
        """`attempt(rate)` makes a Trial; `seconds`: how long to go on."""
        self.most, self.carried, self.fault = most, None, None
        deadline = clock() + seconds
        rate = rounded(most * FIRST)
        while True:
            begun = clock()
            fault = attempt(rate).fault()
            if not fault:
                self.carried = rate
                break
            self.fault = fault
            tried, rate = rate, rounded(rate * STEP)
            if tried == RATE_MIN or 2 * clock() - begun > deadline:
                break
        self.rate = rounded(rate * PART)

    def says(self):
        """In one sentence."""
        if self.carried is None:
            return "Flat out %s SYN/s arrive. In the time for it no rate was found that the " \
                "ports carry without a fault (%s): the flood will be of %s SYN/s." % (
                    thousands(self.most), self.fault, thousands(self.rate))
        limit = " (above that, %s)" % self.fault if self.fault else ""
        return "Flat out %s SYN/s arrive, and %s are carried without a fault%s. The flood will " \
            "be %s of that." % (thousands(self.most), thousands(self.carried), limit,
                                percent(PART))
