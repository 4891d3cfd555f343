# SPDX-License-Identifier: BSD-3-Clause
"""What a system test is given: the lab with the shared engine in it."""

import contextlib
import os
import random

import delay
from engines import Synfront, Testpmd, Wire
from lab import N_PREFIXES, prefix_address, wait_for
from servers import Server, dial, greet
from traffic import Flood, Nginx

HERE = os.path.dirname(os.path.abspath(__file__))


class Skip(Exception):
    """Raised by a test that cannot run here; says why."""


def anywhere(function):
    """Marks a test that must pass with no engine at all, too."""
    function.anywhere = True
    return function


def thorough(function):
    """Marks a test that takes many seconds of a CPU: scripts/test leaves it to --thorough."""
    function.thorough = True
    return function


class Bench:
    """Shared by all tests; renew() and tidy() stand between them."""

    def __init__(self, lab, options):
        self.lab = lab
        self.options = options
        self.shared = None
        self.web = None
        self.stack = contextlib.ExitStack()
        self.ports = {}
        self.figures = {}
        self.distance = None
        self.line = contextlib.ExitStack()

    def close(self):
        self.tidy()
        self.line.close()

    def renew(self, brings_its_own=False):
        """The shared engine is in place and answers, unless the test brings what is to be there."""
        self.stack = contextlib.ExitStack()
        if brings_its_own and self.is_synfront:
            return
        if self.shared is None:
            self.shared = self.make()
        if self.lab.engine is not self.shared:
            self.lab.insert(self.shared)
        elif self.is_synfront and not (self.shared.process and self.shared.process.running()):
            self.shared.process = None
            self.lab.insert(self.shared)

    def tidy(self):
        self.stack.close()

    def keep(self, resource):
        """Closed when the test ends, whatever happens."""
        return self.stack.enter_context(resource)

    # Distance

    def far(self, spec, seed=1):
        """From now on the client is as far away as a spec of delay.py says, or near if it is
        None."""
        self.line.close()
        self.distance = spec
        if spec is not None:
            self.line.enter_context(delay.far_client(self.lab, *delay.ways(spec), seed=seed))

    @contextlib.contextmanager
    def delayed(self, there, back=None, seed=1):
        """The client is far away for the length of a block, whatever run.py --delay says; the
        element is given."""
        spec = self.distance
        self.far(None)
        try:
            with delay.far_client(self.lab, there, back, seed) as line:
                yield line
        finally:
            self.far(spec)

    # Engines

    @property
    def is_synfront(self):
        return self.options.engine == "synfront"

    def make(self):
        if self.options.engine == "testpmd":
            return Testpmd()
        if self.options.engine == "wire":
            return Wire()
        return Synfront(self.config())

    def config(self, **changes):
        """The text of engine.yaml, with `old="new"` replaced as written."""
        with open(os.path.join(HERE, "engine.yaml")) as file:
            text = file.read().replace("@WORKERS@", str(self.options.workers))
        for old, new in changes.get("replace", ()):
            assert old in text, old
            text = text.replace(old, new)
        return text

    def engine(self, engine):
        """Another engine for this test."""
        return self.lab.insert(engine)

    def count(self, *names):
        """The sum of some counters; 0 with another engine."""
        if not isinstance(self.lab.engine, Synfront):
            return 0
        stats = self.lab.engine.counters()
        return sum(stats[name] for name in names)

    def counts(self, name, at_least=1):
        """A function that is true when the counter has grown by so much from now."""
        before = self.count(name)
        return lambda: self.count(name) >= before + at_least

    def counts_each(self, name):
        """The same, true when each worker's own counter has grown: they enter and leave
        cookie mode one by one."""
        def counted():
            engine = self.lab.engine
            if not isinstance(engine, Synfront):
                return []
            return [engine.ask("stats,%d" % worker)[name] for worker in range(engine.workers())]

        before = counted()
        return lambda: all(now > then for now, then in zip(counted(), before))

    def down(self):
        """How many servers count as down, each as often as workers found it so by themselves."""
        return self.count("backend_down") - self.count("backend_up")

    @contextlib.contextmanager
    def grows(self, *names, timeout=20):
        """Assert that each of these counters grows during a block or soon after."""
        before = {name: self.count(name) for name in names}
        yield
        if isinstance(self.lab.engine, Synfront):
            for name in names:
                wait_for("counter %s to grow" % name,
                         lambda name=name: self.count(name) > before[name], timeout)

    def record(self, table, **columns):
        """A row of figures for the report: what was done, counted and seen by clients.
        The columns of a table are those of its first row."""
        self.figures.setdefault(table, []).append(columns)

    def evidence(self):
        """What helps to understand a failure: sockets that are not at rest, the end of
        the engine's log, its counters."""
        engine = self.lab.engine
        if not isinstance(engine, Synfront):
            return []
        lines = []
        try:
            lines += ["%s: %s" % (node, line) for node in ("client", "server")
                      for line in self.lab.run(node, "ss", "-Htanio", "state", "connected",
                                               "exclude", "time-wait").splitlines()[:16]]
            lines += ["engine: " + line for line in engine.process.output().splitlines()[-8:]]
            stats = engine.counters()
            lines.append("counters: " + ", ".join("%s %d" % item for item in stats.items()
                                                  if item[1]))
        except (OSError, RuntimeError, AttributeError, ValueError) as error:
            lines.append("no more evidence: %s" % error)
        return lines

    # Traffic

    def nginx(self):
        if self.web is None:
            self.web = Nginx(self.lab)
        return self.web

    def no_nginx(self):
        """Its ports, 80 and 443, are free."""
        if self.web is not None:
            self.web.end()
            self.web = None

    def port(self, service="bulk"):
        """A port of a service that no test has used: its server is unknown."""
        first = {"state": 7000, "cookie": 7100, "lazy": 7200, "calm": 7300, "few": 7400,
                 "deny-reset": 7500, "deny-drop": 7550, "aside": 7600, "never": 7700,
                 "respond": 7800, "bulk": 8000}[service]
        number = self.ports.get(service, first)
        self.ports[service] = number + 1
        return number

    def serve(self, service="bulk", handler=greet, teach=True, **fields):
        """A server on a fresh port of a service, its options learned: the port."""
        port = self.port(service)
        server = self.keep(Server(self.lab, port, handler, **fields))
        self.server = server
        if teach:
            self.teach_uncounted(port)
        return port

    def teach_uncounted(self, port, family=4):
        """teach(), of which nothing is left in what the server has accepted."""
        opened = self.teach(port, family)
        wait_for("the server to have seen all that taught",
                 lambda: self.server.accepted >= opened)
        self.server.accepted = 0

    def teach(self, port, family=4):
        """Connect until each worker knows the server and splices for it: how often the
        server was reached."""
        engine = self.lab.engine
        if not isinstance(engine, Synfront):
            return 0

        def counts():
            """(connected, tracked, over a limit) of each worker."""
            found = [engine.ask("stats,%d" % worker) for worker in range(engine.workers())]
            return [(stats["connected"], stats["tracked"],
                     stats["limit_service_connections"]) for stats in found]

        taught = [False] * len(counts())
        number = opened = 0
        while not all(taught):
            number += 1
            assert number <= N_PREFIXES + 40 * (len(taught) - 1), \
                "port %d: still not learned after %d connections" % (port, number)
            before = counts()
            # The last prefix is one that some services deny.
            source = prefix_address((number - 1) % (N_PREFIXES - 1) + 1, family)
            with contextlib.suppress(ConnectionResetError):
                dial(self.lab, port, family, source=source).close()
            after = wait_for("the engine to open or refuse a connection",
                             lambda before=before: (lambda now: now if now != before else None)
                             (counts()))
            opened += any(now[:2] != then[:2] for now, then in zip(after, before))
            taught = [known or now[0] > then[0]
                      for known, now, then in zip(taught, after, before)]
        return opened

    def calm(self, service="bulk", timeout=90):
        """Wait until a service is out of cookie mode."""
        if isinstance(self.lab.engine, Synfront):
            wait_for("%s to be calm" % service,
                     lambda: not self.lab.engine.service(service)["cookie_mode"], timeout)

    def flood(self, rate=20000, seconds=60, **fields):
        return Flood(self.lab, rate, seconds, **fields)

    @contextlib.contextmanager
    def nft(self, node, rules):
        """A table of rules in a node for the length of a block."""
        name = "t%d" % random.getrandbits(30)
        self.lab.run(node, "nft", "-f", "-", stdin="table inet %s {\n%s\n}\n" % (name, rules))
        try:
            yield
        finally:
            self.lab.run(node, "nft", "delete", "table", "inet", name)
