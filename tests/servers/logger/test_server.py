# SPDX-License-Identifier: GPL-3.0-or-later
"""The logger as a real process: from the bus to pictures, and what it does when something is wrong."""

import json
import math
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from raspy.common.MDP import ClientError, NotFoundError, ServerError
from tests.support.broker import HOSTNAME, RunningBroker
from tests.support.logger import body
from tests.support.logger_stack import LoggerStack
from tests.support.waiting import wait_for

NOW = int(time.time()) // 60 * 60


@pytest.fixture(scope="module")
def stack() -> Iterator[LoggerStack]:
    """A logger with titanic, for all tests of this module."""
    with tempfile.TemporaryDirectory(prefix="raspy-", dir="/tmp") as home:
        running = LoggerStack(Path(home), "flush_s=5")
        running.broker.server("titanic")
        # Its first connection would look like one that a test left open.
        running.figure("samples.samples")
        yield running
        running.close()


@pytest.fixture
def own(run_dir: Path) -> Iterator[LoggerStack]:
    """A logger of one test, which may do to it what it likes."""
    running = LoggerStack(run_dir, "flush_s=5")
    yield running
    running.close()


def readings(
    device: str, start: int, end: int, command: str = "temperature", **more: Any
) -> list[tuple[str, bytes]]:
    """A value a minute from *start* to *end* minutes before `NOW`; its value is that number."""
    return [(f"{device}/{command}", body(n, NOW - 60 * n, **more)) for n in range(start, end, -1)]


def told(stack: LoggerStack, values: list[tuple[str, bytes]]) -> None:
    """Publish values and wait until they are taken."""
    before = stack.figure("samples.samples")
    stack.taken(before + stack.publish(values))


def logged(stack: LoggerStack, device: str, *values: tuple[str, bytes]) -> str:
    """Have a device logged, publish values, wait until they are taken; the key of its graph."""
    stack.devices.logged[device] = True
    told(stack, list(values))
    return f"{HOSTNAME}/fake/{device}/temperature"


def known(stack: LoggerStack, key: str) -> list[float]:
    """What the logger has of the last hours."""
    try:
        chart = stack.json("graph", "fetch", key, str(NOW - 7200), str(NOW))
    except ServerError:
        return []  # rrdcached is being started again
    return [value for value in chart["series"][0]["average"] if value is not None]


def shows(stack: LoggerStack, key: str, values: Iterable[float], timeout_s: float = 15) -> None:
    """The graph of a series shows these values; the last second's may be on their way."""
    wanted = list(values)
    wait_for(lambda: known(stack, key) == wanted, timeout_s, f"{wanted}")


def test_values_come_out_as_they_went_in(stack: LoggerStack) -> None:
    key = logged(stack, "tank", *readings("tank", 100, 0))
    shows(stack, key, range(99, 0, -1))
    assert key in [name.decode() for name in stack.ask("graph", "list_keys")]
    described = stack.json("graph", "list")[key]
    assert (
        described["units"] == ["°C"] and described["title"] == "tank temperature" and not described["added"]
    )


def test_faults_stale_values_and_what_is_no_number_are_gaps(stack: LoggerStack) -> None:
    values = readings("sick", 20, 0)
    when = [json.loads(content)["time"] for _key, content in values]
    values[5] = ("sick/temperature", body(None, when[5], quality="fault", error="CRC error"))
    values[6] = ("sick/temperature", body(85.0, when[6], quality="stale"))
    values[7] = ("sick/temperature", body(math.nan, when[7]))
    values[8] = ("sick/temperature", body("85", when[8]))
    values[9] = ("sick/temperature", body(math.inf, when[9]))
    key = logged(stack, "sick", *values)
    shows(stack, key, [*range(19, 15, -1), *range(10, 0, -1)])


def test_what_is_not_to_be_logged_is_not(stack: LoggerStack) -> None:
    stack.devices.logged["quiet"] = False
    logged(stack, "witness", *readings("quiet", 5, 0)[:0], *readings("witness", 5, 0))
    stack.publish(readings("quiet", 5, 0))
    told(stack, readings("witness", 0, -1))
    assert f"{HOSTNAME}/fake/quiet/temperature".encode() not in stack.ask("graph", "list_keys")
    with pytest.raises(NotFoundError, match="no graph"):
        stack.ask("graph", "fetch", f"{HOSTNAME}/fake/quiet/temperature")


