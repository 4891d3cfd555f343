# SPDX-License-Identifier: BSD-3-Clause
"""A plain listening TCP for the in-memory column: it stands where Linux stands in the
other two. It does what an application asks it, and of RFC 9293 what scripts need."""

from language import SERVICES

MASK = 0xFFFFFFFF
LISTENING = set(SERVICES.values())
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
ISS = 0xC0000000
WINDOW = 65160
WSCALE = 7
MSS = {4: 1460, 6: 1440}


class Connection:
    """One accepted connection, and what an application does with it."""

    def __init__(self, listener, packet):
        self.listener = listener
        self.key = listener.key(packet)
        self.packet = packet
        self.iss = (ISS + 0x10001 * len(listener.connections)) & MASK
        self.irs = packet["seq"]
        self.snd, self.una, self.rcv = (self.iss + 1) & MASK, self.iss, (self.irs + 1) & MASK
        options = packet["options"]
        self.ts = "ts" in options
        self.tsecr = options["ts"][0] if self.ts else 0
        self.offered = options
        self.established = self.reset = self.finished = self.closed = False
        self.data = b""
        self.ahead = {}  # out of order: SEQ -> (data, FIN)
        self.peer_window = 65535
        self.urgent = self.again = None
        self.latest = 0
        self.waiting = b""  # what the application said and the window does not let go

    def segment(self, flags, data=b"", seq=None, **more):
        f = {"src": self.packet["dst"], "dst": self.packet["src"],
             "sport": self.packet["dport"], "dport": self.packet["sport"],
             "seq": self.snd if seq is None else seq, "ack": self.rcv if flags & ACK else 0,
             "flags": flags, "win": WINDOW >> (WSCALE if "wscale" in self.offered else 0),
             "data": data, "id": 0, "ttl": 64, **more}
        if self.ts and not flags & RST:
            f["ts"] = (self.listener.tsval(), self.tsecr)
        blocks = self.blocks()
        if blocks and self.offered.get("sack") and flags & ACK and not flags & SYN:
            f["blocks"] = [edge & MASK for block in blocks for edge in block]
        return f

    def blocks(self):
        """What came again (RFC 2883), then what waits, the latest first (RFC 2018, 4)."""
        out = [self.again] if self.again else []
        waiting = []
        for seq, (piece, _) in sorted(self.ahead.items()):
            if waiting and waiting[-1][1] == seq:
                waiting[-1][1] = seq + len(piece)
            elif piece:
                waiting.append([seq, seq + len(piece)])
        waiting.sort(key=lambda block: not block[0] <= self.latest < block[1])
        self.again = None
        return out + waiting

    def syn_ack(self):
        return self.segment(SYN | ACK, seq=self.iss, win=WINDOW,
                            mss=MSS[self.packet["family"]],
                            sack=self.offered.get("sack"),
                            wscale=WSCALE if "wscale" in self.offered else None)

    def receive(self, packet):
        """The answers to a segment (RFC 9293, 3.10.7.4)."""
        flags, seq = packet["flags"], packet["seq"]
        if self.reset:
            return [] if flags & RST else [refusal(packet)]
        if flags & SYN:
            return [self.syn_ack()] if not self.established and seq == self.irs \
                else [self.segment(ACK)]
        ahead = (seq - self.rcv) & MASK
        if flags & RST:
            if ahead == 0:
                self.reset = True
                return []
            return [self.segment(ACK)] if ahead < WINDOW else []
        if self.ts and "ts" in packet["options"]:
            tsval = packet["options"]["ts"][0]
            if (tsval - self.tsecr) & MASK >= 1 << 31:  # PAWS
                return [self.segment(ACK)]
            if ahead == 0 or ahead >= 1 << 31:
                self.tsecr = tsval
        if not flags & ACK:
            return []
        behind = (self.snd - packet["ack"]) & MASK
        if behind > (self.snd - self.una) & MASK + WINDOW:
            return [self.segment(ACK)]
        self.established = True
        if behind <= (self.snd - self.una) & MASK:
            self.una = packet["ack"]
            self.peer_window = packet["win"]
        return self.take(packet, ahead) + self.write(b"")

    def write(self, data):
        """What goes out of it now."""
        self.waiting += data
        out = []
        size = self.offered.get("mss", 536) - (12 if self.ts else 0)
        while self.waiting and self.peer_window > 0:
            room = self.peer_window << min(self.offered.get("wscale", 0), 14)
            room = max(room - ((self.snd - self.una) & MASK), 0)
            piece, self.waiting = self.waiting[:min(size, room)], self.waiting[min(size, room):]
            if not piece:
                break
            out.append(self.segment(PSH | ACK, piece))
            self.snd = (self.snd + len(piece)) & MASK
        return out

    def take(self, packet, ahead):
        data, fin = packet["data"], packet["flags"] & FIN
        if packet["flags"] & URG and 0 < packet["urg"] <= len(data):
            self.urgent = (packet["seq"] + packet["urg"] - 1) & MASK
        if not data and not fin:
            return [] if ahead == 0 else [self.segment(ACK)]
        if self.finished and not ahead:
            return []
        if ahead and ahead < 1 << 31:
            if ahead < WINDOW:
                self.ahead[packet["seq"]] = (data, fin)
                self.latest = packet["seq"]
            return [self.segment(ACK)]
        known = -ahead & MASK
        if known < len(data) or (fin and known == len(data)):
            self.accept(data[known:], fin)
        elif data:
            self.again = (packet["seq"], packet["seq"] + len(data))
        while self.rcv in self.ahead:
            self.accept(*self.ahead.pop(self.rcv))
        return [self.segment(ACK)]

    def accept(self, data, fin):
        at = (self.urgent - self.rcv) & MASK if self.urgent is not None else len(data)
        self.data += data[:at] + data[at + 1:]  # the urgent byte is not read in line
        self.rcv = (self.rcv + len(data) + bool(fin)) & MASK
        self.finished |= bool(fin)


