# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP: waitress, with answers that go on (server-sent events) but keep none of its threads.

waitress makes a page in a thread and sends it from one loop for all connections. For an answer that goes on,
the thread ends as usual after the first bytes, only without the end of the answer; from then on
``Streaming`` hands the loop what is to be sent. So a hundred windows cost two threads together.

Source: waitress 2.1 and 3.0, channel.py and task.py; RFC 9112, 7.1 on chunks.
"""

from __future__ import annotations

import collections
import functools
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from waitress import wasyncore
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.server import MultiSocketServer, TcpWSGIServer, UnixWSGIServer, create_server
from waitress.task import WSGITask

from raspy.common.stop import StopEvent
from raspyweb.app.ajax.constants import STREAMS_MAX
from raspyweb.app.stream import ENVIRON, Pull

log = logging.getLogger("raspy.web")

TICK_S = 0.25
"""What is new is sent so often, in seconds."""

CHECK_S = 15.0
"""So often a silent stream says that it lives, and is checked for whether it still may."""

BEHIND_MAX = 1 << 20
"""Bytes that may wait for a browser that does not read; then it is hung up on, and comes again by itself."""

LOOP_S = 0.5
PAGE_MAX_S = 60.0
"""A page that takes longer hangs, in seconds: the server counts as hung."""

BODY_MAX = 4 << 20
CONNECTIONS_MAX = 300
IDLE_CONNECTION_S = 60


class Streaming:
    """The connections whose answers go on; one thread serves them all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: list[_Stream] = []
        self._taken = 0

    def __len__(self) -> int:
        return self._taken

    def claim(self) -> bool:
        """Take a place; False when all are taken."""
        with self._lock:
            if self._taken >= STREAMS_MAX:
                return False
            self._taken += 1
            return True

    def give_back(self) -> None:
        """The place is free again."""
        with self._lock:
            self._taken -= 1

    def add(self, stream: _Stream) -> None:
        """Serve *stream* from now on, on a place that was claimed."""
        with self._lock:
            self._streams.append(stream)

    def run(self, stopping: StopEvent, alive: Callable[[], None]) -> None:
        """Serve the streams until *stopping* is set.

        Args:
            stopping: ends it.
            alive: called as it makes progress.
        """
        checked_at = time.monotonic()
        while not stopping.wait(TICK_S if self._streams else LOOP_S):
            alive()
            now = time.monotonic()
            check = now - checked_at >= CHECK_S
            if check:
                checked_at = now
            with self._lock:
                streams = list(self._streams)
            ended = [stream for stream in streams if not stream.serve(check)]
            for stream in ended:
                with self._lock:
                    self._streams.remove(stream)
                    self._taken -= 1


