# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that docs/devices.md and docs/safety.md show are valid. (What an author writes: tests/docs.)"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from raspy.common.devices.device import DeviceRegister
from raspy.servers.fake import Fake

DOCS = Path(__file__).parents[3] / "docs"
CHAPTER = (DOCS / "devices.md").read_text()


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
