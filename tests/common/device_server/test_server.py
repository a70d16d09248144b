# SPDX-License-Identifier: GPL-3.0-or-later
"""The service ``devices`` on a real bus: what it answers, what it refuses, what it keeps."""

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raspy.common import plugins
from raspy.common.config import Settings
from raspy.common.device_server import DeviceServer
from raspy.common.devices.fault import DeviceFault
from raspy.common.kvcliapi import KvSubscriberClient
from raspy.common.MDP import ClientError, NotFoundError, ServerError
from raspy.common.store import Store
from tests.conftest import wait_for

from .bus import Bus, RigServer
from .rig import Relay, Thermometer

TANK = {"oid": "sensor.temperature", "name": "tank", "poll": 0.2}
LIMITS = [{"only_while": "tank", "minimum": 10, "maximum": 28}]
HEATER = {"oid": "switch.relay", "name": "heater", "config": {"interlocks": LIMITS}}

Served = tuple[Bus, DeviceServer]


def ready(bus: Bus, name: str = "tank") -> None:
    """Wait until the sensor has been read."""
    wait_for(lambda: bus.json("get", name)["values"], what=f"{name} to be read")


@pytest.fixture
def tank(served: Served) -> Served:
    """A tank with a heater that depends on it."""
    bus, _ = served
    bus.call("add", TANK)
    bus.call("add", HEATER)
    ready(bus)
    ready(bus, "heater")
    return served


# -- what it answers ---------------------------------------------------------------------------------


def test_an_empty_server(served: Served) -> None:
    bus, server = served
    assert bus.call("list_keys") == []
    assert bus.json("list") == {}
    assert server.status_line() == "no devices configured"
    assert not server.busy()
    assert {"light.dimmer", "media.tv", "sensor.temperature", "switch.relay"} < set(bus.json("templates"))


def test_add_list_get(tank: Served) -> None:
    bus, server = tank
    assert bus.call("list_keys") == [b"heater", b"tank"]
    assert set(bus.json("list")) == {"heater", "tank"}
    found = bus.json("get", "tank")
    assert found["oid"] == "sensor.temperature"
    assert found["config"]["unit"] == "°C"
    assert found["main"] == "temperature"
    assert found["configured"] is True
    assert found["values"]["temperature"]["value"] == 25.0
    assert found["commands"]["temperature"]["readonly"] is True
    assert "state" not in found
    assert bus.json("get", "heater")["state"]["safe"] is False
    assert server.changes == 2  # type: ignore[attr-defined]
    assert server.busy()
    wait_for(lambda: server.status_line() == "2 devices, all well")


def test_the_name_may_stand_before_the_json(served: Served) -> None:
    bus, _ = served
    assert bus.call("add", "tank", {"oid": "sensor.temperature"}) == [b"tank"]
    assert bus.call("update", "tank", {"poll": 3}) == [b"tank"]
    assert bus.json("get", "tank")["poll"] == 3.0
    with pytest.raises(ClientError, match="in its JSON, and 'other' before it"):
        bus.call("add", "other", TANK)


def test_values_go_to_the_tree(tank: Served) -> None:
    bus, _ = tank
    seen: dict[str, Any] = {}
    subscriber = KvSubscriberClient(
        subtree="/device/",
        broker=bus.url,
        callback=lambda key, body: seen.update({key: json.loads(body or b"null")}),
    )
    thread = threading.Thread(target=subscriber.run)
    thread.start()
    try:
        wait_for(lambda: "/device/pi/rig/tank/temperature" in seen, what="the value in the tree")
        assert seen["/device/pi/rig/tank/temperature"]["value"] == 25.0
        assert seen["/device/pi/rig/heater/state"]["value"] is False
        bus.call("remove", "heater")
        wait_for(lambda: seen["/device/pi/rig/heater/state"] is None, what="the value to be deleted")
    finally:
        subscriber.shutdown()
        thread.join(30)
        subscriber.destroy()


