# SPDX-License-Identifier: BSD-3-Clause
"""Figures for Prometheus: what promtool says of them, a scrape through a socket that others listen
on, a real Prometheus with our alerts and every query of our dashboard. (When alerts fire is a part of
scripts/check.)"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import tomllib

from bench import thorough
from engines import BUILD
from lab import ROOT, prefix_address, wait_for
from servers import ask, dial, echo
from test_privilege import analyze

CTL = os.path.join(BUILD, "app/synfrontctl")
CONFIG = os.path.join(ROOT, "config")
PROMETHEUS = os.path.join(CONFIG, "prometheus")
EXPOSURE_MAX = 15
WEB = "127.0.0.1:9090"


def read(*path):
    with open(os.path.join(*path)) as file:
        return file.read()


def listen_address():
    """That of the socket unit, which prometheus.yml names, too."""
    address = re.search(r"(?m)^ListenStream=(\S+)$", read(CONFIG, "synfront-metrics.socket")).group(1)
    assert 'targets: ["%s"]' % address in read(PROMETHEUS, "prometheus.yml")
    return address


def promtool(*argv, stdin=None):
    return subprocess.run(("promtool",) + argv, input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)


def samples(text):
    """{name with labels: value} of all lines that are no comments."""
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in text.splitlines() if not line.startswith("#")}


@contextlib.contextmanager
def metrics_socket(lab, tag):
    """What synfront-metrics.socket does, by systemd's own tool: listens, and starts the command of
    the service for each connection."""
    command = re.search(r"(?m)^ExecStart=@SBINDIR@/synfrontctl (.*)$",
                        read(CONFIG, "synfront-metrics@.service")).group(1)
    address = listen_address()
    lab.run("box", "ip", "link", "set", "lo", "up")
    process = lab.spawn("box", "metrics-socket", "systemd-socket-activate", "--accept", "--inetd",
                        "--listen=" + address, CTL, "--instance", tag, *command.split())
    wait_for("the socket", lambda: "LISTEN" in lab.run("box", "ss", "-Hltn", "sport", "=",
                                                        ":" + address.rpartition(":")[2]))
    try:
        yield "http://%s/metrics" % address
    finally:
        lab.end(process)


def curl(lab, url, *argv):
    """Status, type and body."""
    out = lab.run("box", "curl", "-s", "--max-time", "20", "-w", "\n%{http_code} %{content_type}",
                  *argv, url)
    body, _, last = out.rpartition("\n")
    return int(last.split(" ")[0]), last.partition(" ")[2], body


def promtool_is_silent(text):
    done = promtool("check", "metrics", stdin=text)
    assert done.returncode == 0 and not done.stdout.strip(), done.stdout


def move_counters(bench):
    """A little traffic."""
    with dial(bench.lab, bench.serve("bulk", echo)) as connection:
        assert ask(connection, b"counted") == b"counted"


@thorough
def test_promtool_has_nothing_to_say(bench):
    """`synfrontctl metrics`, also with figures in every counter that a little traffic moves."""
    engine = bench.lab.engine
    move_counters(bench)
    text = engine.control("metrics")
    promtool_is_silent(text)
    with metrics_socket(bench.lab, engine.tag) as url:
        promtool_is_silent(curl(bench.lab, url)[2])


def test_series(bench):
    """Each once, the same in both dialects, without an address, and not too many."""
    engine = bench.lab.engine
    move_counters(bench)
    text = engine.control("metrics")
    found = samples(text)
    assert len(found) == len([line for line in text.splitlines() if line[0] != "#"]), "one twice"
    strict = engine.control("metrics", "openmetrics")
    assert strict.endswith("\n# EOF\n") and set(samples(strict)) == set(found)
    # No addresses, and no more series than are worth it.
    assert not re.search(r"\d+\.\d+\.\d+\.\d+|2001:db8", text)
    assert len(found) < 1200, len(found)


def test_outcomes_add_up_to_what_was_received(bench):
    """The sum of synfront_frames_total is that of the frames that came in at the ports."""
    engine = bench.lab.engine
    port = bench.serve("bulk", echo)
    for _ in range(20):
        with dial(bench.lab, port) as connection:
            ask(connection, b"x")

    def adds_up():
        found = samples(engine.control("metrics"))
        outcomes = sum(value for name, value in found.items()
                       if name.startswith("synfront_frames_total{"))
        received = sum(value for name, value in found.items()
                       if name.startswith("synfront_port_frames_total{") and '"in"' in name)
        by_worker = sum(value for name, value in found.items()
                        if name.startswith("synfront_worker_frames_total{"))
        return received > 100 and outcomes == received == by_worker

    # At a moment when nothing is under way.
    wait_for("the sums to be equal", adds_up)


def test_scrape(bench):
    """curl through the socket: both dialects, HEAD, what is not there, and no engine."""
    engine = bench.lab.engine
    with metrics_socket(bench.lab, engine.tag) as url:
        status, kind, body = curl(bench.lab, url)
        assert status == 200 and kind.startswith("text/plain; version=0.0.4"), (status, kind)
        assert set(samples(body)) == set(samples(engine.control("metrics")))
        accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
        status, kind, body = curl(bench.lab, url, "-H", accept)
        assert status == 200 and kind.startswith("application/openmetrics-text; version=1.0.0")
        assert body.endswith("\n# EOF\n"), body[-100:]
        assert curl(bench.lab, url, "-I")[0] == 200
        assert curl(bench.lab, url + "?x=1")[0] == 200
        assert curl(bench.lab, url.replace("metrics", "other"))[0] == 404
        assert curl(bench.lab, url, "-d", "x")[0] == 405
        assert curl(bench.lab, url, "-H", "X: " + "y" * 10000)[0] == 408
    with metrics_socket(bench.lab, "nobody-of-this-name") as url:
        status, _, body = curl(bench.lab, url)
        assert status == 503 and "not running" in body, body


@contextlib.contextmanager
def prometheus(lab):
    """A real one, with our configuration, but each second. query(PROMQL): its result."""
    folder = os.path.join(lab.work, "prometheus")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    shutil.copy(os.path.join(PROMETHEUS, "alerts.yml"), folder)
    text = read(PROMETHEUS, "prometheus.yml").replace("scrape_interval: 5s", "scrape_interval: 1s")
    with open(os.path.join(folder, "prometheus.yml"), "w") as file:
        file.write("global: {evaluation_interval: 1s}\n" + text)
    process = lab.spawn("box", "prometheus", "prometheus", "--web.listen-address=" + WEB,
                        "--config.file=" + os.path.join(folder, "prometheus.yml"),
                        "--storage.tsdb.path=" + os.path.join(folder, "data"))

    def api(path, *argv):
        out = lab.run("box", "curl", "-sG", "--max-time", "20", *argv,
                      "http://%s/api/v1/%s" % (WEB, path), check=False)
        with contextlib.suppress(ValueError):
            answer = json.loads(out)
            assert answer["status"] == "success", answer
            return answer["data"]
        return None

    try:
        wait_for("Prometheus", lambda: api("status/buildinfo"), 60, 0.2)
        yield api
    finally:
        lab.end(process)


def queries():
    """(title, expression) of every panel, with its variables filled in."""
    dashboard = json.loads(read(CONFIG, "grafana/synfront.json"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "15s").replace(
                "$instance", ".*").replace("$service", ".*")
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], re.match(r"label_values\((.*), \w+\)$",
                                             variable["definition"]).group(1).replace(
                                                 "$instance", ".*")


@thorough
def test_prometheus_and_dashboard(bench):
    """A real Prometheus scrapes through the socket; in a flood its alert fires, and every query of
    the dashboard has data."""
    lab, engine = bench.lab, bench.lab.engine
    port = bench.serve("state", echo)

    with metrics_socket(lab, engine.tag), prometheus(lab) as api:
        def query(text):
            return api("query", "--data-urlencode", "query=" + text)["result"]

        def firing():
            return {alert["labels"]["alertname"] for alert in api("alerts")["alerts"]
                    if alert["state"] == "firing"}

        wait_for("a scrape", lambda: query("synfront_build_info"), 30, 0.3)
        target = api("targets")["activeTargets"][0]
        assert target["health"] == "up", target
        assert not firing(), firing()
        with bench.flood(5000, 90, port=port):
            for number in range(10):
                with dial(lab, port, source=prefix_address(1 + number % 7)) as connection:
                    assert ask(connection, b"in the flood") == b"in the flood"
            wait_for("the alert", lambda: "SynfrontFlood" in firing(), 60, 0.5)
            n_queries = 0
            for title, expression in queries():
                result = wait_for("data of %s: %s" % (title, expression),
                                  lambda expression=expression: query(expression), 20, 0.5)
                assert all(each["value"][1] != "NaN" or len(result) > 1 for each in result), expression
                n_queries += 1
            assert n_queries > 20, n_queries
            flooded = query('rate(synfront_syn_total{service="state"}[15s]) > 500')
            assert flooded, query("rate(synfront_syn_total[15s])")
            assert query('synfront_cookie_mode{service="state"} == 1')
        # What Prometheus counts is what the engine counts.
        wait_for("the same sum", lambda: float(query(
            'synfront_syn_total{service="state"}')[0]["value"][1]) == engine.service("state")["syn"],
            30, 0.5)
        took = query("scrape_duration_seconds")[0]["value"][1]
        count = query("scrape_samples_scraped")[0]["value"][1]
        bench.record("a scrape by Prometheus", seconds=took, samples=count)
        print("      %d queries; a scrape: %s s, %s samples" % (n_queries, took, count))
        bench.calm("state")


def test_units(bench):
    """systemd finds nothing wrong with the socket and its service, and little that it leaves open."""
    folder = os.path.join(BUILD, "config")
    paths = []
    for name in ("synfront-metrics.socket", "synfront-metrics@.service"):
        text = re.sub(r"(?m)^(ExecStart=)\S*/synfrontctl ", r"\1%s " % CTL, read(folder, name))
        paths.append(os.path.join(bench.lab.work, name))
        with open(paths[-1], "w") as file:
            file.write(text)
    status, said = analyze("verify", "--man=no", *paths)
    assert status == 0 and not said.strip(), said
    status, said = analyze("security", "--offline=true", "--no-pager",
                           "--threshold=%d" % EXPOSURE_MAX, paths[1])
    assert status == 0, said
    bench.record("systemd-analyze security, scrape", exposure=said.strip().splitlines()[-1])


# Options of telegraf's plugin as its page lists them, and of the table in it.
TELEGRAF = {"socket_path", "socket_access_timeout", "device_types", "additional_commands",
            "unreachable_socket_behavior", "metadata_fields", "plugin_options", "ethdev"}
TELEGRAF_ETHDEV = {"exclude_commands"}


def test_telegraf_sample(bench):
    """The sample has only options that are documented, and the engine answers what it asks."""
    conf = tomllib.loads(read(PROMETHEUS, "telegraf.conf"))
    assert set(conf) == {"inputs"} and set(conf["inputs"]) == {"dpdk"}, conf
    plugin, = conf["inputs"]["dpdk"]
    assert set(plugin) <= TELEGRAF and set(plugin["ethdev"]) <= TELEGRAF_ETHDEV, plugin
    assert plugin["socket_path"] == "/var/run/dpdk/synfront/dpdk_telemetry.v2"
    assert set(plugin["device_types"]) <= {"ethdev", "rawdev"}
    engine = bench.lab.engine
    for command in plugin["additional_commands"]:
        # Of at most 56 bytes, with a leading slash, and answered by numbers.
        assert re.fullmatch(r"/[\w/]{1,55}", command)
        answer = engine.tell(command)[command]
        assert answer and any(isinstance(value, (int, list)) for value in answer.values()), command
    for command in plugin["ethdev"]["exclude_commands"]:
        assert command in engine.tell("/")["/"], command
