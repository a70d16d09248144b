# SPDX-License-Identifier: GPL-3.0-or-later
"""rrdcached as a child of the tests, and what uses it. It takes a second to end, so tests share one."""

from __future__ import annotations

import itertools
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from raspy.servers.logger.rrd.archives import Connection
from raspy.servers.logger.rrd.backend import Backend

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def shared_dir() -> Iterator[Path]:
    """A folder for RRDs; a space in its name, as a user may have."""
    home = Path(tempfile.mkdtemp(prefix="raspy-", dir="/tmp"))
    folder = home / "my data" / "rrd"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def rrdcached(shared_dir: Path) -> Iterator[Backend]:
    """An rrdcached of our own that writes there."""
    opened = Backend("auto", shared_dir, logging.getLogger("test"))
    opened.keep()
    yield opened
    opened.close()


@pytest.fixture
def rrd_dir(shared_dir: Path) -> Path:
    """A folder in it for one test."""
    folder = shared_dir / f"test {next(_numbers)}"
    folder.mkdir()
    return folder


@pytest.fixture(params=["rrdcached", "direct"])
def connection(request: pytest.FixtureRequest, rrdcached: Backend, rrd_dir: Path) -> Iterator[Connection]:
    """A connection to each of what can write RRDs: rrdcached, and rrdtool without one."""
    direct = Backend("direct", rrd_dir, logging.getLogger("test"))
    opened = (rrdcached if request.param == "rrdcached" else direct).connect()
    yield opened
    opened.close()
