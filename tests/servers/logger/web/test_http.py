# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP server, spoken to by bytes."""

import gzip
import logging
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raspy.servers.logger import ThreadedTCPRequestHandler, ThreadedTCPServer
from raspy.servers.logger.web import http as module
from raspy.servers.logger.web.http import Answer, accepts_gzip, matches, read_address, refusal
from tests.support.waiting import wait_for


class Running:
    """A server in a thread; `answer` may be replaced."""

    def __init__(self, address: Any = ("127.0.0.1", 0), **more: Any) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answer = lambda target, headers: Answer(200, b"hello\n")
        self.server = ThreadedTCPServer(address, ThreadedTCPRequestHandler, **more)
        self.server.timeout = 0.05
        self.server.answer = self._answer
        self._stop = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _answer(self, target: str, headers: dict[str, str]) -> Answer:
        self.asked.append((target, headers))
        return self.answer(target, headers)

    def _serve(self) -> None:
        with self.server:
            while not self._stop:
                self.server.handle_request()

    def connect(self) -> socket.socket:
        peer = socket.socket(self.server.address_family)
        peer.settimeout(10)
        peer.connect(self.server.server_address)
        return peer

    def exchange(self, request: bytes, *, end: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Send bytes, and take the answer apart: status, headers, body."""
        with self.connect() as peer:
            peer.sendall(request)
            if end:
                peer.shutdown(socket.SHUT_WR)
            received = b""
            while data := peer.recv(65536):
                received += data
        if not received:
            return 0, {}, b""
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        assert int(headers.get("content-length", 0)) == len(body)
        return int(first.split(" ")[1]), headers, body

    def get(self, target: str = "/", **headers: str) -> tuple[int, dict[str, str], bytes]:
        lines = [
            f"GET {target} HTTP/1.1",
            "Host: x",
            *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()),
        ]
        return self.exchange("\r\n".join(lines).encode() + b"\r\n\r\n")

    def close(self) -> None:
        self._stop = True
        self._thread.join(10)


@pytest.fixture
def running() -> Iterator[Running]:
    started = Running()
    yield started
    started.close()


def test_a_get_is_answered(running: Running) -> None:
    status, headers, body = running.get("/graph/x?a=b", Accept="text/html")
    assert (status, body) == (200, b"hello\n")
    assert running.asked == [("/graph/x?a=b", {"host": "x", "accept": "text/html"})]
    assert headers["content-type"] == "text/plain; charset=utf-8" and headers["cache-control"] == "no-store"
    assert headers["connection"] == "close" and headers["date"].endswith(" GMT")
    assert (
        headers["x-content-type-options"] == "nosniff"
        and "default-src 'none'" in headers["content-security-policy"]
    )


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get"])
def test_only_get(running: Running, method: str) -> None:
    status, headers, body = running.exchange(f"{method} / HTTP/1.1\r\n\r\n".encode())
    assert (
        status == 405 and headers["allow"] == "GET" and body == b"Method Not Allowed: only GET is answered\n"
    )
    assert running.asked == []


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / FTP/1.1\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: no name\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded\r\n\r\n", 400),
        (b"GET /" + b"x" * 9000, 414),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 9000, 431),
        (b"\x00" * 100 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nA:b\r\n\r\nrest of it", 200),
    ],
)
def test_what_is_no_request(running: Running, request_: bytes, status: int) -> None:
    assert running.exchange(request_)[0] == status


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_stop_the_server(running: Running, data: bytes) -> None:
    assert running.exchange(data, end=True)[0] in (0, 200, 400, 405, 505)
    assert running.get()[0] == 200


def test_a_request_that_does_not_come(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
    assert running.exchange(b"")[0] == 408
    assert running.exchange(b"GET / HTTP")[0] == 408


def test_a_request_that_comes_byte_by_byte_is_given_up_in_time(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is for the whole request, not for each byte of it."""
    monkeypatch.setattr(module, "TIMEOUT_S", 0.3)
    with running.connect() as peer:
        peer.settimeout(0.02)
        received = b""
        for _ in range(200):
            try:
                peer.sendall(b"x")
                received = peer.recv(100)
            except TimeoutError:
                continue
            except OSError:
                break
            break
        assert received.startswith(b"HTTP/1.1 408")


def test_a_reader_that_does_not_read_is_given_up(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
    size = 50_000_000
    running.answer = lambda target, headers: Answer(200, bytes(size), "image/png")
    with running.connect() as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_for(lambda: not running.server._open and running.asked, what="the end of its thread")
        received = 0
        while data := peer.recv(1 << 20):
            received += len(data)
        assert received < size


def test_connections_are_bounded(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = [running.connect() for _ in range(module.CONNECTIONS_MAX)]
    statuses = [running.exchange(b"GET / HTTP/1.1\r\n\r\n")[0] for _ in range(3)]
    assert statuses == [503, 503, 503] and running.server.refused == 3
    for peer in idle:
        peer.close()
    wait_for(lambda: running.get()[0] == 200, what="a free place")


def test_a_name_for_the_content(running: Running) -> None:
    running.answer = lambda target, headers: Answer(200, b"picture", "image/png", '"abc"', 60)
    status, headers, body = running.get()
    assert (status, body) == (200, b"picture")
    assert headers["etag"] == '"abc"' and headers["cache-control"] == "max-age=60" and "vary" in headers
    for condition in ('"abc"', 'W/"abc"', '"x", "abc"', "*"):
        status, headers, body = running.get(If_None_Match=condition)
        assert (status, body) == (304, b"") and headers["etag"] == '"abc"' and "content-type" not in headers
    assert running.get(If_None_Match='"other"')[0] == 200


def test_text_is_compressed_where_it_is_accepted(running: Running) -> None:
    svg = b"<svg/>" * 1000
    running.answer = lambda target, headers: Answer(200, svg, "image/svg+xml", '"abc"')
    _status, headers, body = running.get(Accept_Encoding="deflate, gzip;q=0.5")
    assert headers["content-encoding"] == "gzip" and gzip.decompress(body) == svg
    assert "content-encoding" not in running.get()[1]
    running.answer = lambda target, headers: Answer(200, svg, "image/png")
    assert "content-encoding" not in running.get(Accept_Encoding="gzip")[1]
    running.answer = lambda target, headers: Answer(200, b"short", "image/svg+xml")
    assert "content-encoding" not in running.get(Accept_Encoding="gzip")[1]


def test_what_is_accepted() -> None:
    assert accepts_gzip("gzip") and accepts_gzip("br, GZIP;q=1.0") and not accepts_gzip("gzip; q=0, br")
    assert not accepts_gzip("") and not accepts_gzip("x-gzip2")
    assert matches('"a"', '"a"') and not matches("", '"a"') and not matches("a", '"a"')


def test_a_defect_in_an_answer_goes_to_the_log(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    def fail(target: str, headers: dict[str, str]) -> Answer:
        raise RuntimeError("a defect")

    running.answer = fail
    assert running.get()[0] == 0
    running.server.logger = SimpleNamespace(log=logging.getLogger("test"))  # type: ignore[assignment]
    assert running.get()[0] == 0
    assert "a defect" in caplog.text
    running.answer = lambda target, headers: refusal(404, "nothing")
    assert running.get()[2] == b"Not Found: nothing\n"


def test_without_an_answer_nothing_is_there() -> None:
    server = ThreadedTCPServer(("127.0.0.1", 0), ThreadedTCPRequestHandler)
    assert server.answer("/", {}).status == 404
    server.server_close()


def test_a_unix_socket(run_dir: Path) -> None:
    path = run_dir / "http.sock"
    for _ in range(2):
        running = Running(path)
        assert running.get()[0] == 200
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        running.close()
        assert path.exists(), "what a killed server leaves is no hindrance"


def test_ipv6() -> None:
    running = Running(("::1", 0))
    assert running.get()[0] == 200
    running.close()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_a_socket_that_was_passed(run_dir: Path, family: socket.AddressFamily) -> None:
    with socket.socket(family) as listener:
        listener.bind(("127.0.0.1", 0) if family == socket.AF_INET else str(run_dir / "s"))
        listener.listen()
        running = Running(None, descriptor=listener.fileno())
        assert running.get()[0] == 200
        running.close()
        assert listener.getsockname(), "the socket is systemd's, and stays open"


def test_an_address_in_use() -> None:
    running = Running()
    with pytest.raises(OSError, match="in use"):
        ThreadedTCPServer(running.server.server_address, ThreadedTCPRequestHandler)
    running.close()


def test_at_the_end_everybody_is_hung_up_on(running: Running) -> None:
    with running.connect() as peer:
        assert running.get()[0] == 200
        running.close()
        assert peer.recv(100) == b""


def test_addresses() -> None:
    assert read_address("127.0.0.1:5518") == ("127.0.0.1", 5518)
    assert read_address("[::1]:80") == ("::1", 80)
    assert read_address("0.0.0.0:0") == ("0.0.0.0", 0)
    assert read_address("unix:/run/x.sock") == "/run/x.sock"
    assert read_address("off") is None
    for wrong in ("", "5518", ":5518", "a:b", "a:99999", "unix:x", "on"):
        with pytest.raises(ValueError, match="must be ADDRESS:PORT"):
            read_address(wrong)
