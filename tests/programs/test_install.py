# SPDX-License-Identifier: BSD-3-Clause
"""What `meson install` lays where, and that what is installed agrees with itself."""
import importlib.util
import os
import re
import stat
import subprocess
import tempfile
import unittest

BUILD = os.environ["SYNFRONT_BUILD_DIR"]
EXPECTED = {
    "bin/synfront-pcap", "sbin/synfront", "sbin/synfrontctl",
    "lib/systemd/system/synfront.service",
    "lib/systemd/system/synfront-metrics.socket", "lib/systemd/system/synfront-metrics@.service",
    "share/bash-completion/completions/synfront",
    "share/bash-completion/completions/synfront-pcap",
    "share/bash-completion/completions/synfrontctl",
    "share/dpdk/telemetry-endpoints/synfront.py",
    "share/man/man1/synfront-pcap.1", "share/man/man5/synfront.yaml.5",
    "share/man/man8/synfront.8", "share/man/man8/synfrontctl.8",
    "share/doc/synfront/LICENSE", "share/doc/synfront/README.md", "share/doc/synfront/examples",
    "share/doc/synfront/config/OPERATING.md", "share/doc/synfront/config/REFERENCE.md",
    "share/doc/synfront/config/demo.yaml", "share/doc/synfront/config/host.yaml",
    "share/doc/synfront/config/inline-pair.yaml", "share/doc/synfront/config/responder.yaml",
    "share/doc/synfront/config/synfront.yaml", "share/doc/synfront/config/handoff.yaml",
    *("share/doc/synfront/config/adopt/" + name for name in (
        "OPERATING.md", "REFERENCE.md", "synfront-adopt.yaml")),
    *("share/doc/synfront/config/ecmp/" + name for name in (
        "README.md", "inner.bird.conf", "inner.frr.conf", "outer.bird.conf", "outer.frr.conf")),
    *("share/doc/synfront/config/events/" + name for name in (
        "README.md", "bgp.py", "logrotate.conf", "mail.sh", "synfront.conf", "webhook.sh")),
    "share/doc/synfront/config/grafana/synfront.json",
    *("share/doc/synfront/config/prometheus/" + name for name in (
        "README.md", "alerts.yml", "alerts_test.yml", "prometheus.yml", "telegraf.conf")),
    *("share/doc/synfront/config/pktgen/" + name for name in (
        "README.md", "handshakes.py", "pcap.pkt", "range4.pkt", "range6.pkt", "sequence.pkt",
        "syns.py", "target.sed", "trex_syns.py")),
    "share/doc/synfront/lib/DESIGN.md", "share/doc/synfront/lib/proto/counters.def",
    "share/doc/synfront/tests/README.md",
}
PROGRAMS = ("sbin/synfront", "sbin/synfrontctl", "bin/synfront-pcap")

