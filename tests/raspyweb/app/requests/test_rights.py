# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspyweb.app.requests import rights


@pytest.mark.parametrize(
    ("service", "action", "role"),
    [
        ("mmi.discovery", "", "viewer"),
        ("pi.core.mmi", "status", "viewer"),
        ("pi.core.mmi", "loglevel", "admin"),
        ("pi.fake.devices", "list", "viewer"),
        ("pi.fake.devices", "exec", "operator"),
        ("pi.fake.devices", "remove", "admin"),
        ("pi.core.cron", "fire", "admin"),
        ("pi.core.scenarios", "import", "admin"),
        ("pi.sync.sync", "run", "admin"),
        ("titanic.store", "list", "admin"),
        ("titanic.request", "", "admin"),
        ("devices", "list", "admin"),
        ("pi..devices", "list", "admin"),
        ("pi.x.y.devices", "exec", "admin"),
    ],
)
def test_who_may_send_what(service, action, role):
    assert rights.role(service, action) == role


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_is_not_known_is_for_admins(service, action):
    known = {
        action
        for actions in (rights.READING, rights.STEERING)
        for found in actions.values()
        for action in found
    }
    if action not in known and service not in rights.BROKER:
        assert rights.role(service, action) == "admin"
