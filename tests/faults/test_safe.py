# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that is killed and not restarted: what systemd runs after its end makes the heater safe."""


import time

from tests.support.processes import Processes

from .house import House, Note

SAFE = "raspy.common.device_server.safe"
LIMIT_S = 4.0


def test_the_device_server_is_killed_and_not_restarted(house: House, note: Note) -> None:
    house.furnish()
    house.control().kill()
    arguments = ("--broker", house.url, "--data-dir", house.folder / "fake", "--hostname", "pi")
    since = time.monotonic()
    house.fake.kill()
    assert house.is_on(), "the line keeps its level when its owner dies"
    house.broker.kill()
    house.titanic.kill()
    post = house.processes.start(SAFE, "raspy.servers.fake:Fake", *arguments)
    took = house.seconds_to_off(since, LIMIT_S)
    assert post.wait() == 0
    assert "heater: off, was unknown (the server takes charge of it" in post.output
    note("the device server is killed, and not restarted", "ExecStopPost= of its unit", LIMIT_S, took)


def test_a_wrong_configuration_is_said(processes: Processes) -> None:
    post = processes.start(SAFE, "raspy.servers.fake:Fake", "--config", processes.home / "missing.conf")
    assert post.wait() == 78
    assert "missing.conf" in post.output

