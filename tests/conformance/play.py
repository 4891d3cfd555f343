# SPDX-License-Identifier: BSD-3-Clause
"""One script, played on one driver: segments in, segments out, all numbers relative."""
import ast
import operator
import random

import frames
from frames import FLAGS, INSIDE, MASK, OUTSIDE, flags_name, flags_of
from language import SERVICES, Mismatch, ScriptError
from steps import Steps

CLIENT = {4: "198.51.100.77", 6: "2001:db8:1::77"}
LISTENER = {4: "198.51.100.10", 6: "2001:db8:1::10"}
RAW = {4: "198.51.100.30", 6: "2001:db8:1::30"}
USUAL = {"mss": 1460, "sack": True, "ts": (1000, 0), "wscale": 7}
NEAR = 1 << 21
CLOSED_PORT = 6999
QUOTE_SIZE = 500
KINDS = {"mss": 2, "wscale": 3, "sack": 4, "blocks": 5, "ts": 8}
ICMP = {"port-unreachable": ((3, 3), (1, 4)), "too-big": ((3, 4), (2, 0)),
        "parameter-problem": ((12, 0), (4, 0)), "unknown-header": ((3, 2), (4, 1)),
        "incomplete-chain": ((12, 3), (4, 3)),
        "host-unreachable": ((3, 1), (1, 3)), "time-exceeded": ((11, 0), (3, 0))}
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
             ast.LShift: operator.lshift}


class Flow:
    """The numbers of one connection, at the client and at a server played by hand."""

    def __init__(self, client, own_port, server, port, iss):
        self.client, self.own_port, self.server, self.port = client, own_port, server, port
        self.names = {"iss": iss, "snd": iss, "rcv": 0, "siss": 0x50000000, "ssnd": 0x50000000,
                      "srcv": 0, "tsval": 1000, "tsecr": 0}
        self.timestamps = self.server_timestamps = False

    def key(self, side):
        """Local address and port, remote address and port."""
        if side == OUTSIDE:
            return self.client, self.own_port, self.server, self.port
        return self.server, self.port, self.client, self.own_port


