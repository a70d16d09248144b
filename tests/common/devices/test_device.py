# SPDX-License-Identifier: GPL-3.0-or-later
"""The device model: JSON in and out, templates, commands, parts, the register."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.devices.device import BaseDevice, Command, DeviceFault, DeviceRegister, SubDevice
from raspy.common.devices.field import Field
from raspy.common.devices.media import MediaTV
from raspy.common.devices.sensor import SensorDevice, SensorTemperature, SensorWind
from raspy.common.devices.switch import SwitchRelay
from raspy.common.MDP import ClientError, NotFoundError, ServerError

GOOD = {"oid": "sensor.temperature", "name": "tank", "poll": 2.0, "log": False, "config": {"unit": "K"}}


class Thermometer(SensorTemperature):
    """A driver for the tests: what it reads is put there."""

    raw: Any = 25.0

    def read(self) -> Any:
        if isinstance(self.raw, Exception):
            raise self.raw
        return self.raw


class Relay(SwitchRelay):
    """A driver for the tests: what is written is kept."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.written: list[tuple[str, Any]] = []
        super().__init__(*args, **kwargs)

    def write(self, command: str, value: Any) -> None:
        self.written.append((command, value))


class TV(MediaTV):
    """A driver for the tests with parts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.written: list[tuple[str, Any]] = []
        super().__init__(*args, **kwargs)

    def read(self) -> Any:
        return {"power": True, "volume.level": 20, "channel.number": DeviceFault("no tuner")}

    def write(self, command: str, value: Any) -> Any:
        self.written.append((command, value))
        return "done" if value is None else None


# -- JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given_", [GOOD, json.dumps(GOOD), json.dumps(GOOD).encode()])
def test_json_in_and_out(given_: Any) -> None:
    device = Thermometer(given_)
    assert device.name == "tank"
    assert device.poll == 2.0
    assert device.config["name"] == "tank"
    assert device.config["unit"] == "K"
    again = Thermometer(json.dumps(device.json))
    assert again.json == device.json
    assert again.json["config"]["offset"] == 0.0


def test_keywords_make_a_device_as_well() -> None:
    assert Thermometer(name="tank", config={"unit": "K"}).config["unit"] == "K"
    assert Thermometer({"name": "tank"}, poll=9).poll == 9.0
    assert Thermometer.new(GOOD).name == "tank"


def test_the_name_may_stand_in_the_configuration() -> None:
    assert Thermometer(config={"name": "tank"}).name == "tank"
    with pytest.raises(ClientError, match="is not the device's name"):
        Thermometer(name="tank", config={"name": "other"})


def test_without_json_a_device_is_not_configured() -> None:
    assert BaseDevice().config == {"name": None}
    assert BaseDevice.templates["base"] == {}
    assert BaseDevice(name="x").template == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"oid": "sensor.wind"}, "oid: must be 'sensor.temperature', not"),
        ({"name": None}, "name: must be a text"),
        ({"name": "a/b"}, "name: "),
        ({"name": "a\x07"}, "name: "),
        ({"poll": "5"}, "poll: must be a number"),
        ({"poll": float("nan")}, "poll: must be a number"),
        ({"poll": 0.01}, "poll: must be -1, 0, or from 0.1 to 86400 s"),
        ({"poll": -2}, "poll: must be"),
        ({"poll": 1e6}, "poll: must be"),
        ({"log": 1}, "log: must be true or false"),
        ({"config": []}, "config: must be an object"),
        ({"config": {"unit": "m/s"}}, 'config.unit: must be one of °C, °F, K, not "m/s"'),
        ({"config": {"units": "K"}}, 'config: "units" is not known for sensor.temperature'),
        ({"config": {"offset": float("nan")}}, "config.offset: must be a number"),
        ({"config": {"minimum": 30, "maximum": 20}}, "config.minimum: 30 is not below the maximum, 20"),
        ({"config": {"minimum": 200}}, "config.minimum: 200 is not below the maximum, 125"),
        ({"color": "red"}, 'the device: "color" is not known; allowed: oid, name, poll, log, config'),
    ],
)
def test_wrong_json_is_refused_and_nothing_changed(change: dict[str, Any], words: str) -> None:
    device = Thermometer({**GOOD, "config": {"unit": "°C"}})
    before = device.json
    with pytest.raises(ClientError) as caught:
        device.json = {**before, **change}
    assert words in str(caught.value)
    assert device.json == before


@pytest.mark.parametrize("wrong", [None, 5, "[]", b"{", "null", ["x"], b"\xff"])
def test_what_is_no_object_is_refused(wrong: Any) -> None:
    with pytest.raises(ClientError, match=r"^the device: "):
        Thermometer.check(wrong)


def test_what_cannot_be_polled_has_no_interval() -> None:
    class Never(BaseDevice):
        oid = "test.never"

    assert Never(name="x").poll == -1
    assert Never(name="x", poll=0).poll == 0
    with pytest.raises(ClientError, match=r"test\.never can't be polled"):
        Never(name="x", poll=5)


def test_a_required_field() -> None:
    class Wired(SensorDevice):
        oid = "sensor.wired"
        fields = (Field("pin", "Int", minimum=0, maximum=27, required=True, info="where it is"),)

    assert Wired(name="x", config={"pin": 4}).config["pin"] == 4
    with pytest.raises(ClientError, match=r"config\.pin: is missing; it must be a whole number from 0 to 27"):
        Wired(name="x")


def test_templates_are_inherited_by_type() -> None:
    class Chip(SensorTemperature):
        oid = "sensor.temperature.chip"
        fields = (
            Field("bus", "Int", 1, "the bus"),
            Field("stuck_s", "Float", 60.0, "another default than the family's", minimum=0, maximum=1e6),
        )

    assert set(SensorTemperature.templates["sensor.temperature"]) < set(Chip.templates[Chip.oid])
    assert set(Chip.templates) == {"sensor.temperature", "sensor", "base", "sensor.temperature.chip"}
    assert Chip(name="x").config["stuck_s"] == 60.0
    assert "bus" not in SensorTemperature.templates["sensor.temperature"]


@pytest.mark.parametrize("oid", ["Sensor", "sensor/x", "", "sensor.", "a-b-c"])
def test_a_wrong_oid_fails_where_it_is_declared(oid: str) -> None:
    with pytest.raises(TypeError, match="oid"):
        type("Wrong", (BaseDevice,), {"oid": oid})


def test_a_wrong_main_command_fails_where_it_is_declared() -> None:
    with pytest.raises(TypeError, match="there is no command 'value'"):
        type("Wrong", (BaseDevice,), {"oid": "x", "main": "value"})


KEYS = st.sampled_from(["oid", "name", "poll", "log", "config", "x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
    | st.sampled_from(["sensor.temperature", "tank", "K", "on"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["unit", "offset", "minimum", "stuck_s", "name", "safe", "interlocks"]),
                      inner, max_size=4),
    max_leaves=6,
)  # fmt: skip


@pytest.mark.parametrize("kind", [Thermometer, Relay, TV])
@given(json_=st.dictionaries(KEYS, VALUES, max_size=5) | VALUES)
def test_any_json_is_a_device_or_a_sentence(kind: type[BaseDevice], json_: Any) -> None:
    try:
        checked = kind.check(json_)
    except ClientError as error:
        assert 5 < len(str(error)) < 600
        return
    assert kind.check(json.loads(json.dumps(checked, allow_nan=False))) == checked
    assert kind(checked).json == checked


@given(st.binary(max_size=60))
def test_any_bytes_are_a_device_or_a_sentence(frame: bytes) -> None:
    with pytest.raises(ClientError, match=r"^(the device|name|oid|config|poll|log): "):
        Thermometer.check(frame)


# -- commands ------------------------------------------------------------------------------------


def test_read_a_sensor() -> None:
    device = Thermometer(GOOD)
    device.raw = 25
    assert device.do_poll() == {"temperature": 298.15}
    assert device.exec_cmd("sensor.temperature", "temperature") == 298.15
    assert device.commands["temperature"].value == 298.15


def test_a_sensor_without_a_value_raises() -> None:
    device = Thermometer(GOOD)
    device.raw = DeviceFault("CRC error")
    with pytest.raises(ServerError, match="CRC error"):
        device.exec_cmd(device.oid, "temperature")
    device.raw = 1e6
    assert isinstance(device.do_poll()["temperature"], DeviceFault)
    assert device.commands["temperature"].value is None
    with pytest.raises(DeviceFault, match="implausible"):
        device.exec_cmd(device.oid, "temperature")


def test_a_kind_without_a_driver_can_not_be_read_or_written() -> None:
    device = SensorTemperature(GOOD)
    with pytest.raises(DeviceFault, match="can't be read"):
        device.do_poll()
    with pytest.raises(DeviceFault, match="does not take state"):
        SwitchRelay(name="x").exec_cmd("switch.relay", "state", True)
    device.open()
    device.close()


def test_drive_an_actuator() -> None:
    relay = Relay(name="heater")
    with pytest.raises(DeviceFault, match="not commanded yet"):
        relay.exec_cmd("switch.relay", "state")
    assert relay.exec_cmd("switch.relay", "state", True) is True
    assert relay.written == [("state", True)]
    assert relay.exec_cmd("switch.relay", "state") is True
    relay.exec_cmd("switch.relay", "reset")
    assert relay.exec_cmd("switch.relay", "state") is True
    assert relay.words(None) == "unknown"


@pytest.mark.parametrize(
    ("command", "value", "error", "words"),
    [
        ("temperature", 5.0, ClientError, "can only be read"),
        ("humidity", None, ClientError, 'tank has no command "humidity"; it has: temperature'),
        ("commands", {}, ClientError, "can only be read"),
        ("poll", 0.01, ClientError, "poll: must be"),
        ("log", "yes", ClientError, "log: must be"),
        ("config", [], ClientError, "config: must be an object"),
        ("config", {"unit": "x"}, ClientError, "config.unit"),
        ("volume.level", 5, NotFoundError, 'tank has no part "volume"; it has: none'),
    ],
)
def test_wrong_commands(command: str, value: Any, error: type[Exception], words: str) -> None:
    device = Thermometer(GOOD)
    before = device.json
    with pytest.raises(error) as caught:
        device.exec_cmd("sensor.temperature", command, value)
    assert words in str(caught.value)
    assert device.json == before


def test_configure_by_command() -> None:
    device = Thermometer(GOOD)
    assert device.exec_cmd(device.oid, "config")["unit"] == "K"
    assert device.exec_cmd(device.oid, "config", '{"unit": "°C"}')["unit"] == "°C"
    assert device.exec_cmd(device.oid, "poll", 9) == 9.0
    assert device.exec_cmd(device.oid, "log", True) is True
    changed = {**device.json["config"], "unit": "°C"}
    assert device.json == {**GOOD, "poll": 9.0, "log": True, "config": changed}
    assert device.commands["temperature"].unit == "°C"
    device.do_poll()
    device.cmd_reset()
    assert device.commands["temperature"].value is None
    assert set(device.exec_cmd(device.oid, "commands")) == {
        "temperature", "config", "poll", "log", "reset", "commands",
    }  # fmt: skip


def test_two_devices_share_nothing() -> None:
    one, two = Thermometer(GOOD), Thermometer({**GOOD, "name": "two", "config": {"unit": "°F"}})
    one.do_poll()
    assert two.commands["temperature"].value is None
    assert two.commands["temperature"].unit == "°F"
    assert one.commands["temperature"].unit == "K"
    assert Relay(name="a").config["interlocks"] is not Relay(name="b").config["interlocks"]


# -- parts ---------------------------------------------------------------------------------------


def test_parts_of_a_device() -> None:
    tv = TV(name="tv")
    assert tv.subdevices is not None
    assert tv.fullname("pi.ir") == "pi.ir.tv"
    assert tv.subdevices["volume"].fullname("pi.ir") == "pi.ir.tv.volume"
    assert tv.exec_cmd("media.tv-volume", "level", 30) == 30
    assert tv.exec_cmd("media.tv-channel", "up") == "done"
    assert tv.exec_cmd("media.tv", "power", True) is True
    assert tv.written == [("volume.level", 30), ("channel.up", None), ("power", True)]
    assert tv.exec_cmd("media.tv-volume", "level") == 20
    with pytest.raises(DeviceFault, match="no tuner"):
        tv.exec_cmd("media.tv-channel", "number")
    with pytest.raises(ClientError, match="level: must be a whole number from 0 to 100 %"):
        tv.exec_cmd("media.tv-volume", "level", 101)
    with pytest.raises(NotFoundError, match="it has: volume, channel"):
        tv.exec_cmd("media.tv-colour", "level", 1)


def test_polling_a_device_reads_its_parts() -> None:
    tv = TV(name="tv")
    values = tv.do_poll()
    assert values["power"] is True
    assert values["volume.level"] == 20
    assert isinstance(values["channel.number"], DeviceFault)
    assert tv.find("volume.level").value == 20
    assert "volume.mute" in tv.cmd_commands()


def test_a_part_of_a_device_that_reads_one_value() -> None:
    class Simple(TV):
        def read(self) -> Any:
            return True

    tv = Simple(name="tv")
    assert tv.subdevices is not None
    assert tv.subdevices["volume"].read() == {}


def test_several_values() -> None:
    class Vane(SensorWind):
        def read(self) -> Any:
            return {"speed": 10.0, "direction": 400.0}

    values = Vane(name="roof", config={"unit": "km/h"}).do_poll()
    assert values["speed"] == 36.0
    assert isinstance(values["direction"], DeviceFault)


# -- Command -------------------------------------------------------------------------------------


def test_a_command_is_json() -> None:
    command = Command(type="Float", info="the temperature", unit="°C", readonly=True, datasource="GAUGE")
    described = json.loads(json.dumps(command.to_json()))
    assert described["type"] == "Float"
    assert described["unit"] == "°C"
    assert described["readonly"] is True
    assert described["datasource"] == "GAUGE"
    assert described["input"] == "number"
    copy = Command().from_json(json.dumps(described))
    assert copy.to_json() == described


def test_a_command_as_the_manual_has_it() -> None:
    assert (Command.type, Command.info, Command.readonly, Command.writeonly) == ("List", "info", False, False)
    assert Command.value is None
    assert Command.callback is None


@pytest.mark.parametrize("wrong", ["[]", 5, {"colour": 1}])
def test_a_command_from_wrong_json(wrong: Any) -> None:
    with pytest.raises(ClientError, match=r"^the command: "):
        Command().from_json(wrong)


def test_a_command_that_can_only_be_sent() -> None:
    class Siren(BaseDevice):
        oid = "test.siren"
        commands = {"text": Command(type="String", writeonly=True)}

        def write(self, command: str, value: Any) -> None:
            pass

    siren = Siren(name="x")
    assert siren.exec_cmd("test.siren", "text", "hello") == "hello"
    with pytest.raises(ClientError, match="x text: can't be read, only sent"):
        siren.exec_cmd("test.siren", "text")


def test_a_command_with_a_callback() -> None:
    class Called(BaseDevice):
        oid = "test.called"
        commands = {"double": Command(type="Int", callback=lambda device, value: (device.name, 2 * value))}

    assert Called(name="x").exec_cmd("test.called", "double", 4) == ("x", 8)


# -- the register ----------------------------------------------------------------------------------


def test_the_register_makes_devices() -> None:
    register = DeviceRegister([Thermometer])
    register.register(Relay)
    device = register.new(**GOOD)
    assert type(device) is Thermometer
    assert register.check(json.dumps(GOOD)) == device.json


@pytest.mark.parametrize("oid", [None, 5, "sensor.wind", "", [], "sensor.temperature "])
def test_an_unknown_oid(oid: object) -> None:
    with pytest.raises(ClientError, match=r"^oid: .* is not known here; allowed: sensor\.temperature"):
        DeviceRegister([Thermometer]).check({**GOOD, "oid": oid})


@pytest.mark.parametrize("wrong", [int, "sensor", BaseDevice, SubDevice, Thermometer(GOOD)])
def test_only_kinds_of_devices_are_registered(wrong: Any) -> None:
    with pytest.raises(TypeError):
        DeviceRegister().register(wrong)


def test_a_later_driver_takes_the_place_of_an_earlier() -> None:
    class Better(Thermometer):
        pass

    register = DeviceRegister([Thermometer, Better])
    assert register.types == {"sensor.temperature": Better}


def test_templates_for_a_page() -> None:
    templates = json.loads(json.dumps(DeviceRegister([Thermometer, Relay, TV]).templates(), allow_nan=False))
    assert list(templates) == ["media.tv", "sensor.temperature", "switch.relay"]
    kind = templates["sensor.temperature"]
    assert kind["main"] == "temperature"
    assert kind["commands"]["temperature"]["unit"] == "°C"
    assert [field["name"] for field in kind["form"][:3]] == ["name", "poll", "log"]
