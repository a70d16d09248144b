# SPDX-License-Identifier: GPL-3.0-or-later
"""Which remotes there are, and that nothing else gets through."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.MDP import ClientError
from raspy.servers.sync.remote import Remote, mount_point, parse


@pytest.mark.parametrize(
    ("text", "remote", "target", "lane"),
    [
        ("ssh://pi@nas/backup", Remote("ssh", "pi", "nas", 22, "/backup"), "pi@nas:/backup/", "nas"),
        ("ssh://pi@NAS.example:2222/b/c/", Remote("ssh", "pi", "NAS.example", 2222, "/b/c/"),
         "pi@NAS.example:/b/c/", "nas.example"),
        ("ssh://pi@nas/~/my files", Remote("ssh", "pi", "nas", 22, "my files"), "pi@nas:my files/", "nas"),
        ("ssh://pi@[::1]:22/b", Remote("ssh", "pi", "[::1]", 22, "/b"), "pi@[::1]:/b/", "[::1]"),
        ("rsync://nas/module", Remote("rsync", "", "nas", 873, "module"), "rsync://nas:873/module/", "nas"),
        ("rsync://me@10.0.0.2:8730/m/x", Remote("rsync", "me", "10.0.0.2", 8730, "m/x"),
         "rsync://me@10.0.0.2:8730/m/x/", "10.0.0.2"),
        ("/mnt/usb/backup", Remote("path", "", "", 0, "/mnt/usb/backup"), "/mnt/usb/backup/", "/mnt/usb"),
    ],
)  # fmt: skip
def test_good_remotes(text: str, remote: Remote, target: str, lane: str) -> None:
    parsed = parse(text)
    assert (parsed, parsed.target, parsed.lane) == (remote, target, lane)
    assert parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is none"),
        ("nas:/backup", "is none"),
        ("ftp://nas/x", "is none"),
        ("ssh://pi@nas", "is none"),
        ("ssh://nas/x", "needs the user's name"),
        ("ssh://pi@-oProxyCommand=x/x", "is none"),
        ("ssh://-l@nas/x", "is none"),
        ("ssh://pi@nas;reboot/x", "is none"),
        ("ssh://$(id)@nas/x", "is none"),
        ("ssh://pi@`id`/x", "is none"),
        ("ssh://pi@nas/~/", "name a folder"),
        ("ssh://pi@nas/~/-x", "does not begin with '-'"),
        ("ssh://pi@nas:0/x", "port must be"),
        ("ssh://pi@nas:65536/x", "port must be"),
        ("rsync://nas/", "name a folder"),
        ("/", "whole disk"),
        ("/mnt/../etc", "may not contain '..'"),
        ("ssh://pi@nas/a/../../etc", "may not contain '..'"),
        ("/mnt/a\nb", "printable"),
        ("/mnt/" + "x" * 600, "at most 512"),
    ],
)
def test_bad_remotes(text: str, words: str) -> None:
    with pytest.raises(ClientError) as caught:
        parse(text)
    assert words in str(caught.value)


@given(st.one_of(st.text(), st.text().map("ssh://a@b/".__add__), st.text().map("ssh://".__add__)))
def test_whatever_is_written_rsync_gets_one_folder(text: str) -> None:
    try:
        remote = parse(text)
    except ClientError:
        return
    assert remote.target.endswith("/")
    assert not remote.target.startswith("-")
    assert remote.target.isprintable()
    assert ".." not in remote.target.split("/")


def test_mount_points(mounted: Path, tmp_path: Path) -> None:
    assert mount_point(str(mounted / "not" / "there")) == Path("/dev/shm")
    (tmp_path / "link").symlink_to(mounted)
    assert mount_point(str(tmp_path / "link")) == Path("/dev/shm")
    assert mount_point("/") is None
    assert mount_point("/no/such/thing") is None
