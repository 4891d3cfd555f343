# SPDX-License-Identifier: BSD-3-Clause
"""synfrontctl top: what its screen shows of an engine that answers as one does, and of none."""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time
import unittest

CTL = os.path.join(os.environ["SYNFRONT_BUILD_DIR"], "app", "synfrontctl")
INSTANCE = "top-test"
PATIENCE_S = 60
UP, DOWN = "\033OA", "\033OB"


class Engine:
    """Answers each question of each client; every counter grows with each look."""

    def __init__(self, base, n_services=3):
        self.folder = os.path.join(base, "dpdk", INSTANCE)
        os.makedirs(self.folder, exist_ok=True)
        self.path = os.path.join(self.folder, "dpdk_telemetry.v2")
        self.n_services, self.looks, self.clients = n_services, 0, []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen(4)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.clients.append(client)
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with contextlib.suppress(OSError):
            client.send(b'{"version":"fake","pid":1,"max_output_len":16384}')
            while question := client.recv(1000).decode():
                command, _, parameter = question.partition(",")
                client.send(json.dumps({command: self.answer(command[10:], parameter)}).encode())

    def answer(self, command, parameter):
        many = range(self.n_services)
        if command == "info":
            self.looks += 1
            return {"uptime_s": 90061, "draining": 0}
        if command == "health":
            return {"state": "ready", "reasons": []}
        if command == "talkers":
            # A pair of service and outcome in each page, the last but one without talkers.
            pair = int(parameter)
            if pair == 1:
                return {"next": 2}
            return {"next": 1 if pair == 0 else 0, "service": "web" if pair else "mail-0",
                    "outcome": "answered_syn_cookie", "window_s": 10, "total": 1000, "samples": 1000,
                    "prefix": ["203.0.113.0/24" if pair else "2001:db8:7::/48"],
                    "frames": [400 if pair else 300], "at_least": [200]}
        if command == "services":
            return {"next": 0, "name": ["mail-%d" % i for i in many[1:]] + ["web"],
                    "cookie_mode": [0 for _ in many[1:]] + [1],
                    "half_open": [i for i in many[1:]] + [256],
                    "connections": [10 for _ in many[1:]] + [5],
                    "syn": [0 for _ in many[1:]] + [self.looks * 100000],
                    "syn_ack": [0 for _ in many], "opened": [0 for _ in many],
                    "refused": [0 for _ in many], "unknown": ["" for _ in many]}
        if command == "ports":
            return {"next": 0, "side": ["outside", "inside"], "link": ["up", "lost"],
                    **{key: [0, 0] for key in ("received", "sent", "port_missed", "port_no_buffer",
                                               "tx_full", "port_rx_errors", "port_tx_errors")},
                    "unknown": ["", "port_missed"]}
        if command == "workers":
            return {"next": 0, "worker": [0, 1], "cpu_ns": [self.looks * 10**13, 0]}
        raise AssertionError(command)

    def end(self):
        self.listener.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        for client in self.clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            client.close()


