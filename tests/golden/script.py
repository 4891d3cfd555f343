# SPDX-License-Identifier: BSD-3-Clause
"""case.txt: what it says, line by line. (The language is described in run.)"""
import ipaddress
import os
import re

import wire

HERE = os.path.dirname(os.path.abspath(__file__))
# A second in which an epoch of the cookies begins (30 s), and a clock that is cut into
# 2^14 ms (TSval) has just gone on: a case of a few seconds sees neither turn.
START_US = 1700000760 * 1000000
TICK_US = 10000
STEP_US = 1000
SIDES = ("outside", "inside")
MAC = {"outside": bytes.fromhex("020000000c01"), "inside": bytes.fromhex("020000000501")}
TTL = {"outside": 57, "inside": 61}
METAS = ("shows", "covers", "failure", "run", "end")
LINE = re.compile(r"(?:([+@])([\d.]+) )?(client|server|expect)(?:\.(\w+))? > (.*)$")


class ScriptError(Exception):
    pass


class Unresolved(Exception):
    """A value that only the engine's answer to what came before can tell."""


def expand(lines, values):
    """Includes, parameters and loops -> plain lines with their place."""
    out, i = [], 0
    while i < len(lines):
        place, text = lines[i]
        i += 1
        text = re.sub(r"\$(\w+)", lambda m: str(values.get(m[1], m[0])), text)
        words = text.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "param":
            values.setdefault(words[1], words[2])
        elif words[0] == "include:":
            inner = dict(w.split("=", 1) for w in words[2:])
            out += expand(read(os.path.join(HERE, words[1] + ".txt")), inner)
        elif words[0] == "each":
            body = []
            while lines[i][1].strip() != "done":
                body.append(lines[i])
                i += 1
            i += 1
            for number in range(int(words[2]), int(words[3]) + 1):
                out += expand(body, dict(values, **{words[1]: number}))
        else:
            out.append((place, text))
    return out


def read(path):
    with open(path, encoding="ascii") as file:
        return [("%s:%d" % (os.path.relpath(path, HERE), n), line.rstrip("\n"))
                for n, line in enumerate(file, 1)]


