# SPDX-License-Identifier: GPL-3.0-or-later
"""A command of a device: what can be read from it or sent to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from raspy.common.devices.field import Field, load_json, show
from raspy.common.MDP import ClientError


class Command(Field):
    """A command of a device, in the spirit of Z-Wave's command classes.

    Args:
        type: the type of its value, see field.py.
        info: what it does or shows, in a sentence for a person.
        readonly: it can only be read, as a sensor's value.
        writeonly: it can only be sent, as a button.
        value: its value as last read or written.
        callback: called with the device and the value (None to read) instead of the device's `read`
            and `write`.
        immediate: it does not use the device itself, so it need not wait for it, even while it hangs.
        datasource: the RRD data source type of its values (``GAUGE``, ``COUNTER``, ``DERIVE``,
            ``ABSOLUTE``; rrdcreate(1)); ``""`` for values that make no graph.
        unit, minimum, maximum, choices: as a `Field` has them.
    """

    readonly = False
    writeonly = False
    immediate = False
    value: Any = None
    callback: Callable[..., Any] | None = None
    datasource = ""

    def __init__(self, **kwargs: Any) -> None:
        callback = kwargs.pop("callback", None)
        super().__init__(**kwargs)
        if callback is not None:
            self.callback = callback

    def to_json(self) -> dict[str, Any]:
        """The command for JSON: what a client needs to show it and to send it."""
        described = self.describe()
        return {
            "type": self.type,
            "info": self.info,
            "unit": self.unit,
            "readonly": self.readonly,
            "writeonly": self.writeonly,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "choices": list(self.choices),
            "datasource": self.datasource,
            "input": described["type"],
            "label": described["label"],
            "value": self.value,
        }

    def from_json(self, json: Mapping[str, Any] | str | bytes | None = None) -> Command:
        """Take over what `to_json` gave; what is missing stays as it is.

        Returns:
            The command itself.

        Raises:
            ClientError: it is not an object, or a key of it is not known.
        """
        values = load_json(json, "the command") if isinstance(json, (str, bytes)) else json or {}
        if not isinstance(values, Mapping):
            raise ClientError(f"the command: must be an object, not {show(values)}")
        known = self.to_json()
        for key, value in values.items():
            if key not in known:
                raise ClientError(f"the command: {show(key)} is not known; allowed: {', '.join(known)}")
            if key not in ("input", "label"):
                setattr(self, key, value)
        return self
