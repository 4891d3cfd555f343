# SPDX-License-Identifier: BSD-3-Clause
"""A plain listening TCP for the in-memory column: it stands where Linux stands in the
other two. It does what an application asks it, and of RFC 9293 what scripts need."""

MASK = 0xFFFFFFFF
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
        self.ahead = {}  # out of order

    def segment(self, flags, data=b"", seq=None, **more):
        f = {"src": self.packet["dst"], "dst": self.packet["src"],
             "sport": self.packet["dport"], "dport": self.packet["sport"],
             "seq": self.snd if seq is None else seq, "ack": self.rcv if flags & ACK else 0,
             "flags": flags, "win": WINDOW >> (WSCALE if "wscale" in self.offered else 0),
             "data": data, "id": 0, "ttl": 64, **more}
        if self.ts and not flags & RST:
            f["ts"] = (self.listener.tsval(), self.tsecr)
        if self.ahead and self.offered.get("sack") and flags & ACK and not flags & SYN:
            f["blocks"] = [edge & MASK for seq, piece in sorted(self.ahead.items())
                           for edge in (seq, seq + len(piece))]
        return f

    def syn_ack(self):
        return self.segment(SYN | ACK, seq=self.iss, win=WINDOW,
                            mss=MSS[self.packet["family"]],
                            sack=self.offered.get("sack"),
                            wscale=WSCALE if "wscale" in self.offered else None)

    def receive(self, packet):
        """The answers to a segment (RFC 9293, 3.10.7.4)."""
        flags, seq = packet["flags"], packet["seq"]
        if self.reset:
            return [] if flags & RST else [self.refusal(packet)]
        if flags & SYN:
            return [self.syn_ack()] if not self.established and seq == self.irs \
                else [self.segment(ACK)]
        ahead = (seq - self.rcv) & MASK
        if flags & RST:
            if ahead == 0:
                self.reset = True
                return []
            return [self.segment(ACK)] if ahead < WINDOW else []
        if "ts" in packet["options"]:
            self.tsecr = packet["options"]["ts"][0]
        if flags & ACK:
            self.established = True
            if (self.snd - packet["ack"]) & MASK > (self.snd - self.una) & MASK:
                return [self.segment(ACK)] if (packet["ack"] - self.snd) & MASK < 1 << 31 else []
            self.una = packet["ack"]
        return self.take(packet, ahead)

    def take(self, packet, ahead):
        data, fin = packet["data"], packet["flags"] & FIN
        if not data and not fin:
            return [] if ahead == 0 else [self.segment(ACK)]
        if ahead and ahead < 1 << 31:
            self.ahead[packet["seq"]] = data
            return [self.segment(ACK)]
        known = -ahead & MASK
        if known < len(data) or (fin and known == len(data)):
            self.data += data[known:]
            self.rcv = (packet["seq"] + len(data)) & MASK
            if fin:
                self.finished = True
                self.rcv = (self.rcv + 1) & MASK
        while self.rcv in self.ahead:
            piece = self.ahead.pop(self.rcv)
            self.data += piece
            self.rcv = (self.rcv + len(piece)) & MASK
        return [self.segment(ACK)]

    def refusal(self, packet):
        length = len(packet["data"]) + bool(packet["flags"] & (SYN | FIN))
        if packet["flags"] & ACK:
            return self.segment(RST, seq=packet["ack"])
        self.rcv = (packet["seq"] + length) & MASK
        return self.segment(RST | ACK, seq=0)


class App:
    """What a script's `app` lines ask of a connection."""

    def __init__(self, connection, say):
        self.connection, self.say = connection, say

    def says(self, data):
        c = self.connection
        self.say(c.segment(PSH | ACK, data))
        c.snd = (c.snd + len(data)) & MASK

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
        return connection.receive(packet) if connection else []

    def app(self, key, say):
        connection = self.connections.get(key)
        return App(connection, say) if connection and connection.established else None
