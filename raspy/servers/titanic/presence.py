# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the broker which services are offered (``mmi.service``, RFC 8)."""

from collections import deque
from collections.abc import Callable

import zmq

from raspy.common import MDP
from raspy.servers.titanic.lanes import Lane

# How long the broker has to answer, in seconds.
ANSWER_S = 1.0
# When the connection broke, a question is asked again after this: not at once, or something that takes
# connections and drops them would keep us busy.
AGAIN_S = 0.1

_MMI = b"mmi.service"


class Presence:
    """One question at a time: the answers don't say which question they belong to.

    A question that the broker does not answer is asked again until it does.

    Arguments:
        open_lane: makes a lane to the broker.
    """

    def __init__(self, open_lane: Callable[[], Lane]) -> None:
        self._open_lane = open_lane
        self._questions: deque[bytes] = deque()
        self._asked_at: float | None = None
        self.lane = open_lane()

    def ask(self, service: bytes, now: float) -> None:
        """Put a question; `collect` returns the answer some time."""
        self._questions.append(service)
        if self._asked_at is None:
            self._send(now)

    def collect(self, now: float) -> list[tuple[bytes, bool]]:
        """The answers that came: service, and whether it is offered."""
        answers = []
        while (answer := self.lane.receive()) is not None:
            answers.append((self._questions.popleft(), answer[2][-1] == MDP.T_OK))
            self._asked_at = None
            if self._questions:
                self._send(now)
        return answers

    def due(self) -> float | None:
        """When the question that was asked has waited too long; None when none was asked."""
        return None if self._asked_at is None else self._asked_at + ANSWER_S

    def lost(self, now: float) -> None:
        """The connection broke: there will be no answer to what was asked on it."""
        if self._asked_at is not None:
            self._asked_at = min(self._asked_at, now - ANSWER_S + AGAIN_S)

    def renew(self, now: float) -> None:
        """The answer is overdue: ask again, on a new connection."""
        self.lane.close()
        self.lane = self._open_lane()
        self._asked_at = None
        if self._questions:
            self._send(now)

    def _send(self, now: float) -> None:
        try:
            self.lane.send(_MMI, 0, [self._questions[0]])
        except zmq.Again:
            pass  # as if the broker did not answer
        self._asked_at = now

    def close(self) -> None:
        """Close the connection."""
        self.lane.close()