class _Stream:
    """One answer that goes on."""

    def __init__(self, channel: Channel, chunked: bool, pull: Pull, allowed: Callable[[], bool]) -> None:
        self._channel = channel
        self._chunked = chunked
        self._pull = pull
        self._allowed = allowed

    def serve(self, check: bool) -> bool:
        """Send what is new; False when it has ended."""
        channel = self._channel
        try:
            if check and not self._allowed():
                channel.hang_up()
                return False
            data = self._pull() or (b":\n\n" if check else b"")
        except Exception:
            # The boundary to the views: one that fails must not end the others.
            log.exception("an answer that goes on has failed")
            channel.hang_up()
            return False
        if not channel.connected or channel.behind() > BEHIND_MAX:
            channel.hang_up()
            return False
        if data:
            channel.send_later(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        return True


class _Claim:
    """What a view finds in its environment: a way to go on after its first bytes."""

    def __init__(self, streaming: Streaming) -> None:
        self._streaming = streaming
        self.adopted: tuple[Pull, Callable[[], bool]] | None = None

    def adopt(self, pull: Pull, allowed: Callable[[], bool]) -> bool:
        """Go on with *pull*; False when there are too many."""
        if not self._streaming.claim():
            return False
        self.adopted = (pull, allowed)
        return True


class Task(WSGITask):  # type: ignore[misc]
    """One request. The end of an answer that goes on is left out, and its connection kept."""

    claim: _Claim | None = None

    def get_environment(self) -> dict[str, Any]:
        """The WSGI environment, with the way to go on."""
        environ: dict[str, Any] = super().get_environment()
        self.claim = environ[ENVIRON] = _Claim(self.channel.streaming)
        return environ

    def service(self) -> None:
        """Make and send the answer."""
        super().service()
        claim = self.claim
        if claim is None or claim.adopted is None:
            return
        streaming: Streaming = self.channel.streaming
        if not self.wrote_header or not self.channel.connected:
            streaming.give_back()
            return
        self.close_on_finish = False
        self.channel.followed = True
        streaming.add(_Stream(self.channel, self.chunked_response, *claim.adopted))

    def finish(self) -> None:
        """Write the end of the answer, unless it goes on."""
        if self.claim is None or self.claim.adopted is None:
            super().finish()


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection.

    Args:
        streaming: where it goes if its answer goes on.
        arguments: those of waitress.
    """

    task_class = Task
    followed = False
    connected: bool
    total_outbufs_len: int
    requests: list[Any]
    server: Any

    def __init__(self, streaming: Streaming, *arguments: Any, **named: Any) -> None:
        self.streaming = streaming
        self._later: collections.deque[bytes] = collections.deque()
        super().__init__(*arguments, **named)

    def send_later(self, data: bytes) -> None:
        """Have the loop send *data*, from any thread: only the loop may write once no page thread does."""
        self._later.append(data)
        self.server.pull_trigger()

    def behind(self) -> int:
        """Bytes that wait for the browser to read."""
        return self.total_outbufs_len + sum(map(len, list(self._later)))

    def writable(self) -> bool:
        """Whether the loop has something to send."""
        return bool(self._later and not self.requests) or bool(super().writable())

    def handle_write(self) -> None:
        """Send what waits."""
        try:
            while self._later and not self.requests:
                self.write_soon(self._later.popleft())
        except ClientDisconnected:
            self._later.clear()
        super().handle_write()

    def received(self, data: bytes) -> bool:
        """Take in a part of a request; nothing more is asked on a connection whose answer goes on."""
        return True if self.followed else bool(super().received(data))

    def hang_up(self) -> None:
        """Let the loop close it."""
        self.will_close = True
        self.server.pull_trigger()


class Timed:
    """The application, and since when each request is in work.

    Args:
        application: the WSGI application.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._since: dict[int, float] = {}
        self.streaming = Streaming()
        self.requests = 0
        self.last_at = time.monotonic()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        me = threading.get_ident()
        self._since[me] = time.monotonic()
        self.requests += 1
        try:
            return self._application(environ, start_response)
        finally:
            self.last_at = time.monotonic()
            self._since.pop(me, None)

    def longest_s(self) -> float:
        """How long the oldest request is in work, in seconds."""
        since = list(self._since.values())
        return time.monotonic() - min(since) if since else 0.0


class Http:
    """waitress on our sockets.

    Args:
        application: the WSGI application.
        sockets: listening sockets, of one family only; they are closed with this.
        threads: pages that are made at the same time.
    """

    def __init__(
        self, application: Callable[..., Iterable[bytes]], sockets: list[socket.socket], threads: int
    ) -> None:
        self.timed = Timed(application)
        self._map: dict[int, Any] = {}
        self._sockets = sockets
        self._server: TcpWSGIServer | UnixWSGIServer | MultiSocketServer = create_server(
            self.timed,
            map=self._map,
            sockets=sockets,
            threads=threads,
            ident="",
            max_request_body_size=BODY_MAX,
            connection_limit=CONNECTIONS_MAX,
            channel_timeout=IDLE_CONNECTION_S,
            clear_untrusted_proxy_headers=True,
        )
        for one in list(self._map.values()):
            if hasattr(one, "channel_class"):
                one.channel_class = functools.partial(Channel, self.timed.streaming)

    def run(self, stopping: StopEvent, alive: Callable[[], None]) -> None:
        """Serve until *stopping* is set.

        Args:
            stopping: ends it.
            alive: called as it makes progress: not while a page hangs.
        """
        while not stopping.is_set():
            if self.timed.longest_s() < PAGE_MAX_S:
                alive()
            wasyncore.loop(timeout=LOOP_S, use_poll=True, map=self._map, count=1)

    def close(self) -> None:
        """Hang up on everybody, and stop listening."""
        dispatcher = getattr(self._server, "task_dispatcher", None)
        if dispatcher is not None:
            dispatcher.shutdown(cancel_pending=True, timeout=5)
        for one in list(self._map.values()):
            if isinstance(one, Channel):
                # close_all would leave the file open that has what its browser did not read yet.
                one.handle_close()
        wasyncore.close_all(self._map, ignore_all=True)
        for one in self._sockets:
            one.close()
