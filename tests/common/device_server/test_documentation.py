# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/devices.md shows is run: its devices, its server, its requests."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from raspy.common.devices.device import DeviceFault, DeviceRegister
from raspy.common.MDP import ClientError
from raspy.servers.fake import Fake
from tests.conftest import wait_for

from .bus import Bus

DOCS = Path(__file__).parents[3] / "docs"
CHAPTER = (DOCS / "devices.md").read_text()


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The modules of the chapter, by their file's name."""
    found: dict[str, ModuleType] = {}
    for name, code in re.findall(r"```python\n# (\S+\.py)\n(.*?)```", CHAPTER, re.DOTALL):
        module = ModuleType(name.removesuffix(".py").replace("/", "."))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        assert len(code.splitlines()) < 60
        exec(compile(code, name, "exec"), vars(module))  # noqa: S102 - our own documentation
        found[name] = module
    yield found


def test_all_of_it_is_there(modules: dict[str, ModuleType]) -> None:
    assert set(modules) == {"raspy_sht/device.py", "raspy_led/device.py", "raspy_weather/server.py"}


def test_a_new_sensor(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    kind = modules["raspy_sht/device.py"].HwmonHumidity
    file = tmp_path / "humidity1_input"
    register = DeviceRegister([kind])
    device = register.new(oid=kind.oid, name="room", config={"path": str(file)})
    file.write_text("48250\n")
    assert device.do_poll() == {"humidity": 48.2}
    file.write_text("\n")
    with pytest.raises(DeviceFault, match="which is no number"):
        device.do_poll()
    file.write_text("148250\n")
    assert isinstance(device.do_poll()["humidity"], DeviceFault)
    with pytest.raises(ClientError, match=r"config\.path"):
        register.check({"oid": kind.oid, "name": "room", "config": {"path": 5}})


def test_a_new_actuator(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    kind = modules["raspy_led/device.py"].Led
    led = kind(name="act", config={"path": str(tmp_path)})
    assert led.exec_cmd("light.led", "state", True) is True
    assert (tmp_path / "brightness").read_text() == "1"
    assert led.do_poll() == {"state": True}
    assert led.safe is False


def test_a_new_server(modules: dict[str, ModuleType], bus: Bus) -> None:
    class Station:
        def speed(self) -> float:
            return 4.5

        def direction(self) -> float:
            return 270.0

    module = modules["raspy_weather/server.py"]
    module.open_station = lambda port: Station()  # type: ignore[attr-defined]
    bus.serve(module.Weather, "weather")
    service = "pi.weather.devices"
    wait_for(lambda: bus.json("get", "mast", service=service)["values"], what="the mast to be read")
    values = bus.json("get", "mast", service=service)["values"]
    assert (values["speed"]["value"], values["direction"]["value"]) == (4.5, 270.0)


@pytest.mark.parametrize("file", ["devices.md", "safety.md"])
def test_the_devices_of_the_examples_are_valid(file: str) -> None:
    register = DeviceRegister(Fake.DEVICES)
    text = re.sub(r"\n {5,}", " ", (DOCS / file).read_text())
    found: list[dict[str, Any]] = []
    for example in re.findall(r'^ {4}(?:add )?(\{"oid".*\})$', text, re.MULTILINE):
        found.append(register.check(json.loads(example)))
    assert len(found) >= 2


def test_the_families_are_all_in_the_table() -> None:
    kinds = {oid for oid in DeviceRegister(Fake.DEVICES).types if oid.count(".") == 1}
    for oid in kinds:
        assert f"`{oid}`" in CHAPTER
