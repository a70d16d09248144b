# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of titanic's database, and the way from an older layout to this one.

The number of the layout stands in SQLite's ``user_version``. It changes in the same transaction
as the tables, so a power cut leaves the old layout or the new one, whole.

====== ===============================================================================
layout what it holds
====== ===============================================================================
0      nothing yet: a new, empty database
1      requests with their age by the wall clock (a Pi without a clock of its own
       jumps by years at its first time signal, and would expire everything)
2      ages by titanic's own clock (`raspy.servers.titanic.age`), the moment of the
       answer, and the table ``clock``; no index of the ids that titanic gives
       itself (`raspy.servers.titanic.ids`), which each commit had to write
====== ===============================================================================
"""

import sqlite3
from collections.abc import Callable

VERSION = 2

# The states of a request.
WAITING = 0
DONE = 1
FAILED = 2

# The bodies come last: a row is then read up to its state without its long content.
_REQUESTS = """
CREATE TABLE requests (
    seq      INTEGER PRIMARY KEY,   -- the order of arrival
    id       BLOB NOT NULL,         -- the 16 bytes of the UUID
    chosen   INTEGER NOT NULL,      -- 1: by the client, and found by the index; 0: ours, and found by its seq
    service  TEXT NOT NULL,
    state    INTEGER NOT NULL,
    tries    INTEGER NOT NULL,      -- times it was sent and not answered
    created  REAL NOT NULL,         -- titanic's clock, in seconds
    finished REAL,                  -- the same, when its reply was stored
    body     BLOB NOT NULL,         -- frames, each after its length (4 bytes, network order)
    reply    BLOB                   -- frames likewise; of a failed request the reason
)
"""
_WAITING = "CREATE INDEX waiting ON requests (service, seq) WHERE state = 0"
_CHOSEN = "CREATE UNIQUE INDEX chosen ON requests (id) WHERE chosen = 1"
_STORE = """
CREATE TABLE store (
    service TEXT NOT NULL,
    section TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   BLOB NOT NULL,
    PRIMARY KEY (service, section, key)
) WITHOUT ROWID
"""
_CLOCK = """
CREATE TABLE clock (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    running REAL NOT NULL,          -- titanic's clock when it was saved, in seconds
    wall    REAL NOT NULL           -- the wall clock at that moment, seconds since 1970
)
"""


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of the current layout, inside the caller's transaction."""
    for statement in (_REQUESTS, _WAITING, _CHOSEN, _STORE, _CLOCK):
        connection.execute(statement)


def _from_1(connection: sqlite3.Connection) -> None:
    """Layout 1 to 2: every request begins to age anew, in its old order; answers count from now."""
    connection.execute("DROP INDEX waiting")
    connection.execute("ALTER TABLE requests RENAME TO requests_1")
    for statement in (_REQUESTS, _WAITING, _CHOSEN, _CLOCK):
        connection.execute(statement)
    connection.execute(
        "INSERT INTO requests (seq, id, chosen, service, state, tries, created, finished, body, reply)"
        " SELECT seq, id, 1, service, state, tries, 0.0, CASE state WHEN 0 THEN NULL ELSE 0.0 END,"
        " body, reply FROM requests_1 ORDER BY seq"
    )
    connection.execute("DROP TABLE requests_1")


# From each older layout to the next one.
_STEPS: dict[int, Callable[[sqlite3.Connection], None]] = {0: create, 1: _from_1}


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring a database of layout *version* to `VERSION`, in one transaction.

    Raises:
        sqlite3.Error: it could not be done; the database is as it was.
    """
    connection.execute("BEGIN EXCLUSIVE")
    try:
        while version < VERSION:
            _STEPS[version](connection)
            version = VERSION if version == 0 else version + 1
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
