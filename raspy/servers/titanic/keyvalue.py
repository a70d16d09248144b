# SPDX-License-Identifier: GPL-3.0-or-later
"""``titanic.store``: the configuration of all servers, by service, section and key.

The requests are listed in `raspy.common.store`. Values are bytes; what they mean is between those
who set and get them (RasPy's servers keep JSON).
"""

from collections.abc import Callable, Sequence

from raspy.common import MDP
from raspy.common.MDP import ClientError, NotFoundError
from raspy.servers.titanic import checks
from raspy.servers.titanic.database import Database

# Actions that change something, and so wait for the disk.
WRITING = frozenset((b"set", b"delete"))


class KeyValueStore:
    """The table ``store``. Every action takes the frames after it, and returns those of the reply."""

    def __init__(self, database: Database) -> None:
        self._execute = database.connection.execute
        self._actions: dict[bytes, Callable[[Sequence[bytes]], list[bytes]]] = {
            b"set": self.set,
            b"get": self.get,
            b"delete": self.delete,
            b"list": self.list,
        }

    def action(self, request: Sequence[bytes]) -> list[bytes]:
        """Carry out one request, ``[action] [argument]...``; the status comes first in the reply."""
        handler = self._actions.get(request[0] if request else b"")
        try:
            if handler is None:
                action = request[0][:40].decode(errors="replace") if request else ""
                raise MDP.NotImplementedActionError(
                    f"titanic.store has no action {action!r}; it has: delete, get, list, set"
                )
            return [MDP.T_OK, *handler(request[1:])]
        except ClientError as error:
            return [error.status, str(error).encode()]

    def set(self, frames: Sequence[bytes]) -> list[bytes]:
        """``set SERVICE SECTION KEY VALUE [KEY VALUE]...``: set them all, or none; an empty value deletes."""
        if len(frames) < 4 or len(frames) % 2:
            raise ClientError("set takes SERVICE SECTION KEY VALUE, and more pairs of KEY VALUE")
        service, section = _place(frames)
        pairs = [
            (service, section, checks.name(key, "KEY"), value)
            for key, value in zip(frames[2::2], frames[3::2], strict=True)
        ]
        for _, _, key, value in pairs:
            if len(value) > checks.MAX_VALUE_BYTES:
                most = checks.MAX_VALUE_BYTES
                raise ClientError(
                    f"the value of {key} has {len(value)} bytes; titanic.store takes up to {most}"
                )
        for pair in pairs:
            if pair[3]:
                self._execute(
                    "INSERT OR REPLACE INTO store (service, section, key, value) VALUES (?, ?, ?, ?)", pair
                )
            else:
                self._execute("DELETE FROM store WHERE service = ? AND section = ? AND key = ?", pair[:3])
        return []

    def get(self, frames: Sequence[bytes]) -> list[bytes]:
        """``get SERVICE SECTION [KEY]``: its value; without KEY all keys and values in turn."""
        if len(frames) == 2:
            rows = self._execute(
                "SELECT key, value FROM store WHERE service = ? AND section = ? ORDER BY key", _place(frames)
            )
            return [frame for key, value in rows for frame in (key.encode(), value)]
        if len(frames) != 3:
            raise ClientError("get takes SERVICE SECTION, and KEY for one of its values")
        place = (*_place(frames), checks.name(frames[2], "KEY"))
        row = self._execute(
            "SELECT value FROM store WHERE service = ? AND section = ? AND key = ?", place
        ).fetchone()
        if row is None:
            raise NotFoundError(
                f"titanic.store has no key {place[2]!r} in section {place[1]!r} of {place[0]!r}"
            )
        return [row[0]]

    def delete(self, frames: Sequence[bytes]) -> list[bytes]:
        """``delete SERVICE SECTION [KEY]``: forget that key, or the whole section."""
        if len(frames) == 3:
            service, section = _place(frames)
            key = checks.name(frames[2], "KEY")
            what = f"key {key!r} in section {section!r}"
            found = self._execute(
                "DELETE FROM store WHERE service = ? AND section = ? AND key = ?", (service, section, key)
            )
        elif len(frames) == 2:
            service, section = _place(frames)
            what = f"section {section!r}"
            found = self._execute("DELETE FROM store WHERE service = ? AND section = ?", (service, section))
        else:
            raise ClientError("delete takes SERVICE SECTION, and KEY for one of its values")
        if not found.rowcount:
            raise NotFoundError(f"titanic.store has no {what} of {service!r}")
        return []

    def list(self, frames: Sequence[bytes]) -> list[bytes]:
        """``list [SERVICE [SECTION]]``: the services, those of one its sections, of these the keys."""
        if not frames:
            rows = self._execute("SELECT DISTINCT service FROM store ORDER BY service")
        elif len(frames) == 1:
            rows = self._execute(
                "SELECT DISTINCT section FROM store WHERE service = ? ORDER BY section",
                (checks.name(frames[0], "SERVICE"),),
            )
        elif len(frames) == 2:
            rows = self._execute(
                "SELECT key FROM store WHERE service = ? AND section = ? ORDER BY key", _place(frames)
            )
        else:
            raise ClientError("list takes SERVICE and SECTION, or SERVICE, or nothing")
        return [row[0].encode() for row in rows]


def _place(frames: Sequence[bytes]) -> tuple[str, str]:
    return checks.name(frames[0], "SERVICE"), checks.name(frames[1], "SECTION")
