# SPDX-License-Identifier: BSD-3-Clause
"""A supervisor that speaks sd_notify's protocol as systemd does with Type=notify, with the
values of our unit: it hears, gives a process up that shows no sign of life, and starts it anew."""

import os
import re
import signal
import socket
import time

from engines import BUILD

UNIT = os.path.join(BUILD, "config/synfront.service")


def unit_value(key):
    """What the unit says of a key; the last word counts."""
    with open(UNIT) as file:
        return re.findall(r"(?m)^%s=(.*)$" % key, file.read())[-1]


class Supervisor:
    """Runs one program in a node of the lab until end()."""

    def __init__(self, lab, node, name, *argv):
        self.lab, self.node, self.name, self.argv = lab, node, name, argv
        self.address = os.path.join(lab.work, name + "-notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        self.watchdog_s = float(unit_value("WatchdogSec"))
        self.restart_s = float(unit_value("RestartSec"))
        self.heard = []  # (when, {key: value}) of all datagrams
        self.given_up = []  # when
        self.on_kill = None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lab.end(self.process)
        self.socket.close()

    def start(self):
        self.deadline = None
        self.process = self.lab.spawn(
            self.node, self.name, *self.argv,
            env=dict(os.environ, NOTIFY_SOCKET=self.address,
                     WATCHDOG_USEC=str(int(self.watchdog_s * 1000000))))

    def step(self):
        """Hear for a moment, and do what there is to do."""
        self.socket.settimeout(0.05)
        try:
            lines = self.socket.recv(4096).decode().splitlines()
        except socket.timeout:
            lines = []
        now = time.monotonic()
        if lines:
            fields = dict(line.split("=", 1) for line in lines)
            self.heard.append((now, fields))
            if "READY" in fields or "WATCHDOG" in fields:
                self.deadline = now + self.watchdog_s
            if "STOPPING" in fields:
                self.deadline = None
        if self.deadline is not None and now > self.deadline:
            self.given_up.append(now)
            self.process.kill(getattr(signal, unit_value("WatchdogSignal")))
            if self.on_kill:
                self.on_kill()
            self.process.wait(20)
            time.sleep(self.restart_s)
            self.start()

    def until(self, what, condition, timeout=30):
        """Step until condition() is true; its value."""
        end = time.monotonic() + timeout
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise TimeoutError("%s: %s; heard %s" % (what, self.process.output()[-2000:],
                                                         self.heard[-8:]))
            self.step()

    def times(self, key, value=None):
        """When a datagram had this."""
        return [when for when, fields in self.heard
                if key in fields and value in (None, fields[key])]

    def status(self):
        return next((fields["STATUS"] for _, fields in reversed(self.heard) if "STATUS" in fields),
                    "")