class Terminal:
    """A vt100, as far as ncurses makes use of one (terminfo's entry has nothing to insert or delete a
    character, which leaves few sequences)."""

    def __init__(self, base, lines=24, columns=80):
        self.master, slave = pty.openpty()
        self.pending, self.program = "", None
        self.resize(lines, columns)
        self.program = subprocess.Popen(
            (CTL, "--instance", INSTANCE, "--watch", "0.1", "top"), stdin=slave, stdout=slave,
            stderr=slave, env={"PATH": os.environ["PATH"], "TERM": "vt100", "RUNTIME_DIRECTORY": base},
            start_new_session=True)
        os.close(slave)

    def resize(self, lines, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.lines, self.columns = lines, columns
        self.cells = [[" "] * columns for _ in range(lines)]
        self.y = self.x = 0
        if self.program:  # as the kernel tells the one whose controlling terminal it is
            self.program.send_signal(signal.SIGWINCH)

    def press(self, keys):
        os.write(self.master, keys.encode())

    def read(self):
        if select.select([self.master], [], [], 0.2)[0]:
            with contextlib.suppress(OSError):
                self.pending += os.read(self.master, 65536).decode("ascii")
        while self.pending:
            found = re.match(r"\033\[([?0-9;]*)([A-Za-z])|\033[()].|\033[=>78HMDE]|[^\033]",
                             self.pending, re.S)
            if not found:
                return  # the rest of it comes
            self.pending = self.pending[found.end():]
            if found.group(2):
                self.control(found.group(2), [int(n or 0) for n in found.group(1).lstrip("?").split(";")])
            elif len(found.group()) == 1:
                self.put(found.group())

    def put(self, character):
        if character == "\r":
            self.x = 0
        elif character == "\n":
            self.y = min(self.y + 1, self.lines - 1)
        elif character == "\b":
            self.x = max(self.x - 1, 0)
        elif character >= " " and self.y < self.lines:
            self.cells[self.y][min(self.x, self.columns - 1)] = character
            self.x = min(self.x + 1, self.columns)

    def control(self, letter, numbers):
        n = max(numbers[0], 1)
        if letter == "H":
            self.y, self.x = n - 1, max((numbers + [1])[1], 1) - 1
        elif letter in "ABCD":
            self.y += {"A": -n, "B": n}.get(letter, 0)
            self.x += {"C": n, "D": -n}.get(letter, 0)
        elif letter == "K" and self.y < self.lines:
            whole = self.cells[self.y]
            first, end = ((self.x, self.columns), (0, self.x + 1))[numbers[0] == 1]
            whole[first:end] = " " * (min(end, self.columns) - first)
        elif letter == "J":
            self.control("K", [0])
            for y in range(self.y + 1, self.lines):
                self.cells[y] = [" "] * self.columns

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.cells)

    def shows(self, *patterns):
        """Wait until the screen has each of these."""
        end = time.monotonic() + PATIENCE_S
        while not all(re.search(each, self.text(), re.M) for each in patterns):
            if time.monotonic() > end:
                raise AssertionError("%r is not in\n%s" % (patterns, self.text()))
            self.read()
        return self.text()

    def ends(self):
        """Its status; what it writes meanwhile is taken."""
        end = time.monotonic() + PATIENCE_S
        while self.program.poll() is None and time.monotonic() < end:
            self.read()
        return self.program.poll()

    def close(self):
        if self.program.poll() is None:
            self.program.kill()
            self.program.wait()
        os.close(self.master)


