# SPDX-License-Identifier: BSD-3-Clause
"""The sample hooks of config/events: what they make of an event."""
import json
import os
import stat
import subprocess
import tempfile
import unittest

EVENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "config", "events")
BEGIN = {"time": "2026-11-26T19:41:17.250Z", "number": 5, "instance": "synfront", "event": "flood",
         "state": "begin", "service": "web", "syn_per_s": 900000, "observe": 0, "half_open": 512,
         "prefixes": [{"prefix": "203.0.113.0/24", "percent": 61.2},
                      {"prefix": "198.51.100.0/24", "percent": 20},
                      {"prefix": "100.64.0.0/10", "percent": 9},
                      {"prefix": "2001:db8:7::/48", "percent": 6},
                      {"prefix": "192.0.2.0/24", "percent": 1}],
         "text": "service web: enters cookie mode, 512 half-open entries, 900000 SYN/s"}
END = dict(BEGIN, state="end", number=9, begin=5, seconds=61.3,
           text="service web: leaves cookie mode")
OTHER = {"time": "2026-11-26T19:41:17.250Z", "number": 6, "instance": "synfront", "event": "reload",
         "state": "once", "result": "refused", "text": 'not reloaded: found "x"; $(reboot) `id`'}
# What stands in for a program: its arguments and standard input, in files.
FAKE = '#!/bin/sh\nprintf "%s\\n" "$@" >> "$0.args"\ncat >> "$0.input"\n[ ! -e "$0.fails" ]\n'


class Hooks(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        for name in ("curl", "sendmail", "gobgp"):
            with open(self.path(name), "w") as file:
                file.write(FAKE)
            os.chmod(file.name, stat.S_IRWXU)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def read(self, name):
        try:
            with open(self.path(name)) as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def hook(self, name, event, *argv, **env):
        env = dict(os.environ, PATH=self.folder.name + ":" + os.environ["PATH"],
                   SENDMAIL=self.path("sendmail"), **env)
        text = json.dumps(event, separators=(",", ":")) + "\n"
        path = os.path.join(EVENTS, name)
        fields = dict(input=text, env=env, timeout=60, stdout=subprocess.PIPE,
                      stderr=subprocess.PIPE, text=True, check=False)
        if name.endswith(".py"):
            return subprocess.run(("python3", path) + argv, **fields)
        return subprocess.run(("sh", path) + argv, **fields)

    def test_webhook_posts_it_as_it_is(self):
        done = self.hook("webhook.sh", BEGIN, "https://hooks.example.net/x")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(self.read("curl.input")), BEGIN)
        self.assertIn("https://hooks.example.net/x\n", self.read("curl.args"))

    def test_webhook_keeps_its_token_from_the_command_line(self):
        with open(self.path("curl"), "a") as file:
            file.write('cat <&3 > "$0.config"\n')
        done = self.hook("webhook.sh", BEGIN, "https://hooks.example.net/x", WEBHOOK_TOKEN="s3cret")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("s3cret", self.read("curl.args"))
        self.assertIn('header = "Authorization: Bearer s3cret"', self.read("curl.config"))
        self.assertEqual(json.loads(self.read("curl.input")), BEGIN)

    def test_webhook_fails_with_its_receiver(self):
        with open(self.path("curl.fails"), "w"):
            pass
        self.assertNotEqual(self.hook("webhook.sh", BEGIN, "https://x").returncode, 0)

    def test_mail_has_the_line_as_subject(self):
        done = self.hook("mail.sh", OTHER, "noc@example.net")
        self.assertEqual(done.returncode, 0, done.stderr)
        head, _, body = self.read("sendmail.input").partition("\n\n")
        self.assertIn("To: noc@example.net\n", head)
        self.assertIn('Subject: [synfront] not reloaded: found \\"x\\"; $(reboot) `id`\n', head)
        self.assertEqual(json.loads(body), OTHER)

    def test_mail_of_some_kinds(self):
        for event in (BEGIN, END, OTHER):
            done = self.hook("mail.sh", event, "noc@example.net", "backend_down", "flood")
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.read("sendmail.input").count("Subject:"), 2)

    def bgp(self, event, *argv):
        done = self.hook("bgp.py", event, "--service", "web=198.51.100.10/32", "--state",
                         self.folder.name, *argv)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stderr.splitlines()

    def test_bgp_announces_and_withdraws(self):
        tail = ["route 198.51.100.10/32 next-hop 192.0.2.1 community [65535:666]"]
        self.assertEqual(self.bgp(BEGIN), ["announce " + tail[0]])
        self.assertEqual(self.bgp(END), ["withdraw " + tail[0]])
        # What was not announced is not withdrawn.
        self.assertEqual(self.bgp(END), [])
        self.assertEqual(os.listdir(self.folder.name).count("synfront-web"), 0)

    def test_bgp_leaves_alone_what_it_shall(self):
        self.assertEqual(self.bgp(BEGIN, "--least", "1M"), [])
        self.assertEqual(self.bgp(dict(BEGIN, observe=1)), [])
        self.assertEqual(self.bgp(dict(BEGIN, service="mail")), [])
        self.assertEqual(self.bgp(OTHER), [])

    def test_bgp_by_gobgp(self):
        self.assertEqual(self.bgp(BEGIN, "--gobgp"), [])
        self.assertEqual(self.read("gobgp.args").split(), [
            "global", "rib", "add", "198.51.100.10/32", "nexthop", "192.0.2.1", "community",
            "65535:666", "-a", "ipv4"])

    def test_bgp_drops_few_sources_and_none_that_are_ours(self):
        argv = ("--sources", "5", "--never", "198.51.100.0/22")
        rule = "flow route source 203.0.113.0/24 destination 198.51.100.10/32 protocol [ tcp ] discard"
        self.assertEqual(self.bgp(BEGIN, *argv), ["announce " + rule])
        self.assertEqual(self.bgp(END, *argv), ["withdraw " + rule])
        self.assertEqual(self.bgp(dict(BEGIN, prefixes=[]), *argv), [])

    def test_bgp_does_not_wait_for_a_pipe(self):
        os.mkfifo(self.path("pipe"))
        done = self.hook("bgp.py", BEGIN, "--service", "web=198.51.100.10/32", "--state",
                         self.folder.name, "--exabgp", self.path("pipe"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("pipe", done.stderr)
        reader = os.open(self.path("pipe"), os.O_RDONLY | os.O_NONBLOCK)
        self.bgp(BEGIN, "--exabgp", self.path("pipe"))
        self.assertTrue(os.read(reader, 4096).startswith(b"announce route 198.51.100.10/32 "))
        os.close(reader)


if __name__ == "__main__":
    unittest.main()
