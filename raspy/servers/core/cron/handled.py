# SPDX-License-Identifier: GPL-3.0-or-later
"""Up to when each cron job was handled, over a restart: what was due since then was missed."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

log = logging.getLogger("raspy.core.cron")


class HandledFile:
    """A small JSON file, ``{"NAME": seconds since the epoch}``.

    It is replaced in one step but without fsync: after a power cut half a minute of it may be lost, and
    the SD card lives longer. A run is then reported as missed that did happen, never the other way round.

    Args:
        path: the file; None remembers nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def read(self) -> dict[str, datetime]:
        """What the last run of core has written; empty, and logged, if that can't be told."""
        if self.path is None:
            return {}
        try:
            values = json.loads(self.path.read_text(encoding="utf-8"))
            return {
                str(name): datetime.fromtimestamp(float(value), timezone.utc)
                for name, value in values.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, OverflowError) as error:
            log.error(
                "%s can't be read, so runs missed while core was off can't be told: %s", self.path, error
            )
            return {}

    def write(self, values: Mapping[str, datetime]) -> None:
        """Replace the file; a failure is logged, core goes on."""
        if self.path is None:
            return
        fresh = self.path.with_name(self.path.name + ".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(
                json.dumps({name: value.timestamp() for name, value in values.items()}), encoding="utf-8"
            )
            os.replace(fresh, self.path)
        except OSError as error:
            log.error(
                "can't write %s: runs that are missed from now on can't be told after a restart: %s",
                self.path,
                error,
            )
