# SPDX-License-Identifier: GPL-3.0-or-later
"""Delivery: every stored request goes to its service until it is answered, or given up.

One thread serves all services. Each has at most one request under way, so they are carried out in
the order in which they were stored, and a service that hangs holds up only itself. A request that
is not answered in time is sent again after a pause that doubles with each try. While nobody offers
the service nothing is sent, and no try is counted.

What came of a request is put into ``outcomes``; the server stores it with the next commit.
"""

import heapq
import math
import time
from collections import deque
from collections.abc import Callable, Set
from typing import NamedTuple

import zmq

from raspy.common import MDP
from raspy.common.address import BrokerAddress
from raspy.servers.titanic import checks
from raspy.servers.titanic.lanes import Lane, Lanes
from raspy.servers.titanic.presence import Presence
from raspy.servers.titanic.requests import Requests
from raspy.servers.titanic.schema import DONE, FAILED

# Services with requests waiting; a request for one more is refused.
MAX_SERVICES = 1024
# Outcomes that wait for the disk; nothing more is sent until some are stored.
MAX_OUTCOMES = 64
# The first pause after a try in vain, and after nobody offered the service; each doubles from there.
FIRST_PAUSE_S = 0.1
MAX_ABSENT_PAUSE_S = 5.0
# A service without requests is remembered so long, to save asking for it again.
FORGET_S = 60.0

_BROKEN = "the connection to the broker broke"

# What a route does at the moment: its deadline is that of the last two.
_IDLE, _READY, _ASKING, _SENT, _PAUSED = range(5)


class Policy(NamedTuple):
    """How long and how often to try.

    Arguments:
        tries: a request that was sent so often in vain has failed.
        reply_s: how long a service has to reply, in seconds.
        pause_s: the longest pause between two tries, in seconds.
    """

    tries: int = 10
    reply_s: float = 30.0
    pause_s: float = 60.0


class Outcome(NamedTuple):
    """What became of a request: its reply (state done), a reason (failed), or a try in vain (None)."""

    seq: int
    state: int | None
    tries: int
    reply: list[bytes]


