# SPDX-License-Identifier: BSD-3-Clause
"""One check after the other, each with its result."""

import time
import traceback


class Skip(Exception):
    """A check that cannot be made with this guest; says why."""


class Checks:
    def __init__(self, tell):
        """tell(word, check, seconds, detail) is called for each check; `word` is "ok", "FAIL"
        or "skip"."""
        self.tell = tell

    def check(self, name, function, *args):
        begun = time.monotonic()
        try:
            detail = function(*args)
        except Skip as reason:
            self.tell("skip", name, 0, str(reason))
            return False
        except Exception:  # pylint: disable=broad-except
            self.tell("FAIL", name, time.monotonic() - begun, traceback.format_exc() + self.evidence())
            return False
        self.tell("ok", name, time.monotonic() - begun, detail or "")
        return True

    def evidence(self):
        """What is to be said besides, if one fails."""
        return ""
