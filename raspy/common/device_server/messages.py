# SPDX-License-Identifier: GPL-3.0-or-later
"""MESSAGE_IDs of what device servers log; the journal catalog explains each (``journalctl -x``)."""

ACTUATOR_CHANGED = "fe39586d89884dac9f9fbbb6929d3708"
"""An actuator was switched because somebody asked."""

HOLD_ENDED = "0d41da6e8aff46c5bb32343cdc4557f1"
"""A hold was not renewed, and the actuator went to its safe state."""

INTERLOCK = "f803f6f0f2db4b6aa643e035bedfdbca"
"""A condition was broken, and the actuator went to its safe state."""

LONGEST_RUN = "2ec1fa6d829e47e6aa5242ce6ed134e7"
"""An actuator was on for its longest run, and was switched off."""

ACTUATOR_FAILED = "ea35d8e0af9b49bba2006ce5f256375c"
"""An actuator did not take a command."""

DEVICE_FAULT = "db5b6fd6cea6421ca9166704a930d907"
"""A device gives no value that may be used."""

DEVICE_WELL = "8a598ef0d71f42eeac8433df7cdf0444"
"""A device that was at fault gives values again."""