class Play(Steps):
    """`run()` goes through the script; `seen` is what came, as the report shows it."""

    def __init__(self, test, family, service, driver, ports):
        self.test, self.family, self.service, self.driver = test, family, service, driver
        self.ports = ports  # gives a port of the client's that nobody has used
        self.random = random.Random("%s %d" % (test.name, family))
        self.seen = []
        self.apps = {}
        self.flows = {}
        self.flow = None
        self.numbers = {}
        self.last_sent = 0.0
        self.taught = False
        self.server_options = dict(USUAL, mss=1460 if family == 4 else 1440)

    # Going through it

    @property
    def engine(self):
        return self.driver.name != "linux"

    def run(self):
        self.new_flow("a", [])
        for place, columns, words in self.test.lines:
            if self.driver.name not in columns:
                continue
            try:
                self.line(words)
            except Mismatch as error:
                raise Mismatch("%s: %s: %s" % (place, " ".join(words), error)) from error
            except (KeyError, ValueError, IndexError, SyntaxError) as error:
                raise ScriptError("%s: %s: %r" % (place, " ".join(words), error)) from error
        if self.test.server != "none":
            self.nothing(OUTSIDE, silent=True)
        if self.driver.bad:
            raise Mismatch("; ".join(self.driver.bad))

    def line(self, words):
        how = words[0]
        if how in ("client", "server"):
            self.send(OUTSIDE if how == "client" else INSIDE, words[2:])
        elif how == "expect":
            side = INSIDE if words[1] == "server" else OUTSIDE
            self.expect(side, words[3 if side == INSIDE else 2:])
        elif how == "within":
            self.within(float(words[1]), float(words[2]), words[3:])
        else:
            getattr(self, "do_" + how)(words[1:])

    # Flows

    def new_flow(self, name, words):
        """flow NAME [port N] [iss N] [from N] [again]: the same ports as before with `again`."""
        port = SERVICES[self.service] if self.service in SERVICES else CLOSED_PORT
        iss = self.random.getrandbits(32)
        own_port = None
        while words:
            key = words.pop(0)
            if key == "again":
                own_port = self.flow.own_port
                self.driver.renew(self.app_key())
            elif key == "port":
                port = int(words.pop(0))
            else:
                iss = self.value(words.pop(0))
        if self.test.server == "raw":
            port = self.raw_port(port)
        server = (RAW if self.test.server == "raw" else LISTENER)[self.family]
        self.flow = Flow(frames.address(CLIENT[self.family]), own_port or self.ports(),
                         frames.address(server), port, iss)
        self.flows[name] = self.flow
        self.driver.register(self.flow, self.test.server == "raw")

    def raw_port(self, port):
        """One for each script that plays the server: what is learned of it is its own."""
        if "raw" not in self.numbers:
            self.numbers["raw"] = self.driver.raw_port(self.service)
        return self.numbers["raw"] or port

    def do_flow(self, words):
        self.new_flow(words[0], words[1:])

    def do_on(self, words):
        self.flow = self.flows[words[0]]

    # Values

    def value(self, text):
        """A sum of numbers and names."""
        def walk(node):
            if isinstance(node, ast.Expression):
                return walk(node.body)
            if isinstance(node, ast.Constant):
                return node.value
            if isinstance(node, ast.Name):
                names = dict(self.flow.names, own_mss=1460 if self.family == 4 else 1440,
                             mtu_payload=1260 if self.family == 4 else 1240,
                             **self.numbers)
                return names[node.id]
            if isinstance(node, ast.UnaryOp):
                return -walk(node.operand)
            return OPERATORS[type(node.op)](walk(node.left), walk(node.right))
        return walk(ast.parse(text, mode="eval")) & MASK

    def do_set(self, words):
        """set NAME VALUE, of the flow where it has such a name"""
        where = self.flow.names if words[0] in self.flow.names else self.numbers
        where[words[0]] = self.value(words[1])

    def number(self, value, *bases):
        """As the report shows it: relative to the first numbers of the connection, those
        in `bases` before the others."""
        if value == 0:
            return "0"
        candidates = [(name.upper(), self.flow.names.get(name))
                      for name in bases + ("irs", "iss", "siss")]
        candidates += [("IRS(%s)" % name, flow.names.get("irs"))
                       for name, flow in self.flows.items() if flow is not self.flow]
        for name, base in candidates:
            if base is None:
                continue
            ahead = (value - base + (1 << 31) & MASK) - (1 << 31)
            if abs(ahead) < NEAR:
                return name + ("%+d" % ahead if ahead else "")
        return str(value)

    # Sending

    def send(self, side, words):
        fields = self.fields(side, words)
        if "data" in fields and isinstance(fields["data"], str):
            fields["data"] = fields["data"].encode()
        self.last_sent = self.driver.now()
        self.driver.send(side, fields)

    def fields(self, side, words):
        words, names = list(words), self.flow.names
        own, far = ("snd", "rcv") if side == OUTSIDE else ("ssnd", "srcv")
        local, lport, remote, rport = self.flow.key(side)
        f = {"src": local, "dst": remote, "sport": lport, "dport": rport, "win": 65535,
             "id": random.getrandbits(16), "ttl": 64}
        if words[0] == "ICMP":
            return self.icmp(f, side, words[1:])
        f["flags"], reserved = flags_of(words.pop(0))
        if reserved:
            f["reserved"] = reserved
        first = "iss" if side == OUTSIDE else "siss"
        syn = f["flags"] & FLAGS["SYN"]
        f["seq"] = names[first if syn else own]
        f["ack"] = names[far] if f["flags"] & FLAGS["ACK"] else 0
        given = set()
        while words:
            given.add(self.key(f, words, side))
        f["data"] = f.get("data", b"")
        stamps = self.flow.timestamps if side == OUTSIDE else self.flow.server_timestamps
        if stamps and not syn and not f["flags"] & FLAGS["RST"] and "ts" not in given:
            names["tsval"] = (names["tsval"] + 1) & MASK
            f["ts"] = (names["tsval"], names["tsecr"]) if side == OUTSIDE else \
                (names.get("stsval", 9000), names.get("stsecr", 0))
        if f.get("ts") is False:
            del f["ts"]
        if "seq" not in given and "badsum" not in given:
            length = len(f["data"]) + bool(f["flags"] & FLAGS["FIN"])
            names[own] = (f["seq"] + length + (1 if syn else 0)) & MASK
            if syn:  # data in a SYN is sent again
                names[own] = (names[first] + 1) & MASK
        return f

    def key(self, f, words, side):
        key = words.pop(0)
        if key in ("seq", "ack", "win", "mss", "wscale", "urg", "id", "ttl", "tos", "doff",
                   "reserved", "iplen", "sport", "dport", "overlap"):
            value = words.pop(0)
            f[key] = int(value) if value.startswith("-") else self.value(value)
        elif key == "ts":
            f["ts"] = (self.value(words.pop(0)), self.value(words.pop(0)))
        elif key == "nots":
            f["ts"] = False
            return "ts"
        elif key == "usual":
            f.update(USUAL, mss=1460 if self.family == 4 else 1440)
            f["ts"] = (self.flow.names["tsval"], 0)
            if side == INSIDE:
                self.flow.server_timestamps = True
        elif key == "blocks":
            f[key] = [self.value(edge) for edge in words.pop(0).split(":")]
        elif key == "data":
            text = words.pop(0)
            f[key] = (b"0123456789" * 7000)[:int(text[1:])] if text[0] == "*" else text.encode()
        elif key in ("raw", "ipopt"):
            f[key] = bytes.fromhex(words.pop(0))
        elif key == "pad":  # so many NOPs, and `tail` at the very end of the options
            pad, _, tail = int(words.pop(0)), words.pop(0), bytes.fromhex(words.pop(0))
            f["raw"] = b"\1" * (pad + (-pad - len(tail)) % 4) + tail
        elif key in ("src", "dst"):
            addresses = words.pop(0).split(",")
            f[key] = f["dst" if key == "src" else "src"] if addresses == ["peer"] else \
                frames.address(addresses[self.family == 6])
        elif key in ("sack", "badsum", "badip", "swap"):
            f[key] = True
        elif key == "ext":
            f[key] = words.pop(0).split(",")
        elif key == "split":
            f[key] = [int(size) for size in words.pop(0).split(",")]
        elif key == "cut":
            f[key] = int(words.pop(0))
        else:
            raise ScriptError("unknown key: " + key)
        return key

    def icmp(self, f, side, words):
        """ICMP NAME [mtu N] quote FLAGS keys: about a packet that came to this end."""
        f["icmp"] = ICMP[words[0]][self.family == 6]
        at = words.index("quote")
        if "mtu" in words[:at]:
            f["mtu"] = int(words[words.index("mtu") + 1])
        saved = dict(self.flow.names)
        other = INSIDE if side == OUTSIDE else OUTSIDE
        quoted = self.fields(other, words[at + 1:])
        self.flow.names = saved
        f["quote"] = frames.packets(quoted)[0][:QUOTE_SIZE]
        return f

    # Expecting

    def get(self, side, within=None):
        return self.driver.get(side, self.flow, within)

    def nothing(self, side, silent=False):
        self.driver.quiet(self.flow, self.test.server == "raw")
        packet = self.get(side, 0)
        if packet is not None:
            raise Mismatch("came: " + self.show(packet))
        if not silent:
            self.seen.append("nothing")

    def expect(self, side, words, within=None):
        if words[0] == "nothing":
            self.nothing(side)
            return
        packet = self.get(side, within)
        if packet is None:
            raise Mismatch("nothing came for " + " ".join(words))
        asked = self.compare(side, packet, words)
        self.note(side, packet)
        shown = ("to server: " if side == INSIDE else "") + self.show(packet, asked, words)
        self.seen.append(shown)

    def within(self, least, most, words):
        """After so many seconds since the last one sent; `most` counts by the core's clock."""
        begun = self.last_sent
        side = INSIDE if words[1] == "server" else OUTSIDE
        rest = words[3 if side == INSIDE else 2:]
        patience = most - (self.driver.now() - begun)
        self.expect(side, rest, patience + (0 if self.driver.own_clock else 8))
        took = self.driver.now() - begun
        if took < least - 0.02:
            raise Mismatch("came after %.2f s" % took)

    def compare(self, side, packet, words):
        """The keys that were asked for, if all is as it should be."""
        words, asked, names = list(words), [], self.flow.names
        if words[0] == "ICMP":
            return self.compare_icmp(packet, words[1:])
        if words[0] == "fragment" and len(packet.get("later", b"")) == int(words[1]):
            return asked
        if "flags" not in packet:
            raise Mismatch("came: " + self.show(packet))
        flags, reserved = flags_of(words.pop(0))
        if (packet["flags"] ^ flags) & ~FLAGS["PSH"] or packet["reserved"] != reserved:
            raise Mismatch("came: " + self.show(packet))
        nxt, una = ("rcv", "snd") if side == OUTSIDE else ("srcv", "ssnd")
        want = {"seq": names[nxt], "len": 0}
        if flags & FLAGS["ACK"]:
            want["ack"] = names[una]
        if flags & FLAGS["SYN"]:
            first = "irs" if side == OUTSIDE else "iss"
            want["seq"] = names.get(first)
            if side == OUTSIDE and "like" not in words:
                want["seq"] = None
        options = packet["options"]
        if "broken" in options:
            raise Mismatch("came with broken options: " + self.show(packet))
        while words:
            key = words.pop(0)
            if key in ("seq", "ack", "len", "mss", "wscale", "urg", "win", "tsecr", "tsval"):
                value = words.pop(0)
                want[key] = None if value == "any" else self.value(value)
                asked.append(key)
            elif key == "data":
                text = words.pop(0)
                data = (b"0123456789" * 7000)[:int(text[1:])] if text[0] == "*" else text.encode()
                want.update(data=data, len=len(data))
                asked.append(key)
            elif key == "options":  # just these
                names_of = words.pop(0)
                kinds = {KINDS[n] for n in names_of.split(",") if n != "none"}
                if set(options["kinds"]) != kinds:
                    raise Mismatch("came: " + self.show(packet, ["options"]))
                asked.append(key)
            elif key == "blocks":
                want[key] = [self.value(edge) for edge in words.pop(0).split(":")]
                asked.append(key)
            elif key == "open-window":
                want[key] = True
                asked.append(key)
            elif key == "other":  # an option that only its kind is known of
                want[key] = [int(words.pop(0))]
            elif key == "any-seq":
                want["seq"] = None
            elif key == "like":  # as the SYN-ACK before it
                want["seq"] = names["irs"]
            else:
                raise ScriptError("unknown key: " + key)
        got = self.values(packet)
        for key, value in want.items():
            if value is not None and got.get(key) != value:
                raise Mismatch("came: %s: %s is %s, expected %s" % (
                    self.show(packet, asked), key, self.text(key, got.get(key)),
                    self.text(key, value)))
        return asked

    @staticmethod
    def values(packet):
        options = packet["options"]
        out = {key: packet[key] for key in ("seq", "ack", "urg", "win", "data")}
        out["len"] = len(packet["data"])
        out["open-window"] = packet["win"] > 0
        for key in ("mss", "wscale", "blocks", "other"):
            out[key] = options.get(key)
        out["tsval"], out["tsecr"] = options.get("ts", (None, None))
        return out

    def text(self, key, value):
        if key in ("seq", "ack") and value is not None:
            return self.number(value, "irs" if key == "seq" else "iss")
        if key == "data":
            return "%r" % value[:20]
        return str(value)

    def compare_icmp(self, packet, words):
        if packet.get("icmp") != ICMP[words[0]][self.family == 6] or "quote" not in packet:
            raise Mismatch("came: " + self.show(packet))
        for key, value in zip(words[1::2], words[2::2]):
            got = packet["mtu"] & 0xFFFF if key == "mtu" else packet["quote"].get(key)
            if got != self.value(value):
                raise Mismatch("came: %s: %s is %s" % (self.show(packet), key,
                                                       self.number(got or 0)))
        return []

    def note(self, side, packet):
        """What a received segment changes at this end."""
        if "flags" not in packet:
            return
        names, flags = self.flow.names, packet["flags"]
        syn, options = flags & FLAGS["SYN"], packet["options"]
        if side == OUTSIDE:
            if syn:
                names["irs"] = packet["seq"]
                names["rcv"] = (packet["seq"] + 1) & MASK
                self.flow.timestamps = "ts" in options
                names["tsecr0"] = options.get("ts", (0, 0))[0]
            elif packet["seq"] == names["rcv"]:
                length = len(packet["data"]) + bool(flags & FLAGS["FIN"])
                names["rcv"] = (names["rcv"] + length) & MASK
            if "ts" in options:
                names["tsecr"] = options["ts"][0]
            return
        if syn:
            names["srcv"] = (packet["seq"] + 1) & MASK
            names["ssnd"] = (names["siss"] + 1) & MASK
        elif packet["seq"] == names["srcv"]:
            length = len(packet["data"]) + bool(flags & FLAGS["FIN"])
            names["srcv"] = (names["srcv"] + length) & MASK
        if "ts" in options:
            names["stsecr"] = options["ts"][0]

    def show(self, packet, asked=(), words=()):
        """A packet in words; `asked`: keys that were compared, `words`: how."""
        inside = packet["dst"] == self.flow.server
        far, near = ("iss", "siss") if inside else ("irs", "iss")
        if "icmp" in packet:
            named = [name for name, kinds in ICMP.items()
                     if packet["icmp"] == kinds[self.family == 6]] or ["%d/%d" % packet["icmp"]]
            quote = packet.get("quote", {})
            return "ICMP %s quoting SEQ=%s" % (named[0], self.number(quote.get("seq", 0), near))
        if "later" in packet:
            return "a later fragment of %d bytes" % len(packet["later"])
        out = flags_name(packet["flags"], packet["reserved"]) + " SEQ=" + \
            self.number(packet["seq"], far)
        if packet["flags"] & FLAGS["ACK"]:
            out += " ACK=" + self.number(packet["ack"], near)
        if packet["data"]:
            out += " LEN=%d" % len(packet["data"])
        values = self.values(packet)
        for key in asked:
            if key == "options":
                names = [n for n, k in KINDS.items() if k in packet["options"]["kinds"]]
                out += " <%s>" % ",".join(names)
            elif key == "blocks":
                out += " blocks=" + ":".join(self.number(e, near) for e in values[key] or ())
            elif key == "open-window":
                out += " WND>0"
            elif key in ("tsval", "tsecr") and key in words:
                out += " %s=%s" % (key, words[words.index(key) + 1])
            elif key not in ("seq", "ack", "len", "data"):
                out += " %s=%s" % (key, values[key])
        return out
