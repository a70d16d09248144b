# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboard as a daemon, over real HTTP."""

import http.cookiejar
import json
import re
import socket
import stat
import urllib.error
import urllib.parse
import urllib.request

from raspy.common.kvcliapi import KvPublisherClient
from raspy.common.mdcliapi import MajorDomoClient
from raspyweb.server import Web
from tests.conftest import wait_for
from tests.support import activated
from tests.support.notify import NotifyReceiver

WAIT_S = 60
MODULE = "raspyweb.run"
PASSWORD = "correct horse"


class Browser:
    """A browser without scripts."""

    def __init__(self, url):
        self.url = url.rstrip("/")
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        )

    def get(self, path, **form):
        data = urllib.parse.urlencode(form).encode() if form else None
        try:
            with self._opener.open(self.url + path, data, timeout=WAIT_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def send(self, path, **form):
        page = self.get(path)[1]
        return self.get(path, csrf_token=re.search(r'name="csrf_token" value="([^"]+)"', page)[1], **form)

    def events(self):
        return self._opener.open(self.url + "/ajax/events", timeout=WAIT_S)


def address(child):
    """Where it says that it is."""
    return re.search(r"http://\S+", wait_for(lambda: child.notify.status, WAIT_S))[0]


def start(processes, home, *arguments):
    """Start it on a broker that may be away."""
    notify = NotifyReceiver(home / "notify.web")
    given = ["--broker", f"ipc://{home}", "--data-dir", home / "web", "--config", home / "raspy.conf"]
    (home / "raspy.conf").touch()
    return processes.start(MODULE, *given, "--set", "port=0", *arguments, notify=notify)


def test_the_first_visit_and_live_values(broker):
    web = broker.server("web", "port=0", module=MODULE)
    token = re.search(r"one-time token (\S+)", web.output)[1]
    browser = Browser(address(web))
    status, page = browser.get("/")
    assert status == 200 and "First visit" in page
    assert (
        "not the token"
        in browser.send("/first-visit", token="x", name="ann", password=PASSWORD, again=PASSWORD)[1]
    )
    status, page = browser.send("/first-visit", token=token, name="ann", password=PASSWORD, again=PASSWORD)
    assert status == 200 and "Overview" in page and "Log out" in page
    publisher = KvPublisherClient(broker=broker.url)
    try:
        with browser.events() as stream:
            assert stream.headers["Content-Type"].startswith("text/event-stream")

            def seen(value):
                body = {"value": value, "quality": "good"}
                publisher.send("/device/", "test/fake/tank/temperature", json.dumps(body))
                line = stream.readline().decode()
                return f'"/device/test/fake/tank/temperature":{{"value":{value},' in line

            wait_for(lambda: seen(21.5), WAIT_S, "the value")
            wait_for(lambda: seen(22.5), WAIT_S, "the next value")
            wait_for(lambda: "1 window following" in web.notify.status, WAIT_S)
    finally:
        publisher.destroy()
    key = broker.folder / "web" / "secret_key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and len(bytes.fromhex(key.read_text())) == 32
    assert web.stop() == 0
    # Who was logged in still is, and no token is told any more.
    again = broker.server("web", "port=0", module=MODULE)
    browser.url = address(again).rstrip("/")
    assert browser.get("/devices/")[0] == 200
    assert "token" not in again.output


def test_it_answers_about_itself_on_the_bus(broker):
    web = broker.server("web", "port=0", module=MODULE)
    Browser(address(web)).get("/login")
    with MajorDomoClient(broker.url) as client:
        client.timeout = 4000
        assert "is the dashboard" in client.call("test.web.mmi", "status")[0].decode()

        def requests():
            return json.loads(client.call("test.web.statistics", "get", "web.requests")[0])["value"]

        wait_for(lambda: requests() >= 1, WAIT_S, "the count of requests")


def test_without_a_broker_it_is_ready_and_every_page_says_so(processes, run_dir):
    web = start(processes, run_dir).wait_ready()
    assert "the broker is away" in web.notify.status
    browser = Browser(address(web))
    token = (run_dir / "web" / "first-visit-token").read_text().strip()
    status, page = browser.send("/first-visit", token=token, name="ann", password=PASSWORD, again=PASSWORD)
    assert status == 503 and "RasPy does not answer" in page
    status, answer = browser.get("/ajax/devices")
    assert status == 503 and json.loads(answer)["status"] == 503
    with browser.events() as stream:
        assert b"event: broker\n" in [stream.readline() for _ in range(3)]


def test_it_comes_back_with_the_broker(broker):
    web = broker.server("web", "port=0", module=MODULE)
    wait_for(lambda: "away" not in web.notify.status, WAIT_S)
    broker.kill()
    broker.child.wait()
    wait_for(lambda: "the broker is away" in web.notify.status, WAIT_S)
    broker.start()
    wait_for(lambda: "away" not in web.notify.status, WAIT_S)


def test_the_socket_that_systemd_passes(processes, broker):
    arguments = ["--config", broker.config, "--broker", broker.url, "--hostname", "test"]
    web = activated.start(
        processes,
        {"http": "127.0.0.1:0", "control": str(broker.folder / "web.sock")},
        MODULE,
        *arguments,
        "--data-dir",
        broker.folder / "web",
    ).wait_ready()
    where = address(web)
    assert where.startswith("http://test:")
    assert Browser(where.replace("test", "127.0.0.1")).get("/login")[0] == 200
    with MajorDomoClient(f"ipc://{broker.folder}/web.sock") as client:
        client.timeout = 4000
        assert client.call("test.web.mmi", "status")[0].decode().startswith(where)


def test_it_ends_when_nobody_looks_for_long(processes, run_dir):
    web = start(processes, run_dir, "--set", "idle_exit_s=0.2").wait_ready()
    assert web.wait(WAIT_S) == 0
    assert "nothing to do" in web.output


def test_a_port_that_is_taken(processes, run_dir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        web = start(processes, run_dir, "--set", f"port={taken.getsockname()[1]}")
        assert web.wait(WAIT_S) == 1
    assert "can't listen on 127.0.0.1" in web.output and "set [web] listen and port" in web.output


def test_an_address_in_ipv6(processes, run_dir):
    web = start(processes, run_dir, "--set", "listen=::1").wait_ready()
    assert address(web).startswith("http://[::1]:")
    assert Browser(address(web)).get("/login")[0] == 200


def test_damaged_accounts_are_told_in_a_line(processes, run_dir):
    (run_dir / "web").mkdir()
    (run_dir / "web" / "accounts.json").write_text("{")
    web = start(processes, run_dir)
    assert web.wait(WAIT_S) == 78
    assert "accounts.json is damaged" in web.output and "Traceback" not in web.output


def test_a_second_stack_takes_another_port_than_the_usual_one():
    """Whether or not something has the usual port on this machine."""
    from raspyweb import server

    first = server._create_server("127.0.0.1", server.PORT, socket.AF_INET)
    second = server._create_server("127.0.0.1", server.PORT, socket.AF_INET)
    with first, second:
        assert first.getsockname()[1] != second.getsockname()[1] != server.PORT


def test_what_never_began_can_be_ended(run_dir):
    web = Web("test", broker=f"ipc://{run_dir}", data_dir=run_dir / "web")
    assert web.busy()
    web.shutdown()
    web.destroy()