def test_read_a_value(tank: Served) -> None:
    bus, _ = tank
    body = bus.json("exec", "tank", "temperature")
    assert (body["value"], body["unit"], body["quality"]) == (25.0, "°C", "good")
    assert bus.json("exec", "heater", "state")["value"] is False


def test_drive_with_a_hold(tank: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bus, _ = tank
    body = bus.json("exec", "heater", "state", "on", {"hold": 30, "why": "24.3 is below 24.5"})
    state = body["state"]
    assert body["value"] is True
    assert state["hold_s"] == 30.0
    assert state["left_s"] <= 30
    assert state["left_s"] > 25
    assert state["until"] == pytest.approx(body["time"] + 30, abs=2)
    assert state["held_by"].startswith("tester-")
    wait_for(lambda: "asked by tester-" in caplog.text)
    (line,) = [record for record in caplog.records if "heater: on, was off" in record.getMessage()]
    assert line.RASPY_DEVICE == "heater"  # type: ignore[attr-defined]
    assert state["held_by"] == line.RASPY_REQUEST  # type: ignore[attr-defined]
    assert "24.3 is below 24.5; held for 30 s" in line.getMessage()
    assert bus.json("exec", "heater", "state", "off")["state"]["hold_s"] == 0.0


def test_a_command_that_waits(served: Served) -> None:
    bus, _ = served
    bus.call("add", {"oid": "light.dimmer", "name": "lamp", "config": {"min_on_s": 100}})
    bus.json("exec", "lamp", "level", "50")
    state = bus.json("exec", "lamp", "level", "0")["state"]
    assert state["later"] == 0.0
    assert 90 < state["later_s"] <= 100


def test_parts(served: Served) -> None:
    bus, server = served
    bus.call("add", {"oid": "media.tv", "name": "tv"})
    assert bus.json("exec", "tv.volume", "level", "30") == {"value": 30}
    assert bus.json("exec", "tv.volume", "level")["value"] == 30
    assert bus.json("exec", "tv", "volume.up") == {"value": None}
    assert server.engine.table.find("tv").device.writes == [30, None]  # type: ignore[attr-defined]
    with pytest.raises(NotFoundError, match="tv has no part"):
        bus.call("exec", "tv.picture", "level", "30")
    with pytest.raises(ClientError, match="takes no hold"):
        bus.call("exec", "tv.volume", "level", "30", {"hold": 5})


def test_a_fault_is_an_error_with_its_words(tank: Served) -> None:
    bus, server = tank
    device = server.engine.table.find("tank").device
    device.on_read.raises = DeviceFault("CRC error")  # type: ignore[attr-defined]
    with pytest.raises(ServerError, match="tank: CRC error"):
        bus.call("exec", "tank", "temperature")
    assert server.status_line() == "2 devices, without a good value: tank"
    device.on_read.raises = None  # type: ignore[attr-defined]
    device.raw = 1e5  # type: ignore[attr-defined]
    with pytest.raises(ServerError, match="tank: read an implausible"):
        bus.call("exec", "tank", "temperature")


def test_a_command_that_does_not_use_the_device_does_not_wait_for_it(served: Served) -> None:
    bus, server = served
    bus.call("add", {"oid": "sensor.temperature.cured", "name": "x", "poll": 0.1})
    device = server.engine.table.find("x").device
    device.on_read.block()  # type: ignore[attr-defined]
    wait_for(lambda: server.engine.table.find("x").hung, what="it to hang")
    with pytest.raises(ServerError, match="still does not answer"):
        bus.call("exec", "x", "temperature")
    assert bus.json("exec", "x", "cure", "now") == {"value": "now"}
    wait_for(lambda: not server.engine.table.find("x").hung, what="it to be cured")


def test_configure_by_command(tank: Served) -> None:
    bus, _ = tank
    assert bus.json("exec", "tank", "poll") == {"value": 0.2}
    assert bus.json("exec", "tank", "poll", "0.5") == {"value": 0.5}
    assert bus.json("exec", "tank", "log", "off") == {"value": False}
    assert bus.json("exec", "tank", "config", {"unit": "K"})["value"]["unit"] == "K"
    found = bus.json("get", "tank")
    assert (found["poll"], found["log"], found["config"]["unit"]) == (0.5, False, "K")
    assert "state" in bus.json("exec", "heater", "commands")["value"]
    assert bus.json("exec", "tank", "reset") == {"value": None}


def test_statistics(tank: Served) -> None:
    bus, _ = tank
    wait_for(lambda: bus.json("get", "devices.polls", service="pi.rig.statistics")["value"] > 0, what="polls")
    assert bus.json("get", "devices.devices", service="pi.rig.statistics")["value"] == 2


# -- what it refuses ---------------------------------------------------------------------------------



def relay(interlock: dict[str, Any]) -> dict[str, Any]:
    """A relay called x with an interlock."""
    return {"oid": "switch.relay", "name": "x", "config": {"interlocks": [interlock]}}


BAD = [
    (["add", "[]"], "the device: must be an object"),
    (["add", "{"], "not JSON"),
    (["add", b"\xff"], "not JSON"),
    (["add", {"name": "x"}], "oid: null is not known here"),
    (["add", {"oid": "sensor.x", "name": "x"}], 'oid: "sensor.x" is not known here; allowed: light.dimmer'),
    (["add", {"oid": 5, "name": "x"}], "oid: 5 is not known"),
    (["add", TANK], 'there is a device "tank" already'),
    (["add", {**TANK, "name": "a/b"}], "name: "),
    (["add", {**TANK, "name": "a\u0007"}], "name: "),
    (["add", {**TANK, "name": ""}], "name: "),
    (["add", {**TANK, "name": None}], "name: "),
    (["add", {**TANK, "name": "x", "config": {"unit": "m/s"}}], "config.unit: must be one of °C, °F, K"),
    (["add", {**TANK, "name": "x", "config": {"offset": "1"}}], "config.offset: must be a number"),
    (["add", {**TANK, "name": "x", "config": {"colour": 1}}], 'config: "colour" is not known'),
    (["add", {**TANK, "name": "x", "poll": 1e9}], "poll: must be"),
    (["add", '{"oid": "sensor.temperature", "name": "x", "poll": NaN}'], "NaN is not a number"),
    (["add", relay({"only_while": "y"})], "not a device of this server"),
    (["add", relay({"never_with": "x"})], "is the device itself"),
    (["add", relay({"never_with": "tank"})], "nothing that can be on"),
    (["add", relay({"only_while": "tank", "command": "level"})], 'tank has no command "level"'),
    (["add", relay({"only_while": "tank.left"})], "has no part"),
    (["update", {"name": "tank", "oid": "switch.relay"}], "config: "),
    (["update", {"poll": 5}], "name: must say which device is meant"),
    (["update", "tank", {"name": "pool"}], "'pool' in its JSON"),
    (["update", {"name": "tank", "poll": 0}], "tank is not polled, so nobody would notice"),
    (["update", {"name": "tank", "config": []}], "config: must be an object"),
    (["remove", "tank"], "tank is needed by an interlock of heater"),
    (["exec", "tank", "temperature", "20"], "can only be read"),
    (["exec", "tank", "humidity"], 'tank has no command "humidity"'),
    (["exec", "heater", "state", "maybe"], "state: must be true or false"),
    (["exec", "heater", "state", "2"], "state: must be true or false"),
    (["exec", "heater", "state", b"\xff"], "not UTF-8"),
    (["exec", "heater", "state", "on", "5"], "the options: must be an object"),
    (["exec", "heater", "state", "on", {"for": 5}], 'the options: "for" is not known'),
    (["exec", "heater", "state", "on", {"hold": 0}], "hold: must be a number from 0.1"),
    (["exec", "heater", "state", "on", {"hold": "5"}], "hold: must be a number"),
    (["exec", "heater", "state", "on", {"hold": 1e9}], "hold: must be a number"),
    (["exec", "heater", "state", "on", '{"hold": NaN}'], "NaN"),
    (["exec", "heater", "state", "on", {"why": "a\nb"}], "why: must be a line of text"),
    (["exec", "heater", "poll", "0"], "poll: must be from 0.1"),
    (["exec", "heater", "commands", "{}"], "can only be read"),
    (["exec", "heater", "reset", "now"], "takes no value"),
    (["exec", b"\xff\xfe", "state"], "is not UTF-8 text"),
    (["get"], "'get' takes 1 argument"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "words"), BAD, ids=lambda item: str(item)[:60])
def test_bad_input_is_a_sentence_and_changes_nothing(tank: Served, request_: list[Any], words: str) -> None:
    bus, server = tank
    before = {name: entry.device.json for name, entry in server.engine.table.entries.items()}
    stored = bus.client.call("titanic.store", "get", "pi.rig", "devices")
    with pytest.raises(ClientError) as caught:
        bus.call(request_[0], *request_[1:])
    assert not isinstance(caught.value, NotFoundError) or "part" in words
    assert words in str(caught.value)
    assert {name: entry.device.json for name, entry in server.engine.table.entries.items()} == before
    assert bus.client.call("titanic.store", "get", "pi.rig", "devices") == stored
    assert server.engine.table.find("heater").guard.value is False  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "request_",
    [["get", "x"], ["remove", "x"], ["update", "x", {}], ["exec", "x", "state"], ["exec", "", "state"]],
)
def test_what_is_not_there(tank: Served, request_: list[Any]) -> None:
    with pytest.raises(NotFoundError, match="there is no device"):
        tank[0].call(request_[0], *request_[1:])


