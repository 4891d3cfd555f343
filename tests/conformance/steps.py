# SPDX-License-Identifier: BSD-3-Clause
"""Lines of a script that stand for more than one segment, or for none."""
from frames import INSIDE, MASK, OUTSIDE, flags_of
from language import Mismatch

TEACH_TRIES, TEACH_PATIENCE = 20, 0.25


class Steps:
    """A part of Play: what follows `do_` is the first word of a line."""

    def do_open(self, words):
        """open [KEYS of the SYN]: to an open connection, quiet at both ends."""
        self.send(OUTSIDE, ["SYN"] + (words or ["usual"]))
        seen = list(self.seen)
        self.expect(OUTSIDE, ["SYN-ACK"])
        self.send(OUTSIDE, ["ACK"])
        self.seen = seen
        self.do_settle([])

    teach_words = ["usual"]

    def do_settle(self, _words):
        """After the client's proof: the server is asked, and its window told."""
        seen = list(self.seen)
        if self.test.server == "raw":
            self.expect(INSIDE, ["SYN"])
            self.send(INSIDE, ["SYN-ACK"] + self.teach_words)
            self.expect(INSIDE, ["ACK"])
        if self.engine and not self.service.startswith("respond"):
            self.expect(OUTSIDE, ["ACK"])
        self.driver.quiet(self.flow, self.test.server == "raw")
        self.seen = seen

    def do_teach(self, words):
        """teach [KEYS]: the SYN-ACK by which the engine learns this raw server."""
        if words:
            self.teach_words = words
        if not self.engine:
            return
        flow, seen = self.flow, list(self.seen)
        for number in range(TEACH_TRIES):
            self.new_flow("teacher %d" % (len(self.flows) + number), [])
            self.send(OUTSIDE, ["SYN", "usual"])
            if self.get(INSIDE, TEACH_PATIENCE) is not None:
                break
            # So many SYNs have taught in this second that this one was answered instead.
            self.driver.sleep(TEACH_PATIENCE)
        self.flow.names["srcv"] = (self.flow.names["iss"] + 1) & MASK
        self.send(INSIDE, ["SYN-ACK"] + self.teach_words)
        self.expect(OUTSIDE, ["SYN-ACK"])
        self.send(OUTSIDE, ["RST"])
        self.flow.names["ssnd"] = (self.flow.names["siss"] + 1) & MASK
        self.expect(INSIDE, ["RST"])
        self.flow, self.seen = flow, seen

    def do_stray(self, words):
        """stray SEGMENT: one to which nothing at all may be said, to nobody"""
        before = self.driver.n_out
        self.send(OUTSIDE, words)
        if self.driver.n_out != before:
            raise Mismatch("something left")
        self.seen.append("nothing")

    def do_count(self, words):
        """count > FLAGS LEAST MOST: so many of these come, one like the other"""
        self.driver.quiet(self.flow, self.test.server == "raw")
        number = 0
        while True:
            packet = self.get(OUTSIDE, 0)
            if packet is None:
                break
            if packet["flags"] != flags_of(words[1])[0]:
                raise Mismatch("came: " + self.show(packet))
            number += 1
        if not int(words[2]) <= number <= int(words[3]):
            raise Mismatch("%d came" % number)
        self.seen.append("%s %s%s times" % (
            words[1], "" if words[2] == words[3] else "at most ", words[3]))

    def do_differ(self, words):
        """differ VALUE VALUE: two numbers that must not be equal"""
        if self.value(words[0]) == self.value(words[1]):
            raise Mismatch("they are equal")
        self.seen.append("different")

    def do_wait(self, words):
        self.driver.sleep(float(words[0]))

    def do_sync(self, _words):
        """What was sent has had its effect, wherever it went."""
        self.driver.quiet(self.flow, self.test.server == "raw")

    def app_key(self):
        return self.flow.client, self.flow.own_port, self.flow.port

    def do_app(self, words):
        """app ACTION: what the server's application does, or sees."""
        key = self.app_key()
        if words[0] == "none":
            self.driver.quiet(self.flow, False)
            if self.driver.app(key) is not None:
                raise Mismatch("the application has a connection")
            self.seen.append("no connection for the server")
            return
        app = self.driver.wait(lambda: self.driver.app(key))
        if app is None:
            raise Mismatch("the application has no connection")
        action = words[0]
        if action == "accepted":
            self.seen.append("the server has a connection")
        elif action == "says":
            text = words[1]
            app.says((b"0123456789" * 7000)[:int(text[1:])] if text[0] == "*" else text.encode())
        elif action == "reads":
            text = words[1]
            want = (b"0123456789" * 7000)[:int(text[1:])] if text[0] == "*" else text.encode()
            got = app.reads(len(want))
            if got != want:
                raise Mismatch("the application read %r" % got[:60])
            self.seen.append("the server reads %s" % (
                "%d bytes" % len(want) if text[0] == "*" else text))
        elif action in ("ended", "reset"):
            if not self.driver.wait(app.ended if action == "ended" else app.was_reset):
                raise Mismatch("the application's connection is not %s" % action)
            self.seen.append("the server sees %s" % ("the end" if action == "ended" else "RST"))
        elif action == "alive":
            self.driver.quiet(self.flow, False)
            if app.was_reset():
                raise Mismatch("the application's connection is reset")
            self.seen.append("the server's connection lives")
        else:
            getattr(app, action)()
