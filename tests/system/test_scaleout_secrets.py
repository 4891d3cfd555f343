# SPDX-License-Identifier: BSD-3-Clause
"""Secrets of a farm: the keys of epochs, which turn by themselves, and the master secret, which is
changed as config/adopt/OPERATING.md says."""

import contextlib
import json
import os
import socket
import time

from adopt import CONFIG, group_secret
from cookies import EPOCH_S
from farm import ENGINE, SERVERS6, WIRES
from farm_load import Newcomers, crowded, farm_of, new_secret, only_long, settle
from lab import wait_for

BRINGS_ENGINES = True

COOKIES = ENGINE.replace("    calm: transparent\n    calm_syn_per_s: 400\n", "    cookies: always\n")
LIFE_S = 60
N_HELD = 8


def test_master_secret_changes(bench):
    """A new master secret, step by step, in a flood: no client is refused."""
    only_long(bench)
    with crowded(bench, "bird") as (farm, regulars, agent):
        # 1. The new secret, a configuration that names it, and what servers get of it.
        new_secret(farm, "secret.next")
        text = ENGINE.replace("@WORK@/secret", "@WORK@/secret.next")
        copy = os.path.join(farm.work, "copy.yaml")
        with open(copy, "w") as file:
            file.write(farm.engines[1].filled(text))
        agent.write_secret("group.next", group_secret(farm, copy))
        # 2. The servers honour both.
        restart(agent, CONFIG.replace("/group}", "/group, next: %(work)s/group.next}"))
        settle(regulars)
        unproven = agent.count("unproven")
        # 3. The front ends, one after the other.
        for number in WIRES:
            front = farm.engines[number]
            farm.drain(number)
            front.write(text)
            front.restart()
            farm.put_back(number)
            settle(regulars)
        # 4. When no cookie of the old one lives any more, the servers forget it.
        time.sleep(LIFE_S)
        assert agent.count("unproven") == unproven, agent.status()["counters"]
        restart(agent, CONFIG.replace("/group}", "/group.next}"))
        settle(regulars)
        opened = agent.count("opened")
        wait_for("clients by the new secret alone", lambda: agent.count("opened") > opened + 20)
        assert agent.count("unproven") == unproven, agent.status()["counters"]


def restart(agent, config):
    """What systemctl restart does."""
    agent.write(config)
    status, said = agent.check()
    assert status == 0, said
    agent.end()
    agent.begin()
    assert "took over" in agent.process.output(), agent.process.output()


# What clients say first goes one way, what they say then another. Held back: all but SYNs.
APART = """
table inet apart {
	counter begun {}
	counter strayed {}
	chain choose {
		type filter hook prerouting priority mangle;
		iifname "lan" tcp dport 80 tcp flags & (syn | ack) == syn meta mark set 101 counter name begun
		iifname "lan" tcp dport 80 tcp flags & (syn | ack) == ack meta mark set 102
	}
	chain hold {
		type filter hook prerouting priority mangle + 1;
	}
	chain look {
		type filter hook forward priority 0;
		oifname != "wire2" tcp dport 80 tcp flags & (syn | ack) == ack counter name strayed
	}
}
"""


@contextlib.contextmanager
def apart(farm):
    """The outer router sends SYNs to the first front end and all else to the second."""
    farm.run("outer", "nft", "-f", "-", stdin=APART)
    for mark, wire in ((101, 1), (102, 2)):
        for family, to, via in (("-4", "198.51.100.0/24", "10.255.%d.2" % wire),
                                ("-6", SERVERS6 + "/64", "fd00:255:%d::2" % wire)):
            farm.run("outer", "ip", family, "rule", "add", "fwmark", str(mark), "table", str(mark))
            farm.run("outer", "ip", family, "route", "add", to, "via", via, "table", str(mark))
    yield
    listed = json.loads(farm.run("outer", "nft", "-j", "list", "counters"))["nftables"]
    packets = {row["counter"]["name"]: row["counter"]["packets"] for row in listed
               if "counter" in row}
    assert packets["begun"] > 0 and packets["strayed"] == 0, packets


def test_syn_here_ack_there(bench):
    """The SYN goes to one front end and all else to another, over the change of an epoch; some
    clients' first ACKs are lost in the one and come in the next."""
    only_long(bench)
    with farm_of(bench, "bird", COOKIES) as (farm, _, agent), apart(farm):
        before = {name: farm.counted(name) for name in ("answered_syn_cookie", "passed_handoff")}
        with Newcomers(farm) as newcomers:
            time.sleep((EPOCH_S - 4 - time.time()) % EPOCH_S)
            epoch = time.time() // EPOCH_S
            held = held_back(farm)
            wait_for("the next epoch", lambda: time.time() // EPOCH_S > epoch, EPOCH_S)
            time.sleep(0.5)
            served = newcomers.served
            farm.run("outer", "nft", "flush", "chain", "inet", "apart", "hold")
            for connection in held:
                with connection:
                    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
            wait_for("newcomers of this epoch", lambda: newcomers.served > served + 20)
        assert not newcomers.failed, newcomers.failed
        grown = {name: {number: now - then[number] for number, now in farm.counted(name).items()}
                 for name, then in before.items()}
        assert grown["answered_syn_cookie"][1] >= newcomers.served + N_HELD, grown
        assert grown["answered_syn_cookie"][2] == grown["answered_syn_cookie"][3] == 0, grown
        assert grown["passed_handoff"][2] >= newcomers.served + N_HELD, grown
        assert agent.count("opened") >= newcomers.served + N_HELD
        assert agent.count("unproven") == 0, agent.status()["counters"]


def held_back(farm):
    """Clients that have been answered by cookie and have asked; none of it has come through."""
    ports = range(20000, 20000 + N_HELD)
    farm.run("outer", "nft", "add", "rule", "inet", "apart", "hold", "tcp", "sport", "20000-20099",
             "tcp", "flags", "&", "(syn|ack)", "==", "ack", "drop")
    held = []
    for port in ports:
        family = socket.AF_INET6 if port % 2 else socket.AF_INET
        connection = farm.socket("client", family)
        connection.settimeout(20)
        connection.bind(("::" if port % 2 else "0.0.0.0", port))
        connection.connect((SERVERS6 + "10" if port % 2 else "198.51.100.10", 80))
        connection.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
        held.append(connection)
    return held
