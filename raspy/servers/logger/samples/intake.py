# SPDX-License-Identifier: GPL-3.0-or-later
"""From the bus to an update: what is a number, when it was measured, what is refused and counted.

A value of the tree `/device/` becomes zero or more updates of
its RRD, ``TIME:VALUE``, always in the order of their times:

- a good number at its time (`polled`, else `time`);
- unknown (``U``) for a fault, for a stale value, and for what is no number (NaN, infinite, text),
  so that nothing implausible can enter;
- unknown over a gap: when nothing came for three polls, the time up to one poll before the next
  value counts as unknown, not as a straight line between two numbers;
- a state (true, false) and a value that nobody polls stay what they were until they change;
- a counter that begins anew gives one unknown interval, not a spike.

What is as old as the last update or older, or in the future, is dropped and counted.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from raspy.servers.logger.samples.series import Series

FUTURE_S = 60.0
"""How far a sender's clock may be ahead of ours."""

GAP_POLLS = 3.0
GAP_MARGIN_S = 1.0
POLL_MAX_S = 1e6
DEFAULT_POLL_S = 300.0
"""For a sender that does not say how often it measures."""

BEFORE_S = 0.001
"""How long before a change the old value is told: the least that we tell apart."""

HOLD_S = 60.0
"""How often a value that nobody polls is told again."""

QUEUE_MAX = 100_000
"""Updates that wait for the writer; further ones are dropped and counted."""

WAKE_AT = 2_000
"""So many updates wake the writer before its second is over."""

INFINITY = float("inf")
WRAPS = (1 << 32, 1 << 64)

