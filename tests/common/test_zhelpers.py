# SPDX-License-Identifier: GPL-3.0-or-later
import os

import pytest
import zmq

from raspy.common import zhelpers


@pytest.fixture
def ctx():
    ctx = zmq.Context()
    yield ctx
    ctx.destroy(linger=0)


def test_a_pipe_carries_messages_both_ways_and_dump_shows_them(ctx, capsys):
    ours, theirs = zhelpers.zpipe(ctx)
    ours.send_multipart([b"text", b"\x00\x01", b"caf\xc3\xa9", b""])
    printed = zhelpers.dump(theirs)
    assert printed == "-" * 40 + "\n[004] text\n[002] 0x0001\n[005] 0x636166c3a9\n[000] "
    assert capsys.readouterr().out == printed + "\n"
    theirs.send(b"back")
    assert ours.recv() == b"back"
    ours.close()
    theirs.close()


def test_dump_takes_frames(capsys):
    assert zhelpers.dump([b"a"]).endswith("[001] a")
    assert capsys.readouterr().out


def test_ids_are_printable_and_all_different(ctx):
    sockets = [ctx.socket(zmq.DEALER) for _ in range(20)]
    identities = {zhelpers.set_id(socket, "core") for socket in sockets}
    assert len(identities) == 20
    assert all(identity.startswith(f"core-{os.getpid()}-".encode()) for identity in identities)
    assert zhelpers.set_id(sockets[0]).startswith(b"raspy-")
    assert sockets[0].getsockopt(zmq.IDENTITY).decode().isprintable()
    for socket in sockets:
        socket.close()