class Case:
    """`ask(inputs, args)` runs the engine and returns what left, by side."""

    def __init__(self, folder, ask=None):
        self.folder, self.ask = folder, ask
        self.meta = {name: [] for name in METAS}
        self.flows, self.names, self.pending = {}, {}, []
        self.inputs = {side: [] for side in SIDES}  # (time, frame as dict)
        self.expects = {side: [] for side in SIDES}
        self.counters = {}
        self.now_us = START_US - STEP_US
        self.first_us = None
        self.proof_us = None
        self.last_in = None
        self.number = 0x100
        self.default_flow = None
        self.lines = []
        more = None
        for place, text in expand(read(os.path.join(folder, "case.txt")), {}):
            name = text.split(":")[0]
            if name in METAS:
                more = name
                self.meta[name].append(text[len(name) + 1:].strip())
            elif text[0] in " \t" and more:
                self.meta[more][-1] += " " + text.strip()
            else:
                more = None
                self.lines.append((place, text.strip()))
        self.args = " ".join(self.meta["run"]).split()

    # ---- evaluation ----

    def evaluate(self):
        for place, text in self.lines:
            try:
                self.line(text)
            except (KeyError, ValueError, IndexError, SyntaxError) as error:
                raise ScriptError("%s: %s: %r" % (place, text, error)) from error
            except ScriptError as error:
                raise ScriptError("%s: %s" % (place, error)) from error
        self.resolve()

    def line(self, text):
        if text.startswith("flow "):
            self.flow(text.split())
            return
        text, _, counts = text.partition(";")
        for count in counts.split():
            name, _, times = count.partition("*")
            self.counters[name] = self.counters.get(name, 0) + int(times or 1)
        match = LINE.match(text.strip())
        if match is None:
            raise ScriptError("not understood: " + text)
        how, seconds, actor, flow, rest = match.groups()
        expects = actor == "expect"
        moment = int(round(float(seconds) * 1e6)) if how else 0 if expects else STEP_US
        self.now_us = START_US + moment if how == "@" else self.now_us + moment
        if "taken_proof" in counts.split():
            self.proof_us = self.now_us
        if expects:
            words = rest.split()
            twice = words[1] == "SYNs"
            words[1] = words[1].rstrip("s") if twice else words[1]
            self.expect(words, how is not None)
            if twice:  # the first copy's TSval is one below
                frames = self.expects[words[0].partition(".")[0]]
                at_us, frame = frames.pop()
                first = dict(frame)
                if "ts" in frame:
                    first["ts"] = ((frame["ts"][0] - 1) & wire.MASK, frame["ts"][1])
                frames += [(at_us, first), (at_us, frame)]
        else:
            side = "outside" if actor == "client" else "inside"
            self.input(side, self.frame(side, flow, rest.split(), self.made_by_peer(side)))

    def flow(self, words):
        """flow NAME: CLIENT PORT > SERVER PORT [vlan N | qinq N N]"""
        name = words[1].rstrip(":")
        client, cport, _, server, sport = words[2:7]
        tags = []
        if words[7:8] == ["vlan"]:
            tags = [(0x8100, int(words[8]))]
        elif words[7:8] == ["qinq"]:
            tags = [(0x88A8, int(words[8])), (0x8100, int(words[9]))]
        self.flows[name] = (ipaddress.ip_address(client).packed, int(cport),
                            ipaddress.ip_address(server).packed, int(sport), tags)
        self.default_flow = name

    def made_by_peer(self, side):
        self.number += 1
        return {"ttl": TTL[side], "id": self.number, "win": 29200}

    def envelope(self, side, name):
        """Of a frame that the end on `side` sends."""
        client, cport, server, sport, tags = self.flows[name or self.default_flow]
        if side == "outside":
            ends = {"src": client, "sport": cport, "dst": server, "dport": sport}
        else:
            ends = {"src": server, "sport": sport, "dst": client, "dport": cport}
        other = SIDES[1 - SIDES.index(side)]
        return dict(ends, smac=MAC[side], dmac=MAC[other], tags=tags)

    def input(self, side, frame):
        if self.first_us is None:
            self.first_us = self.now_us
        self.last_in = (side, frame)
        self.inputs[side].append((self.now_us, frame))

    def expect(self, words, by_timer):
        side, _, flow = words[0].partition(".")
        if words[1] == "same":
            frame = self.keys(dict(self.last_in[1]), words[2:])
        else:
            made = {"ttl": 64, "id": 0, "win": 0}
            frame = self.frame(SIDES[1 - SIDES.index(side)], flow or None, words[1:], made)
        at_us = self.now_us
        if by_timer:  # the clock is looked at once a tick
            at_us += -(at_us - self.first_us) % TICK_US
        for field in ("seq", "ts"):
            value = frame.get(field)
            name = value[0] if field == "ts" and value else value
            if isinstance(name, str):
                self.names.pop(name, None)
                self.pending.append((side, len(self.expects[side]), field, name))
        self.expects[side].append((at_us, frame))

    def value(self, text):
        if text.startswith("?"):
            return text[1:]
        name, given, text = text.rpartition("=")
        if given:
            self.names[name] = self.value(text)
            return self.names[name]
        if not re.fullmatch(r"[\w+\-*(),]+", text):
            raise ScriptError("not a value: " + text)
        for name in re.findall(r"[A-Za-z_]\w*", re.sub(r"0x[0-9a-fA-F]+", "", text)):
            if name not in ("clock", "running") and name not in self.names:
                self.resolve()
                if name not in self.names:
                    raise ScriptError("unknown name: " + name)
        known = dict(self.names, clock=self.clock, running=self.running)
        return eval(text, {"__builtins__": {}}, known) & wire.MASK

    def clock(self, wscale, mss, promised):
        """TSval of a SYN-ACK at this moment: scale and MSS are what the client's have above the
        profile's (lib/cookie/cookie.h)."""
        units = (self.now_us // 1000) >> 2
        return (units << 17 | promised << 13 | wscale << 10 | mss) & wire.MASK

    def running(self, tsval):
        """The engine's TSval now, on a connection whose client echoes that of its SYN-ACK: the
        time until the proof in units of 4 ms, then in milliseconds."""
        now, proof = self.now_us // 1000, (self.proof_us or self.now_us) // 1000
        return (tsval + (((proof >> 2) - (tsval >> 17)) % (1 << 15) << 2) + now - proof) & wire.MASK

    def frame(self, side, flow, words, start):
        frame = dict(start, seq=0, ack=0, **self.envelope(side, flow))
        if words[0] == "ICMP":
            frame["icmp"] = (int(words[1]), int(words[2]))
            return self.keys(frame, words[3:])
        frame["flags"] = None if words[0] == "LATER" else wire.flags_of(words[0])
        return self.keys(frame, words[1:])

    def keys(self, frame, words):
        words = list(words)

        def take():
            return words.pop(0)
        while words:
            key = take()
            if key in ("seq", "ack", "win", "mss", "wscale", "urg", "mtu", "id", "ttl", "tos"):
                frame[key] = self.value(take())
            elif key == "fragment":
                frame[key] = int(take(), 0)
            elif key == "flags":
                frame[key] = wire.flags_of(take())
            elif key == "ts":
                frame[key] = (self.value(take()), self.value(take()))
            elif key == "blocks":
                frame[key] = [self.value(edge) for edge in take().split(":")]
            elif key == "stripped":  # the blocks, by NOPs
                frame["raw"] = b"\1" * (4 + 4 * len(frame.pop("blocks"))) + frame.get("raw", b"")
            elif key == "data":
                text = take()
                frame[key] = (b"0123456789" * 7000)[:int(text[1:])] if text[0] == "*" \
                    else text.encode()
            elif key == "raw":
                frame[key] = bytes.fromhex(take())
            elif key == "dmac":
                frame[key] = bytes.fromhex(take().replace(":", ""))
            elif key in ("sack", "badsum"):
                frame[key] = True
            elif key == "cut":
                frame[key] = int(take())
            elif key == "quote":
                frame[key] = self.quote(frame, words)
                words = []
            else:
                raise ScriptError("unknown key: " + key)
        return frame

    def quote(self, frame, words):
        """The head of a packet that its receiver's side complains about."""
        back = dict(frame, ttl=60, id=0x77, win=1000, seq=0, ack=0,
                    src=frame["dst"], dst=frame["src"], sport=frame["dport"],
                    dport=frame["sport"], flags=wire.flags_of(words[0]))
        for key in ("icmp", "quote", "mtu"):
            back.pop(key, None)
        return wire.encode_ip(self.keys(back, words[1:]))

    # ---- what the engine has to be asked for ----

    def encoded(self, frames):
        out = []
        for at_us, frame in frames:
            data = wire.encode(frame)
            out.append((at_us, data[:len(data) - frame.get("cut", 0)]))
        return out

    def resolve(self):
        """Run what has been said so far, and look up what the pending names stand for."""
        if not self.pending:
            return
        last_us = max(at for side in SIDES for at, _ in self.inputs[side])
        left = self.ask({side: self.encoded(self.inputs[side]) for side in SIDES},
                        max(0, self.now_us - last_us) + 2 * TICK_US)
        for side, index, field, name in self.pending:
            at_us, frame = self.expects[side][index]
            like = [f for _, f in self.expects[side][:index] if alike(f, frame)]
            found = [d for d in left[side] if found_alike(d, frame)]
            if len(found) <= len(like):
                raise ScriptError("what is to tell %s never left: %s" % (
                    name, ", ".join(wire.summary(f) for f in left[side]) or "nothing left"))
            seen = wire.decode(found[len(like)])
            value = seen["seq"] if field == "seq" else \
                int(re.search(r"ts (\d+)", seen["options"])[1])
            frame = dict(frame)
            frame[field] = value if field == "seq" else (value, frame["ts"][1])
            self.expects[side][index] = (at_us, frame)
            self.names[name] = value
        self.pending = []

    def account(self):
        out = {"received": sum(len(f) for f in self.inputs.values())}
        for side in SIDES:
            out["sent_" + side] = len(self.expects[side])
        for line in self.meta["end"]:
            words = line.split()
            out.update((name, int(value)) for name, value in zip(words[::2], words[1::2]))
        out.update(sorted(self.counters.items()))
        return {name: value for name, value in out.items() if value}


def alike(a, b):
    return all(a.get(k) == b.get(k) for k in ("src", "dst", "sport", "dport", "flags", "tags"))


def found_alike(data, frame):
    seen = wire.decode(data)
    return seen.get("flags") == wire.flags_name(frame["flags"]) and \
        (seen["sport"], seen["dport"]) == (frame["sport"], frame["dport"]) and \
        (seen["src"], seen["dst"]) == tuple(str(ipaddress.ip_address(frame[k]))
                                            for k in ("src", "dst"))
