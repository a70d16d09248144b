# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the pages that talk to core: a house for the tests of a module, a site without a broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.raspyweb.app.house import House, Visitor, running
from tests.support.broker import RunningBroker
from tests.support.dashboard import Dashboard


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A house for all tests of a module, which use names of their own."""
    with running() as found:
        yield found


@pytest.fixture
def alone(run_dir: Path) -> Iterator[Visitor]:
    """An admin's browser while the broker is away."""
    dashboard = Dashboard(run_dir / "web", f"ipc://{run_dir}", present=False)
    yield Visitor(dashboard, "admin")
    dashboard.close()


@pytest.fixture
def coreless(broker: RunningBroker, run_dir: Path) -> Iterator[Visitor]:
    """An admin's browser where there is a broker and nothing else."""
    dashboard = Dashboard(run_dir / "web", broker.url)
    yield Visitor(dashboard, "admin")
    dashboard.close()
