# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that survive: the client of titanic (RFC 9), with callbacks and a memory of its own.

::

    client = TitanicClient(broker="ipc:///run/raspy", outstanding="/var/lib/me/outstanding")
    for uuid in client.outstanding():              # what an earlier run of this program asked for
        client.watch(uuid, callback=print)
    client.request("pi", "onewire.devices", ["exec", "heater", "on"], callback=print)
    client.run()                                   # until client.shutdown()
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import uuid as uuids
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import zmq

from raspy.common import MDP, durable
from raspy.common.address import PORT, BrokerAddress
from raspy.common.mdcliapi import MajorDomoClient, Request

log = logging.getLogger(__name__)

# How often a request is offered to titanic before it counts as refused; each time takes up to
# MajorDomoClient.timeout * MajorDomoClient.retries.
SUBMIT_TRIES = 4

Callback = Callable[..., object]


class TitanicClient:
    """Ask for work that may take long, or whose server may be away, and get the reply some time.

    Every method may be called from any thread; callbacks run in the thread of `run`.

    A callback is called as ``callback(reply, *args, **kwargs)``. *reply* is what titanic.reply says (status
    first): ``[b"200", frames...]`` with the frames that the service replied, its own status the last of them;
    ``[b"500", reason]`` when the request could not be delivered; ``[b"400", reason]`` when titanic does not
    know it (any more). Each request's callback is called once; when this program dies during it and picks
    the request up again from *outstanding*, once more.

    Args:
        broker_ip: the broker's host, when it is reached by TCP.
        broker_port: its port.
        poll: how often `run` asks for replies, in milliseconds (default 1500).
        ttl: how long a reply that has no callback is kept for `status` while `run` runs, in
            seconds (default 900); then it is closed.
        broker: the broker's URL; goes before the two above.
        outstanding: a file that remembers the ids of requests until they are closed, so that a new
            run of the program finds them; None (default): remembered in memory only.

    Raises:
        OSError: the file can't be read or written.
    """

    def __init__(
        self,
        broker_ip: str = "localhost",
        broker_port: int = PORT,
        poll: float = 1500,
        ttl: float = 900,
        *,
        broker: str | BrokerAddress | None = None,
        outstanding: str | Path | None = None,
    ) -> None:
        self.broker = BrokerAddress.choose(broker, broker_ip, broker_port)
        self.poll = poll
        self.ttl = ttl
        self._ctx: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._stop = threading.Event()
        self._memory = _Memory(None if outstanding is None else Path(outstanding))
        self._watched: dict[str, _Watched] = {uuid: _Watched() for uuid in self._memory.uuids}
        # For _watched and _memory.
        self._lock = threading.Lock()
        # For the client of all threads but that of `run`, which has its own.
        self._client_lock = threading.Lock()
        self._client = MajorDomoClient(self.broker, ctx=self._ctx)

    def request(
        self,
        hostname: str = "localhost",
        service: str = "worker",
        data: Sequence[str | bytes] = ("mmi.echo",),
        callback: Callback | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        uuid: str | None = None,
    ) -> str:
        """Request a job for a worker to titanic; when this returns, the request is on titanic's disk.

        Args:
            hostname: the host of the service ``HOSTNAME.SERVICE``; empty when *service* is the full name.
            service: the service.
            data: the frames of the request.
            callback: called by `run` with the reply; None: fetch it with `status`.
            args: for the callback, after the reply.
            kwargs: for the callback.
            uuid: an id of 32 hexadecimal digits of the caller's own; a request that is repeated with
                the same one is carried out once.

        Returns:
            The id of the request.

        Raises:
            ClientError: titanic refuses the request for good.
            ServerError: titanic did not confirm it. It may be carried out or not; to be sure, repeat
                it with the same *uuid*.
        """
        uuid = uuid or uuids.uuid4().hex
        name = MDP.routing_key(hostname, service) if hostname else service
        with self._lock:
            # On the disk before it is sent: there is no moment at which a crash could lose it.
            self._memory.add(uuid, name)
            self._watched[uuid] = _Watched(callback, args, kwargs)
        try:
            self._submit(uuid, name, data)
        except MDP.GenericError:
            self._forget(uuid)
            raise
        return uuid

    def _submit(self, uuid: str, service: str, data: Sequence[str | bytes]) -> None:
        for _ in range(SUBMIT_TRIES):
            reply = self._ask("titanic.submit", uuid, service, *data)
            if reply:
                MDP.split_reply("titanic.submit", reply)
                return
        raise MDP.ServerError(
            f"titanic did not confirm request {uuid} for {service}: are titanic and the broker at"
            f" {self.broker} running?"
        )

    def watch(
        self,
        uuid: str,
        callback: Callback | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Let `run` fetch the reply of a request made earlier, be it by another run of the program."""
        with self._lock:
            if uuid not in self._memory.uuids:
                self._memory.add(uuid, "")
            self._watched[uuid] = _Watched(callback, args, kwargs)

    def outstanding(self) -> list[str]:
        """The ids of all requests that were not closed yet, the oldest first."""
        with self._lock:
            return list(self._watched)

    def status(self, uuid: str) -> list[bytes]:
        """Retrieve the status of a work from titanic.

        Returns:
            ``[b"300"]`` while there is no reply, else what a callback would get; ``[b"500", reason]`` also
            when titanic can't be asked. The reply stays with titanic until `close`.
        """
        reply = self._ask("titanic.reply", uuid)
        return reply or [MDP.T_ERROR, b"titanic does not answer; is it running?"]

    def close(self, uuid: str) -> bool:
        """Tell titanic that its reply is no longer needed; a request without reply is cancelled.

        Returns:
            Whether titanic has confirmed; if not, it may be asked again.
        """
        return self._closed(uuid, self._ask("titanic.close", uuid))

    def _closed(self, uuid: str, reply: list[bytes]) -> bool:
        """Forget a request if titanic has; it may be unable to for a while, with a full disk."""
        if not reply or reply[0] not in (MDP.T_OK, MDP.T_UNKNOWN):
            return False
        self._forget(uuid)
        return True

    def _ask(self, service: str, *request: str | bytes) -> list[bytes]:
        with self._client_lock:
            return _answer(self._client, service, *request)

    def send(self, service: str | bytes, request: Request) -> list[bytes] | None:
        """Send a Majordomo request directly to worker, as `MajorDomoClient.send`."""
        with self._client_lock:
            return self._client.send(service, request)

    def run(self) -> None:
        """Run the client in a loop, fetching replies and calling back, until `shutdown`."""
        with MajorDomoClient(self.broker, ctx=self._ctx) as client:
            while not self._stop.is_set():
                self._round(client)
                self._stop.wait(self.poll / 1000)

    def _round(self, client: MajorDomoClient) -> None:
        with self._lock:
            watched = list(self._watched.items())
        for uuid, entry in watched:
            if self._stop.is_set() or not self._look(client, uuid, entry):
                return

    def _look(self, client: MajorDomoClient, uuid: str, entry: _Watched) -> bool:
        """See to one request; False when titanic does not answer."""
        if not entry.called and (entry.callback is not None or entry.ended_at is None):
            reply = _answer(client, "titanic.reply", uuid)
            if not reply:
                return False
            if reply[0] == MDP.T_PENDING:
                return True
            entry.ended_at = time.monotonic()
            entry.call(uuid, reply)
        if entry.callback is None and time.monotonic() < (entry.ended_at or 0.0) + self.ttl:
            return True
        return self._closed(uuid, _answer(client, "titanic.close", uuid))

    def _forget(self, uuid: str) -> None:
        with self._lock:
            self._watched.pop(uuid, None)
            self._memory.remove(uuid)

    def shutdown(self) -> None:
        """Shutdown executive: `run` returns soon after."""
        self._stop.set()

    def destroy(self) -> None:
        """Close the connection, when `run` has returned; again is no error."""
        self.shutdown()
        self._client.destroy()
        if not self._ctx.closed:
            self._ctx.term()

    def __enter__(self) -> TitanicClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.destroy()


def _answer(client: MajorDomoClient, service: str, *request: str | bytes) -> list[bytes]:
    """Titanic's own answer; empty when there is none, be it that the broker says so."""
    reply = client.send(service, request)
    return [] if reply is None or MDP.is_unanswered(service, reply) else reply


class _Watched:
    """What `run` does when a reply comes."""

    __slots__ = ("args", "callback", "called", "ended_at", "kwargs")

    def __init__(
        self,
        callback: Callback | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.callback = callback
        self.args = args
        self.kwargs = kwargs or {}
        self.called = False
        self.ended_at: float | None = None  # when its reply was first seen, in monotonic seconds

    def call(self, uuid: str, reply: list[bytes]) -> None:
        """Call back, once."""
        if self.callback is None:
            return
        self.called = True
        try:
            self.callback(reply, *self.args, **self.kwargs)
        except Exception:
            # The boundary to the caller's code: one bad callback must not end the others'.
            log.exception("the callback for request %s failed", uuid)


class _Memory:
    """The ids of outstanding requests, in a file that is only appended to: a JSON object each line.

    ``{"id": ID, "service": NAME, "time": SECONDS}`` when a request is made, ``{"closed": ID}`` when it is
    closed. It is written anew, without what is closed, when it is opened and whenever most of it is closed.
    """

    # Below this many lines, a file is not worth being written anew.
    FEW = 1000

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lines = 0
        self.uuids: dict[str, dict[str, Any]] = {}
        if path is not None:
            self._read(path)
            self._write_anew(path)

    def _read(self, path: Path) -> None:
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                if "closed" in entry:
                    self.uuids.pop(entry["closed"], None)
                else:
                    self.uuids[str(entry["id"])] = entry
            except (ValueError, KeyError, TypeError):
                # The last line after a power cut; its request was not sent yet.
                log.warning("%s: line %d is damaged and was left out", path, number)

    def _write_anew(self, path: Path) -> None:
        durable.replace(path, "".join(json.dumps(entry) + "\n" for entry in self.uuids.values()))
        self._lines = len(self.uuids)

    def add(self, uuid: str, service: str) -> None:
        """Remember one; it is on the disk when this returns."""
        self.uuids[uuid] = {"id": uuid, "service": service, "time": round(time.time(), 3)}
        self._append(self.uuids[uuid], sync=True)

    def remove(self, uuid: str) -> None:
        """Forget one. If a power cut undoes this, titanic will not know the id: no harm."""
        if self.uuids.pop(uuid, None) is not None:
            self._append({"closed": uuid}, sync=False)

    def _append(self, entry: dict[str, Any], sync: bool) -> None:
        if self._path is None:
            return
        if self._lines > self.FEW + 2 * len(self.uuids):
            self._write_anew(self._path)
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            if sync:
                file.flush()
                os.fsync(file.fileno())
        self._lines += 1
