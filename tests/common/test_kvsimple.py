# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.kvsimple import KVMsg
from raspy.common.zhelpers import zpipe


@pytest.fixture
def pipe():
    ctx = zmq.Context()
    ours, theirs = zpipe(ctx)
    yield ours, theirs
    ours.close()
    theirs.close()
    ctx.term()


def test_on_the_wire_it_is_three_frames(pipe):
    ours, theirs = pipe
    KVMsg(258, b"/device/pi/x", b"21.5").send(ours)
    assert theirs.recv_multipart() == [b"/device/pi/x", b"\0\0\0\0\0\0\x01\x02", b"21.5"]
    KVMsg(0).send(ours)
    assert theirs.recv_multipart() == [b"", bytes(8), b""]


def test_what_is_sent_is_received(pipe):
    ours, theirs = pipe
    KVMsg(7, b"/k", b"v").send(ours)
    message = KVMsg.recv(theirs)
    assert (message.sequence, message.key, message.body) == (7, b"/k", b"v")


def test_a_damaged_message_is_refused_and_the_next_one_read(pipe):
    ours, theirs = pipe
    ours.send_multipart([b"/k", b"short", b"v"])
    ours.send_multipart([b"/k"])
    KVMsg(7, b"/k", b"v").send(ours)
    for _ in range(2):
        with pytest.raises(ValueError, match="3 frames, the second of 8 bytes"):
            KVMsg.recv(theirs)
    assert KVMsg.recv(theirs).sequence == 7


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_any_frames_are_a_message_or_refused(frames):
    try:
        message = KVMsg.from_frames(frames)
    except ValueError:
        assert len(frames) != 3 or len(frames[1]) != 8
    else:
        assert [message.key or b"", message.body or b""] == [frames[0], frames[2]]


def test_store_sets_and_an_empty_body_deletes():
    kvmap = {}
    message = KVMsg(1, b"/k", b"v")
    message.store(kvmap)
    assert kvmap == {b"/k": message}
    KVMsg(2).store(kvmap)
    KVMsg(2, b"/other").store(kvmap)
    assert kvmap == {b"/k": message}
    KVMsg(3, b"/k", b"").store(kvmap)
    assert kvmap == {}


def test_dump_is_a_line_to_read():
    assert KVMsg(3, b"/k", b"v").dump() == "[seq:3][key:/k][size:1] b'v'"
    assert KVMsg(3).dump() == "[seq:3][key:][size:0] b''"