UNFIT = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What a body that is none of ours leads to."""

Update = tuple[Series, bytes]
Newcomer = Callable[[str, bytes, dict[str, Any]], None]

DOCS = {
    "samples": "values that were told",
    "unknown": "of these: faults and stale values, kept as unknown",
    "no_number": "of these: NaN, infinite or text where a number belongs, kept as unknown",
    "duplicate": "values of the same time as the last one, dropped",
    "late": "values older than the last one, dropped",
    "future": "values from the future (a wrong clock), dropped",
    "refused": "values with an impossible key or body, dropped",
    "dropped": "values that found the writer too busy, lost",
}
"""What is counted of the samples, by name."""


class Counts:
    """What became of the samples; `DOCS` says what each number means."""

    __slots__ = tuple(DOCS)

    def __init__(self) -> None:
        self.samples = self.unknown = self.no_number = 0
        self.duplicate = self.late = self.future = self.refused = self.dropped = 0


class Intake:
    """Takes values from the bus, in one thread; `drain` and `tell` may be called in others.

    Arguments:
        newcomer: called as ``newcomer(key, body, value)`` for a key that has no open series, or none
            in this unit.
        wake: called when many updates wait.
        future_s: how far ahead of the clock a sample may be, in seconds (default 60).
        clock: seconds since 1970.

    Attributes:
        series: the open series by key.
        counts: what became of the samples.
    """

    def __init__(
        self,
        newcomer: Newcomer,
        wake: Callable[[], None],
        future_s: float = FUTURE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.series: dict[str, Series] = {}
        self.counts = Counts()
        self._newcomer = newcomer
        self._wake = wake
        self._future_s = future_s
        self._clock = clock
        self._held: dict[str, Series] = {}
        self._queue: deque[Update] = deque()

    def take(self, key: str, body: bytes) -> None:
        """Take one value.

        Arguments:
            key: without the tree's name, ``HOST/NAME/DEVICE/COMMAND``.
            body: its JSON; empty for a key that was deleted.
        """
        series = self.series.get(key)
        if not body:
            if series is not None:
                series.unknown = True
            return
        try:
            value = json.loads(body)
            unit = value.get("unit")
            if series is None or (unit != series.unit and type(unit) is str):
                self._newcomer(key, body, value)
            else:
                self._judge(series, value)
        except UNFIT:
            self.counts.refused += 1

    def tell(self, series: Series, body: bytes) -> None:
        """Take one value of a series that is not open yet; nobody else may use the series meanwhile."""
        try:
            self._judge(series, json.loads(body))
        except UNFIT:
            self.counts.refused += 1

    def _judge(self, series: Series, value: dict[str, Any]) -> None:
        """Tell a value, or drop it for its time."""
        good = value["quality"] == "good"
        moment = round(value.get("polled") or value["time"], 3)
        if not moment - self._clock() <= self._future_s:
            self.counts.future += 1
        elif moment > series.last:
            self._place(series, value, good, moment)
        elif not good:
            # The broker marks a value stale without another time: said when the next one comes.
            series.unknown = True
        elif moment == series.last:
            self.counts.duplicate += 1
        else:
            self.counts.late += 1

    def _place(self, series: Series, value: dict[str, Any], good: bool, moment: float) -> None:
        """Tell a sample that is newer than the last one."""
        counts = self.counts
        counts.samples += 1
        number = value["value"]
        text = number_text(number, series.kind) if good else None
        if text is None:
            if good:
                counts.no_number += 1
            else:
                counts.unknown += 1
            self._put(series, moment, b"U")
            series.unknown = True
            return
        poll_s = value.get("poll")
        if type(poll_s) is not float and type(poll_s) is not int:
            poll_s = DEFAULT_POLL_S
        holds = poll_s <= 0
        if holds:
            self._held[series.key] = series
        elif not BEFORE_S <= poll_s <= POLL_MAX_S:
            poll_s = DEFAULT_POLL_S
        if (
            series.last
            and not series.unknown
            and (holds or moment - series.last <= GAP_POLLS * poll_s + GAP_MARGIN_S)
        ):
            if (holds or type(number) is bool) and text != series.text:
                self._put(series, moment - BEFORE_S, series.text or b"U")
            elif series.kind != "GAUGE" and began_anew(series.value, number):
                self._put(series, moment - BEFORE_S, b"U")
        elif series.last:
            self._put(series, moment - (BEFORE_S if holds else poll_s), b"U")
        if not self._put(series, moment, text):
            counts.dropped += 1
            return
        series.unknown = False
        series.value = number
        series.text = text

    def _put(self, series: Series, moment: float, text: bytes) -> bool:
        """Queue an update, unless a newer one was; False when there is no room."""
        moment = round(moment, 3)
        if moment <= series.last:
            return True
        if len(self._queue) >= QUEUE_MAX:
            return False
        self._queue.append((series, b"%.3f:%b" % (moment, text)))
        series.last = moment
        if len(self._queue) == WAKE_AT:
            self._wake()
        return True

    def hold(self) -> None:
        """Tell again what nobody polls and what has not changed; to be called every few seconds."""
        now = round(self._clock(), 3)
        for key, series in list(self._held.items()):
            if self.series.get(key) is not series:
                del self._held[key]
            elif not series.unknown and series.text is not None and now - series.last >= HOLD_S:
                self._put(series, now, series.text)

    def drain(self) -> list[Update]:
        """Take over the updates that wait, from another thread."""
        return [self._queue.popleft() for _ in range(len(self._queue))]


def number_text(number: object, kind: str) -> bytes | None:
    """A number as an RRD of this kind takes it; None for what is no number.

    COUNTER and DERIVE take whole numbers only, rrdcreate(1).
    """
    if type(number) is float:
        if not -INFINITY < number < INFINITY:
            return None
        if kind == "GAUGE" or kind == "ABSOLUTE":
            return b"%r" % number
    elif type(number) is bool:
        return b"1" if number else b"0"
    elif type(number) is not int or abs(number) > WRAPS[1]:
        return None
    whole = int(number)
    return None if whole < 0 and kind == "COUNTER" else b"%d" % whole


def began_anew(old: float | None, new: float) -> bool:
    """Whether a counter fell because it was reset, not because it reached 2^32 or 2^64."""
    if old is None or new >= old:
        return False
    wrap = next((wrap for wrap in WRAPS if old < wrap), None)
    return wrap is None or old < 0.9 * wrap or new > 0.1 * wrap