class _Route:
    """One service, and how far its requests are."""

    __slots__ = (
        "absences",
        "alarm",
        "deadline",
        "done",
        "key",
        "lane",
        "name",
        "present",
        "seq",
        "state",
        "tries",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = name.encode()
        self.state = _IDLE
        self.deadline = math.inf  # when its reply is overdue, its pause is over, or it may be forgotten
        self.alarm = math.inf  # when the heap of alarms will look at it
        self.present = False  # it was offered when last asked, and has answered every try since
        self.absences = 0  # how often in a row it was not offered
        self.seq = 0  # the request that is under way, or was last
        self.tries = 0  # how often that one was sent in vain
        self.done = 0  # the last one that has its outcome
        self.lane: Lane | None = None  # where the last try was sent


class Delivery:
    """Sends what waits and collects the replies, all in the thread that calls.

    Arguments:
        ctx: the ZeroMQ context.
        broker: where the broker is.
        requests: the stored requests.
        policy: how long and how often to try.
        now: monotonic seconds.

    Attributes:
        outcomes: what is to be stored, the oldest first; the caller takes them out.
    """

    def __init__(
        self,
        ctx: zmq.Context[zmq.Socket[bytes]],
        broker: BrokerAddress,
        requests: Requests,
        policy: Policy,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ctx = ctx
        self._broker = broker
        self._requests = requests
        self._policy = policy
        self._now = now
        self.outcomes: deque[Outcome] = deque()
        self._routes: dict[bytes, _Route] = {}
        self._ready: deque[_Route] = deque()
        self._alarms: list[tuple[float, int, _Route]] = []
        self._alarms_set = 0
        self._lanes = Lanes(self._open_lane, self._awaited)
        self._presence = Presence(self._open_lane)
        for service in requests.services():
            self.wake(service)

    def _open_lane(self) -> Lane:
        return Lane(self._ctx, self._broker, "titanic")

    # For the loop that runs it.

    def knows(self, service: str) -> bool:
        """Whether a request for *service* can be taken: there is room for its route."""
        return len(self._routes) < MAX_SERVICES or service.encode() in self._routes

    def wake(self, service: str) -> None:
        """A request for *service* was stored."""
        key = service.encode()
        route = self._routes.get(key)
        if route is None:
            route = self._routes[key] = _Route(service)
        if route.state == _IDLE:
            self._make_ready(route)

    def sockets(self) -> list[zmq.Socket[bytes]]:
        """What to poll for input."""
        lanes = [self._presence.lane, *self._lanes.all()]
        return [socket for lane in lanes for socket in (lane.socket, lane.watch.socket)]

    def due_s(self) -> float:
        """In how many seconds there is something to do though nothing comes in; 0 for now."""
        if self._ready and len(self.outcomes) < MAX_OUTCOMES:
            return 0.0
        due = self._presence.due() or math.inf
        if self._alarms:
            due = min(due, self._alarms[0][0])
        return max(0.0, due - self._now())

    def in_work(self) -> int:
        """How many requests are under way."""
        return sum(route.state == _SENT for route in self._routes.values())

    def collect(self, ready: Set[object]) -> None:
        """Take all replies that are there, and see to connections that broke.

        Arguments:
            ready: those of `sockets` that have something.
        """
        for lane in self._lanes.all():
            while lane.socket in ready and (answer := lane.receive()) is not None:
                key, seq, reply = answer
                route = self._routes.get(key)
                if route is None or seq != route.seq or seq <= route.done:
                    continue  # late: that request has its outcome
                if MDP.is_unanswered(key, reply):
                    self._lost(route, lane, _reason(key, reply))
                else:
                    self._answered(route, reply)
        if self._presence.lane.socket in ready:
            for key, present in self._presence.collect(self._now()):
                if key in self._routes:
                    self._told(self._routes[key], present)
        if self._presence.lane.lost(ready):
            self._presence.lost(self._now())
        for key, lane in self._lanes.broken(ready):
            if key in self._routes:
                self._lost(self._routes[key], lane, _BROKEN)

    def dispatch(self) -> None:
        """See to what is overdue, then send what is due."""
        now = self._now()
        if (self._presence.due() or math.inf) <= now:
            self._presence.renew(now)
        while self._alarms and self._alarms[0][0] <= now:
            when, _, route = heapq.heappop(self._alarms)
            if when == route.alarm:
                route.alarm = math.inf
                self._alarm(route, now)
        while self._ready and len(self.outcomes) < MAX_OUTCOMES:
            self._next(self._ready.popleft())

    def close(self) -> None:
        """Close all connections."""
        self._lanes.close()
        self._presence.close()

    # A route's way.

    def _make_ready(self, route: _Route) -> None:
        if route.state != _READY:
            route.state = _READY
            route.deadline = math.inf
            self._ready.append(route)

    def _next(self, route: _Route) -> None:
        """Send the oldest request of a service, or ask first whether somebody offers it."""
        request = self._requests.next(route.name, route.done)
        if request is None:
            self._wait(route, _IDLE, FORGET_S)
        elif not route.present:
            route.state = _ASKING
            self._presence.ask(route.key, self._now())
        else:
            if request.seq != route.seq:
                route.seq, route.tries = request.seq, request.tries
            lane = self._lanes.choose(route.key)
            try:
                if lane is None:
                    raise zmq.Again
                lane.send(route.key, route.seq, request.body)
            except zmq.Again:
                self._wait(route, _PAUSED, FIRST_PAUSE_S)
            else:
                route.lane = lane
                self._wait(route, _SENT, self._policy.reply_s)

    def _told(self, route: _Route, present: bool) -> None:
        """The broker said whether a service is offered."""
        if route.state != _ASKING:
            return  # a late reply came first
        route.present = present
        if present:
            route.absences = 0
            self._make_ready(route)
        else:
            pause_s = min(
                FIRST_PAUSE_S * 2 ** min(route.absences, 16), MAX_ABSENT_PAUSE_S, self._policy.pause_s
            )
            route.absences += 1
            self._wait(route, _PAUSED, pause_s)

    def _answered(self, route: _Route, reply: list[bytes]) -> None:
        """A reply came, be it to the last try or late to an earlier one."""
        route.done = route.seq
        route.present = True
        size = sum(map(len, reply))
        if size <= checks.MAX_BODY_BYTES:
            self.outcomes.append(Outcome(route.seq, DONE, route.tries, reply))
        else:
            reason = f"{route.name} replied {size} bytes; titanic keeps up to {checks.MAX_BODY_BYTES}"
            self.outcomes.append(Outcome(route.seq, FAILED, route.tries, [reason.encode()]))
        self._make_ready(route)

    def _unanswered(self, route: _Route, why: str) -> None:
        """A try was in vain: pause, or give up."""
        route.present = False
        route.tries += 1
        if route.tries < self._policy.tries:
            self.outcomes.append(Outcome(route.seq, None, route.tries, []))
            pause_s = min(FIRST_PAUSE_S * 2 ** min(route.tries - 1, 16), self._policy.pause_s)
            self._wait(route, _PAUSED, pause_s)
        else:
            reason = f"{route.name} did not answer in {route.tries} tries (the last: {why}); see its journal"
            self.outcomes.append(Outcome(route.seq, FAILED, route.tries, [reason.encode()]))
            route.done = route.seq
            self._make_ready(route)

    def _wait(self, route: _Route, state: int, seconds: float) -> None:
        route.state = state
        route.deadline = self._now() + seconds
        # An alarm that is set already is left where it is; it sets itself again when it is too early.
        if route.deadline < route.alarm:
            self._set_alarm(route)

    def _set_alarm(self, route: _Route) -> None:
        self._alarms_set += 1
        route.alarm = route.deadline
        heapq.heappush(self._alarms, (route.alarm, self._alarms_set, route))

    def _alarm(self, route: _Route, now: float) -> None:
        if route.deadline > now:
            if route.deadline < math.inf:
                self._set_alarm(route)
        elif route.state == _SENT:
            self._unanswered(route, f"no reply came within {self._policy.reply_s:g} s")
        elif route.state == _PAUSED:
            self._make_ready(route)
        elif self.outcomes:
            self._wait(route, _IDLE, FORGET_S)  # one of them may be of this service, and not stored yet
        else:
            self._lanes.drop(route.key)
            del self._routes[route.key]

    def _lost(self, route: _Route, lane: Lane, why: str) -> None:
        """There will be no reply to what was sent on *lane*; that counts if it was the last try."""
        if self._awaited(route.key, lane):
            self._unanswered(route, why)

    def _awaited(self, key: bytes, lane: Lane) -> bool:
        """Whether the reply on *lane* is the one that its route waits for."""
        route = self._routes.get(key)
        return route is not None and route.state == _SENT and route.lane is lane


def _reason(key: bytes, reply: list[bytes]) -> str:
    """Why the broker says that nobody answered."""
    reason = reply[1] if key.startswith(MDP.STATUS_FIRST_PREFIX) else reply[0]
    return reason.decode(errors="replace").removeprefix(MDP.UNANSWERED)