@pytest.mark.parametrize("bytes_", [st.binary(max_size=80), st.text(max_size=40).map(str.encode)])
def test_any_frames_are_survived(tank: Served, bytes_: Any) -> None:
    _, server = tank
    before = sorted(server.engine.table.entries)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from([b"get", b"add", b"update", b"remove", b"exec"]), st.lists(bytes_, max_size=5))
    def ask(action: bytes, frames: list[bytes]) -> None:
        reply = server.handle("devices", [action, *frames], b"hypothesis")
        assert reply[-1] in (b"400", b"404"), reply
        assert len(reply) == 2

    ask()
    assert sorted(server.engine.table.entries) == before


def test_a_server_is_not_filled_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    bus, _ = served
    monkeypatch.setattr("raspy.common.device_server.configuration.DEVICES_MAX", 1)
    bus.call("add", TANK)
    with pytest.raises(ClientError, match="which is the most"):
        bus.call("add", {**TANK, "name": "another"})


def test_never_with_one_that_is_on_when_safe(served: Served) -> None:
    bus, _ = served
    bus.call("add", {"oid": "switch.relay", "name": "pump", "config": {"safe": True}})
    with pytest.raises(ClientError, match="pump is on in its safe state"):
        bus.call("add", relay({"never_with": "pump"}))


