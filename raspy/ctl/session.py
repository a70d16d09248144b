# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verb is handed: the options of the command line, the bus, and where to show what it found."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from raspy.ctl.output import Column, Row, clean, plain_table

if TYPE_CHECKING:
    from raspy.ctl.connection import Bus

TIMEOUT_S = 5.0

# What JSON may carry as it is and a terminal must not see: DEL and C1, what turns the direction of writing,
# line separators, and halves of characters that can't be encoded. Only strings can have them.
_UNSAFE = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Session:
    """One run of raspyctl.

    Attributes:
        as_json: print JSON.
        broker: the broker's URL, as given with ``--broker``.
        host: the remote machine, as given with ``--host``.
        host_key: its broker's public key, as given with ``--host-key``.
        timeout_s: how long a request may take, in seconds.
    """

    def __init__(self) -> None:
        self.as_json = False
        self.broker: str | None = None
        self.host: str | None = None
        self.host_key: str | None = None
        self.timeout_s = TIMEOUT_S
        self._bus: Bus | None = None

    @property
    def bus(self) -> Bus:
        """The bus, connected at the first use.

        Raises:
            NoBroker: the broker is away.
        """
        if self._bus is None:
            from raspy.ctl.connection import Bus, resolve

            self._bus = Bus(resolve(self.broker, self.host, self.host_key), self.timeout_s)
        return self._bus

    def close(self) -> None:
        """Close the connection to the bus, if there is one."""
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    @property
    def on_terminal(self) -> bool:
        """Whether a person looks at the output."""
        return sys.stdout.isatty()

    def print_json(self, value: object, *, one_line: bool = False) -> None:
        """Print a JSON value: indented, or as one line of many."""
        text = json.dumps(value, ensure_ascii=False, indent=None if one_line else 2)
        self.write(_UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text))

    def table(self, columns: Sequence[Column | str], rows: Sequence[Row], empty: str = "") -> None:
        """Show a table: in colour on a terminal, aligned text elsewhere.

        Args:
            columns: their names.
            rows: a cell a column, texts or `Cell`.
            empty: what to say when there are no rows.
        """
        heads = [column if isinstance(column, Column) else Column(column) for column in columns]
        if not rows:
            if empty:
                self.say(empty)
        elif self.on_terminal:
            from raspy.ctl.terminal import show_table

            show_table(heads, rows)
        else:
            self.write(plain_table(heads, rows))

    def say(self, text: str, style: str = "") -> None:
        """Print a line for a person, who may have asked for JSON: then it goes to standard error."""
        if self.as_json:
            sys.stderr.write(clean(text) + "\n")
        elif self.on_terminal and style:
            from raspy.ctl.terminal import show_line

            show_line(text, style)
        else:
            self.write(clean(text))

    def done(self, text: str, result: Any = None) -> None:
        """Say that something was done; with ``--json`` it is the result that is printed."""
        if self.as_json:
            self.print_json(result)
        else:
            self.say(text, "good")

    def write(self, text: str) -> None:
        """Print text as it is; it reaches a reader at once."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
