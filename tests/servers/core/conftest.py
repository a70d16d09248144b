# SPDX-License-Identifier: GPL-3.0-or-later
"""A running core for the tests of a module, and one that a test has for itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.core.stack import CoreStack


@pytest.fixture(scope="module")
def stack() -> Iterator[CoreStack]:
    """Core, broker and titanic for all tests of a module, which use names of their own."""
    with tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home:
        running = CoreStack(Path(home))
        yield running
        running.close()


@pytest.fixture
def own_stack(run_dir: Path) -> Iterator[Callable[..., CoreStack]]:
    """The same for one test, which says how it is to be started."""
    started: list[CoreStack] = []

    def start(*settings: str, fake: bool = False, module: str = "") -> CoreStack:
        started.append(CoreStack(run_dir, *settings, fake=fake, module=module))
        return started[-1]

    yield start
    for one in started:
        one.close()
