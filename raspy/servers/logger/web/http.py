# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP/1.1 server: GET only, one request a connection, everything bounded.

The library's own http.server would take a further 4 MB.

Source: RFC 9110 (semantics), RFC 9112 (HTTP/1.1).
"""

from __future__ import annotations

import os
import socket
import socketserver
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from raspy.servers.logger.server import Logger

HEAD_MAX = 8192
"""Bytes of a request with its headers."""

TIMEOUT_S = 10.0
"""How long the other side may take to ask, and again to take the answer, in seconds."""

SOCKET_MODE = 0o660

CONNECTIONS_MAX = 16
"""Connections at a time; a further one gets 503."""

GZIP_FROM = 1024
GZIP_LEVEL = 3
GZIP_WBITS = 31
COMPRESSED = ("text/", "application/json", "image/svg+xml")

REASONS = {
    200: "OK",
    304: "Not Modified",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

SECURITY = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"),
    ("Referrer-Policy", "no-referrer"),
)


class Answer(NamedTuple):
    """What is answered.

    Args:
        status: a key of `REASONS`.
        body: the content.
        type: its media type.
        etag: names this content; "" for none.
        max_age_s: how long it may be used without asking again, in seconds.
    """

    status: int
    body: bytes = b""
    type: str = "text/plain; charset=utf-8"
    etag: str = ""
    max_age_s: int = 0


def refusal(status: int, reason: str) -> Answer:
    """A short text saying what is wrong."""
    return Answer(status, f"{REASONS[status]}: {reason}\n".encode())


class BadRequest(Exception):
    """What was received is no request that is answered; it carries the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.answer = refusal(status, reason)


class ThreadedTCPRequestHandler(socketserver.BaseRequestHandler):
    """Answers one request."""

    request: socket.socket
    server: ThreadedTCPServer

    def handle(self) -> None:
        """Read the request, answer it, hang up."""
        self.request.settimeout(TIMEOUT_S)
        try:
            try:
                target, headers = self._read()
            except BadRequest as bad:
                self._send(bad.answer, {})
            else:
                self._send(self.server.answer(target, headers), headers)
            self.request.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side has gone, or was too slow

    def _read(self) -> tuple[str, dict[str, str]]:
        """The target and the headers (names in lower case) of a request."""
        head = self._head()
        try:
            first, *lines = head.decode("ascii").split("\r\n")
            method, target, version = first.split(" ")
        except ValueError:
            raise BadRequest(400, "this is no HTTP request") from None
        if version not in ("HTTP/1.1", "HTTP/1.0"):
            raise BadRequest(505, "only HTTP/1.0 and 1.1 are spoken here")
        if method != "GET":
            raise BadRequest(405, "only GET is answered")
        headers = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise BadRequest(400, "a header is not NAME: VALUE")
            headers[name.lower()] = value.strip()
        return target, headers

    def _head(self) -> bytes:
        received = bytearray()
        deadline = time.monotonic() + TIMEOUT_S
        while b"\r\n\r\n" not in received:
            if len(received) > HEAD_MAX:
                long_target = b"\r\n" not in received
                raise BadRequest(414 if long_target else 431, f"a request has at most {HEAD_MAX} bytes")
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise BadRequest(408, f"the request took longer than {TIMEOUT_S:g} s")
            self.request.settimeout(left_s)
            try:
                data = self.request.recv(HEAD_MAX)
            except TimeoutError:
                raise BadRequest(408, f"the request took longer than {TIMEOUT_S:g} s") from None
            if not data:
                raise ConnectionError("hung up before the end of the request")
            received += data
        self.request.settimeout(TIMEOUT_S)
        return bytes(received).partition(b"\r\n\r\n")[0]

    def _send(self, answer: Answer, headers: dict[str, str]) -> None:
        status, body = answer.status, answer.body
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        lines = [("Date", date), ("Connection", "close"), *SECURITY]
        if status == 405:
            lines.append(("Allow", "GET"))
        if answer.etag:
            lines += [
                ("ETag", answer.etag),
                ("Vary", "Accept-Encoding"),
                ("Cache-Control", f"max-age={answer.max_age_s}"),
            ]
            if matches(headers.get("if-none-match", ""), answer.etag):
                status, body = 304, b""
        else:
            lines.append(("Cache-Control", "no-store"))
        if status != 304:
            lines.append(("Content-Type", answer.type))
            wanted = accepts_gzip(headers.get("accept-encoding", ""))
            if wanted and len(body) >= GZIP_FROM and answer.type.startswith(COMPRESSED):
                body = zlib.compress(body, GZIP_LEVEL, GZIP_WBITS)
                lines.append(("Content-Encoding", "gzip"))
            lines.append(("Content-Length", str(len(body))))
        first = f"HTTP/1.1 {status} {REASONS[status]}\r\n"
        head = first + "".join(f"{name}: {value}\r\n" for name, value in lines)
        self.request.sendall(head.encode() + b"\r\n" + body)