def refusal(packet):
    """What CLOSED answers (RFC 9293, 3.10.7.1)."""
    length = len(packet["data"]) + sum(bool(packet["flags"] & bit) for bit in (SYN, FIN))
    f = {"src": packet["dst"], "dst": packet["src"], "sport": packet["dport"],
         "dport": packet["sport"], "win": 0, "seq": 0, "ack": 0, "flags": RST, "data": b""}
    if packet["flags"] & ACK:
        return dict(f, seq=packet["ack"])
    return dict(f, flags=RST | ACK, ack=(packet["seq"] + length) & MASK)


class App:
    """What a script's `app` lines ask of a connection."""

    def __init__(self, connection, say):
        self.connection, self.say = connection, say

    def says(self, data):
        for segment in self.connection.write(data):
            self.say(segment)

    def closes(self):
        c = self.connection
        self.say(c.segment(FIN | ACK))
        c.snd = (c.snd + 1) & MASK

    def aborts(self):
        self.connection.reset = True
        self.say(self.connection.segment(RST | ACK))

    def reads(self, size):
        got, self.connection.data = self.connection.data[:size], self.connection.data[size:]
        return got

    def ended(self):
        """Has the client finished, with all that came before it read?"""
        return self.connection.finished and not self.connection.data

    def was_reset(self):
        return self.connection.reset


class Listener:
    """All connections to it, by the client's address and port."""

    def __init__(self):
        self.connections = {}
        self.clock = 500000

    def tsval(self):
        self.clock += 1
        return self.clock

    @staticmethod
    def key(packet):
        return packet["src"], packet["sport"], packet["dport"]

    def receive(self, packet):
        if packet["proto"] != 6 or "flags" not in packet:
            return []
        connection = self.connections.get(self.key(packet))
        fresh = packet["flags"] & (SYN | ACK | RST) == SYN
        if fresh and (connection is None or connection.reset or (
                connection.finished and connection.una == connection.snd)):
            connection = self.connections[self.key(packet)] = Connection(self, packet)
            return [connection.syn_ack()]
        if connection:
            return connection.receive(packet)
        if packet["flags"] & RST or (packet["dport"] in LISTENING and not packet["flags"] & ACK):
            return []
        return [refusal(packet)]

    def app(self, key, say):
        connection = self.connections.get(key)
        return App(connection, say) if connection and connection.established else None
