# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and keys from outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.MDP import ClientError
from raspy.servers.core import names


def test_a_command_is_where_its_key_says() -> None:
    found = names.device_command("/device/pi/fake/heater/state")
    assert found == ("pi.fake.devices", "heater", "state")


@pytest.mark.parametrize(
    "key",
    [
        "/device/pi/fake/heater",
        "/device/pi/fake/heater/a/b",
        "/event/pi/fake/heater/state",
        "/device/pi/fake//state",
        None,
        5,
        "/device/",
    ],
)
def test_what_is_no_command(key: object) -> None:
    with pytest.raises(ClientError):
        names.device_command(key)


@given(st.text() | st.binary())
def test_a_name_that_passes_is_harmless_in_keys_and_paths(name: str | bytes) -> None:
    try:
        passed = names.check_name(name, "thing")
    except ClientError as error:
        assert len(str(error)) < 300
    else:
        assert passed.isascii() and not set(passed) & set("/.\n\0 ") and 0 < len(passed) <= 64


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_object(body: bytes) -> None:
    with pytest.raises(ClientError, match=r"it must be JSON|it must be a JSON object"):
        names.json_object(body, "it")