def test_a_counter_is_a_rate(stack: LoggerStack) -> None:
    stack.devices.logged["meter"] = True
    values = [("meter/count", body(6000 - 60 * n, NOW - 60 * n, unit="")) for n in range(20, 0, -1)]
    told(stack, values)
    shows(stack, f"{HOSTNAME}/fake/meter/count", [1.0] * 19)


def test_another_unit_has_a_history_of_its_own(stack: LoggerStack) -> None:
    key = logged(stack, "boiler", *readings("boiler", 60, 40))
    told(stack, readings("boiler", 40, 20, unit="°F"))
    shows(stack, key, list(range(39, 20, -1)))
    assert stack.json("graph", "list")[key]["units"] == ["°F"]
    told(stack, readings("boiler", 20, 10))
    shows(stack, key, [*range(59, 40, -1), *range(20, 10, -1)])


def test_events_are_kept_as_text(stack: LoggerStack) -> None:
    event = {"time": NOW, "event": "fired", "message": "the sun has set", "job": "sunset"}
    stack.publisher.send("/event/", "cron/sunset", json.dumps(event))
    stack.publisher.send("/event/", "cron/bad", "no json")
    wait_for(lambda: b"cron" in stack.ask("log", "list_keys"), what="the log")
    (line,) = stack.json("log", "readlines", "cron")
    assert line == {
        "time": NOW,
        "level": "info",
        "message": "the sun has set",
        "key": "sunset",
        "event": "fired",
        "job": "sunset",
    }
    wait_for(lambda: stack.figure("log.refused") >= 1, what="the bad one to be counted")


def test_the_log_service(stack: LoggerStack) -> None:
    assert stack.ask("log", "log", "diary", "info", "fed the fish") == []
    stack.ask("log", "rotate")
    stack.ask("log", "log", "diary", "warning", "the fish look hungry")
    lines = stack.json("log", "readlines", "diary", "0", "", "1")
    assert [line["message"] for line in lines] == ["the fish look hungry"]
    assert len(stack.json("log", "readlines", "diary", "-60")) == 2
    for request in (
        ("log", "../x", "info", "y"),
        ("log", "x", "loud", "y"),
        ("readlines", "none"),
        ("log", "x"),
        ("readlines", "diary", "noon"),
        ("readlines", "diary", "", "", "0"),
        ("log", b"\xff", "info", "x"),
    ):
        with pytest.raises(ClientError):
            stack.ask("log", *request)


def test_graphs_of_several_series_are_kept(own: LoggerStack) -> None:
    stack = own
    stack.broker.server("titanic")
    key = logged(stack, "one", *readings("one", 10, 0))
    other = logged(stack, "two", *readings("two", 10, 0))
    stack.ask(
        "graph", "add", "both", json.dumps({"title": "Both", "series": [key, {"key": other, "label": "2"}]})
    )
    chart = stack.json("graph", "fetch", "both", "-7200")
    assert chart["title"] == "Both" and [series["label"] for series in chart["series"]] == [
        "one temperature",
        "2",
    ]
    stack.logger.stop()
    stack.start()
    assert stack.ask("graph", "list_keys")[0] == b"both"
    stack.ask("graph", "remove", "both")
    with pytest.raises(NotFoundError):
        stack.ask("graph", "remove", "both")
    with pytest.raises(ClientError):
        stack.ask("graph", "add", "both", "{}")
    with pytest.raises(ClientError, match="start: must be a whole number"):
        stack.ask("graph", "fetch", key, "noon")


def test_graphs_over_http(stack: LoggerStack) -> None:
    key = logged(stack, "shown", *readings("shown", 60, 0))
    status, headers, svg = stack.get(f"/graph/{key}/day")
    assert (status, headers["content-type"]) == (200, "image/svg+xml") and b"<svg" in svg
    assert stack.get(f"/graph/{key}/day", f"If-None-Match: {headers['etag']}")[0] == 304
    assert stack.get(f"/graph/{key}/week.png?width=360")[2].startswith(b"\x89PNG")
    assert json.loads(stack.get(f"/graph/{key}.json?start=-7200")[2])["series"][0]["label"] == "temperature"
    assert stack.get("/graph/none")[0] == 404
    assert stack.get("/../etc/passwd")[0] == 404
    wait_for(lambda: stack.figure("graphs.drawn") >= 2)
    assert stack.figure("http.requests") >= 6


