# SPDX-License-Identifier: GPL-3.0-or-later
"""Offences are counted always and logged sparingly, however many peers there are."""

import logging

import pytest

from raspy.common.offences import LOG_EVERY_S, MAX_PEERS, Offences
from raspy.common.statistics import SNMPCounter


class World:
    """Offences with a clock that is set."""

    def __init__(self) -> None:
        self.now = 100.0
        self.counter = SNMPCounter("test.offences", "offences")
        self.offences = Offences(logging.getLogger("test.offences"), self.counter, lambda: self.now)


@pytest.fixture
def world() -> World:
    return World()


def test_one_line_a_second_for_each_peer(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        world.offences.note(b"core-1-ab", "did wrong")
        world.offences.note(b"\x00\x01", "did wrong too")
    assert caplog.messages == ["peer core-1-ab: did wrong", "peer 0x0001: did wrong too"]
    assert world.counter.value == 10


def test_the_next_line_says_how_many_were_not_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        world.offences.note(b"", "did wrong")
    world.now += LOG_EVERY_S
    world.offences.note(b"", "did wrong")
    world.now += LOG_EVERY_S
    world.offences.note(b"", "did wrong")
    assert caplog.messages == [
        "peer unknown: did wrong",
        "peer unknown: did wrong (and 4 more since its last line)",
        "peer unknown: did wrong",
    ]


def test_a_flood_of_new_peers_fills_neither_log_nor_memory(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5 * MAX_PEERS):
        world.offences.note(number.to_bytes(4, "big"), "did wrong")
        world.offences.note(b"\x00\x00\x00\x00", "did wrong")
    assert len(caplog.messages) == MAX_PEERS
    assert len(world.offences._logged_at) == MAX_PEERS
    assert len(world.offences._unsaid) <= MAX_PEERS
    assert world.counter.value == 10 * MAX_PEERS
    world.now += LOG_EVERY_S
    world.offences.note(b"a new one", "did wrong")
    assert caplog.messages[-1] == "peer a new one: did wrong"
    assert len(world.offences._logged_at) == 1
