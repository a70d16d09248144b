# SPDX-License-Identifier: GPL-3.0-or-later
"""Say on the bus and in the journal that a unit of RasPy has failed: ``python3 -m raspy.failed UNIT``.

systemd runs it (``OnFailure=`` of every daemon, ``raspy-failed@.service``) when a daemon was started in vain
as often as its limits allow, or its configuration is wrong. It publishes ``/event/failed/UNIT``::

    {"time": 1769000000.1, "event": "failed", "message": "raspy-host has failed (exit-code): ...",
     "unit": "raspy-host.service", "result": "exit-code", "reason": "..."}

Source: systemd.unit(5) on OnFailure=, systemd.journal-fields(7).
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from raspy.common import config, journal
from raspy.common.address import BrokerAddress
from raspy.common.kvcliapi import KvPublisherClient

UNIT_FAILED = "47e4aaa00ab34b049192bc37da47436f"
"""A daemon has failed and is not started again."""

# How far back the reason is looked for, in seconds.
BACK_S = 600.0
# Lines of a unit that are looked at, and how much of the reason is passed on.
LINES = 500
REASON = 500
WARNING = 4

_UNIT = re.compile(r"raspy-[a-z][a-z0-9_@-]{0,60}")


class Why(NamedTuple):
    """Why a unit failed.

    Args:
        result: systemd's word for it (``exit-code``, ``watchdog``, ``signal``...); empty if not known.
        reason: the last warning or error that the unit itself wrote; empty if there is none.
    """

    result: str
    reason: str


def why(entries: Iterable[Mapping[str, Any]], unit: str) -> Why:
    """Find it in the journal's lines about the unit.

    Args:
        entries: the lines, the latest first.
        unit: the unit's full name.
    """
    result = reason = ""
    for entry in entries:
        message = str(entry.get("MESSAGE", "")).strip()
        if entry.get("_SYSTEMD_UNIT") == unit:
            # What comes without a level (a crash of the interpreter) stands on standard error, as info.
            if not reason and message and (entry.get("PRIORITY", 6) <= WARNING or _unlevelled(entry)):
                reason = message[:REASON]
        elif not result:
            result = str(entry.get("UNIT_RESULT", ""))
        if result and reason:
            break
    return Why(result, reason)


def _unlevelled(entry: Mapping[str, Any]) -> bool:
    return entry.get("_TRANSPORT") == "stdout"


def lines(unit: str) -> list[Mapping[str, Any]]:
    """The journal's last lines about *unit*, by itself and by the service manager, the latest first."""
    from systemd.journal import Reader

    with Reader() as reader:
        reader.add_match(_SYSTEMD_UNIT=unit)
        reader.add_disjunction()
        reader.add_match(UNIT=unit, _PID="1")
        reader.seek_tail()
        found: list[Mapping[str, Any]] = []
        oldest = datetime.now().astimezone() - timedelta(seconds=BACK_S)
        while len(found) < LINES:
            entry = reader.get_previous()
            if not entry or entry["__REALTIME_TIMESTAMP"] < oldest:
                return found
            found.append(entry)
        return found


def broker() -> str:
    """The broker's URL; the default one when the configuration is wrong, which may be why we are here."""
    try:
        return str(config.load(config.COMMON_SECTION).broker)
    except config.ConfigError:
        return next(str(option.default) for option in config.COMMON if option.name == "broker")


def report(unit: str, cause: Why, client: KvPublisherClient, now_s: float) -> str:
    """Log it and publish it.

    Args:
        unit: without ``.service``.
        cause: why it failed.
        client: to the broker; if that is away, the journal alone has it.
        now_s: seconds since the epoch.

    Returns:
        The sentence that was logged.
    """
    message = f"{unit} has failed ({cause.result or 'why is not known'})"
    if cause.reason:
        message += f": {cause.reason}"
    logging.getLogger("raspy").error(
        message, extra={"MESSAGE_ID": UNIT_FAILED, "RASPY_SERVICE": unit[6:]}
    )
    body = {
        "time": round(now_s, 3),
        "event": "failed",
        "message": message,
        "unit": f"{unit}.service",
        "result": cause.result,
        "reason": cause.reason,
    }
    client.send("/event/", f"failed/{unit}", json.dumps(body, ensure_ascii=False))
    return message


def main(argv: Sequence[str] | None = None) -> int:
    """The program: its argument is the unit's name without ``.service``."""
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1 or not _UNIT.fullmatch(arguments[0]):
        sys.stderr.write("usage: python3 -m raspy.failed raspy-NAME (a unit, without .service)\n")
        return 2
    unit = arguments[0]
    journal.set_up("failed")
    client = KvPublisherClient(broker=BrokerAddress.parse(broker()))
    try:
        report(unit, why(lines(f"{unit}.service"), f"{unit}.service"), client, time.time())
    finally:
        client.destroy()
    return 0


if __name__ == "__main__":
    sys.exit(main())
