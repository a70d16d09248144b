# SPDX-License-Identifier: GPL-3.0-or-later
import os
import socket

import pytest

from raspy.stack.notifications import Notifications


@pytest.fixture
def notifications(run_dir):
    (run_dir / "notify.sock").write_text("left by an earlier run")
    notifications = Notifications(run_dir / "notify.sock")
    yield notifications
    notifications.close()
    assert not (run_dir / "notify.sock").exists()


def send(path, data):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(data, str(path))


def test_who_reports_is_what_the_kernel_says(notifications):
    assert notifications.receive() is None
    send(notifications.path, b"READY=1\nSTATUS=a=b\nMAINPID=1\nnonsense\n")
    pid, fields = notifications.receive()
    assert pid == os.getpid()
    assert fields == {"READY": "1", "STATUS": "a=b", "MAINPID": "1"}
    assert notifications.receive() is None


def test_what_is_not_text_or_too_long_is_cut_and_does_no_harm(notifications):
    send(notifications.path, b"STATUS=\xff\xfe")
    assert notifications.receive()[1] == {"STATUS": "\ufffd\ufffd"}
    send(notifications.path, b"STATUS=" + b"x" * 100_000)
    assert len(notifications.receive()[1]["STATUS"]) < 5000
