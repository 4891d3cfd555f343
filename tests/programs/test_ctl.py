# SPDX-License-Identifier: BSD-3-Clause
"""What synfrontctl says when it reaches no engine: each reason has its own words."""
import contextlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest

APP = os.path.join(os.environ["SYNFRONT_BUILD_DIR"], "app")
EXIT_ENGINE = 1
USER = "nobody"
ROOT_BASE = "/var/run"
as_root = unittest.skipUnless(os.getuid() == 0, "another user is for root to become")


def listen(path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(1)
    return listener


INFO = b'{"/synfront/info":{"workers":3}}'
# A service that is known in full, and one that is not.
SERVICES = (b'{"/synfront/services":{"next":0,"name":["a","b"],"connections":[7,0],"opened":[8,0],'
            b'"syn":[9,5],"unknown":["","connections opened"]}}')


def engine(path, answer=INFO):
    """A socket that answers one client as an engine's does."""
    listener = listen(path)

    def serve():
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            client.send(b'{"version":"fake","pid":1,"max_output_len":16384}')
            client.recv(1000)
            client.send(answer)
            client.close()
    threading.Thread(target=serve, daemon=True).start()
    return listener


class Ctl(unittest.TestCase):
    def setUp(self):
        self.open_to_all = tempfile.mkdtemp(prefix="programs-")
        os.chmod(self.open_to_all, 0o755)
        # Where anybody can run it.
        program = os.path.join(self.open_to_all, "synfrontctl")
        shutil.copy(os.path.join(APP, "synfrontctl"), program)
        os.chmod(program, 0o755)
        self.instance = "ctl-test-%d" % os.getpid()
        self.addCleanup(shutil.rmtree, self.open_to_all)

    def place(self, base, mode):
        """The directory of this instance's socket; the path of the socket."""
        directory = os.path.join(base, "dpdk", self.instance)
        os.makedirs(directory)
        os.chmod(directory, mode)
        self.addCleanup(shutil.rmtree, directory, True)
        return os.path.join(directory, "dpdk_telemetry.v2")

    def ask(self, *command, user=None, base=None, status=EXIT_ENGINE):
        env = {"PATH": os.environ["PATH"]}
        if base:
            env["RUNTIME_DIRECTORY"] = base
        who = {}
        if user:
            entry = pwd.getpwnam(user)
            who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        done = subprocess.run(
            (os.path.join(self.open_to_all, "synfrontctl"), "--instance", self.instance,
             *(command or ("info",))),
            env=env, cwd="/", capture_output=True, text=True, timeout=60, check=False, **who)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr if status else done.stdout

    def test_no_socket_is_not_running(self):
        said = self.ask(base=self.open_to_all)
        self.assertIn("not running, or as another instance, or without telemetry", said)
        self.assertIn(os.path.join(self.open_to_all, "dpdk", self.instance), said)
        self.assertNotIn("permission", said)

    def test_socket_left_behind_is_not_running_any_more(self):
        path = self.place(self.open_to_all, 0o700)
        listen(path).close()
        said = self.ask(base=self.open_to_all)
        self.assertIn("not running any more", said)
        self.assertIn(path, said)

    def test_engine_answers(self):
        with engine(self.place(self.open_to_all, 0o700)):
            self.assertIn("3", self.ask(base=self.open_to_all, status=0))

    def test_what_an_engine_cannot_know_is_shown_as_unknown(self):
        path = self.place(self.open_to_all, 0o700)
        with engine(path, SERVICES):
            rows = json.loads(self.ask("services", "--json", base=self.open_to_all, status=0))
        self.assertEqual([row["connections"] for row in rows], [7, None])
        self.assertEqual([row["opened"] for row in rows], [8, None])
        self.assertEqual([row["syn"] for row in rows], [9, 5])
        self.assertNotIn("unknown", rows[0])
        os.unlink(path)
        with engine(path, SERVICES):
            said = self.ask("services", base=self.open_to_all, status=0)
        cells = [dict(zip(said.split("\n")[0].split(), line.split())) for line in
                 said.strip().split("\n")[1:]]
        self.assertEqual([cell["CONNS"] for cell in cells], ["7", "-"])
        self.assertEqual([cell["OPENED"] for cell in cells], ["8", "-"])

    def test_health_without_an_engine_is_failed(self):
        said = self.run_ctl("--json", "health")
        self.assertEqual(said.returncode, EXIT_ENGINE, said)
        answer = json.loads(said.stdout)
        self.assertEqual(answer["state"], "failed")
        self.assertIn("not running", answer["reasons"][0])
        said = self.run_ctl("health")
        self.assertEqual((said.returncode, said.stdout.split("\n")[0]), (EXIT_ENGINE, "failed"))

    def test_scrape_without_an_engine_is_answered(self):
        for request, status in (("GET /metrics HTTP/1.1\r\n\r\n", "503 Service Unavailable"),
                                ("GET / HTTP/1.1\nHost: x\n\n", "404 Not Found"),
                                ("POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
                                ("nonsense\r\n\r\n", "400 Bad Request"),
                                ("GET /metrics HTTP/1.1\r\n", "408 Request Timeout")):
            said = self.run_ctl("scrape", text=request)
            self.assertEqual(said.returncode, 0, said)
            head, _, body = said.stdout.partition("\r\n\r\n")
            self.assertEqual(head.split("\r\n")[0], "HTTP/1.1 " + status, request)
            self.assertIn("Content-Length: %d" % len(body), head)

    def test_a_check_needs_a_file_and_a_reload_none(self):
        for argv in (("check",), ("check", "a", "b"), ("reload", "now"), ("health", "x"),
                     ("scrape", "x"), ("--watch", "1", "health"), ("metrics", "text")):
            self.assertEqual(self.run_ctl(*argv).returncode, 2, argv)

    def run_ctl(self, *argv, text=""):
        done = subprocess.run(
            (os.path.join(self.open_to_all, "synfrontctl"), "--instance", self.instance, *argv),
            env={"PATH": os.environ["PATH"], "RUNTIME_DIRECTORY": self.open_to_all}, cwd="/",
            input=text.encode(), capture_output=True, timeout=60, check=False)
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        return done

    @as_root
    def test_closed_directory_is_permission_denied(self):
        path = self.place(self.open_to_all, 0o700)
        with engine(path):
            said = self.ask(user=USER, base=self.open_to_all)
        self.assertIn("permission denied on %s: run as root or the engine's user" % path, said)
        self.assertNotIn("running", said)

    @as_root
    def test_closed_socket_is_permission_denied(self):
        path = self.place(self.open_to_all, 0o755)
        with engine(path):
            os.chmod(path, 0o700)
            said = self.ask(user=USER, base=self.open_to_all)
        self.assertIn("permission denied on %s: run as root" % path, said)

    @as_root
    def test_engine_of_root_is_looked_for_by_another_user(self):
        path = self.place(ROOT_BASE, 0o700)
        with engine(path):
            said = self.ask(user=USER)
        self.assertIn("permission denied on %s: run as root or the engine's user" % path, said)

    @as_root
    def test_engine_of_the_user_is_found_first(self):
        path = self.place("/tmp", 0o755)
        with engine(path):
            os.chmod(path, 0o777)
            self.assertIn("3", self.ask(user=USER, status=0))


if __name__ == "__main__":
    unittest.main()
