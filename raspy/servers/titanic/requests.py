# SPDX-License-Identifier: GPL-3.0-or-later
"""The stored requests: taken in, answered, fetched, closed, expired."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from raspy.common import MDP
from raspy.servers.titanic import packing
from raspy.servers.titanic.age import AgeClock
from raspy.servers.titanic.database import Database
from raspy.servers.titanic.ids import Ids, seq_in
from raspy.servers.titanic.schema import DONE, FAILED, WAITING

# How many rows one round of housekeeping looks at, so that it takes a bounded time.
_ROUND_ROWS = 1000


_ADD = (
    "INSERT OR IGNORE INTO requests (seq, id, chosen, service, state, tries, created, body)"
    " VALUES (?, ?, ?, ?, 0, 0, ?, ?)"
)


class Waiting(NamedTuple):
    """A request that has no reply yet."""

    seq: int
    tries: int
    body: list[bytes]


class Requests:
    """The table ``requests``, with counts of its rows kept beside it.

    Arguments:
        database: open.
        make_clock: makes titanic's clock from when it was saved, for tests.

    Attributes:
        clock: titanic's, for ages.
        counts: how many requests are in each state.
        added: how many were added since the start.
        finished: how many got their reply, or failed, since the start.
    """

    def __init__(self, database: Database, make_clock: Callable[[float, float], AgeClock] = AgeClock) -> None:
        self._execute = database.connection.execute
        running_s, wall_s = self._execute("SELECT running, wall FROM clock").fetchone() or (0.0, 0.0)
        last, created_s = self._execute("SELECT seq, created FROM requests ORDER BY seq DESC").fetchone() or (
            0,
            0.0,
        )
        self.clock = make_clock(max(running_s, created_s), wall_s)
        # Never given twice while we run: deliveries in flight know their request by it.
        self._seq: int = last
        self._ids = Ids()
        self._swept = 0
        self.added = self.finished = 0
        self.recount()

    def recount(self) -> None:
        """Count the rows anew; needed after a transaction that was undone."""
        self.counts = {WAITING: 0, DONE: 0, FAILED: 0}
        self.counts.update(self._execute("SELECT state, count(*) FROM requests GROUP BY state"))

    def total(self) -> int:
        """How many requests are kept."""
        return sum(self.counts.values())

    def add(self, service: str, body: Sequence[bytes]) -> bytes:
        """Keep a request; return the 16 bytes of its new id."""
        self._seq += 1
        id = self._ids.make(self._seq)
        self._execute(_ADD, (self._seq, id, 0, service, self.clock.now(), packing.pack(body)))
        self.counts[WAITING] += 1
        self.added += 1
        return id

    def add_as(self, id: bytes, service: str, body: Sequence[bytes]) -> None:
        """Keep a request under an id of the client's; one that is there already stays as it is."""
        self._seq += 1
        values = (self._seq, id, 1, service, self.clock.now(), packing.pack(body))
        added = self._execute(_ADD, values).rowcount
        self.counts[WAITING] += added
        self.added += added

    def _by_id(self, statement: str, id: bytes) -> Any:
        """The row that *statement* gives for the request of this id; None when there is none."""
        seq = seq_in(id)
        found = self._execute(statement.format("seq = ? AND id = ?"), (seq, id)).fetchone() if seq else None
        return found or self._execute(statement.format("chosen = 1 AND id = ?"), (id,)).fetchone()

    def reply(self, id: bytes) -> list[bytes]:
        """What titanic.reply answers: 200 and the frames, 300, 400, or 500 and the reason."""
        row = self._by_id("SELECT state, reply FROM requests WHERE {}", id)
        if row is None:
            return [MDP.T_UNKNOWN, b"titanic has no request of this id: it was closed, or has expired"]
        if row[0] == WAITING:
            return [MDP.T_PENDING]
        return [MDP.T_OK if row[0] == DONE else MDP.T_ERROR, *packing.unpack(row[1])]

    def close(self, id: bytes) -> list[bytes]:
        """Forget a request and its reply; one that is not there is no error (RFC 9)."""
        row = self._by_id("DELETE FROM requests WHERE {} RETURNING state", id)
        if row is not None:
            self.counts[row[0]] -= 1
        return [MDP.T_OK]

    def finish(self, seq: int, state: int, reply: Sequence[bytes]) -> None:
        """Store the reply of a waiting request; one that was closed meanwhile stays closed."""
        changed = self._execute(
            "UPDATE requests SET state = ?, finished = ?, reply = ? WHERE seq = ? AND state = 0",
            (state, self.clock.now(), packing.pack(reply), seq),
        ).rowcount
        self.counts[WAITING] -= changed
        self.counts[state] += changed
        self.finished += changed

    def find(self, id: bytes) -> tuple[int, str, list[bytes]] | None:
        """A waiting request's seq, service and body; None when there is none of this id."""
        row = self._by_id("SELECT seq, service, body FROM requests WHERE {} AND state = 0", id)
        return None if row is None else (row[0], row[1], packing.unpack(row[2]))

    def oldest_s(self) -> float:
        """The age of the oldest waiting request, in seconds; 0 when none waits."""
        seq = self._execute("SELECT min(seq) FROM requests WHERE state = 0").fetchone()[0]
        if seq is None:
            return 0.0
        created: float = self._execute("SELECT created FROM requests WHERE seq = ?", (seq,)).fetchone()[0]
        return self.clock.now() - created

    def tried(self, seq: int, tries: int) -> None:
        """Note how often a request was sent in vain."""
        self._execute("UPDATE requests SET tries = ? WHERE seq = ?", (tries, seq))

    def services(self) -> list[str]:
        """The services that have requests waiting."""
        return [row[0] for row in self._execute("SELECT DISTINCT service FROM requests WHERE state = 0")]

    def next(self, service: str, after: int) -> Waiting | None:
        """The oldest waiting request of a service with a ``seq`` above *after*."""
        row = self._execute(
            "SELECT seq, tries, body FROM requests"
            " WHERE state = 0 AND service = ? AND seq > ? ORDER BY seq LIMIT 1",
            (service, after),
        ).fetchone()
        if row is None:
            return None
        seq, tries, body = row
        return Waiting(seq, tries, packing.unpack(body))

    @property
    def sweeping(self) -> bool:
        """Whether the next round of `sweep` goes on where the last one stopped."""
        return self._swept > 0

    def sweep(self, max_age_s: float, keep_s: float) -> tuple[int, int]:
        """One round of housekeeping over the oldest requests, up to `_ROUND_ROWS` of them.

        Arguments:
            max_age_s: a waiting request older than this ends as failed.
            keep_s: a reply older than this is removed though nobody closed it.

        Returns:
            How many failed, and how many were removed.
        """
        now = self.clock.now()
        rows = self._execute(
            "SELECT seq, service, state, tries, created, finished FROM requests"
            " WHERE seq > ? AND created < ? ORDER BY seq LIMIT ?",
            (self._swept, now - min(max_age_s, keep_s), _ROUND_ROWS),
        ).fetchall()
        self._swept = rows[-1][0] if len(rows) == _ROUND_ROWS else 0
        failed = removed = 0
        for seq, service, state, tries, created, finished in rows:
            if state == WAITING and created < now - max_age_s:
                sent = (
                    f"{service} left {tries} tries unanswered"
                    if tries
                    else f"no server has offered {service}"
                )
                self.finish(seq, FAILED, [f"{sent} within {max_age_s:g} s; see whether it runs".encode()])
                failed += 1
            elif state != WAITING and finished < now - keep_s:
                self._execute("DELETE FROM requests WHERE seq = ?", (seq,))
                self.counts[state] -= 1
                removed += 1
        return failed, removed

    def save_clock(self) -> None:
        """Keep titanic's clock, so that ages go on after a restart."""
        self._execute(
            "INSERT OR REPLACE INTO clock (one, running, wall) VALUES (1, ?, ?)",
            (self.clock.now(), self.clock.wall()),
        )
