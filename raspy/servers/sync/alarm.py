# SPDX-License-Identifier: GPL-3.0-or-later
"""An alarm clock in core, so that a server that waits for tomorrow's run need not stay in memory.

Where the server may end when it is idle (``idle_exit_s``), it leaves one cron job with core: at the time
of the next run core sends a harmless request to sync, the broker has sync started for it, and sync finds
its job due. If core is not there, sync stays.
"""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING

from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.MDP import GenericError, NotFoundError, routing_key

if TYPE_CHECKING:
    from raspy.servers.sync.server import Sync

NAME = "sync-alarm"
RETRY_S = 30.0  # how often core is asked when it did not take the alarm


class Alarm:
    """The alarm of one server.

    Args:
        server: the server; idle exit is its setting.
    """

    def __init__(self, server: Sync) -> None:
        self._server = server
        self._set_for: float | None = None
        self._asked_s = -math.inf

    def covers(self, due: float | None) -> bool:
        """Whether a server that ends now is woken in time for a run that is due then; None is never."""
        return due is None or due == self._set_for

    def keep(self, due: float | None) -> None:
        """Set the alarm if it is wanted and not set; called again and again by one thread."""
        if not self._server.settings.idle_exit_s or self.covers(due) or due is None:
            return
        if due <= time.time() or time.monotonic() - self._asked_s < RETRY_S:
            return
        self._asked_s = time.monotonic()
        definition = {
            "date": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(math.ceil(due))),
            "request": {"service": f"{self._server.get_instance_id()}.sync", "frames": ["list_keys"]},
            "missed": "run",
            "info": "wakes sync for its next job",
        }
        cron = f"{routing_key(self._server.hostname, 'core')}.cron"
        body = json.dumps(definition)
        try:
            with MajorDomoClient(self._server.broker, name=NAME, ctx=self._server.ctx) as client:
                try:
                    client.call(cron, "update", NAME, body)
                except NotFoundError:
                    client.call(cron, "add", NAME, body)
        except GenericError as error:
            self._server.log.info("staying until the next run: core takes no alarm (%s)", error)
            return
        self._set_for = due
        self._asked_s = -math.inf