class Top(unittest.TestCase):
    def setUp(self):
        self.base = tempfile.mkdtemp(prefix="programs-")
        self.addCleanup(shutil.rmtree, self.base)

    def engine(self, **fields):
        engine = Engine(self.base, **fields)
        self.addCleanup(engine.end)
        return engine

    def terminal(self, **fields):
        terminal = Terminal(self.base, **fields)
        self.addCleanup(terminal.close)
        return terminal

    def test_a_screen_of_80_by_24_shows_all_of_it(self):
        self.engine()
        shown = self.terminal().shows(
            r"^top-test: ready, up 1 d 01:01:01, flood on 1 of 3 services",
            r"^SERVICE +STATE +SYN/s +SYN-ACK/s +PROVEN/s +REFUSED/s +CONNS +HALF-OPEN$",
            r"^web +flood +[1-9]\d+ +0 +0 +0 +5 +256$", r"^mail-2 +calm +0 +0 +0 +0 +10 +2$",
            r"^outside +up +0 +0 +0 +0 +0 +0 +0$", r"^inside +lost +0 +0 +- +0 +0 +0 +0$",
            r"^WORKERS busy  0: 100 %  1: 0 %$",
            r"^web +answered_syn_cookie +400 +40.0 +203.0.113.0/24$",
            r"^mail-0 +answered_syn_cookie +300 +30.0 +2001:db8:7::/48$", r"^q quit .*\(SYN/s\)$")
        # The one with the flood stands first.
        self.assertLess(shown.index("\nweb"), shown.index("\nmail-1"))

    def test_keys_choose_and_sort_and_end(self):
        self.engine()
        terminal = self.terminal()
        terminal.shows(r"^web +flood +[1-9]", r"^mail-0 +answered", r"^web +answered")
        terminal.press(DOWN)  # the first service: web
        while "mail-0" in terminal.text():
            terminal.read()
        terminal.shows(r"^web +answered")
        terminal.press(UP)
        terminal.shows(r"^mail-0 +answered")
        terminal.press("\t" * 4)
        shown = terminal.shows(r"\(CONNS\)$", r"^mail-1 .*\n.*\n*mail-2 .*\n*web ")
        self.assertLess(shown.index("\nmail-1"), shown.index("\nweb"))
        terminal.press("p")
        terminal.shows("PAUSED")
        terminal.press("q")
        self.assertEqual(terminal.ends(), 0)

    def test_the_engine_goes_and_comes_back(self):
        terminal = self.terminal()
        terminal.shows("^top-test: there is no engine; waiting for it", "synfront is not running")
        engine = self.engine()
        terminal.shows(r"^web +flood +[1-9]")
        engine.end()
        terminal.shows("^top-test: there is no engine; waiting for it", "not running")
        self.assertNotIn("flood", terminal.text())
        self.engine()
        terminal.shows(r"^web +flood +[1-9]")
        terminal.program.send_signal(signal.SIGINT)
        self.assertEqual(terminal.ends(), 0)

    def test_another_size_is_drawn_anew(self):
        self.engine(n_services=40)
        terminal = self.terminal()
        shown = terminal.shows(r"^web +flood +[1-9]", r"^WORKERS", r"^web +answered", r"^q quit")
        self.assertNotIn("mail-39", shown)
        for _ in range(40):
            terminal.press(DOWN)
        terminal.shows(r"^mail-39 +calm")
        terminal.resize(60, 132)
        terminal.shows(r"^web +flood", *(r"^mail-%d +calm" % i for i in range(1, 40)), r"^q quit")
        for lines, columns in ((2, 10), (1, 1)):
            terminal.resize(lines, columns)
            terminal.shows("^[tqm]")
        terminal.resize(24, 80)
        terminal.shows(r"^top-test: ready", r"^q quit")
        self.assertIsNone(terminal.program.poll())

    def piped(self, *argv, **fields):
        return subprocess.run((CTL, "--instance", INSTANCE) + argv + ("top",), text=True,
                              env={"PATH": os.environ["PATH"], "TERM": "xterm",
                                   "RUNTIME_DIRECTORY": self.base}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              timeout=PATIENCE_S, **fields)

    def test_without_a_terminal_it_is_a_table(self):
        done = self.piped()
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("not running", done.stderr)
        self.engine()
        done = self.piped()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotIn("\033", done.stdout)
        self.assertEqual(done.stdout.count("top-test: ready"), 1)
        self.assertRegex(done.stdout, r"(?m)^web +flood +[1-9]\d+ ")
        self.assertRegex(done.stdout, r"(?m)^web +answered_syn_cookie +400 ")
        self.assertEqual(self.piped("--json").returncode, 2)

    def test_without_a_terminal_it_waits_too(self):
        env = {"PATH": os.environ["PATH"], "RUNTIME_DIRECTORY": self.base}
        with subprocess.Popen((CTL, "--instance", INSTANCE, "--watch", "0.1", "top"), env=env, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as program:
            try:
                self.assertIn("waiting for it", program.stderr.readline())
                self.engine()
                seen = 0
                while seen < 3:
                    seen += "top-test: ready" in program.stdout.readline()
            finally:
                program.terminate()


if __name__ == "__main__":
    unittest.main()
