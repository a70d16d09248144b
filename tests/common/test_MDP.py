# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol's constants are on the wire, so they are written out here once more."""

import pytest

from raspy.common import MDP


def test_constants_are_those_of_the_rfc():
    assert (MDP.C_CLIENT, MDP.W_WORKER) == (b"MDPC01", b"MDPW01")
    assert [MDP.W_READY, MDP.W_REQUEST, MDP.W_REPLY, MDP.W_HEARTBEAT, MDP.W_DISCONNECT] == [
        b"\x01",
        b"\x02",
        b"\x03",
        b"\x04",
        b"\x05",
    ]
    assert [MDP.T_OK, MDP.T_PENDING, MDP.T_UNKNOWN, MDP.T_NOTFOUND, MDP.T_ERROR, MDP.T_NOTIMPLEMENTED] == [
        b"200",
        b"300",
        b"400",
        b"404",
        b"500",
        b"501",
    ]


def test_routing_key():
    assert MDP.routing_key("pi", "core") == "pi.core"


def test_an_error_says_its_value():
    error = MDP.ClientError("no such device")
    assert str(error) == error.value == "no such device"


def test_error_reply_has_the_status_where_the_service_has_it():
    assert MDP.error_reply(b"pi.core.cron", b"400", "no") == [b"no", b"400"]
    assert MDP.error_reply(b"titanic.store", b"400", "no") == [b"400", b"no"]


def test_split_reply_gives_the_results():
    assert MDP.split_reply("pi.core.cron", [b"a", b"b", b"200"]) == [b"a", b"b"]
    assert MDP.split_reply(b"titanic.reply", [b"200", b"a"]) == [b"a"]
    assert MDP.split_reply("titanic.reply", [b"300"]) == []


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (b"400", MDP.ClientError),
        (b"404", MDP.NotFoundError),
        (b"500", MDP.ServerError),
        (b"501", MDP.NotImplementedActionError),
        (b"299", MDP.ServerError),
        (b"", MDP.ServerError),
    ],
)
def test_split_reply_raises_by_status(status, error):
    with pytest.raises(error) as caught:
        MDP.split_reply("pi.core.cron", [b"the reason", status])
    assert type(caught.value) is error
    assert str(caught.value) == "the reason"


def test_split_reply_without_frames_or_reason():
    with pytest.raises(MDP.ServerError, match="empty reply"):
        MDP.split_reply("pi.core.cron", [])
    with pytest.raises(MDP.ServerError, match="no reason given"):
        MDP.split_reply("pi.core.cron", [b"500"])
