# SPDX-License-Identifier: BSD-3-Clause
"""Many conversations at once, in threads."""

import threading

from servers import ask, dial


class Party:
    """Threads that repeat something until told to end."""

    def __init__(self):
        self.over = threading.Event()
        self.threads = []
        self.errors = []
        self.done = 0

    def add(self, action, *args):
        def repeat():
            while not self.over.is_set():
                try:
                    action(*args)
                    self.done += 1
                except Exception as error:  # pylint: disable=broad-except
                    self.errors.append("%s: %r" % (action.__name__, error))
                    return

        self.threads.append(threading.Thread(target=repeat, daemon=True))
        self.threads[-1].start()

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join(60)
        return self.errors


def converse(lab, port, family):
    """One connection: messages there and back."""
    with dial(lab, port, family) as connection:
        for number in range(4):
            message = b"%d and so on. " % number * 300
            assert ask(connection, message) == message
