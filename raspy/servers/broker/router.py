# SPDX-License-Identifier: GPL-3.0-or-later
"""The broker's router: requests in from clients, out to workers, replies back (RFC 7/MDP 0.1, RFC 8/MMI).

Frames: see ``raspy.common.MDP``. Differences to the reference brokers, all invisible to
peers that don't know of them:

- A request never waits for ever: when no worker takes it within ``request_age_s`` or answers it within
  ``answer_age_s``, or its worker dies, the client gets a reply that says so (404, 500).
- A worker is given up when its connection is gone, not because it is busy for long.
- A worker may take several requests at once (credit in READY).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import zmq

from raspy.common import MDP, frames
from raspy.common.MDP import (
    C_CLIENT,
    MAX_NAME,
    W_DISCONNECT,
    W_HEARTBEAT,
    W_READY,
    W_REPLY,
    W_REQUEST,
    W_WORKER,
)
from raspy.common.offences import Offences
from raspy.common.server import Server
from raspy.common.statistics import SNMP, SNMPCounter
from raspy.servers.broker import mmi
from raspy.servers.broker.activation import Activation
from raspy.servers.broker.gate import Gate, Senders
from raspy.servers.broker.services import Service, Waiting, Worker

MAX_CREDIT = 1000
# How long the router sleeps at most before it looks at time-outs, in milliseconds.
TICK_MS = 500
# What a waiting request takes besides the bytes of its frames, and what each frame does, in bytes.
REQUEST_BYTES = 256
FRAME_BYTES = 64

_DONTWAIT = frames.DONTWAIT


class Router(Server):
    """Routes messages between clients and workers; `Broker` gives it its socket.

    Args: those of ``Server``.

    Attributes:
        services: what is offered or asked for, by name.
        workers: who offers it, by routing id.
        waiting_bytes: what all waiting requests take.
        socket: the ROUTER between them, once it is bound.
        gate: who lets in remote peers, if it is bound to TCP.
    """

    INTERNAL_SERVICE_PREFIX = b"mmi."
    HEARTBEAT_LIVENESS = 5
    HEARTBEAT_INTERVAL = 3500  # milliseconds
    HEARTBEAT_EXPIRY = HEARTBEAT_INTERVAL * HEARTBEAT_LIVENESS

    def __init__(self, hostname: str, service: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(hostname, service, *args, **kwargs)
        self.HEARTBEAT_INTERVAL = int(1000 * self.settings.heartbeat_s)
        self.HEARTBEAT_EXPIRY = self.HEARTBEAT_INTERVAL * self.HEARTBEAT_LIVENESS
        self.services: dict[bytes, Service] = {}
        self.workers: dict[bytes, Worker] = {}
        self.heartbeat_at = 0.0
        self.purge_at = 0.0
        self.waiting_bytes = 0
        self.socket: zmq.Socket[bytes] | None = None
        self.gate: Gate | None = None
        self._senders: Senders | None = None
        self.activation = Activation(hostname, self.broker.folder, service)
        self._own_prefix = f"{self.get_instance_id()}.".encode()
        count = self.add_statistic
        self._n_requests = count(SNMPCounter("broker.requests", "requests from clients"))
        self._n_replies = count(SNMPCounter("broker.replies", "replies to clients"))
        self._n_refused = count(SNMPCounter("broker.refused", "requests refused: a limit was reached"))
        self._n_expired = count(SNMPCounter("broker.expired", "requests not taken or answered in time"))
        self._n_lost = count(SNMPCounter("broker.lost", "requests whose worker died"))
        self._n_gone = count(SNMPCounter("broker.gone", "replies for clients that had gone or don't read"))
        self._n_services = count(SNMP("broker.services", "services with workers or waiting requests"))
        self._n_workers = count(SNMP("broker.workers", "registered workers"))
        self._n_waiting = count(SNMP("broker.waiting", "requests that wait for a worker"))
        self._n_waiting_bytes = count(SNMP("broker.waiting_bytes", "bytes that they take"))
        self.offences = Offences(
            self.log, count(SNMPCounter("broker.offences", "messages against the protocol"))
        )

    def route(self) -> None:
        """Main broker work happens here: take messages in, send them where they belong."""
        assert self.socket is not None
        self._senders = None if self.gate is None else self.gate.senders(self.socket)
        receive = frames.listener(self.socket, 2, self._senders)
        clock = time.monotonic
        limit = self.settings.max_message_bytes
        max_frames = limit // FRAME_BYTES
        while not self.stopping.is_set():
            message = receive()
            now = clock()
            if now >= self.purge_at:
                self.purge_at = now + TICK_MS / 1000
                self.alive()
                self.purge_workers()
                self.send_heartbeats()
            if message is None:
                continue
            sender = message[0]
            if len(message) < 4 or message[1]:
                # A HEARTBEAT, at 4 frames, is the shortest message there is.
                self.offences.note(sender, f"dropped {len(message)} frames that are not MDP/0.1")
            elif message[2] == C_CLIENT:
                if len(message) > max_frames or sum(map(len, message)) > limit:
                    self._refuse(sender, message[3], f"the request is larger than {limit} bytes", True)
                else:
                    self.process_client(sender, message[3:])
            elif message[2] == W_WORKER:
                self.process_worker(sender, message[3:])
            else:
                self.offences.note(sender, "dropped a message that is neither client's nor worker's")
        for worker in list(self.workers.values()):
            self.delete_worker(worker, True)

    # Requests, in protocol order.

    def process_client(self, sender: bytes, msg: list[bytes]) -> None:
        """Process a request coming from a client.

        Args:
            sender: the client's routing id.
            msg: ``[service] [body]...``
        """
        self._n_requests.value += 1
        name = msg[0]
        service = self.services.get(name)
        if service is not None and service.waiting and not service.requests and len(msg) > 1:
            # The common case: somebody is waiting for it.
            self._hand_over(service, sender, msg[1:])
            return
        if len(msg) < 2 or not name:
            self._refuse(sender, name, "a request is a service and a body", True)
        elif len(name) > MAX_NAME:
            self._refuse(sender, name, self._why_not(name, 0), True)
        elif name.startswith((self.INTERNAL_SERVICE_PREFIX, self._own_prefix)):
            self.service_internal(name, [sender, *msg[1:]])
        elif service is None and (reason := self._why_not(name, self.settings.max_services)):
            self._refuse(sender, name, reason, True)
        else:
            self.dispatch(self.require_service(name), [sender, *msg[1:]])

    def _why_not(self, name: bytes, room: int) -> str:
        """Why a service that is not known yet can't become one of at most *room*; empty when it can."""
        if len(name) > MAX_NAME or not _is_text(name):
            return f"a service's name is printable text of at most {MAX_NAME} bytes"
        if len(self.services) >= room:
            return f"there are {len(self.services)} services already (max_services)"
        return ""

    def require_service(self, name: bytes) -> Service:
        """Locates the service (creates if necessary)."""
        service = self.services.get(name)
        if service is None:
            service = self.services[name] = Service(name)
        return service

    def dispatch(self, service: Service, msg: list[bytes] | None) -> None:
        """Dispatch requests to waiting workers as possible.

        Args:
            service: whose requests.
            msg: a new request, ``[client] [body]...``, or None.
        """
        if msg is not None and not self._queue(service, msg[0], msg[1:]):
            return
        while service.requests and service.waiting:
            request = service.requests.popleft()
            self.waiting_bytes -= request.size
            self._hand_over(service, request.client, request.body)

    def _queue(self, service: Service, client: bytes, body: list[bytes]) -> bool:
        size = sum(map(len, body)) + FRAME_BYTES * len(body) + REQUEST_BYTES
        reason = ""
        if len(service.requests) >= self.settings.max_requests:
            reason = f"{len(service.requests)} requests wait for it already (max_requests)"
        elif self.waiting_bytes + size > self.settings.max_waiting_bytes:
            reason = f"{self.waiting_bytes} bytes of requests wait already (max_waiting_bytes)"
        if reason:
            self._refuse(client, service.name, MDP.UNANSWERED + reason, False)
            return False
        service.requests.append(Waiting(client, body, time.monotonic(), size))
        self.waiting_bytes += size
        if not service.workers:
            self.activation.wake(service.name)
        return True

    def _hand_over(self, service: Service, client: bytes, body: list[bytes]) -> None:
        """Give a request to the worker that waits longest; one that turns out to be gone is passed over."""
        while service.waiting:
            worker = service.waiting.popleft()
            worker.free -= 1
            worker.inflight.append((client, time.monotonic()))
            if worker.free:
                service.waiting.append(worker)
            if self.send_to_worker(worker, W_REQUEST, client, [b"", *body]):
                return
            worker.inflight.pop()
            self.delete_worker(worker, False)
        self._queue(service, client, body)

    def service_internal(self, service: bytes, msg: list[bytes]) -> None:
        """Handle internal service according to 8/MMI specification, and the broker's own two.

        Args:
            service: its full name.
            msg: ``[client] [body]...``
        """
        client, body = msg[0], msg[1:]
        if service.startswith(self._own_prefix):
            suffix = service.removeprefix(self._own_prefix).decode(errors="replace")
            self._reply(client, service, self.handle(suffix, body, client))
        else:
            self._reply(client, service, mmi.answer(self, service, body))

    def has_service(self, name: bytes) -> bool:
        """Whether a request for *name* would find a worker, or one that can be woken."""
        known = self.services.get(name)
        if (known is not None and known.workers > 0) or name in self.own_services():
            return True
        return self.activation.possible(name)

    def own_services(self) -> list[bytes]:
        """The services that the broker answers itself, but for ``mmi.``."""
        return [self._own_prefix + suffix.encode() for suffix in self._services]

    def service_names(self) -> list[bytes]:
        """Every service that is there or can be woken."""
        names = {name for name in self.services if self.has_service(name)}
        names.update(self.own_services())
        for server in self.activation.sleeping():
            names.update(f"{self.hostname}.{server}.{suffix}".encode() for suffix in ("mmi", "statistics"))
        return sorted(names)

    def _refuse(self, client: bytes, service: bytes, reason: str, offence: bool) -> None:
        self._n_refused.value += 1
        if offence:
            self.offences.note(client, f"request refused: {reason}")
        status = MDP.T_UNKNOWN if offence else MDP.T_ERROR
        # What is too long must not come back: replies wait for a client that does not read them.
        self._reply(client, service[:MAX_NAME], MDP.error_reply(service, status, reason))

    def _reply(self, client: bytes, service: bytes, body: Sequence[bytes]) -> None:
        self._n_replies.value += 1
        assert self.socket is not None
        try:
            frames.send(self.socket, [client, b"", C_CLIENT, service, *body], _DONTWAIT)
        except zmq.ZMQError:
            # EHOSTUNREACH: it has gone. EAGAIN: it does not read.
            self._n_gone.value += 1

    # Workers, in protocol order.

    def process_worker(self, sender: bytes, msg: list[bytes]) -> None:
        """Process message sent to us by a worker.

        Args:
            sender: the worker's routing id.
            msg: ``[command] [the rest]...``
        """
        command = msg[0]
        worker = self.workers.get(sender)
        if command == W_REPLY and worker is not None:
            self._worker_reply(worker, msg)
        elif command == W_HEARTBEAT and worker is not None:
            worker.expiry = time.monotonic() + self.HEARTBEAT_EXPIRY / 1000
        elif command == W_READY:
            self._worker_ready(sender, worker, msg)
        elif command == W_DISCONNECT:
            if worker is not None:
                self.delete_worker(worker, False)
        elif command in (W_REPLY, W_HEARTBEAT):
            # Most likely we are new and it is not: DISCONNECT makes it register again.
            if command == W_REPLY:
                self.offences.note(sender, "dropped a reply from a worker that is not registered")
            self._send_disconnect(sender)
        else:
            self.offences.note(sender, f"dropped an unknown worker command {command[:8]!r}")

    def _worker_ready(self, sender: bytes, worker: Worker | None, msg: list[bytes]) -> None:
        name = msg[1] if len(msg) > 1 else b""
        credit = int(msg[2]) if len(msg) > 2 and msg[2].isdigit() and len(msg[2]) < 5 else 1
        reason = ""
        if worker is not None:
            reason = "READY twice"
        elif not name or len(name) > MAX_NAME or not _is_text(name):
            reason = f"READY without a service's name of printable text and at most {MAX_NAME} bytes"
        elif name.startswith((self.INTERNAL_SERVICE_PREFIX, self._own_prefix)):
            reason = f"READY for {name.decode()!r}, which is the broker's own"
        elif self._senders is not None and (denied := self._senders.refuses(name)):
            reason = f"READY for {name.decode()!r} refused: {denied}"
        elif len(self.workers) >= self.settings.max_workers:
            reason = f"READY refused: {len(self.workers)} workers are registered already (max_workers)"
        elif name not in self.services and (full := self._why_not(name, self._room_for_workers())):
            reason = f"READY refused: {full}"
        if reason:
            self.offences.note(sender, reason)
            if worker is not None:
                self.delete_worker(worker, True)
            else:
                self._send_disconnect(sender)
            return
        worker = self.require_worker(sender)
        worker.service = self.require_service(name)
        worker.service.workers += 1
        worker.service.offered = True
        worker.free = max(1, min(credit, MAX_CREDIT))
        self.worker_waiting(worker)

    def _room_for_workers(self) -> int:
        """How many services there may be for a READY: clients that ask for what nobody offers leave room."""
        return int(self.settings.max_services + self.settings.max_workers)

    def require_worker(self, address: bytes) -> Worker:
        """Finds the worker (creates if necessary)."""
        worker = self.workers.get(address)
        if worker is None:
            lifetime = time.monotonic() + self.HEARTBEAT_EXPIRY / 1000
            worker = self.workers[address] = Worker(address.hex(), address, lifetime)
        return worker

    def _worker_reply(self, worker: Worker, msg: list[bytes]) -> None:
        """``[REPLY] [client] [""] [body]...``; some workers leave the empty frame out."""
        client = msg[1] if len(msg) > 1 else b""
        inflight = worker.inflight
        if inflight and inflight[0][0] == client:
            inflight.popleft()
        elif not self._forget(worker, client):
            self.offences.note(worker.address, "dropped a reply to a client that it has no request from")
            return
        service = worker.service
        assert service is not None
        body = msg[3:] if len(msg) > 2 and not msg[2] else msg[2:]
        self._reply(client, service.name, body or [b""])
        worker.free += 1
        if worker.free == 1:
            self.worker_waiting(worker)
        else:
            worker.expiry = time.monotonic() + self.HEARTBEAT_EXPIRY / 1000
            if service.requests:
                self.dispatch(service, None)

    @staticmethod
    def _forget(worker: Worker, client: bytes) -> bool:
        """Take the oldest request of *client* out of those that *worker* has."""
        for entry in worker.inflight:
            if entry[0] == client:
                worker.inflight.remove(entry)
                return True
        return False

    def worker_waiting(self, worker: Worker) -> None:
        """This worker is now waiting for work."""
        service = worker.service
        assert service is not None
        service.waiting.append(worker)
        worker.expiry = time.monotonic() + self.HEARTBEAT_EXPIRY / 1000
        if service.requests:
            self.dispatch(service, None)

    def send_to_worker(
        self, worker: Worker, command: bytes, option: bytes | None, msg: Sequence[bytes] | None = None
    ) -> bool:
        """Send message to worker.

        Args:
            worker: the worker.
            command: ``MDP.W_REQUEST`` and so on.
            option: the frame after the command, if it has one.
            msg: the frames after that.

        Returns:
            Whether it is still connected and takes messages.
        """
        message = [worker.address, b"", W_WORKER, command]
        if option is not None:
            message.append(option)
        if msg is not None:
            message.extend(msg)
        assert self.socket is not None
        try:
            frames.send(self.socket, message, _DONTWAIT)
        except zmq.ZMQError:
            return False
        return True

    def _send_disconnect(self, address: bytes) -> None:
        self.send_to_worker(Worker("", address, 0), W_DISCONNECT, None)

    def delete_worker(self, worker: Worker, disconnect: bool) -> None:
        """Deletes worker from all data structures, and deletes worker.

        Its requests are answered with 500: whether they were carried out is not known, so they are not
        given to another worker.

        Args:
            worker: the worker.
            disconnect: whether to tell it.
        """
        if disconnect:
            self._send_disconnect(worker.address)
        self.workers.pop(worker.address, None)
        service = worker.service
        if service is None:
            return
        worker.service = None
        service.workers -= 1
        if worker in service.waiting:
            service.waiting.remove(worker)
        for client, _since in worker.inflight:
            self._n_lost.value += 1
            reason = f"{MDP.UNANSWERED}the worker of {service.name.decode()} ended first"
            self._reply(client, service.name, MDP.error_reply(service.name, MDP.T_ERROR, reason))
        worker.inflight.clear()

    # Time.

    def send_heartbeats(self) -> None:
        """Send heartbeats to workers if it's time; one that can't be reached any more is deleted."""
        now = time.monotonic()
        if now < self.heartbeat_at:
            return
        self.heartbeat_at = now + self.HEARTBEAT_INTERVAL / 1000
        for worker in list(self.workers.values()):
            if not self.send_to_worker(worker, W_HEARTBEAT, None):
                self.log.info("a worker of %s has gone", worker.service_name)
                self.delete_worker(worker, False)

    def purge_workers(self) -> None:
        """Look for & kill expired workers; answer the requests that waited too long.

        An idle worker expires by silence. A busy one may be silent, since many workers can't send heartbeats
        while they work; it goes when its connection does, or when it takes longer than ``answer_age_s``.
        """
        now = time.monotonic()
        oldest = now - self.settings.answer_age_s
        for worker in list(self.workers.values()):
            if worker.inflight:
                if worker.inflight[0][1] < oldest:
                    self._n_expired.value += len(worker.inflight)
                    self.log.warning("a worker of %s did not answer in time", worker.service_name)
                    self.delete_worker(worker, True)
            elif worker.expiry < now:
                self.delete_worker(worker, True)
        waiting = 0
        for service in list(self.services.values()):
            self._expire_requests(service, now)
            waiting += len(service.requests)
            if service.requests and not service.workers:
                # The first knock may have gone to a server that was just ending.
                self.activation.wake(service.name)
            if not service.requests and not service.workers and not self._sleeps(service):
                del self.services[service.name]
        self._n_waiting.value = waiting
        self._n_waiting_bytes.value = self.waiting_bytes
        self._n_services.value = len(self.services)
        self._n_workers.value = len(self.workers)

    def _sleeps(self, service: Service) -> bool:
        """Whether a service without workers is worth remembering: for mmi, as long as there is much room."""
        plenty = 2 * len(self.services) < self.settings.max_services
        return service.offered and plenty and self.activation.possible(service.name)

    def _expire_requests(self, service: Service, now: float) -> None:
        requests = service.requests
        age_s = self.settings.request_age_s
        while requests and now - requests[0].since > age_s:
            request = requests.popleft()
            self.waiting_bytes -= request.size
            self._n_expired.value += 1
            name = service.name.decode()
            if service.workers:
                status, why = MDP.T_ERROR, f"no worker of {name} was free within {age_s:g} s"
            else:
                status, why = MDP.T_NOTFOUND, f"no server offered {name} within {age_s:g} s"
            refusal = MDP.error_reply(service.name, status, MDP.UNANSWERED + why)
            self._reply(request.client, service.name, refusal)


def _is_text(name: bytes) -> bool:
    try:
        return name.decode().isprintable()
    except UnicodeDecodeError:
        return False