def test_the_status_line_says_what_may_be_lost_and_what_is_written(stack: LoggerStack) -> None:
    (status,) = stack.ask("mmi", "status")
    assert b"a power cut takes at most 5 s" in status and b"MB a day" in status


def test_after_a_restart_it_goes_on_where_it_was(own: LoggerStack) -> None:
    """Cleanly: nothing is in the spool, nothing is told again, old values are not taken twice."""
    stack = own
    key = logged(stack, "steady", *readings("steady", 40, 20))
    assert stack.logger.stop() == 0
    assert list((stack.folder / "spool").iterdir()) == []
    assert not (stack.folder / "rrdcached.sock").exists()
    stack.start()
    told(stack, readings("steady", 20, 0))
    shows(stack, key, list(range(39, 0, -1)))
    assert stack.figure("writer.replayed") == 0


def test_a_broker_that_is_killed_is_waited_for(own: LoggerStack) -> None:
    key = logged(own, "tank", *readings("tank", 20, 10))
    own.broker.kill()
    own.broker.start()
    wait_for(lambda: own.client.send("mmi.service", f"{HOSTNAME}.logger.graph") is not None)
    wait_for(lambda: own.publish(readings("tank", 10, 9)) and own.figure("samples.samples") > 20 - 10, 20)
    told(own, readings("tank", 9, 0))
    shows(own, key, list(range(19, 0, -1)))


def test_an_rrdcached_of_somebody_else(own: LoggerStack) -> None:
    """As under systemd, by its socket; when it is restarted nothing is lost."""
    key = logged(own, "tank", *readings("tank", 40, 30))
    own.kill_rrdcached()
    told(own, readings("tank", 30, 20))
    shows(own, key, range(39, 20, -1))
    assert "told again from the spool" in own.logger.output


def test_a_damaged_history_is_told_as_an_event(own: LoggerStack) -> None:
    key = logged(own, "tank", *readings("tank", 40, 30))
    own.logger.stop()
    (rrd,) = (own.folder / "rrd").rglob("temperature.rrd")
    rrd.write_bytes(b"garbage")
    (own.folder / "series.json").write_text("garbage")
    own.start()
    told(own, readings("tank", 20, 10))
    # The first of them, the value that the broker still had, begins the new file.
    shows(own, key, range(20, 10, -1))
    lines = wait_for(lambda: _lines(own, "logger", 2), what="the events")
    assert {line["key"] for line in lines} == {"damaged"}
    assert any("series.json was damaged" in line["message"] for line in lines)
    assert any("temperature.rrd.damaged-" in line["message"] for line in lines)


def _lines(stack: LoggerStack, key: str, count: int) -> list[dict[str, Any]]:
    if key.encode() not in stack.ask("log", "list_keys"):
        return []
    lines = stack.json("log", "readlines", key)
    return lines if len(lines) >= count else []


def test_one_logger_a_folder(own: LoggerStack) -> None:
    arguments = ["--config", own.broker.config, "--broker", own.broker.url, "--data-dir", own.folder]
    second = own.processes.start("raspy.servers.logger", *arguments)
    assert second.wait() == 1
    assert f"another logger writes to {own.folder}" in second.output
    shows(own, logged(own, "tank", *readings("tank", 5, 0)), [4, 3, 2, 1])


@pytest.mark.parametrize(
    "setting", ["rrdcached=maybe", "listen=somewhere", "flush_s=1", "listen=127.0.0.1:99999"]
)
def test_a_wrong_setting_is_one_line_and_78(broker: RunningBroker, setting: str) -> None:
    arguments = ["--config", broker.config, "--broker", broker.url, "--data-dir", broker.folder / "logger"]
    child = broker.processes.start("raspy.servers.logger", *arguments, "--set", setting)
    assert child.wait() == 78
    assert len(child.output.splitlines()) == 1 and setting.partition("=")[0] in child.output


def test_an_http_port_in_use_is_no_reason_to_stop(own: LoggerStack) -> None:
    own.logger.stop()
    own.http.unlink(missing_ok=True)
    own.http.mkdir()
    own.start()
    own.logger.wait_output("can't listen")
    key = logged(own, "tank", *readings("tank", 5, 0))
    shows(own, key, [4, 3, 2, 1])
