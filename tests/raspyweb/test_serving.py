# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP with answers that go on, over real sockets."""

import http.client
import socket
import threading

import pytest

from raspy.common.stop import StopEvent
from raspyweb import serving
from raspyweb.app.stream import ENVIRON
from raspyweb.serving import Http
from tests.conftest import wait_for

READ_S = 30


class Site:
    """A small application, served as the dashboard is."""

    def __init__(self):
        self.news = []
        self.allowed = True
        self.started = threading.Event()
        self.release = threading.Event()
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.beats = 0
        self.stopping = StopEvent()
        self.http = Http(self.application, [listening], 2)
        self.streaming = self.http.timed.streaming
        self.threads = [
            threading.Thread(target=self.http.run, args=(self.stopping, self.beat)),
            threading.Thread(target=self.streaming.run, args=(self.stopping, lambda: None)),
        ]
        for thread in self.threads:
            thread.start()

    def beat(self):
        self.beats += 1

    def application(self, environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/hang":
            self.started.set()
            self.release.wait(READ_S)
        if path == "/events":
            place = [0]

            def pull():
                if "boom" in self.news:
                    raise ValueError("boom")
                found = self.news[place[0] :]
                place[0] += len(found)
                return "".join(found).encode()

            if not environ[ENVIRON].adopt(pull, lambda: self.allowed):
                start_response("503 Service Unavailable", [("Content-Length", "4")])
                return [b"full"]
            start_response("200 OK", [("Content-Type", "text/event-stream")])
            return iter([b"begin\n"])
        start_response("200 OK", [("Content-Length", "4")])
        return [b"page"]

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=READ_S)
        connection.request("GET", path)
        answer = connection.getresponse()
        return connection, answer

    def page(self):
        connection, answer = self.get("/page")
        body = answer.read()
        connection.close()
        return body

    def close(self):
        """Close; again is no error."""
        if self.stopping.is_set():
            return
        self.release.set()
        self.stopping.set()
        for thread in self.threads:
            thread.join(READ_S)
        self.http.close()
        self.stopping.close()


def end(connection, answer):
    """Hang up."""
    answer.close()
    connection.close()


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setattr(serving, "TICK_S", 0.02)
    monkeypatch.setattr(serving, "LOOP_S", 0.05)
    made = Site()
    yield made
    made.close()


def test_pages_and_answers_that_go_on(site):
    assert site.page() == b"page"
    connection, answer = site.get("/events")
    assert answer.status == 200 and answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.readline() == b"begin\n"
    site.news.append("first\n")
    assert answer.readline() == b"first\n"
    site.news += ["second\n", "third\n"]
    assert [answer.readline(), answer.readline()] == [b"second\n", b"third\n"]
    assert len(site.streaming) == 1
    end(connection, answer)
    wait_for(lambda: site.news.append(".\n") or len(site.streaming) == 0, READ_S, "the end of the stream")


def test_many_go_on_beside_two_page_threads_and_all_get_everything(site):
    streams = [site.get("/events") for _ in range(20)]
    for _, answer in streams:
        assert answer.readline() == b"begin\n"
    assert site.page() == b"page"
    sent = [f"line {number} {'x' * 200}\n" for number in range(300)]
    for line in sent:
        site.news.append(line)
    for connection, answer in streams:
        assert [answer.readline().decode() for _ in sent] == sent
        end(connection, answer)


def test_there_is_a_limit_and_a_place_is_free_again(site, monkeypatch):
    monkeypatch.setattr(serving, "STREAMS_MAX", 1)
    first, answer = site.get("/events")
    assert answer.readline() == b"begin\n"
    second, refused = site.get("/events")
    assert (refused.status, refused.read()) == (503, b"full")
    end(second, refused)
    end(first, answer)

    def again():
        site.news.append(".\n")
        connection, answer = site.get("/events")
        status = answer.status
        end(connection, answer)
        return status == 200

    wait_for(again, READ_S, "a free place")


def test_old_clients_get_it_without_chunks(site):
    with socket.create_connection(("127.0.0.1", site.port), timeout=READ_S) as peer:
        peer.sendall(b"GET /events HTTP/1.0\r\n\r\n")
        lines = peer.makefile("rb")
        head = list(iter(lines.readline, b"\r\n"))
        assert head[0].startswith(b"HTTP/1.0 200") and not any(b"chunked" in line for line in head)
        assert lines.readline() == b"begin\n"
        site.news.append("first\n")
        assert lines.readline() == b"first\n"
        lines.close()


def test_what_is_asked_on_a_connection_that_goes_on_is_not_answered(site):
    with socket.create_connection(("127.0.0.1", site.port), timeout=READ_S) as peer:
        peer.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        lines = peer.makefile("rb")
        wait_for(lambda: lines.readline() == b"begin\n", READ_S)
        peer.sendall(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
        site.news.append("first\n")
        assert [lines.readline() for _ in range(3)] == [b"\r\n", b"6\r\n", b"first\n"]
        lines.close()


def test_it_ends_when_it_is_not_allowed_any_more(site, monkeypatch):
    monkeypatch.setattr(serving, "CHECK_S", 0.05)
    connection, answer = site.get("/events")
    assert answer.readline() == b"begin\n"
    assert answer.readline() == b":\n"  # it says that it lives
    site.allowed = False
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    wait_for(lambda: len(site.streaming) == 0, READ_S)
    end(connection, answer)


def test_one_that_fails_ends_alone(site):
    connection, answer = site.get("/events")
    assert answer.readline() == b"begin\n"
    site.news.append("boom")
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    end(connection, answer)
    wait_for(lambda: len(site.streaming) == 0, READ_S)
    assert site.page() == b"page"


def test_who_does_not_read_is_hung_up_on(site, monkeypatch):
    monkeypatch.setattr(serving, "BEHIND_MAX", 100_000)
    connection, answer = site.get("/events")
    assert answer.readline() == b"begin\n"

    def more():
        site.news.append("x" * 500_000)
        return len(site.streaming) == 0

    wait_for(more, READ_S, "the end of who does not read")
    end(connection, answer)


def test_what_nobody_read_is_given_up_at_the_end(site, monkeypatch):
    """What waits for the browser is in a temporary file by then."""
    monkeypatch.setattr(serving, "BEHIND_MAX", 1 << 30)
    connection, answer = site.get("/events")
    assert answer.readline() == b"begin\n"
    channel = next(one for one in site.http._map.values() if isinstance(one, serving.Channel))
    # At once, and more than the system takes for it.
    channel._later.extend(b"x" * 2_000_000 for _ in range(7))
    channel.server.pull_trigger()
    wait_for(lambda: channel.total_outbufs_len > channel.adj.outbuf_overflow, READ_S, "a file")
    site.close()
    assert all(one.buf.file.closed for one in channel.outbufs)
    end(connection, answer)


def test_a_page_that_hangs_stops_the_heartbeat(site, monkeypatch):
    monkeypatch.setattr(serving, "PAGE_MAX_S", 0.0)
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=READ_S)
    connection.request("GET", "/hang")
    assert site.started.wait(READ_S)
    before = site.beats
    # The loop goes round, as another page shows, and does not beat.
    for _ in range(3):
        assert site.page() == b"page"
    assert site.http.timed.longest_s() > 0 and site.beats <= before + 1
    monkeypatch.undo()
    site.release.set()
    assert connection.getresponse().read() == b"page"
    connection.close()
    wait_for(lambda: site.beats > before + 1, READ_S, "the heartbeat")
    assert site.http.timed.longest_s() == 0
    assert site.http.timed.requests == 4
