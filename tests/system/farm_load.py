# SPDX-License-Identifier: BSD-3-Clause
"""A farm at work: its clients, those that stay, those that come and go, and those that read much;
a flood; what all of them have seen in the end."""

import contextlib
import hashlib
import os
import secrets
import selectors
import socket
import threading
import time
import types

from adopt import Agent, group_secret
from bench import Skip
from farm import BFD_MS, ENGINE, SERVERS6, WIRES, Farm
from lab import wait_for
from traffic import Flood, Nginx

# As long as a client may wait for a segment that was lost time and again.
PATIENCE_S = 60
N_REGULARS = 200
FLOOD_PER_S = 20000
N_DOWNLOADS = 4
DOWNLOAD_SIZE = 40 << 20


class Regulars:
    """Clients that stay: each asks the web server again and again over one connection, half of
    them by IPv6. Nothing is tried twice."""

    def __init__(self, lab, number, every=0.1, path="/hello", port=80):
        self.lab, self.every = lab, every
        self.request = b"GET %s HTTP/1.1\r\nHost: server.lab\r\n\r\n" % path.encode()
        self.answered = 0
        self.lost = []
        self.worst = 0.0
        self.over = threading.Event()
        self.selector = selectors.DefaultSelector()
        self.clients = []
        begun = time.monotonic()
        for i in range(number):
            connection = lab.socket("client", socket.AF_INET6 if i % 2 else socket.AF_INET)
            connection.settimeout(PATIENCE_S)
            connection.connect((SERVERS6 + "10" if i % 2 else "198.51.100.10", port))
            # At once: if its ACK was lost, only data within the life of its cookie gets it in, and
            # on a busy machine all the others take longer than that.
            connection.sendall(self.request)
            connection.setblocking(False)
            client = {"socket": connection, "asked": time.monotonic(), "got": b"", "answers": 0,
                      "due": 0.0}
            self.selector.register(connection, selectors.EVENT_READ, client)
            self.clients.append(client)
        self.took = time.monotonic() - begun
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        while not self.over.is_set():
            for key, _ in self.selector.select(0.01):
                self.hear(key.data)
            now = time.monotonic()
            for client in self.clients:
                if client["asked"] is None and now >= client["due"]:
                    client["asked"], client["got"] = now, b""
                    try:
                        client["socket"].send(self.request)
                    except OSError as error:
                        self.lose(client, error)

    def hear(self, client):
        try:
            data = client["socket"].recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self.lose(client, error)
            return
        if not data:
            self.lose(client, "closed")
            return
        client["got"] += data
        head, end, body = client["got"].partition(b"\r\n\r\n")
        if not end:
            return
        size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:"))
        if not head.startswith(b"HTTP/1.1 200") or len(body) > size:
            self.lose(client, "another answer: %r" % client["got"][:60])
        elif len(body) == size:
            now = time.monotonic()
            self.answered += 1
            client["answers"] += 1
            self.worst = max(self.worst, now - client["asked"])
            client["asked"], client["due"] = None, now + self.every

    def lose(self, client, why):
        self.lost.append("%s: %s" % (client["socket"].getsockname()[:2], why))
        self.selector.unregister(client["socket"])
        self.clients.remove(client)

    def waiting(self):
        """For how long the one that waits longest has had no answer."""
        now = time.monotonic()
        return max((now - client["asked"] for client in list(self.clients)
                    if client["asked"] is not None), default=0.0)

    def gap(self):
        """The longest that any had to wait for an answer since gap() was asked before."""
        worst, self.worst = max(self.worst, self.waiting()), 0.0
        return worst

    def settle(self, patience=30, most=150):
        """Until each has asked and been answered after this call.

        On a machine that is busy with something else BFD loses packets, wires go out of use that
        nobody touched, and a client whose segments were lost waits twice as long from one to the
        next (RFC 6298, 5.5). So what counts is the time in which all wires were in use, and that
        has to be as long as the trouble before it."""
        begun = time.time()
        before = [(client, client["answers"]) for client in list(self.clients)]

        def late():
            return [client for client, answers in before
                    if client["answers"] < answers + 2 and client in self.clients]

        while late():
            taken = time.time() - begun
            if taken > patience:
                trouble = max([loss[0] for loss in self.lab.losses(begun)], default=begun) - begun
                if taken - trouble > max(patience, trouble) or taken > most:
                    raise TimeoutError("some had no answer for %.0f s, %.0f s without trouble\n%s" % (
                        taken, taken - trouble, self.story(late())))
            time.sleep(0.1)

    def story(self, clients):
        """What clients that wait for an answer are at, and their server with them."""
        lines = []
        for client in clients[:8]:
            port = client["socket"].getsockname()[1]
            lines.append("%d waits %.1f s, %d answers" % (
                port, time.monotonic() - (client["asked"] or time.monotonic()), client["answers"]))
            for node, side in (("client", "sport"), ("server", "dport")):
                lines += [node + ": " + line for line in self.lab.run(
                    node, "ss", "-Htaniop", side, "= :%d" % port).splitlines()]
        lines.append("%d of %d wait" % (len(clients), len(self.clients)))
        lines.append(self.lab.run("client", "ip", "route", "get", "198.51.100.10"))
        for when, router, family, wire in self.lab.losses()[-40:]:
            lines.append("%.3f %s took IPv%d off wire %d" % (when - time.time(), router, family,
                                                             wire))
        return "\n".join(lines)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        for client in self.clients:
            client["socket"].close()


