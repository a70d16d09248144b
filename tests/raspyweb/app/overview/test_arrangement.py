# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user made of the overview."""

import json

from hypothesis import given
from hypothesis import strategies as st

from raspyweb.app.devices import Device, Server
from raspyweb.app.overview.arrangement import GROUP_MAX, Arrangement

SERVERS = [
    Server("pi.fake", [Device("pi.fake", name) for name in ("a", "b", "c")]),
    Server("pi.host", [Device("pi.host", "load")]),
    Server("pi.onewire", [], "does not answer"),
]


def titles(arranged):
    return {one.title: [device.name for device in one.devices] for one in arranged.sections(SERVERS)}


def test_at_first_it_is_by_server_and_trouble_is_shown():
    assert titles(Arrangement(None)) == {"pi.fake": ["a", "b", "c"], "pi.host": ["load"], "pi.onewire": []}


def test_favourites_then_groups_then_the_rest_each_in_its_order():
    arranged = Arrangement(None)
    sent = {
        "favourite:pi.host.load": "on",
        "group:pi.fake.a": "  Big   tank ", "group:pi.fake.c": "Big tank",
        "place:pi.fake.a": "9", "place:pi.fake.c": "2", "place:pi.fake.b": "no number",
    }  # fmt: skip
    arranged.take(sent, ["pi.fake.a", "pi.fake.b", "pi.fake.c", "pi.host.load"])
    again = Arrangement(json.loads(json.dumps(arranged.to_json())))
    assert titles(again) == {
        "Favourites": ["load"],
        "Big tank": ["c", "a"],
        "pi.fake": ["b"],
        "pi.onewire": [],
    }
    assert list(titles(again)) == ["Favourites", "Big tank", "pi.fake", "pi.onewire"]
    # What the form had and did not send is taken back; what it had not stays.
    again.take({}, ["pi.fake.a", "pi.host.load"])
    assert titles(again) == {"Big tank": ["c"], "pi.fake": ["a", "b"], "pi.host": ["load"], "pi.onewire": []}


def test_a_favourite_is_toggled():
    arranged = Arrangement(None)
    arranged.toggle("pi.fake.a")
    assert titles(arranged)["Favourites"] == ["a"]
    arranged.toggle("pi.fake.a")
    assert "Favourites" not in titles(arranged)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["favourites", "groups", "places", "pi.fake.a"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(json_values, st.dictionaries(st.sampled_from(["group:x", "place:x", "favourite:x"]), st.text()))
def test_whatever_is_kept_or_sent_it_can_be_shown(kept, sent):
    arranged = Arrangement(kept)
    arranged.take(sent, ["x"])
    assert sum(map(len, titles(arranged).values())) == 4
    assert len(arranged.groups.get("x", "")) <= GROUP_MAX
    assert json.loads(json.dumps(arranged.to_json())) == arranged.to_json()
