# SPDX-License-Identifier: GPL-3.0-or-later
"""The last frame of ``exec``: how a command is meant."""

from __future__ import annotations

from typing import NamedTuple

from raspy.common.devices.actuator import TIME_MAX_S
from raspy.common.devices.declaration import read_object
from raspy.common.devices.field import Field, show
from raspy.common.MDP import ClientError

HOLD = Field(
    "hold", "Float", None, "seconds until the device goes to its safe state", unit="s",
    minimum=0.1, maximum=TIME_MAX_S, nullable=True,
)  # fmt: skip
WHY = Field("why", "String", "", "the reason, for the journal")


class Options(NamedTuple):
    """How a command is meant.

    Args:
        hold_s: unless the command is sent again within so many seconds, the device goes to its safe
            state; None: it stays until the next command.
        why: the reason, for the journal.
    """

    hold_s: float | None = None
    why: str = ""


def read_options(frame: bytes) -> Options:
    """Read the frame: ``{"hold": 5, "why": "24.3 °C is below 24.5"}``, each of them optional; empty: none.

    Raises:
        ClientError: it is something else.
    """
    if not frame:
        return Options()
    given = read_object(frame, "the options")
    for key in given:
        if key not in ("hold", "why"):
            raise ClientError(f"the options: {show(key)} is not known; allowed: hold, why")
    return Options(HOLD.check(given.get("hold")), WHY.check(given.get("why", "")))
