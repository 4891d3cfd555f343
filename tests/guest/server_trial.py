# SPDX-License-Identifier: BSD-3-Clause
"""synfront-adopt on kernels of Debian, with systemd as the first process: one that has what it
wants, and one that has not.

All is inside one guest: the server, a client in a namespace, and between them the engine, on two
TAPs, which answers each SYN by cookie.
"""

import contextlib
import json
import os
import re
import time

from checks import Checks
from lab import ROOT, Lab, wait_for
from machine import PATIENCE_S, Machine
from server_image import LOG, TESTS, unit

HERE = os.path.dirname(os.path.abspath(__file__))
ADDRESSES = ("198.51.100.10", "2001:db8:1::10")
SECRET, GROUP_SECRET = "/etc/synfront.secret", "/etc/synfront.group"
UNIT = "synfront-adopt"
# Since this kernel a server can take clients over.
SINCE = (6, 9)
REQUESTS = 4
# Of linux/capability.h.
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_PERFMON": 38, "CAP_BPF": 39}
SECCOMP_MODE_FILTER = "2"
# busybox, whose shell prefers what it has itself, has one with no namespaces.
IP = "/usr/sbin/ip"
SERVE = ("mkdir -p /www && echo hello >/www/hello",
         IP + " netns add client", IP + " -n client link set lo up",
         IP + " link set sf-outside netns client",
         IP + " -n client address add 198.51.100.1/24 dev sf-outside",
         IP + " -n client address add 2001:db8:1::1/64 dev sf-outside nodad",
         IP + " -n client link set sf-outside up",
         IP + " address add 198.51.100.10/24 dev sf-inside",
         IP + " address add 2001:db8:1::10/64 dev sf-inside nodad",
         IP + " link set sf-inside up", "httpd -p 80 -h /www")


class Place(Lab):
    """Of the lab no more than a namespace for QEMU."""

    nodes = ("box",)

    def lay_cables(self):
        pass

    def number_hosts(self):
        pass


