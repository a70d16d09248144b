# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the fault tests."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .house import House, Note
from .table import PROPERTY


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Note:
    """Note a row of the table, and fail when it took longer than it may."""

    def add(fault: str, by: str, limit_s: float, took_s: float) -> None:
        record_property(PROPERTY, (fault, by, limit_s, round(took_s, 2)))
        assert took_s <= limit_s, f"{fault}: on for {took_s:.1f} s, not for {limit_s:.1f} s at most"

    return add


def _house() -> Iterator[House]:
    folder = Path(tempfile.mkdtemp(prefix="raspy-", dir="/tmp"))
    made = House(folder)
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def house() -> Iterator[House]:
    """A house of the test's own, to kill parts of it."""
    yield from _house()


@pytest.fixture(scope="module")
def shared_house() -> Iterator[House]:
    """A house whose daemons all stay alive."""
    yield from _house()