def matches(condition: str, etag: str) -> bool:
    """Whether If-None-Match names *etag*, by weak comparison (RFC 9110, 13.1.2)."""
    return condition == "*" or etag in (part.strip().removeprefix("W/") for part in condition.split(","))


def accepts_gzip(accepted: str) -> bool:
    """Whether Accept-Encoding has gzip, and not with q=0."""
    for part in accepted.split(","):
        name, _, weight = part.partition(";")
        if name.strip().lower() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


class ThreadedTCPServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """The simple HTTP server. It shows what the logger has to whoever can connect.

    Arguments:
        server_address: ``(host, port)``, or the path of a unix socket.
        RequestHandlerClass: the handler of connections.
        bind_and_activate: listen at once.
        descriptor: a listening socket to use instead, as systemd passes it.

    Attributes:
        logger: the logger whose data it shows.
        answer: called as ``answer(target, headers)`` in the thread of a connection.
        requests: how many connections there were, and `refused`, how many got 503.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 32
    timeout = 0.5
    logger: Logger | None = None

    def __init__(
        self,
        server_address: Any,
        RequestHandlerClass: type[socketserver.BaseRequestHandler],
        bind_and_activate: bool = True,
        *,
        descriptor: int | None = None,
    ) -> None:
        self.answer: Callable[[str, dict[str, str]], Answer] = lambda target, headers: refusal(404, "nothing")
        self.requests = 0
        self.refused = 0
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._open: set[socket.socket] = set()
        passed = None if descriptor is None else socket.socket(fileno=os.dup(descriptor))
        if passed is not None:
            # socketserver makes a socket all the same, and a confined unit may make no other kind.
            self.address_family = socket.AF_UNIX
        elif isinstance(server_address, (str, Path)):
            self.address_family = socket.AF_UNIX
            server_address = str(server_address)
        elif ":" in server_address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(server_address, RequestHandlerClass, bind_and_activate and passed is None)
        if passed is not None:
            self.socket.close()
            self.socket = passed
            self.address_family = passed.family
            self.server_address = passed.getsockname()

    def server_bind(self) -> None:
        """Bind; of a unix socket that nobody listens on any more, remove what is left first."""
        if self.address_family == socket.AF_UNIX:
            Path(str(self.server_address)).unlink(missing_ok=True)
        super().server_bind()
        if self.address_family == socket.AF_UNIX:
            os.chmod(str(self.server_address), SOCKET_MODE)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, as long as there are not too many."""
        self.requests += 1
        if not self._slots.acquire(blocking=False):
            self.refused += 1
            try:
                request.settimeout(0)
                request.sendall(
                    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
                    b"Content-Length: 0\r\n\r\n"
                )
            except OSError:
                pass  # it has gone already
            self.shutdown_request(request)
            return
        self._open.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The thread of a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.discard(request)
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A defect of ours in a handler: it goes to the journal, and the server goes on."""
        if self.logger is not None:
            self.logger.log.exception("HTTP: internal error")

    def server_close(self) -> None:
        """Stop listening, and hang up on everybody."""
        super().server_close()
        for request in list(self._open):
            try:
                request.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has hung up by itself


def read_address(text: str) -> tuple[str, int] | str | None:
    """Where to listen: ``ADDRESS:PORT`` (IPv6 in brackets), ``unix:/PATH``, or ``off``.

    Raises:
        ValueError: it is none of these.
    """
    if text == "off":
        return None
    if text.startswith("unix:/"):
        return text.removeprefix("unix:")
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535 or not host:
        raise ValueError(f"listen = {text}: must be ADDRESS:PORT, unix:/PATH, or off")
    return host.strip("[]"), int(port)
