# SPDX-License-Identifier: GPL-3.0-or-later
"""A database to work on, and titanic with its broker as real processes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from raspy.servers.titanic.database import Database
from raspy.servers.titanic.requests import Requests
from tests.servers.titanic.scene import Scene
from tests.support.titanic import TitanicStack


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A new, open database."""
    opened = Database(tmp_path / "state")
    yield opened
    opened.close()


@pytest.fixture
def requests(database: Database) -> Requests:
    """Its requests: none yet."""
    return Requests(database)


@pytest.fixture(scope="module")
def stack() -> Iterator[TitanicStack]:
    """Titanic and a broker for all tests of a module."""
    with tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home:
        running = TitanicStack(Path(home))
        yield running
        running.close()


@pytest.fixture
def own_stack(run_dir: Path) -> Iterator[TitanicStack]:
    """The same for one test, which may kill it."""
    running = TitanicStack(run_dir)
    yield running
    running.close()


@pytest.fixture
def scene(run_dir: Path, requests: Requests) -> Iterator[Scene]:
    with zmq.Context() as ctx:
        scene = Scene(ctx, run_dir, requests)
        yield scene
        scene.delivery.close()
        scene.broker.socket.close()
