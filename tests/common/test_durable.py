# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest

from raspy.common import durable


def test_the_file_and_its_folder_are_made(tmp_path):
    durable.replace(tmp_path / "a" / "file", "Bécs")
    assert (tmp_path / "a" / "file").read_bytes() == "Bécs".encode()


def test_all_that_was_there_is_replaced(tmp_path):
    (tmp_path / "file").write_text("a longer old text")
    durable.replace(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


def test_file_and_folder_reach_the_disk_in_that_order(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(durable.os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    durable.replace(tmp_path / "file", "new")
    assert synced == [str(tmp_path / "file.new"), str(tmp_path)]


def test_a_disk_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    def fail(_: int) -> None:
        raise OSError("input/output error")

    (tmp_path / "file").write_text("old")
    monkeypatch.setattr(durable.os, "fsync", fail)
    with pytest.raises(OSError, match="input/output"):
        durable.replace(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
