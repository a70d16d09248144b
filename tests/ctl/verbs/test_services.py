# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl services."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ctl import Ctl, CtlStack


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[CtlStack]:
    started = CtlStack(home, "titanic")
    # The socket of a server that systemd would start.
    with socket.socket(socket.AF_UNIX) as sleeping:
        sleeping.bind(str(home / "onewire.sock"))
        sleeping.listen()
        yield started
    started.close()


def test_all(ctl: Ctl, stack: CtlStack) -> None:
    ctl.use(stack.url)
    rows = {row[0]: row[1:] for row in ctl("services").rows()}
    assert rows["titanic.store"] == ["1"]
    assert rows["test.broker.mmi"] == []
    assert rows["test.onewire.mmi"] == ["asleep; starts when it is asked"]
    found = {one["service"]: one for one in ctl("services", "--json").json()}
    assert found["titanic.store"] == {"service": "titanic.store", "workers": 1, "asleep": False}
    assert found["test.onewire.mmi"]["asleep"] is True


def test_what_one_can_be_asked(ctl: Ctl, stack: CtlStack) -> None:
    ctl.use(stack.url)
    table = ctl("services", "titanic.statistics")
    assert table.status == 0 and "get OID" in table.out
    assert "info" in ctl("services", "test.titanic.mmi", "--json").json()
    wrong = ctl("services", "titanic.statistic")
    assert wrong.status == 3 and "titanic.statistics" in wrong.err
    ambiguous = ctl("services", "mmi")
    assert ambiguous.status == 2 and "test.broker.mmi, test.onewire.mmi, test.titanic.mmi" in ambiguous.err
