# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of the runs, over restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from raspy.servers.sync.history import KEPT, History

RUN = {"started": 1.0, "outcome": "running"}


def test_keeps_the_last_runs_over_a_restart(tmp_path: Path) -> None:
    history = History(tmp_path / "runs")
    assert history.last("a") is None
    for number in range(KEPT + 5):
        history.begin("a", {"started": float(number), "outcome": "running"})
        history.end("a", {"outcome": "done", "files": number})
    again = History(tmp_path / "runs")
    assert len(again.runs("a")) == KEPT
    assert again.last("a") == {"started": KEPT + 4.0, "outcome": "done", "files": KEPT + 4}


def test_finds_a_run_that_was_killed(tmp_path: Path) -> None:
    History(tmp_path).begin("a", dict(RUN))
    again = History(tmp_path)
    assert again.interrupted("a")
    assert again.last("a")["outcome"] == "interrupted"
    assert not again.interrupted("a")
    assert not History(tmp_path).interrupted("a")
    assert not again.interrupted("b")


def test_forgets(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.begin("a", dict(RUN))
    history.forget("a")
    assert history.runs("a") == [] == History(tmp_path).runs("a")
    history.forget("never there")


@pytest.mark.parametrize("content", ["", "{", "{}", "[1]", '[{"x": 1}]', '[{"outcome": null}]', "\xff"])
def test_a_damaged_file_begins_anew(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.json").write_bytes(content.encode("latin-1"))
    history = History(tmp_path)
    assert history.runs("a") == []
    assert "can't be read" in caplog.text
    history.begin("a", dict(RUN))
    assert len(History(tmp_path).runs("a")) == 1