# -- what it keeps -----------------------------------------------------------------------------------


def test_a_changed_configuration_is_safe(tank: Served) -> None:
    bus, server = tank
    bus.call("exec", "heater", "state", "on")
    first = server.engine.table.find("heater").device
    bus.call("update", {"name": "heater", "poll": 3, "log": True})
    assert server.engine.table.find("heater").device is first
    assert bus.json("exec", "heater", "state")["value"] is True
    bus.call("update", {"name": "heater", "config": {"max_run_s": 60}})
    assert server.engine.table.find("heater").device is not first
    assert first.pin is False  # type: ignore[attr-defined]
    assert bus.json("exec", "heater", "state")["value"] is False
    assert bus.json("get", "heater")["config"]["interlocks"] == LIMITS
    bus.call("update", {"name": "heater", "config": {"max_run_s": 60}})


def test_devices_come_back_with_the_server(tank: Served) -> None:
    bus, server = tank
    bus.stop(server)
    again = bus.serve()
    assert bus.call("list_keys") == [b"heater", b"tank"]
    assert again.configuration.stored == {"heater", "tank"}


def test_without_titanic_the_local_copy_serves(tank: Served, lonely: Bus) -> None:
    bus, _ = tank
    (lonely.folder / "rig").mkdir()
    (lonely.folder / "rig" / "devices.json").write_bytes((bus.folder / "rig" / "devices.json").read_bytes())
    other = lonely.serve()
    assert lonely.call("list_keys") == [b"heater", b"tank"]
    assert other.configuration.away
    with pytest.raises(ServerError):
        lonely.call("add", {**TANK, "name": "new"})
    with pytest.raises(ServerError):
        lonely.call("update", {"name": "tank", "poll": 9})
    assert lonely.call("list_keys") == [b"heater", b"tank"]
    assert lonely.json("get", "tank")["poll"] == 0.2


