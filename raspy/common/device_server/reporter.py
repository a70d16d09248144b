# SPDX-License-Identifier: GPL-3.0-or-later
"""What a device server says of its devices: to the key/value tree, and to the journal.

Each poll is one message a value, ``/device/HOST/SERVER/DEVICE/COMMAND``::

    {"value": 21.5, "unit": "°C", "quality": "good",
     "time": 1769000000.123, "polled": 1769000000.123, "poll": 5.0}

``time`` is since when the value is what it is: when it was measured, when an actuator was switched,
when a fault began. ``polled`` is when the device was last asked. ``quality`` is ``good``; ``stale``
(older than three polls; the last value stands there); or ``fault`` (``value`` is null, and ``error``
says why).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from raspy.common.device_server import messages
from raspy.common.device_server.entry import FAULT, GOOD, STALE, Entry, Value
from raspy.common.device_server.guard import Drive
from raspy.common.devices.actuator import ActuatorDevice
from raspy.common.devices.fault import DeviceFault

FAULTS_LOGGED_S = 60.0
"""How often the faults of one device are logged at most."""

_EVENTS = {
    "hold": messages.HOLD_ENDED,
    "interlock": messages.INTERLOCK,
    "max_run": messages.LONGEST_RUN,
}

Publish = Callable[[str, bytes], None]
"""Send a value: the key after ``/device/``, and the body; an empty one deletes."""


class Reporter:
    """Publishes and logs.

    Args:
        prefix: ``HOST/SERVER``.
        publish: sends an update.
        log: the server's logger.
        clock: the engine's clock, in seconds.
        wall: seconds since the epoch.
    """

    def __init__(
        self,
        prefix: str,
        publish: Publish,
        log: logging.Logger,
        clock: Callable[[], float],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._prefix = prefix
        self._publish = publish
        self._log = log
        self._clock = clock
        self._wall = wall

    # -- values ------------------------------------------------------------------------------------

    def good(self, entry: Entry, name: str, value: Any, *, changed: bool = True) -> None:
        """Publish a good value.

        Args:
            entry: the device.
            name: the command.
            value: its value.
            changed: it is a new one; False: an actuator still is what it was.
        """
        now = self._wall()
        old = entry.values.get(name)
        since = now if changed or old is None or old.quality != GOOD else old.time
        self._send(entry, name, Value(GOOD, value, "", since, now))

    def fault(self, entry: Entry, name: str, error: str) -> None:
        """Publish that there is no value."""
        now = self._wall()
        old = entry.values.get(name)
        since = old.time if old is not None and old.quality == FAULT else now
        self._send(entry, name, Value(FAULT, None, error, since, now))

    def stale(self, entry: Entry) -> None:
        """Publish that the good values of a device are old."""
        for name, old in entry.values.items():
            if old.quality == GOOD:
                self._send(entry, name, Value(STALE, old.value, "", old.time, old.polled))

    def forget(self, entry: Entry) -> None:
        """Delete the values of a device that was removed."""
        for name in entry.values:
            self._publish(f"{self._prefix}/{entry.device.name}/{name}", b"")

    def _send(self, entry: Entry, name: str, value: Value) -> None:
        entry.values[name] = value
        self._publish(self._key(entry, name), json.dumps(self.body(entry, name), ensure_ascii=False).encode())

    def _key(self, entry: Entry, name: str) -> str:
        """Of a part's command, ``volume.level``, the key ends in ``tv.volume/level``."""
        part, dot, command = name.rpartition(".")
        return f"{self._prefix}/{entry.device.name}{dot}{part}/{command}"

    def body(self, entry: Entry, name: str) -> dict[str, Any]:
        """What is published of a value."""
        device, value = entry.device, entry.values[name]
        body = {
            "value": value.value,
            "unit": device.find(name).unit,
            "quality": value.quality,
            "time": round(value.time, 3),
            "polled": round(value.polled, 3),
            "poll": device.poll,
        }
        if value.error:
            body["error"] = value.error
        return body

    # -- the journal -------------------------------------------------------------------------------

    def switched(self, entry: Entry, old: Any, drive: Drive, hold_s: float) -> None:
        """One line for a change of an actuator.

        Args:
            entry: the actuator.
            old: its value before; None: not known.
            drive: what was driven.
            hold_s: for how long it is held; 0: it is not.
        """
        device = entry.device
        assert isinstance(device, ActuatorDevice)
        asked = f"asked by {drive.who}" if drive.who else ""
        held = f"held for {hold_s:g} s" if hold_s else ""
        reasons = "; ".join(text for text in (asked, drive.why, held) if text)
        self._log.log(
            logging.INFO if drive.who or drive.event in ("command", "start", "stop") else logging.WARNING,
            "%s: %s, was %s (%s)",
            device.name, device.words(drive.value), device.words(old), reasons or "command",
            extra={
                "RASPY_DEVICE": device.name,
                "RASPY_REQUEST": drive.who,
                "MESSAGE_ID": _EVENTS.get(drive.event, messages.ACTUATOR_CHANGED),
            },
        )  # fmt: skip

    def sent(self, entry: Entry, name: str, value: Any, who: str, why: str) -> None:
        """One line for any other command that was sent to a device."""
        reasons = "; ".join(text for text in (f"asked by {who}" if who else "", why) if text)
        self._log.info(
            "%s: %s %s (%s)",
            entry.device.name, name, "" if value is None else json.dumps(value, ensure_ascii=False),
            reasons or "command",
            extra={
                "RASPY_DEVICE": entry.device.name,
                "RASPY_REQUEST": who,
                "MESSAGE_ID": messages.ACTUATOR_CHANGED,
            },
        )  # fmt: skip

    def failed(self, entry: Entry, drive: Drive, fault: DeviceFault) -> None:
        """A line for an actuator that did not take a command; for tries that follow, at most one a minute."""
        device = entry.device
        assert isinstance(device, ActuatorDevice)
        if drive.event == "retry" and not self._may_log(entry):
            return
        entry.logged_s = self._clock()
        entry.missing = str(fault)
        self._log.error(
            "%s: could not be switched %s: %s", device.name, device.words(drive.value), fault,
            extra={
                "RASPY_DEVICE": device.name,
                "RASPY_REQUEST": drive.who,
                "MESSAGE_ID": messages.ACTUATOR_FAILED,
            },
        )  # fmt: skip

    def ill(self, entry: Entry, fault: str) -> None:
        """A line when a device falls at fault, or at another one; at most one a minute."""
        if fault == entry.missing:
            return
        if not self._may_log(entry):
            entry.unlogged += 1
            return
        more = f" ({entry.unlogged} more faults since the last line)" if entry.unlogged else ""
        entry.missing, entry.logged_s, entry.unlogged = fault, self._clock(), 0
        extra = {"RASPY_DEVICE": entry.device.name, "MESSAGE_ID": messages.DEVICE_FAULT}
        self._log.warning("%s: %s%s", entry.device.name, fault, more, extra=extra)

    def well(self, entry: Entry) -> None:
        """A line when a device is well again; at most one a minute."""
        if not entry.missing or not self._may_log(entry):
            return
        fault, entry.missing, entry.logged_s = entry.missing, "", self._clock()
        extra = {"RASPY_DEVICE": entry.device.name, "MESSAGE_ID": messages.DEVICE_WELL}
        self._log.info("%s: gives values again, after: %s", entry.device.name, fault, extra=extra)

    def _may_log(self, entry: Entry) -> bool:
        return not entry.logged_s or self._clock() - entry.logged_s >= FAULTS_LOGGED_S
