# SPDX-License-Identifier: GPL-3.0-or-later
"""One server's configuration, kept in titanic's key/value store, with a copy beside the server.

On the bus this is the service ``titanic.store`` (status first, as everything of titanic):

====================================================  =======================================
request                                               reply
====================================================  =======================================
``set SERVICE SECTION KEY VALUE [KEY VALUE]...``      ``200``; all keys or none, on disk
``get SERVICE SECTION KEY``                           ``200 VALUE``, or ``404 reason``
``get SERVICE SECTION``                               ``200 [KEY VALUE]...``, one moment's state
``delete SERVICE SECTION [KEY]``                      ``200``, or ``404 reason``
``list SERVICE``                                      ``200 [SECTION]...``
``list SERVICE SECTION``                              ``200 [KEY]...``
====================================================  =======================================

An empty VALUE in ``set`` deletes the key, as an empty body does in the key/value tree.
`Store` speaks JSON values over it; the service itself keeps any bytes.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raspy.common import MDP, durable
from raspy.common.address import BrokerAddress
from raspy.common.mdcliapi import MajorDomoClient

log = logging.getLogger(__name__)

SERVICE = "titanic.store"


class Store:
    """One server's configuration in titanic, by sections of JSON values.

    Not thread safe: one for each thread that needs one.

    Arguments:
        broker: the broker, an address or its URL.
        service: whose configuration, e.g. ``"onewire"``; the first key on the bus.
        copy: a file that keeps the last state seen, for when titanic is away; None: no copy.
        timeout_s: how long one request may take, in seconds (default 2.0).

    Attributes:
        away: True when the last `load` or `save` did not reach titanic.
    """

    def __init__(
        self, broker: str | BrokerAddress, service: str, *, copy: Path | None = None, timeout_s: float = 2.0
    ) -> None:
        self.service = service
        self.copy = copy
        self.away = False
        self._client = MajorDomoClient(broker)
        self._client.timeout = max(1, int(timeout_s * 1000 / self._client.retries))
        self._copied = _read_copy(copy) if copy is not None else {}

    def load(self, section: str) -> dict[str, Any]:
        """Return the values of one section.

        When titanic is away this is what the local copy last saw (`away` is then True); an
        unknown section is an empty one.

        Raises:
            ClientError: titanic refuses the name of the service or of the section.
        """
        try:
            frames = self._client.call(SERVICE, "get", self.service, section)
        except MDP.ServerError as error:
            self.away = True
            log.warning(
                "titanic is away, section %s of %s comes from the local copy: %s",
                section,
                self.service,
                error,
            )
            return dict(self._copied.get(section, {}))
        self.away = False
        values: dict[str, Any] = {}
        for key, value in zip(frames[::2], frames[1::2], strict=True):
            try:
                values[key.decode()] = _value(value)
            except UnicodeDecodeError:
                log.warning(
                    "titanic.store %s %s %r holds bytes that are not text: left out",
                    self.service,
                    section,
                    key,
                )
        self._keep(section, values)
        return values

    def copied(self, section: str) -> dict[str, Any]:
        """What the local copy has of one section."""
        return dict(self._copied.get(section, {}))

    def save(self, section: str, values: Mapping[str, Any]) -> None:
        """Store all of `values` (JSON) in one section, in one step; a value None deletes its key.

        Returns when titanic has them on disk.

        Raises:
            ServerError: titanic is away, or its disk is full; nothing was stored for certain.
            ClientError: titanic refuses a name or a size.
            TypeError: a value that JSON can't hold.
        """
        if not values:
            return
        frames: list[str] = []
        for key, value in values.items():
            frames += (key, "" if value is None else json.dumps(value, ensure_ascii=False))
        try:
            self._client.call(SERVICE, "set", self.service, section, *frames)
        except MDP.ServerError:
            self.away = True
            raise
        self.away = False
        merged = {**self._copied.get(section, {}), **values}
        self._keep(section, {key: value for key, value in merged.items() if value is not None})

    def close(self) -> None:
        """Close the connection; idempotent."""
        self._client.destroy()

    def _keep(self, section: str, values: dict[str, Any]) -> None:
        """Bring the local copy up to date; the file is written only when something changed."""
        if self._copied.get(section, {}) == values:
            return
        if values:
            self._copied[section] = values
        else:
            self._copied.pop(section, None)
        if self.copy is not None:
            try:
                durable.replace(self.copy, json.dumps(self._copied, ensure_ascii=False, indent=1))
            except OSError as error:
                log.warning(
                    "can't write %s, the local copy of the configuration is out of date: %s", self.copy, error
                )


def _value(data: bytes) -> Any:
    """JSON if it is, else the text: a person may have put a bare word there.

    Raises UnicodeDecodeError for bytes that are no text.
    """
    text = data.decode()
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read_copy(path: Path) -> dict[str, dict[str, Any]]:
    """The sections of a copy file; empty when there is none, or when it is damaged."""
    try:
        sections = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("can't read %s, going on without a local copy of the configuration: %s", path, error)
        return {}
    if not isinstance(sections, dict) or not all(isinstance(values, dict) for values in sections.values()):
        log.warning("%s is not a copy of a configuration: ignored", path)
        return {}
    return sections