def test_a_heater_does_not_wait_for_titanic_to_be_made_safe(
    lonely: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = lonely.folder / "rig"
    folder.mkdir()
    (folder / "devices.json").write_text(json.dumps({"devices": {"heater": Relay.check({"name": "heater"})}}))
    asked: list[bool] = []
    load = Store.load

    def ask(store: Store, section: str) -> dict[str, Any]:
        device = servers[0].engine.table.find("heater").device
        wait_for(lambda: device.pin is False, what="the heater to be safe before titanic is asked")  # type: ignore[attr-defined]
        asked.append(True)
        return load(store, section)

    monkeypatch.setattr(Store, "load", ask)
    servers: list[DeviceServer] = []
    monkeypatch.setattr(RigServer, "_register_plugins", lambda server: servers.append(server))
    lonely.serve()
    assert asked


def test_when_titanic_comes_back_its_word_counts(lonely: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raspy.common.device_server.server.RELOAD_S", 0.2)
    folder = lonely.folder / "rig"
    folder.mkdir()
    check = RigServer.DEVICES[0].check
    old = {"tank": check(TANK), "gone": check({**TANK, "name": "gone"})}
    (folder / "devices.json").write_text(json.dumps({"devices": old}))
    titanic = lonely.titanic()
    store = Store(lonely.url, "pi.rig")
    try:
        store.save("devices", {"tank": {**old["tank"], "poll": 7.0}})
    finally:
        store.close()
    titanic.stop()
    server = lonely.serve()
    assert lonely.call("list_keys") == [b"gone", b"tank"]
    lonely.titanic()
    wait_for(lambda: server.devices_list_keys() == ("tank",), what="what titanic says")
    assert lonely.json("get", "tank")["poll"] == 7.0
    assert server.changes > 0  # type: ignore[attr-defined]


def test_a_store_that_was_lost_gets_its_devices_back(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = bus.serve()
    bus.call("add", TANK)
    bus.stop(server)
    bus.client.call("titanic.store", "delete", "pi.rig", "devices")
    bus.serve()
    assert "titanic has lost the configuration of 1 devices" in caplog.text
    assert bus.call("list_keys") == [b"tank"]
    assert bus.client.call("titanic.store", "list", "pi.rig", "devices") == [b"tank"]
    bus.call("remove", "tank")
    assert bus.client.call("titanic.store", "list", "pi.rig", "devices") == []


def test_what_is_stored_wrong_is_left_out_and_stays_stored(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(bus.url, "pi.rig")
    wrong = {
        "alien": {"oid": "sensor.alien", "name": "alien"},
        "renamed": {"oid": "sensor.temperature", "name": "other"},
        "heater": HEATER,
        "tank": TANK,
    }
    try:
        store.save("devices", wrong)
        server = bus.serve()
        assert bus.call("list_keys") == [b"heater", b"tank"]
        assert 'the stored device "alien" is left out: oid' in caplog.text
        assert 'the stored device "renamed" is left out: name' in caplog.text
        assert set(store.load("devices")) == set(wrong)
        bus.stop(server)
        store.save("devices", {"tank": None})
        server = bus.serve()
        assert "heater: config.interlocks of heater: tank is not a device of this server" in caplog.text
        with pytest.raises(ClientError, match="tank is missing"):
            bus.call("exec", "heater", "state", "on")
    finally:
        store.save("devices", dict.fromkeys(wrong))
        store.close()
        # Or the next server would take it for a store that was lost.
        (bus.folder / "rig" / "devices.json").unlink()


# -- what is not configured but found ----------------------------------------------------------------


class FoundServer(RigServer):
    """One that has a device of its own."""

    SERVICE = "found"

    def default_devices(self) -> list[dict[str, Any]]:
        return [{**TANK, "name": "own"}]


def test_devices_that_are_there_without_being_configured(bus: Bus) -> None:
    server = bus.serve(FoundServer, "found")
    service = "pi.found.devices"
    assert bus.call("list_keys", service=service) == [b"own"]
    assert bus.json("get", "own", service=service)["configured"] is False
    with pytest.raises(ClientError, match="own was found, not configured"):
        bus.call("remove", "own", service=service)
    bus.call("add", {**TANK, "name": "own", "poll": 5}, service=service)
    found = bus.json("get", "own", service=service)
    assert (found["configured"], found["poll"]) == (True, 5.0)
    server.attach({**TANK, "name": "own"})
    server.detach("own")
    assert bus.json("get", "own", service=service)["poll"] == 5.0
    bus.call("remove", "own", service=service)
    found = bus.json("get", "own", service=service)
    assert (found["configured"], found["poll"]) == (False, 0.2)
    assert server.attach({**TANK, "name": "28-01"}) == "28-01"
    assert bus.call("list_keys", service=service) == [b"28-01", b"own"]
    server.detach("28-01")
    server.detach("28-01")
    assert bus.call("list_keys", service=service) == [b"own"]
    with pytest.raises(ClientError):
        server.attach({"oid": "x"})


# -- plug-ins ----------------------------------------------------------------------------------------


class Salt(Thermometer):
    """A kind of device that another package brings."""

    oid = "sensor.salt"
    server = "rig"


class Elsewhere(Salt):
    """One for another server."""

    oid = "sensor.elsewhere"
    server = "onewire"


class NoDevice:
    """What is no kind of device at all."""

    server = "rig"


def test_kinds_of_other_packages(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    metadata = tmp_path / "salt-1.0.dist-info"
    metadata.mkdir()
    (metadata / "entry_points.txt").write_text(
        f"[{plugins.DEVICES}]\nsalt = {__name__}:Salt\nelsewhere = {__name__}:Elsewhere\n"
        f"broken = {__name__}:Missing\nodd = {__name__}:NoDevice\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    bus.serve()
    assert "sensor.salt" in bus.json("templates")
    assert "sensor.elsewhere" not in bus.json("templates")
    assert "the plug-in odd is no kind of device" in caplog.text
    (broken,) = [record for record in caplog.records if "broken" in record.getMessage()]
    assert broken.exc_info


# -- life --------------------------------------------------------------------------------------------


def test_idle_with_everything_safe_and_nothing_to_poll(served: Served) -> None:
    bus, server = served
    bus.call("add", {"oid": "sensor.temperature", "name": "quiet", "poll": 0})
    assert not server.busy()


def test_status_names_a_few(served: Served) -> None:
    bus, server = served
    for number in range(5):
        bus.call("add", {**TANK, "name": f"t{number}"})
        server.engine.table.find(f"t{number}").device.on_read.raises = DeviceFault("x")  # type: ignore[attr-defined]
    wanted = "5 devices, without a good value: t0, t1, t2 and 2 more"
    wait_for(lambda: server.status_line() == wanted, what=wanted)


def test_a_server_that_never_ran_can_be_destroyed(tmp_path: Path) -> None:
    server = RigServer(broker=f"ipc://{tmp_path}", settings=Settings.defaults())
    server.destroy()


def test_stopping_puts_heaters_off(tank: Served) -> None:
    bus, server = tank
    device = server.engine.table.find("heater").device
    assert isinstance(device, Relay)
    bus.call("exec", "heater", "state", "on")
    bus.stop(server)
    assert device.pin is False
    bus.serve()
