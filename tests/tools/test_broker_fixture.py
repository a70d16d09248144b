# SPDX-License-Identifier: GPL-3.0-or-later
"""The broker of the tests: a real one that can be killed."""

from __future__ import annotations

from raspy.common.mdcliapi import MajorDomoClient
from tests.conftest import RunningBroker


def answers(broker: RunningBroker) -> list[bytes] | None:
    with MajorDomoClient(broker.url) as client:
        return client.send("mmi.service", "no.such.service")


def test_it_answers_and_comes_back_after_sigkill(broker: RunningBroker) -> None:
    assert answers(broker) == [b"404"]
    first = broker.child.pid
    broker.kill()
    broker.start()
    assert broker.child.pid != first
    assert answers(broker) == [b"404"]
