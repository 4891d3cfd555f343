# SPDX-License-Identifier: BSD-3-Clause
"""Many real hosts behind the attacker: they complete handshakes, by a kernel's own
TCP, and then say nothing, or leave at once."""

import collections
import contextlib
import errno
import random
import socket
import struct
import threading
import time

from lab import SERVER, address

# All addresses of these prefixes are the attacker's own; the server's default
# route leads there.
HOSTS4, HOSTS6 = "10.99.0.0/16", "2001:db8:9900::/40"
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
BATCH = 16


def move_in(lab):
    """Give the attacker its addresses. May be called again."""
    for family, prefix in (("-4", HOSTS4), ("-6", HOSTS6)):
        lab.run("attacker", "ip", family, "route", "replace", "local", prefix, "dev", "lo")


def some_host(family, one_net=False):
    """A random address of the crowd's, or of one /24 (/64) of it."""
    if family == 4:
        return "10.99.%d.%d" % (7 if one_net else random.randrange(256), random.randrange(1, 255))
    return "2001:db8:99%02x::%x" % (7 if one_net else random.randrange(256),
                                    random.randrange(1, 1 << 16))


class Crowd:
    """Begins handshakes at a rate, each from some host. `stay`: how many seconds a
    connection is kept before it is closed; `most`: the oldest are given up beyond it.
    Closing is by RST if `reset`, else by FIN."""

    def __init__(self, lab, rate, ports, families=(4, 6), one_net=False, stay=1e9, most=6000,
                 reset=True):
        move_in(lab)
        self.lab, self.rate, self.ports = lab, rate, ports
        self.families, self.one_net = families, one_net
        self.stay, self.most, self.reset = stay, most, reset
        self.open = collections.deque()
        self.begun = self.failed = 0
        self.stopped = False
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        start = time.monotonic()
        with self.lab.inside("attacker"):
            while not self.stopped:
                now = time.monotonic()
                while self.open and (now - self.open[0][0] > self.stay
                                     or len(self.open) > self.most):
                    self.leave(self.open.popleft()[1])
                due = (now - start) * self.rate - self.begun
                for _ in range(min(int(due), BATCH)):
                    self.begin(now)
                time.sleep(0.002 if due < BATCH else 0)

    def begin(self, now):
        family = self.families[self.begun % len(self.families)]
        self.begun += 1
        connection = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
        connection.setblocking(False)
        try:
            connection.bind((some_host(family, self.one_net), 0))
            error = connection.connect_ex((address(SERVER, family),
                                           self.ports[self.begun % len(self.ports)]))
            if error not in (0, errno.EINPROGRESS):
                raise OSError(error, "connect")
        except OSError:
            self.failed += 1
            connection.close()
            return
        self.open.append((now, connection))

    def leave(self, connection):
        if self.reset:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        connection.close()

    def stop(self):
        """All leave."""
        self.stopped = True
        self.thread.join()
        while self.open:
            self.leave(self.open.popleft()[1])
        return self.begun

    def sent(self):
        return self.begun

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
