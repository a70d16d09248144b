# SPDX-License-Identifier: GPL-3.0-or-later
"""A server: an executive that answers requests about itself, and those of its own services.

Every service of a server is one ``worker_SUFFIX`` method that calls ``serve``. The same requests are
answered on the server's control socket, so that it can be asked even when the broker is down.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import raspy
from raspy.common import MDP, control, journal
from raspy.common.executive import Executive
from raspy.common.kvcliapi import KvPublisherClient
from raspy.common.mdwrkapi import MajorDomoWorker
from raspy.common.statistics import SNMPCounter, Statistics
from raspy.common.zhelpers import readable

Actions = Mapping[str, Callable[..., object]]

# How long a request on the control socket waits for one that the same service has in work, in seconds.
LOCK_S = 5.0
# "As many arguments as you like."
MANY = 1000


class _Service:
    """One service of a server: its actions, and the lock that keeps them one at a time."""

    __slots__ = ("actions", "lock")

    def __init__(self, actions: Actions) -> None:
        self.actions = {name.encode(): handler for name, handler in actions.items()}
        self.lock = threading.Lock()


class Server(Executive, Statistics):
    """The generic worker: adds the services ``mmi`` and ``statistics``, ``serve`` and ``publish``.

    Args: those of ``Executive``.
    """

    SERVICE = "worker"

    def __init__(
        self, hostname: str = "localhost", service: str = "worker", *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(hostname, service, *args, **kwargs)
        self._services: dict[str, _Service] = {}
        self._asker = threading.local()
        self._publisher: KvPublisherClient | None = None
        self._publisher_lock = threading.Lock()
        self._active_at = time.monotonic()
        self._n_requests = self.add_statistic(SNMPCounter("server.requests", "requests answered"))
        self._n_errors = self.add_statistic(
            SNMPCounter("server.errors", "requests that hit an internal error")
        )
        self.add_statistic(SNMPCounter("server.offences", "control socket: messages against the protocol"))

    # What a subclass may add to.

    def busy(self) -> bool:
        """Whether there is work besides requests; while there is, the server does not end for being idle."""
        return True

    def teardown(self) -> None:
        """Close the publisher."""
        super().teardown()
        with self._publisher_lock:
            if self._publisher is not None:
                self._publisher.destroy()
                self._publisher = None

    def tick(self) -> None:
        """End when idle for long enough; the control socket starts the server again."""
        super().tick()
        idle_exit_s = self.settings.idle_exit_s
        if self.busy():
            self._active_at = time.monotonic()
        elif idle_exit_s and time.monotonic() - self._active_at > idle_exit_s:
            self.log.info("nothing to do for %.0f s; ending until a request comes", idle_exit_s)
            self.shutdown()

    # Services.

    def worker_mmi(self) -> None:
        """Retrieve mmi informations of the worker: serve ``HOST.NAME.mmi``."""
        self.serve("mmi", self.mmi_actions())

    def worker_statistics(self) -> None:
        """Send statistics via mmi: serve ``HOST.NAME.statistics``."""
        self.serve("statistics", self.statistics_actions())

    def worker_control(self) -> None:
        """Answer on the control socket what the services answer on the bus."""
        control.serve(self)

    def mmi_actions(self) -> Actions:
        """The actions of ``HOST.NAME.mmi``."""
        return {
            "status": self.mmi_status,
            "info": self.mmi_info,
            "loglevel": self.mmi_loglevel,
            "actions": self.mmi_actions_list,
        }

    def statistics_actions(self) -> Actions:
        """The actions of ``HOST.NAME.statistics``."""
        return {
            "list_keys": self.statistics_list_keys,
            "all": self.statistics_all,
            "get": self.statistics_get,
        }

    def mmi_status(self) -> str:
        """Action ``status``: the line that ``systemctl status`` shows."""
        return self.status_line()

    def mmi_info(self) -> dict[str, Any]:
        """Action ``info``: version, pid, uptime_s, start time (seconds since the epoch), memory (resident,
        bytes), workers."""
        return {
            "name": self.get_instance_id(),
            "version": raspy.__version__,
            "pid": os.getpid(),
            "uptime_s": round(self.uptime_s(), 3),
            "started": round(self.started_at, 3),
            "memory": resident_bytes(),
            "workers": sorted(self._services),
        }

    def mmi_loglevel(self, level: bytes = b"") -> str:
        """Action ``loglevel [LEVEL]``: the least level that is logged, after setting it if one is given.

        Raises:
            ClientError: there is no such level.
        """
        if level:
            try:
                journal.set_level(level.decode(errors="replace"))
            except ValueError as error:
                raise MDP.ClientError(error) from error
        return journal.get_level()

    def mmi_actions_list(self) -> dict[str, dict[str, Any]]:
        """Action ``actions``: what may be asked: service -> action -> its arguments and what it does."""
        return {
            suffix: {name.decode(): _described(handler) for name, handler in sorted(service.actions.items())}
            for suffix, service in sorted(self._services.items())
        }

    # For the services.

    def serve(self, suffix: str, actions: Actions, *, credit: int = 1) -> None:
        """Serve ``HOST.NAME.suffix`` until the server stops; called in a ``worker_SUFFIX`` method.

        Args:
            suffix: the service's name within the server.
            actions: handler by action. A handler gets one argument for each frame after the action,
                as bytes. It returns None (no result frame), bytes or str (one frame), a tuple of these (one
                frame each), or anything JSON can carry (one frame). It raises ``ClientError``,
                ``NotFoundError`` or ``ServerError`` with a sentence for a person.
            credit: how many requests may wait here instead of in the broker.
        """
        self.register(suffix, actions)
        worker = MajorDomoWorker(
            self.broker,
            f"{self.get_instance_id()}.{suffix}",
            credit=credit,
            ctx=self.ctx,
            stopping=self.stopping,
        )
        try:
            while not self.stopping.is_set():
                self.alive()
                request = worker.receive(1.0)
                if request is not None:
                    address, frames = request
                    worker.reply(address, self.handle(suffix, frames, address))
        finally:
            worker.destroy()

    def register(self, suffix: str, actions: Actions) -> None:
        """Make the actions of a service known to ``handle`` and the control socket."""
        self._services[suffix] = _Service(actions)

    def offers(self, suffix: str) -> bool:
        """Whether the service *suffix* can be asked by now: its thread has come to ``serve``."""
        return suffix in self._services

    def handle(self, suffix: str, request: list[bytes], asker: bytes) -> list[bytes]:
        """Carry out one request of a service.

        Args:
            suffix: the service's name within the server.
            request: ``[action] [argument]...``.
            asker: the routing id of who asked.

        Returns:
            The body of the reply, ``[result]... [status]``.
        """
        self._active_at = time.monotonic()
        self._n_requests.value += 1
        service = self._services.get(suffix)
        if service is None:
            return MDP.error_reply(b"", MDP.T_NOTFOUND, f"{self.get_instance_id()} has no service {suffix!r}")
        if not service.lock.acquire(timeout=LOCK_S):
            reason = f"{self.get_instance_id()}.{suffix} is busy with another request; try again later"
            return MDP.error_reply(b"", MDP.T_ERROR, reason)
        self._asker.name = readable(asker)
        try:
            return [*_result_frames(self._call(service, suffix, request)), MDP.T_OK]
        except MDP.GenericError as error:
            return MDP.error_reply(b"", error.status, str(error))
        except (Exception, SystemExit) as error:
            # The boundary to handlers, ours and plug-ins': one bad request must not end the server.
            self._n_errors.value += 1
            self.log.exception("a request to %s.%s failed", self.get_instance_id(), suffix)
            reason = f"internal error in {self.get_instance_id()}: {type(error).__name__}; see its journal"
            return MDP.error_reply(b"", MDP.T_ERROR, reason)
        finally:
            self._asker.name = ""
            service.lock.release()

    def _call(self, service: _Service, suffix: str, request: list[bytes]) -> object:
        action = request[0] if request else b""
        handler = service.actions.get(action)
        if handler is None:
            allowed = ", ".join(name.decode() for name in sorted(service.actions))
            raise MDP.NotImplementedActionError(
                f"{self.get_instance_id()}.{suffix} has no action {action.decode(errors='replace')!r};"
                f" it has: {allowed}"
            )
        least, most = _arity(handler)
        given = len(request) - 1
        if not least <= given <= most:
            wanted = (
                f"{least}" if least == most else f"{least} to {most}" if most < MANY else f"at least {least}"
            )
            raise MDP.ClientError(f"{action.decode()!r} takes {wanted} arguments, not {given}")
        return handler(*request[1:])

    def requester(self) -> str:
        """Inside a handler: who asked, as text for RASPY_REQUEST; empty elsewhere."""
        name: str = getattr(self._asker, "name", "")
        return name

    def publish(self, subtree: str, key: str, body: bytes) -> None:
        """Send a key/value update, from any thread.

        Args:
            subtree: ``/device/``, ``/event/`` or ``/scenario/``.
            key: the rest of the key.
            body: the value; empty deletes the key.
        """
        with self._publisher_lock:
            if self._publisher is None:
                if self.stopping.is_set():
                    return
                self._publisher = KvPublisherClient(self.hostname, broker=self.broker, ctx=self.ctx)
            publisher = self._publisher
        publisher.send(subtree, key, body)


def resident_bytes() -> int:
    """How much memory this process takes now, in bytes; proc(5), /proc/pid/statm."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _arity(handler: Callable[..., object]) -> tuple[int, int]:
    """The least and the greatest number of arguments that *handler* takes."""
    function = getattr(handler, "__func__", handler)
    code = function.__code__
    bound = 1 if function is not handler else 0
    most = code.co_argcount - bound
    least = most - len(function.__defaults__ or ())
    takes_any = code.co_flags & 0x04  # CO_VARARGS, see inspect(3)
    return least, MANY if takes_any else most


def _described(handler: Callable[..., object]) -> dict[str, Any]:
    """How many arguments an action takes, and the first line of its documentation."""
    least, most = _arity(handler)
    line = (handler.__doc__ or "").strip().partition("\n")[0]
    return {"least": least, "most": most, "info": line.removeprefix("Action ").replace("``", "")}


def _result_frames(result: object) -> list[bytes]:
    if result is None:
        return []
    if isinstance(result, (bytes, str)):
        return [MDP.to_frame(result)]
    if isinstance(result, tuple):
        return [MDP.to_frame(frame) for frame in result]
    # A file's name may be no text.
    return [json.dumps(result, ensure_ascii=False).encode(errors="replace")]