class Newcomers:
    """Clients that come one after another, ask once and leave; each must be served."""

    def __init__(self, lab, every=0.02):
        self.lab, self.every = lab, every
        self.served = 0
        self.failed = []
        self.worst = 0.0
        self.over = threading.Event()
        # A wire that is gone costs one a second: more than one at a time.
        self.threads = [threading.Thread(target=self.work, args=(i,), daemon=True)
                        for i in range(4)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        while not self.over.wait(self.every * len(self.threads)):
            begun = time.monotonic()
            try:
                with self.lab.socket("client", socket.AF_INET6 if number % 2
                                     else socket.AF_INET) as connection:
                    connection.settimeout(PATIENCE_S)
                    connection.connect((SERVERS6 + "10" if number % 2 else "198.51.100.10", 80))
                    connection.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
                    answer = b""
                    while piece := connection.recv(65536):
                        answer += piece
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise OSError("another answer: %r" % answer[:60])
                self.served += 1
            except OSError as error:
                self.failed.append("%s after %.1f s" % (error, time.monotonic() - begun))
            self.worst = max(self.worst, time.monotonic() - begun)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


class Downloads:
    """Large files, read as fast as they come; each must be whole."""

    def __init__(self, farm, web):
        content = secrets.token_bytes(1 << 20) * (DOWNLOAD_SIZE >> 20)
        web.write("large", content)
        self.wanted = hashlib.sha256(content).hexdigest()
        self.farm = farm
        self.results = []
        self.threads = [threading.Thread(target=self.read, args=(i,), daemon=True)
                        for i in range(N_DOWNLOADS)]
        for thread in self.threads:
            thread.start()

    def read(self, i):
        try:
            with self.farm.socket("client", socket.AF_INET6 if i % 2 else socket.AF_INET) as s:
                s.settimeout(PATIENCE_S)
                s.connect(("2001:db8:1::10" if i % 2 else "198.51.100.10", 80))
                s.sendall(b"GET /large HTTP/1.0\r\n\r\n")
                self.results.append(self.receive(s))
        except OSError as error:
            self.results.append(str(error))

    @staticmethod
    def receive(connection):
        digest, head = hashlib.sha256(), b""
        while b"\r\n\r\n" not in head:
            data = connection.recv(65536)
            if not data:
                return "ended in its head"
            head += data
        digest.update(head.partition(b"\r\n\r\n")[2])
        while True:
            data = connection.recv(1 << 16)
            if not data:
                return digest.hexdigest()
            digest.update(data)
            time.sleep(0.04)  # so that they last

    def check(self):
        for thread in self.threads:
            thread.join(90)
        assert self.results == [self.wanted] * N_DOWNLOADS, (self.results, self.wanted)


@contextlib.contextmanager
def farm_of(bench, routing, text=ENGINE, bfd_ms=BFD_MS):
    """Three front ends, their routers, a web server whose kernel takes clients over."""
    if os.cpu_count() < 4 and not bench.options.long:
        raise Skip("three engines and a flood take all of %d CPUs: --long" % os.cpu_count())
    bench.lab.remove()
    with Farm(bfd_ms) as farm:
        new_secret(farm)
        for number in WIRES:
            farm.front(number, text)
        with Agent(types.SimpleNamespace(lab=farm), linger=True,
                   secret=group_secret(farm, farm.engines[1].path)) as agent:
            farm.route(routing)
            web = Nginx(farm)
            web.write("hello", b"hello from behind\n")
            yield farm, web, agent


def only_long(bench):
    if not bench.options.long:
        raise Skip("it takes minutes: --long")


def new_secret(farm, name="secret"):
    """A master secret."""
    path = os.path.join(farm.work, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_hex(32) + "\n")


@contextlib.contextmanager
def crowded(bench, routing):
    """Regulars, newcomers and downloads in a flood, while something happens to the farm: (farm,
    regulars, agent)."""
    with farm_of(bench, routing) as (farm, web, agent), Regulars(farm, N_REGULARS) as regulars:
        before = farm.counted("passed_handoff")
        downloads = Downloads(farm, web)
        with Flood(farm, FLOOD_PER_S, 900) as flood:
            wait_for("cookies on each wire", lambda: all(
                farm.counted("cookie_mode_entered").values()))
            # Half of them have been taken over from a cookie.
            with Regulars(farm, N_REGULARS) as late, Newcomers(farm) as newcomers:
                settle((regulars, late))
                now = farm.counted("passed_handoff")
                assert all(now[number] > before[number] for number in WIRES), (before, now)
                yield farm, (regulars, late), agent
                settle((regulars, late))
                assert flood.running(), "the flood ended early:\n" + flood.process.output()
            assert not newcomers.failed, newcomers.failed
            assert newcomers.served > 20
        downloads.check()
        assert not regulars.lost and not late.lost, (regulars.lost, late.lost)
        status = agent.status()["counters"]
        assert status["opened"] >= N_REGULARS, status
        assert status["refused"] == status["no_keys"] == 0, status


def settle(regulars):
    for all_of_them in regulars:
        all_of_them.settle()


def gap(regulars):
    """How long the one of them all that waited longest has, since this was asked before."""
    return max(all_of_them.gap() for all_of_them in regulars)
