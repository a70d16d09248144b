# SPDX-License-Identifier: GPL-3.0-or-later
"""Our key, and which host keys are trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raspy.servers.sync import keys

from .conftest import Sshd, free_port

OTHER = "SHA256:" + "A" * 43


def test_makes_a_key_once(tmp_path: Path) -> None:
    folder = tmp_path / "sync"
    line = keys.make_key(folder, "raspy@pi")
    assert line.startswith("ssh-ed25519 ") and line.endswith(" raspy@pi")
    assert (folder / "id_ed25519").stat().st_mode & 0o777 == 0o600
    assert keys.make_key(folder, "other") == line


def test_the_public_half_is_made_again(tmp_path: Path) -> None:
    line = keys.make_key(tmp_path)
    (tmp_path / "id_ed25519.pub").unlink()
    assert keys.make_key(tmp_path).split()[:2] == line.split()[:2]


def test_it_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    owner = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(tmp_path, *owner)
    keys.make_key(tmp_path)
    assert {(path.stat().st_uid, path.stat().st_gid) for path in tmp_path.iterdir()} == {owner}


def test_says_why_there_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "id_ed25519").write_text("not a key")
    (tmp_path / "id_ed25519").chmod(0o600)
    with pytest.raises(keys.SshKeyError, match=r"can't read the ssh key: .*id_ed25519"):
        keys.make_key(tmp_path)


def test_says_that_ssh_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(keys.process.ENVIRONMENT, "PATH", "/nowhere")
    with pytest.raises(keys.SshKeyError, match=r"ssh-keygen is missing .*openssh-client"):
        keys.make_key(tmp_path)


def test_trusts_the_key_that_a_person_named(tmp_path: Path, sshd: Sshd) -> None:
    keys.trust(tmp_path, "127.0.0.1", sshd.port, sshd.fingerprint)
    known = (tmp_path / "known_hosts").read_text()
    assert known.startswith(f"[127.0.0.1]:{sshd.port} ssh-ed25519 ")
    keys.trust(tmp_path, "127.0.0.1", sshd.port, sshd.fingerprint)
    assert (tmp_path / "known_hosts").read_text() == known


def test_a_known_host_is_not_asked_again(tmp_path: Path, sshd: Sshd) -> None:
    keys.trust(tmp_path, "127.0.0.1", sshd.port, sshd.fingerprint)
    port = free_port()
    known = tmp_path / "known_hosts"
    known.write_text(known.read_text().replace(str(sshd.port), str(port)))
    keys.trust(tmp_path, "127.0.0.1", port, sshd.fingerprint)  # nobody listens there


def test_does_not_trust_another_key(tmp_path: Path, sshd: Sshd) -> None:
    with pytest.raises(keys.HostKeyError) as caught:
        keys.trust(tmp_path, "127.0.0.1", sshd.port, OTHER)
    assert sshd.fingerprint in str(caught.value) and OTHER in str(caught.value)
    assert not (tmp_path / "known_hosts").exists()


def test_a_new_key_takes_the_place_of_the_old_one_of_that_host_only(tmp_path: Path, sshd: Sshd) -> None:
    known = tmp_path / "known_hosts"
    other = "other ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    known.write_text(f"[127.0.0.1]:{sshd.port} ssh-ed25519 AAAA\n{other}\n")
    keys.trust(tmp_path, "127.0.0.1", sshd.port, sshd.fingerprint)
    lines = known.read_text().splitlines()
    assert lines[0] == other
    assert [keys.fingerprint_of(line) for line in lines[1:]] == [sshd.fingerprint]


def test_a_host_that_can_not_be_asked(tmp_path: Path) -> None:
    with pytest.raises(keys.SshKeyError) as caught:
        keys.trust(tmp_path, "127.0.0.1", free_port(), OTHER)
    assert not isinstance(caught.value, keys.HostKeyError)


@pytest.mark.parametrize("line", ["", "host", "host ssh-ed25519", "host ssh-ed25519 not/base64!"])
def test_lines_without_a_key_have_no_fingerprint(line: str) -> None:
    assert keys.fingerprint_of(line) == ""
