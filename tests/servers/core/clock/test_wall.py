# SPDX-License-Identifier: GPL-3.0-or-later
"""Clocks that jump, and whether they are believed; /run and /sys are folders of the test's own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from raspy.servers.core.clock.trust import Trust
from raspy.servers.core.clock.wall import WallClock
from tests.servers.core.clocks import SetClock

NOW = 1_800_000_000.0


class TestJump:
    @pytest.mark.parametrize("seconds", [3600.0, -3600.0, 1.5, -86400.0 * 365])
    def test_is_seen_once(self, seconds: float) -> None:
        clock = SetClock()
        clock.advance(100)
        assert clock.jump() == 0.0
        clock.wall += seconds
        clock.advance(1)
        assert clock.jump() == pytest.approx(seconds)
        assert clock.jump() == 0.0

    def test_slewing_does_not_add_up(self) -> None:
        clock = SetClock()
        for _ in range(100):
            clock.advance(1)
            clock.wall += 0.5
            assert clock.jump() == 0.0

    def test_the_real_clock_stands_still_for_nobody(self) -> None:
        clock = WallClock()
        assert abs(clock.time() - time.time()) < 5 and clock.jump() == 0.0
        assert clock.now().timestamp() == pytest.approx(time.time(), abs=5)


class TestTrust:
    def rtc(self, root: Path, seconds: str, name: str = "rtc0") -> None:
        folder = root / "sys/class/rtc" / name
        folder.mkdir(parents=True)
        (folder / "since_epoch").write_text(seconds)

    def trust(self, root: Path, configured: bool = False) -> Trust:
        return Trust(lambda: NOW, configured, root)

    def test_nothing_speaks_for_it(self, tmp_path: Path) -> None:
        trust = self.trust(tmp_path)
        assert (
            not trust.look() and not trust.look(lambda: False) and trust.source == "" and trust.rtc() is None
        )

    def test_the_administrator_says_so(self, tmp_path: Path) -> None:
        assert self.trust(tmp_path, configured=True).look()

    def test_timesyncd_has_left_its_mark(self, tmp_path: Path) -> None:
        (tmp_path / "run/systemd/timesync").mkdir(parents=True)
        (tmp_path / "run/systemd/timesync/synchronized").touch()
        trust = self.trust(tmp_path)
        assert trust.look() and trust.source == "ntp"

    def test_timedated_says_so(self, tmp_path: Path) -> None:
        trust = self.trust(tmp_path)
        assert trust.look(lambda: True) and trust.source == "ntp"
        assert trust.look(lambda: False), "a network that goes away does not make the clock wrong"

    @pytest.mark.parametrize(
        ("shown", "believed"),
        [
            (NOW + 5, True),
            (NOW - 100, True),
            (NOW + 1000, False),
            (1000.0, False),
            (0, False),
        ],
    )
    def test_a_battery_backed_clock_agrees(self, tmp_path: Path, shown: float, believed: bool) -> None:
        self.rtc(tmp_path, f"{int(shown)}\n")
        trust = self.trust(tmp_path)
        assert trust.look() is believed and trust.source == ("rtc" if believed else "")
        assert trust.rtc() == ("rtc0", float(int(shown)))

    def test_both_in_1970_agree_on_nothing(self, tmp_path: Path) -> None:
        self.rtc(tmp_path, "100")
        assert not Trust(lambda: 100.0, False, tmp_path).look()

    def test_one_that_can_t_be_read_is_passed_over(self, tmp_path: Path) -> None:
        (tmp_path / "sys/class/rtc/rtc0").mkdir(parents=True)
        self.rtc(tmp_path, "nonsense", "rtc1")
        self.rtc(tmp_path, str(int(NOW)), "rtc2")
        trust = self.trust(tmp_path)
        assert trust.look() and trust.rtc() == ("rtc2", NOW)
