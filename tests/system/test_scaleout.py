# SPDX-License-Identifier: BSD-3-Clause
"""Front ends on parallel wires between two routers: any of them may go at any time, and no
connection with it."""

import contextlib
import hashlib
import secrets
import os
import signal
import socket
import threading
import time
import types

from adopt import Agent
from bench import Skip
from engines import BUILD
from farm import WIRES, Farm, Newcomers, Regulars
from lab import wait_for
from traffic import Flood, Nginx

N_REGULARS = 200
N_DOWNLOADS = 4
DOWNLOAD_SIZE = 40 << 20
FLOOD_PER_S = 20000


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
                s.settimeout(30)
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
def farm_of(bench, routing):
    """Three front ends, their routers, a web server whose kernel takes clients over."""
    if os.cpu_count() < 4 and not bench.options.long:
        raise Skip("three engines and a flood take all of %d CPUs: --long" % os.cpu_count())
    bench.lab.remove()
    with Farm() as farm:
        new_secret(farm)
        for number in WIRES:
            farm.front(number)
        with Agent(types.SimpleNamespace(lab=farm), linger=True,
                   secret=group_secret(farm)) as agent:
            farm.route(routing)
            web = Nginx(farm)
            web.write("hello", b"hello from behind\n")
            yield farm, web, agent


def new_secret(farm):
    path = os.path.join(farm.work, "secret")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_hex(32) + "\n")


def group_secret(farm):
    """What the servers get of the front ends' secret."""
    path = os.path.join(farm.work, "group-%d" % time.monotonic_ns())
    farm.run("wire1", os.path.join(BUILD, "app/synfront"), "--config", farm.engines[1].path,
             "--group-secret", "default", "--output", path)
    with open(path) as file:
        return bytes.fromhex(file.read())


@contextlib.contextmanager
def crowded(bench, routing):
    """Regulars, newcomers and downloads in a flood, while something happens to the farm: (farm,
    regulars, agent)."""
    with farm_of(bench, routing) as (farm, web, agent), Regulars(farm, N_REGULARS) as regulars:
        before = farm.counted("passed_handoff")
        downloads = Downloads(farm, web)
        with Flood(farm, FLOOD_PER_S, 90):
            wait_for("cookies on each wire", lambda: all(
                farm.counted("cookie_mode_entered").values()))
            # Half of them have been taken over from a cookie.
            with Regulars(farm, N_REGULARS) as late, Newcomers(farm) as newcomers:
                settle((regulars, late))
                now = farm.counted("passed_handoff")
                assert all(now[number] > before[number] for number in WIRES), (before, now)
                yield farm, (regulars, late), agent
                settle((regulars, late))
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


def goes_and_comes_back(bench, farm, regulars, number, leave, routing):
    gap(regulars)
    come_back = leave(farm, number)
    wait_for("wire %d to be out of use" % number, lambda: not farm.in_use(number))
    settle(regulars)
    bench.record("scaleout", routing=routing, how=leave.__name__, wire=number,
                 gap_s=round(gap(regulars), 3),
                 lost=sum(len(all_of_them.lost) for all_of_them in regulars))
    come_back()
    farm.wait_in_use(number)
    settle(regulars)


def killed(farm, number):
    farm.engines[number].end(signal.SIGKILL)
    return farm.engines[number].launch


def stopped(farm, number):
    farm.engines[number].end()
    return farm.engines[number].launch


def unplugged(farm, number):
    """The link of a front end to one of the routers goes down."""
    node = "wire%d" % number
    farm.run(node, "ip", "link", "set", "inside", "down")
    return lambda: farm.run(node, "ip", "link", "set", "inside", "up")


WAYS = (killed, stopped, unplugged)


def test_front_ends_go(bench):
    """Each front end goes and comes back, each in another way; --long: in every way, and
    by FRR too."""
    for routing in ("bird", "frr") if bench.options.long else ("bird",):
        ways = [WAYS] * len(WIRES) if bench.options.long else [(way,) for way in WAYS]
        with crowded(bench, routing) as (farm, regulars, _):
            for number, these in zip(WIRES, ways):
                for leave in these:
                    goes_and_comes_back(bench, farm, regulars, number, leave, routing)


def test_agent_starts_again(bench):
    """The servers' agent is replaced while clients come by cookie."""
    with crowded(bench, "bird") as (_, regulars, agent):
        for number in (signal.SIGTERM, signal.SIGKILL):
            agent.end(number)
            settle(regulars)
            agent.begin()
            settle(regulars)
