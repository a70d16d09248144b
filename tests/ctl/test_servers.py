# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of the servers, put together; the rest is in tests/ctl/verbs/test_status.py."""

from __future__ import annotations

import socket
from pathlib import Path

from raspy.ctl import servers
from raspy.ctl.connection import resolve
from raspy.ctl.servers import Server
from raspy.ctl.units import Unit

HOST = Server("pi", "host", "runs", "well", pid=7, memory=1000, uptime_s=5.0)


def unit(name: str, active: str = "active", pid: int = 7, memory: int | None = 5000, **more: str) -> Unit:
    return Unit(
        f"raspy-{name}.service", active, "running", "success", pid, memory, 0, more.get("text", ""), 0
    )


def test_a_server_and_its_unit_are_one() -> None:
    (merged,) = servers.with_units([HOST], [unit("host")])
    assert merged == HOST._replace(unit="raspy-host.service", memory=5000)
    (uncounted,) = servers.with_units([HOST], [unit("host", memory=None)])
    assert uncounted.memory == 1000


def test_a_server_of_the_same_name_on_another_machine_is_another_one() -> None:
    far = HOST._replace(host="house", pid=900)
    merged = servers.with_units([far, HOST], [unit("host")])
    assert [server.unit for server in merged] == ["", "raspy-host.service"]


def test_units_that_nobody_else_knows() -> None:
    found = servers.with_units(
        [], [unit("core", "failed", 0), unit("sync", "inactive", 0), unit("rrdcached")]
    )
    assert [(server.name, server.state) for server in found] == [
        ("core", "failed"), ("sync", "stopped"), ("rrdcached", "runs"),
    ]  # fmt: skip
    assert "raspy-core has failed" in found[0].problem


def test_only_those_that_are_awake_are_asked(run_dir: Path) -> None:
    """A connection would start the others."""
    target = resolve(f"ipc://{run_dir}", None)
    with socket.socket(socket.AF_UNIX) as sleeping:
        sleeping.bind(str(run_dir / "onewire.sock"))
        sleeping.listen()
        sleeping.settimeout(0)
        (run_dir / "scenario.sock").touch()
        assert servers.beside(target, set()) == []
        try:
            sleeping.accept()
        except BlockingIOError:
            pass
        else:
            raise AssertionError("it was connected to")


def test_what_is_far_or_not_there_has_no_sockets_beside_it(run_dir: Path) -> None:
    assert servers.beside(resolve("tcp://127.0.0.1:1", None), None) == []
    assert servers.beside(resolve(f"ipc://{run_dir}/nowhere", None), None) == []
