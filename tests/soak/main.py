# SPDX-License-Identifier: BSD-3-Clause
"""scripts/soak: mixed load, floods, reloads, flaps and faults for as long as asked."""

import argparse
import contextlib
import os
import random
import secrets
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../system"))
# pylint: disable=wrong-import-position
import account
import load
import schedule
from engines import BUILD, Synfront
from flood import Flood
from lab import Lab, wait_for
from watch import Watch, patiently, process_figures, sample

# Entries must be gone by then: SPENT ones stay for as long as their cookie lives.
# Longer than the longest idle timeout of schedule.py: where a fault has lost the last segment of a
# connection neither end has any more, that is what ends its entry.
SETTLE_SECONDS = 240
LISTED_SECONDS = 100  # what remains so long is worth a line
LOAD_PATIENCE = 90
END_PATIENCE = 60
HANGING = 3
LOG_STEP = 0.2


def options():
    parser = argparse.ArgumentParser(prog="scripts/soak", description=(
        "Mixed load through synfront, with floods, reloads, flaps and faults, for so many"
        " minutes. Ends with an account; status 0 only if it is clean."))
    parser.add_argument("minutes", nargs="?", type=float, default=60, metavar="MINUTES",
                        help="how long (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="of the engine (%(default)s)")
    parser.add_argument("--out", default=os.path.join(BUILD, "soak"), metavar="DIRECTORY",
                        help="where account.md, account.json and soak.svg go (%(default)s)")
    found = parser.parse_args()
    if not found.minutes > 0:
        parser.error("MINUTES must be above 0")
    return found


class Soak:
    """One run; `story` tells what was done to the engine and when."""

    def __init__(self, lab, chosen):
        self.lab = lab
        self.chosen = chosen
        self.draw = random.Random(chosen.seed)
        self.story = []
        self.log, self.read, self.log_read_at = [], 0, 0.0
        self.is_stopped = False
        self.pending = []
        with open(os.path.join(HERE, "engine.yaml")) as file:
            self.text = file.read().replace("@WORKERS@", str(chosen.workers))
        secret = os.path.join(lab.work, "secret")
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")

    def tell(self, what, begun, ended, **more):
        self.story.append({"what": what, "begin": begun, "end": ended, **more})

    def say(self, text):
        print("%7.1f s  %s" % (time.monotonic() - self.begun, text), flush=True)

    # Servers and clients

    def start(self):
        self.engine = self.lab.insert(Synfront(self.text, "soak"))
        self.engine_process = self.engine.process
        self.begun = time.monotonic()
        self.first = self.rest()
        self.serve_flap()
        self.out = os.path.join(self.lab.work, "connections")
        self.load = self.lab.spawn("client", "load", "/usr/bin/python3",
                                   os.path.join(HERE, "load.py"), self.lab.id, self.out,
                                   str(self.chosen.seed))
        wait_for("the load", lambda: self.is_ready(self.load))
        self.watch = Watch(self.engine)
        self.watch.start()

    def serve_flap(self):
        self.flap_server = self.lab.spawn("server", "flap", "/usr/bin/python3",
                                          os.path.join(HERE, "load.py"), "--serve",
                                          str(load.FLAP_PORT))
        wait_for("the server that flaps", lambda: self.is_ready(self.flap_server))

    @staticmethod
    def is_ready(process):
        if not process.running():
            raise RuntimeError("%s ended:\n%s" % (process.name, process.output()))
        return "ready" in process.output()

    def rest(self):
        """The engine's figures when nothing goes on, this question itself included."""
        row = sample(self.engine)
        time.sleep(0.3)
        row.update(process_figures(self.engine.process.popen.pid))
        return row

    # What is done to the engine. What takes time ends in a later step, so that
    # nothing waits but for an engine that is stopped.

    def later(self, seconds, action):
        self.pending.append((time.monotonic() + seconds, action))

    def do_flood(self, mixture, rate, ports, seconds):
        begun = time.monotonic()
        flood = Flood(self.lab, mixture, rate, seconds, ports)

        def end():
            if flood.running():
                self.later(0.2, end)
                return
            sent = flood.end()
            self.tell("flood", begun, time.monotonic(), kind=mixture, packets=sent)
            self.say("flood of %s ended: %d packets" % (mixture, sent))

        self.say("flood of %s to ports %s, %d packets/s" % (
            mixture, ", ".join(map(str, ports)), rate))
        self.later(seconds, end)

    def do_reload(self, is_wrong):
        if self.is_stopped:
            self.later(1, lambda: self.do_reload(is_wrong))
            return
        begun = time.monotonic()
        good = self.engine.text
        if is_wrong:
            said = self.engine.reload(schedule.wrong(good, self.draw))
            self.engine.write(good)
        else:
            said = self.engine.reload(schedule.changed(good, self.draw))
        refused = "not reloaded" in said
        self.tell("reload", begun, time.monotonic(), wrong=is_wrong, refused=refused)
        if refused != is_wrong:
            self.say("reload: %s" % said.strip())

    def do_flap(self, how, seconds):
        begun = time.monotonic()
        table = "table inet flap { chain in { type filter hook input priority 0; tcp dport %d" \
                " drop; }; }\n" % load.FLAP_PORT

        def back():
            if how == "killed":
                self.serve_flap()
            else:
                self.lab.run("server", "nft", "delete", "table", "inet", "flap")
            self.tell("flap", begun, time.monotonic(), kind=how)

        self.say("the flapping server is %s for %g s" % (how, seconds))
        if how == "killed":
            self.lab.end(self.flap_server, signal.SIGKILL)
        else:
            self.lab.run("server", "nft", "-f", "-", stdin=table)
        self.later(seconds, back)

    def do_fault(self, what, seconds):
        begun = time.monotonic()
        self.say("fault: %s, %g s" % (what, seconds))
        undo = getattr(self, "fault_" + what.replace("'s", "").replace(" ", "_"))()

        def end():
            undo()
            self.tell("fault", begun, time.monotonic(), kind=what)

        self.later(seconds, end)

    def fault_stop(self):
        self.is_stopped = True
        self.engine.process.kill(signal.SIGSTOP)

        def go_on():
            self.engine.process.kill(signal.SIGCONT)
            self.is_stopped = False

        return go_on

    def link(self, device):
        self.lab.run("box", "ip", "link", "set", device, "down")
        return lambda: self.lab.run("box", "ip", "link", "set", device, "up")

    def fault_server_link(self):
        return self.link("to-server")

    def fault_client_link(self):
        return self.link("to-client")

    def fault_inside_port(self):
        return self.link("sf-inside")

    def fault_outside_port(self):
        return self.link("sf-outside")

    def fault_telemetry(self):
        """Clients of the telemetry socket that ask and never read, or never ask."""
        stack = contextlib.ExitStack()
        for number in range(HANGING):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            sock.setblocking(False)
            patiently(sock.connect, "/run/dpdk/%s/dpdk_telemetry.v2" % self.engine.tag)
            if number:
                with contextlib.suppress(BlockingIOError):
                    for _ in range(10000):
                        sock.send(b"/synfront/stats")
        return stack.close

    # From the first to the last

    def read_log(self, now):
        """Stamp each new line of the engine's log with the time it was seen at."""
        if now < self.log_read_at + LOG_STEP:
            return
        self.log_read_at = now
        log = self.engine_process.output()[self.read:]
        whole = log[:log.rfind("\n") + 1]
        self.read += len(whole)
        self.log += [(now, line) for line in whole.splitlines()]

    def step(self):
        """Do what is due; nothing may have died."""
        now = time.monotonic()
        self.read_log(now)
        due = [entry for entry in self.pending if entry[0] <= now]
        for entry in due:
            self.pending.remove(entry)
            entry[1]()
        for process in (self.engine_process, self.load):
            if not process.running():
                raise RuntimeError("%s ended:\n%s" % (process.name, process.output()[-3000:]))

    def run(self):
        seconds = self.chosen.minutes * 60
        begin = time.monotonic()
        events = schedule.make(seconds, self.chosen.seed)
        while events or time.monotonic() < begin + seconds:
            if events and time.monotonic() >= begin + events[0][0]:
                _, what, arguments = events.pop(0)
                getattr(self, "do_" + what)(*arguments)
            self.step()
            time.sleep(0.02)
        while self.pending:
            self.step()
            time.sleep(0.02)

    def finish(self):
        """Stop the load, wait until nothing is left, and end the engine."""
        self.say("the load ends")
        self.load.kill(signal.SIGTERM)
        self.load.wait(LOAD_PATIENCE)
        self.lab.end(self.flap_server)
        self.say("entries expire")
        begun, listed = time.monotonic(), False
        while time.monotonic() < begun + SETTLE_SECONDS:
            self.last = self.rest()
            if not any(self.last["used"][table] for table in account.TRANSIENT) \
                    and self.last["used"]["buffers"] <= self.first["used"]["buffers"]:
                break
            if not listed and time.monotonic() > begun + LISTED_SECONDS:
                listed = True
                self.say("still there: %s" % self.engine.report("connections"))
            time.sleep(1)
        self.ended = time.monotonic()
        self.watch.stop()
        self.engine_process.kill(signal.SIGTERM)
        self.status = self.engine_process.wait(END_PATIENCE)
        self.read_log(time.monotonic() + LOG_STEP)
        self.say("the engine ended with status %d" % self.status)


def run(chosen):
    with Lab() as lab:
        soak = Soak(lab, chosen)
        soak.start()
        try:
            soak.run()
            soak.finish()
        finally:
            soak.watch.stop()
        found = account.make(soak)
    os.makedirs(chosen.out, exist_ok=True)
    account.write(found, chosen.out)
    print("\n" + account.text(found))
    return 0 if found["clean"] else 1


if __name__ == "__main__":
    sys.exit(run(options()))
