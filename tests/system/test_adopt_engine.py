# SPDX-License-Identifier: BSD-3-Clause
"""Hand-off from end to end: clients, an engine of mode handoff, synfront-adopt, servers."""

import itertools
import os
import subprocess

from adopt import Agent
from bench import Skip
from engines import BUILD, Synfront
from lab import SERVER, address
from traffic import curl

SERVICES = """services:
  - name: web
    addresses: [198.51.100.10, "2001:db8:1::10"]
    ports: [80, 443]
    mode: handoff
    cookies: always
  - name: some
    addresses: [198.51.100.10, "2001:db8:1::10"]
    ports: [7000-9999]
    mode: handoff
    cookies: always
"""


def text_of(bench):
    """The configuration of the lab's engine with these services."""
    text = bench.config()
    return text[:text.index("services:")] + SERVICES + text[text.index("\nhandshake:"):]


def handed_over(bench, **fields):
    """Engine and agent in their places, with the secret of a group between them: the agent."""
    work = bench.lab.work
    engine = Synfront(text_of(bench), "handoff")
    engine.lab, engine.tag = bench.lab, bench.lab.id + "-handoff"
    engine.path = os.path.join(work, "handoff.yaml")
    engine.write(engine.text)
    place = os.path.join(work, "group-of-engine")
    if os.path.exists(place):
        os.remove(place)
    done = subprocess.run((os.path.join(BUILD, "app/synfront"), "--config", engine.path,
                           "--group-secret", "default", "--output", place), check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if "unrecognized option" in done.stdout:
        raise Skip("this synfront has no mode handoff")
    assert done.returncode == 0, done.stdout
    with open(place) as file:
        agent = bench.keep(Agent(bench, secret=bytes.fromhex(file.read()), **fields))
    bench.engine(engine)
    return agent


def url(family, path="hello", port=80):
    return "http://%s:%d/%s" % (address(SERVER) if family == 4 else "[%s]" % address(SERVER, 6),
                                port, path)


def test_all_options(bench):
    """16 combinations of timestamps, SACK, window scaling and family against nginx."""
    web = bench.nginx()
    web.write("large", bytes(1 << 20))
    agent = handed_over(bench)
    before = agent.count("opened")
    for family, stamps, sack, scale in itertools.product((4, 6), (1, 0), (1, 0), (1, 0)):
        with bench.lab.sysctls("client", {"ipv4.tcp_timestamps": stamps, "ipv4.tcp_sack": sack,
                                          "ipv4.tcp_window_scaling": scale}):
            for path, size in (("hello", len("hello from behind\n")), ("large", 1 << 20)):
                good, taken, body = curl(bench.lab, url(family, path), "-o", "/dev/stdout")
                assert good and len(body) == size, (family, stamps, sack, scale, path, taken, body[:80])
    assert agent.count("opened") == before + 32