if os.path.exists(os.path.join(BUILD, "app", "synfront-adopt")):
    EXPECTED |= {"sbin/synfront-adopt", "lib/systemd/system/synfront-adopt.service",
                 "share/bash-completion/completions/synfront-adopt",
                 "share/man/man5/synfront-adopt.yaml.5", "share/man/man8/synfront-adopt.8",
                 *("share/doc/synfront-adopt/" + name for name in (
                     "OPERATING.md", "REFERENCE.md", "synfront-adopt.yaml"))}
    PROGRAMS += ("sbin/synfront-adopt",)


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        subprocess.run(("meson", "install", "--no-rebuild", "-C", BUILD), check=True, timeout=120,
                       env={**os.environ, "DESTDIR": cls.folder.name}, stdout=subprocess.DEVNULL)
        options = subprocess.run(("meson", "introspect", "--buildoptions", BUILD), check=True,
                                 stdout=subprocess.PIPE, text=True, timeout=60).stdout
        cls.prefix = re.search(r'"name": "prefix",\s*"value": "([^"]*)"', options).group(1)
        cls.root = cls.folder.name + cls.prefix

    def read(self, name):
        with open(os.path.join(self.root, name)) as file:
            return file.read()

    def test_files_are_in_the_usual_places(self):
        found = set()
        for folder, folders, files in os.walk(self.folder.name):
            links = [each for each in folders if os.path.islink(os.path.join(folder, each))]
            found.update(os.path.relpath(os.path.join(folder, each), self.root)
                         for each in files + links)
        self.assertEqual(found, EXPECTED)

    def test_modes(self):
        for name in EXPECTED:
            mode = stat.S_IMODE(os.stat(os.path.join(self.root, name)).st_mode)
            wanted = 0o755 if name in PROGRAMS or name.endswith("/examples") else 0o644
            self.assertEqual(oct(mode), oct(wanted), name)

    def test_nothing_is_left_to_fill_in(self):
        for name in EXPECTED:
            if re.search(r"/man/|\.service$", name):
                self.assertNotRegex(self.read(name), r"@[A-Z]+@", name)

    def test_unit_names_what_is_installed(self):
        etc = re.escape("/etc" if self.prefix == "/usr" else self.prefix + "/etc")
        for name in (each for each in EXPECTED if each.endswith(".service")):
            unit = self.read(name)
            config = os.path.basename(name)[:-len(".service")] + ".yaml"
            for line in re.findall(r"(?m)^Exec\w+=(.*)$", unit):
                program, _, arguments = line.partition(" ")
                if not program.startswith(self.prefix):
                    continue  # the system's own
                self.assertTrue(os.path.exists(self.folder.name + program), line)
                if "--config" in arguments:
                    self.assertRegex(arguments,
                                     r"--config %s/synfront/%s\b" % (etc, re.escape(config)))
            for place in re.findall(r"file://(\S+)", unit):
                self.assertTrue(os.path.exists(self.folder.name + place), place)

    def test_samples_are_good(self):
        """Those whose memory fits the machine run as they are; the others are only too large."""
        examples = os.path.join(self.root, "share/doc/synfront/examples")
        for name in sorted(os.listdir(examples)):
            if name.endswith(".yaml"):
                done = subprocess.run((os.path.join(self.root, "sbin/synfront"), "--check", "--config",
                                       os.path.join(examples, name)), capture_output=True,
                                      text=True, timeout=60, check=False)
                self.assertIn((done.returncode, "memory" in done.stderr), ((0, False), (1, True)),
                              done)

    def test_pages_link_to_pages_that_are_there(self):
        """Of those that users read; what is for developers is in the source alone."""
        folder = os.path.join(self.root, "share/doc/synfront/config")
        for name in ("OPERATING.md", "REFERENCE.md", "pktgen/README.md", "prometheus/README.md"):
            text = self.read("share/doc/synfront/config/" + name)
            for link in re.findall(r"\]\(([^)#]+)", text):
                if link != "synfront.service":
                    place = os.path.join(folder, os.path.dirname(name), link)
                    self.assertTrue(os.path.exists(place), (name, link))


class FakeSocket:
    """Answers as telemetry.c does: lists are columns, in pages."""
    services = ["web", "mail", "ssh"]

    def cmd(self, uri, arg=None):
        if uri == "/synfront/stats":
            return {"syn": 7, "loops": 9}
        if uri == "/synfront/info":
            return {"remaining": 3}
        if uri == "/synfront/services":
            return {"next": (arg + 1) % 3, "name": [self.services[arg]], "half_open": [arg]}
        if uri == "/synfront/ports":
            return {"next": 0, "side": ["outside", "inside"], "link": ["up", "lost"], "sent": [4, 5]}
        return {"next": 0}


class Endpoint(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        place = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "config",
                             "telemetry-endpoint.py")
        spec = importlib.util.spec_from_file_location("synfront", place)
        cls.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(cls.module)

    def test_every_page_is_read(self):
        found = self.module.metrics(FakeSocket())
        for wanted in (("counter", 7, {"name": "syn"}), ("live", 3, {}),
                       ("service_half_open", 0, {"service": "web"}),
                       ("service_half_open", 2, {"service": "ssh"}),
                       ("port_sent", 5, {"port": "inside"}),
                       ("port_link_up", 1, {"port": "outside"}),
                       ("port_link_up", 0, {"port": "inside"})):
            self.assertIn(wanted, found)

    def test_every_metric_is_described(self):
        info = self.module.info()
        for name, _, _ in self.module.metrics(FakeSocket()):
            self.assertIn(name, info)
        for text, kind in info.values():
            self.assertTrue(text)
            self.assertIn(kind, ("counter", "gauge"))


if __name__ == "__main__":
    unittest.main()
