# SPDX-License-Identifier: GPL-3.0-or-later
"""The curves that simulated sensors follow."""

import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.devices.fault import DeviceFault
from raspy.servers.fake import simulators


@pytest.mark.parametrize(
    ("now", "value"), [(0, 20), (25, 22), (50, 24), (75, 22), (99.99, 20), (100, 20), (150, 24)]
)
def test_cyclic(now: float, value: float) -> None:
    assert simulators.cyclic(20, 24, 100)(now) == pytest.approx(value, abs=0.01)


@pytest.mark.parametrize(("now", "value"), [(0, 20), (50, 22), (99.9, 24), (100, 20)])
def test_linear(now: float, value: float) -> None:
    assert simulators.linear(20, 24, 100)(now) == pytest.approx(value, abs=0.01)


@pytest.mark.parametrize(("hour", "value"), [(4, 20.0), (10, 24.0), (16, 28.0), (22, 24.0)])
def test_day(hour: int, value: float) -> None:
    at = time.struct_time((2026, 1, 1, hour, 0, 0, 3, 1, 0))
    assert simulators.day(20, 28, lambda now: at)(0.0) == pytest.approx(value)


@given(st.lists(st.floats(0, 1e4), min_size=2, max_size=50), st.integers())
def test_a_walk_stays_between_its_ends_and_is_no_jump(waits: list[float], seed: int) -> None:
    curve = simulators.walk(20, 28, 0.1, random.Random(seed))
    now, before = 0.0, curve(0.0)
    for wait in waits:
        now += wait
        value = curve(now)
        assert 20 <= value <= 28
        assert abs(value - before) <= 0.1 * min(wait, 60) + 1e-9
        before = value


def test_a_walk_moves_and_is_the_same_for_the_same_seed() -> None:
    one = simulators.walk(20, 28, 0.1, random.Random("tank"))
    two = simulators.walk(20, 28, 0.1, random.Random("tank"))
    values = [one(now) for now in range(100)]
    assert values == [two(now) for now in range(100)]
    assert len(set(values)) > 90


def test_a_walk_with_a_clock_that_was_set_back() -> None:
    curve = simulators.walk(20, 28, 0.1, random.Random(1))
    value = curve(1000.0)
    assert curve(10.0) == value


def test_replay(tmp_path: Path) -> None:
    file = tmp_path / "tank.csv"
    file.write_text("seconds,value\n10,20.5\n\n12,21\n20,22\n")
    curve = simulators.replay(file)
    assert [curve(now) for now in (1000, 1001.9, 1002, 1009.9, 1010, 1017.9, 1018, 1020)] == [
        20.5, 20.5, 21, 21, 22, 22, 20.5, 21,
    ]  # fmt: skip


def test_replay_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("0,5\n")
    curve = simulators.replay(tmp_path / "one.csv")
    assert [curve(now) for now in (0, 0.5, 99)] == [5, 5, 5]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "can't be read"),
        (b"", "has no line SECONDS,VALUE"),
        (b"seconds,value\n", "has no line"),
        (b"0,1\nx,2\n", "line 2: not SECONDS,VALUE"),
        (b"0,1\n0,2\n", "line 2: not SECONDS,VALUE with rising seconds"),
        (b"0,1,2\n0,1,2\n", "line 2"),
        (b"0,nan\n1,2\n2,inf\n", "line 3"),
        (b"0,1\n1,\xff\n", "can't be read"),
        (b'0,"1\n' + b"x" * 200_000, "can't be read"),
        (b"#" * (5 << 20), "has more than"),
    ],
    ids=range(10),
)
def test_a_file_that_can_not_be_replayed(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(DeviceFault, match=words):
        simulators.replay(tmp_path / "bad.csv")


def test_a_file_with_too_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulators, "ROWS_MAX", 2)
    (tmp_path / "long.csv").write_text("0,1\n1,1\n2,1\n")
    with pytest.raises(DeviceFault, match="line 3"):
        simulators.replay(tmp_path / "long.csv")
