# SPDX-License-Identifier: GPL-3.0-or-later
"""What a driver raises when there is no value to be had."""

from __future__ import annotations

from raspy.common.MDP import ServerError


class DeviceFault(ServerError):
    """The device gave no value that may be used, or did not take a command.

    The words are shown to people and published as the value's ``error``, so they say what the device
    did (``"CRC error"``, ``"85 °C, which it reads after power-on"``); its name is added elsewhere.
    A missing, implausible or doubtful reading is always this and never a number.
    """