class ServerTrial(Checks):
    """One kernel."""

    def __init__(self, version, kernel, initramfs, tell):
        super().__init__(tell)
        self.version = version
        self.lab = Place()
        self.machine = Machine(kernel, initramfs, "systemd.show_status=0 systemd.log_target=kmsg "
                               "systemd.log_level=warning")
        _, self.program, self.config = unit()

    def run(self):
        with self.lab as lab:
            if not self.check("boots, with systemd", self.boots, lab):
                return
            try:
                self.configure()
                if self.version < SINCE:
                    self.refused()
                else:
                    self.taken_over()
            finally:
                self.machine.end()

    def evidence(self):
        with contextlib.suppress(Exception):
            return "the unit's log:\n%s\nthe engine's:\n%s" % (
                self.said()[-2000:], self.machine.run("cat /tmp/log", check=False)[-1000:])
        return ""

    # What the guest is asked

    def status(self, command):
        """(exit status, output) of a command."""
        text = self.machine.run(command + " 2>&1; echo @$?")
        found = re.search(r"@(\d+)\s*$", text)
        return int(found.group(1)), text[:found.start()]

    def said(self):
        return self.machine.run("cat %s" % LOG, check=False)

    def show(self, *names):
        """Properties of the unit, as systemd has them."""
        text = self.machine.run("systemctl show %s %s" % (UNIT, " ".join("-p " + name
                                                                         for name in names)))
        return dict(line.partition("=")[::2] for line in text.split("\n") if "=" in line)

    def agent(self, *words):
        return self.status(" ".join((self.program, "--config", self.config) + words))

    def fetches(self):
        """What a client gets that asks, by each family. (wget of busybox, which is linked
        statically, would look for the names of services, and dies of it.)"""
        return [self.status("printf 'GET /hello HTTP/1.0\\r\\n\\r\\n' | "
                            "%s netns exec client nc -w 20 %s 80" % (IP, address))[1]
                for address in ADDRESSES]

    def fetch(self):
        """Whether it got what it asked for."""
        return [got.splitlines()[-1:] == ["hello"] for got in self.fetches()]

    def cookies(self):
        """SYNs that the engine has answered by cookie so far."""
        return json.loads(self.machine.run("synfrontctl --instance guest --json stats"))[
            "answered_syn_cookie"]

    def opened(self):
        return json.loads(self.agent("--json", "status")[1])["counters"]["opened"]

    def drop_in(self, *lines):
        """Lines for the unit beside its own; none: as it is."""
        place = "/etc/systemd/system/%s.service.d/trial.conf" % UNIT
        self.machine.run("rm -f %s %s" % (place, LOG))
        if lines:
            self.machine.put(place, "\n".join(("[Service]",) + lines) + "\n")
        self.machine.run("systemctl daemon-reload; systemctl reset-failed %s" % UNIT, check=False)

    # Steps

    def boots(self, lab):
        self.machine.begin(lab)
        release = self.machine.run("uname -r").strip()
        assert release.startswith("%d.%d." % self.version), release
        assert self.machine.run("cat /proc/1/comm").strip() == "systemd"
        wait_for("systemd to have started all", lambda: self.status(
            "systemctl is-system-running")[1].strip() in ("running", "degraded"), PATIENCE_S, 1)
        return "%s, %.0f s" % (release, self.machine.boot_s)

    def configure(self):
        """As the sample has it, but for what it cannot know."""
        with open(os.path.join(ROOT, "config/adopt/synfront-adopt.yaml")) as file:
            text = file.read()
        text = text.replace("[eth0]", "[sf-inside]").replace("/etc/synfront/group.secret",
                                                             GROUP_SECRET)
        run = self.machine.run
        run("mkdir -p %s" % os.path.dirname(self.config))
        self.machine.put(self.config, text)
        with open(os.path.join(HERE, "handoff.yaml")) as file:
            self.machine.put("/etc/synfront.yaml", file.read())
        run("umask 077; head -c 32 /dev/urandom >%s" % SECRET)
        run("synfront --config /etc/synfront.yaml --group-secret web --output %s" % GROUP_SECRET)

    # A kernel that lacks what it takes

    def refused(self):
        self.check("--check refuses, and says what is needed", self.check_refuses)
        self.check("run refuses in the same words", self.run_refuses)
        self.check("the unit fails once, and is not tried again", self.unit_fails)

    def words(self, said):
        """The line that refuses."""
        release = self.machine.run("uname -r").strip()
        for word in ("Linux %s has no function bpf_sk_assign_tcp_reqsk()" % release,
                     "take Linux 6.9 or newer"):
            assert word in said, said
        return next(line for line in said.splitlines() if "6.9" in line)

    def check_refuses(self):
        status, said = self.agent("--check")
        assert status == 4, (status, said)
        return self.words(said)

    def run_refuses(self):
        status, said = self.agent("run")
        assert status == 3, (status, said)
        self.words(said)

    def unit_fails(self):
        status, _ = self.status("systemctl start %s" % UNIT)
        time.sleep(3)  # longer than the unit waits before it tries again
        shown = self.show("NRestarts", "ExecMainStatus", "ActiveState")
        assert status != 0 and shown == {"NRestarts": "0", "ExecMainStatus": "3",
                                         "ActiveState": "failed"}, (status, shown)
        self.words(self.said())

    # One that has it

    def taken_over(self):
        self.check("cookies of the table of vectors", self.vectors)
        self.check("the verifier takes the program", self.loads)
        if not self.check("a front end that answers by cookie", self.front_end):
            return
        self.check("without the agent clients are reset", self.reset)
        self.check("--check finds nothing", self.check_is_good)
        if not self.check("the unit starts", self.starts):
            return
        self.check("it has three capabilities, and a filter of system calls", self.confined)
        self.check("clients are taken over", self.requests)
        self.check("restarted, it takes over what lingers", self.restarts)
        self.check("stopped, clients are taken over all the same", self.lingers)
        self.check("detached, they are reset", self.detaches)
        for name in CAPABILITIES:
            self.check("without %s it does not start" % name, self.lacks, name)
        self.check("nor without the system call that its filter lets through", self.filtered)
        self.check("as it is, it starts again", self.starts_again)

    def vectors(self):
        status, said = self.status(TESTS + "/test_adopt_vectors")
        assert status == 0, said

    def loads(self):
        status, said = self.status(TESTS + "/bench_packets 2000")
        assert status == 0, said
        found = json.loads(said[said.index("{"):])
        return "in %d ms, emulated" % found["load, ms"]

    def front_end(self):
        run = self.machine.run
        run("{ synfront --config /etc/synfront.yaml & echo $! >/tmp/pid; wait $!; } >/tmp/log 2>&1 &")
        wait_for("synfront to run", lambda: "running" in run("cat /tmp/log"), PATIENCE_S, 0.5)
        for command in SERVE:
            run(command)

    def reset(self):
        before = self.cookies()
        got = self.fetches()
        assert not any("hello" in one for one in got), got
        after = self.cookies()
        assert after > before, ("no SYN was answered by cookie", got)

    def check_is_good(self):
        status, said = self.agent("--check")
        assert status == 0, (status, said)
        return said.splitlines()[-1]

    def starts(self):
        self.machine.run("systemctl start %s" % UNIT)
        shown = self.show("ActiveState", "SubState", "NRestarts")
        assert shown == {"ActiveState": "active", "SubState": "running", "NRestarts": "0"}, shown
        status, said = self.agent("status")
        assert status == 0, said
        assert "error:" not in self.said(), self.said()

    def confined(self):
        pid = self.show("MainPID")["MainPID"]
        of = dict(line.partition(":")[::2] for line in
                  self.machine.run("cat /proc/%s/status" % pid).split("\n") if ":" in line)
        wanted = sum(1 << bit for bit in CAPABILITIES.values())
        for name in ("CapPrm", "CapEff", "CapBnd"):
            assert int(of[name], 16) == wanted, (name, of[name])
        assert of["NoNewPrivs"].strip() == "1", of["NoNewPrivs"]
        assert of["Seccomp"].strip() == SECCOMP_MODE_FILTER, of["Seccomp"]
        return "%s; Seccomp %s" % (", ".join(CAPABILITIES), of["Seccomp"].strip())

    def requests(self):
        before, opened = self.cookies(), self.opened()
        good = [self.fetch() for _ in range(REQUESTS)]
        n_cookies, n_opened = self.cookies() - before, self.opened() - opened
        n = REQUESTS * len(ADDRESSES)
        assert good == [[True, True]] * REQUESTS, good
        assert n_opened == n and n_cookies >= n, (n_opened, n_cookies)
        status, said = self.agent("metrics")
        assert status == 0 and said.rstrip().endswith("# EOF"), said
        return "%d of %d requests, %d connections opened from cookies" % (n, n, n_opened)

    def restarts(self):
        self.machine.run("systemctl restart %s" % UNIT)
        assert "took over what lingered" in self.said(), self.said()
        assert self.fetch() == [True, True]
        assert self.opened() > 0, "counters did not linger"

    def lingers(self):
        self.machine.run("systemctl stop %s" % UNIT)
        assert self.show("ActiveState", "Result") == {"ActiveState": "inactive",
                                                      "Result": "success"}
        assert self.agent("status")[0] == 5
        assert self.fetch() == [True, True]

    def detaches(self):
        status, said = self.agent("detach")
        assert status == 0, said
        assert self.machine.run("ls /sys/fs/bpf").strip() == ""
        assert self.fetch() == [False, False]

    def fails_by(self, line, *words):
        self.drop_in(*line)
        status, _ = self.status("systemctl start %s" % UNIT)
        said = self.said()
        with contextlib.suppress(Exception):
            self.machine.run("systemctl stop %s" % UNIT)
        assert status != 0, "it started"
        for word in words:
            assert word in said, said
        return said.strip().splitlines()[-1]

    def lacks(self, name):
        others = " ".join(other for other in CAPABILITIES if other != name)
        return self.fails_by(("CapabilityBoundingSet=", "CapabilityBoundingSet=" + others),
                             "lacks " + name)

    def filtered(self):
        return self.fails_by(("SystemCallFilter=~bpf",), "not permitted")

    def starts_again(self):
        self.drop_in()
        self.starts()
        assert self.fetch() == [True, True]
        self.machine.run("systemctl stop %s" % UNIT)
        assert self.agent("detach")[0] == 0
