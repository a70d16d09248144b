# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rrdcached is used."""

import logging
from pathlib import Path

import pytest

from raspy.servers.logger.rrd import direct, rrdcached
from raspy.servers.logger.rrd.backend import Backend
from raspy.servers.logger.rrd.direct import Direct, run
from raspy.servers.logger.rrd.rrdcached import RrdCached, RrdError, escape

log = logging.getLogger("test")


def test_the_socket_of_another_rrdcached(rrdcached: Backend, rrd_dir: Path) -> None:
    assert rrdcached.child is not None
    rrdcached.connect().close()
    other = Backend(f"unix:{rrdcached.child.socket}", rrd_dir, log)
    assert other.child is None and str(rrdcached.child.socket) in other.words
    other.keep()
    connection = other.connect()
    assert isinstance(connection, RrdCached) and connection.command("PING") == ["PONG"]
    connection.close()
    other.close()


def test_a_setting_that_is_none(rrd_dir: Path) -> None:
    for wrong in ("", "tcp://localhost:1", "unix:relative", "yes"):
        with pytest.raises(ValueError, match="auto, direct, or unix:"):
            Backend(wrong, rrd_dir, log)


def test_without_rrdcached_it_is_direct_with_a_warning(
    rrd_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(rrd_dir))
    backend = Backend("auto", rrd_dir, log)
    assert isinstance(backend.connect(), Direct)
    assert "apt install rrdcached" in caplog.text
    backend.close()


def test_a_child_that_can_not_be_started_is_told(
    rrd_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    backend = Backend("auto", rrd_dir, log)
    monkeypatch.setattr(rrdcached.RrdCachedChild, "_command", lambda self: ["/none/rrdcached"])
    backend.keep()
    assert "can't start rrdcached" in caplog.text
    backend.close()


def test_the_child_runs_without_setpriv(rrd_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        rrdcached.shutil, "which", lambda name: None if name == "setpriv" else f"/usr/bin/{name}"
    )
    backend = Backend("auto", rrd_dir, log)
    backend.keep()
    backend.connect().close()
    backend.close()


def test_rrdtool_is_missing(rrd_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(rrd_dir))
    with pytest.raises(RrdError, match="apt install rrdtool"):
        run("info", "x.rrd")


def test_rrdtool_that_hangs(rrd_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = rrd_dir / "rrdtool"
    tool.write_text("#!/bin/sh\nexec sleep 60\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{rrd_dir}:/usr/bin:/bin")
    monkeypatch.setattr(direct, "TIMEOUT_S", 0.1)
    with pytest.raises(RrdError, match=r"has not ended after 0\.1 s"):
        run("info", "x.rrd")


def test_a_full_queue_of_a_file_that_can_not_be_written_is_refused(
    rrd_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "ARGUMENTS_MAX", 3)
    path = rrd_dir / "none.rrd"
    ((place, why),) = Direct().update([escape(str(path)).encode() + b" %d:1" % n for n in range(1, 5)])
    assert place == 3 and "No such file" in why
