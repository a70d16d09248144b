# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job may be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.MDP import ClientError
from raspy.servers.sync import job

ALLOWED = [Path("/var/lib/raspy")]
GOOD = {"source": "/var/lib/raspy/logger", "remote": "ssh://pi@nas/backup"}


def test_fills_in_the_defaults() -> None:
    checked = job.check(json.dumps(GOOD), ALLOWED)
    assert checked == {
        **GOOD, "enabled": True, "schedule": "", "delete": False, "bandwidth_kib": 0, "limit_s": 21600,
        "retries": 5, "pause_s": 30, "host_key": "",
    }  # fmt: skip
    made = job.Job("history", {**checked, "since": 1.0})
    assert (made.name, made.remote.host, made.delete, made.since) == ("history", "nas", False, 1.0)
    assert not made.schedule
    with pytest.raises(AttributeError):
        _ = made.nothing


def test_a_change_leaves_the_rest() -> None:
    before = job.check({**GOOD, "delete": True, "schedule": "daily 03:30"}, ALLOWED)
    after = job.check({"schedule": ""}, ALLOWED, before)
    assert after == {**before, "schedule": ""}


def test_a_job_without_a_remote_can_only_be_kept() -> None:
    checked = job.check({"source": "/var/lib/raspy/x", "enabled": False}, ALLOWED)
    assert job.Job("x", checked).remote is None
    with pytest.raises(ClientError, match="a job without one"):
        job.check({"enabled": True}, ALLOWED, checked)


def test_a_password_is_not_part_of_the_job() -> None:
    assert job.check({**GOOD, "password": "x"}, ALLOWED)["password"] == "x"
    assert "password" not in job.BY_NAME


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": None}, "source: must be"),
        ({"source": "logger"}, "must be an absolute path"),
        ({"source": "/etc"}, "outside the folders that may be copied: /var/lib/raspy"),
        ({"source": "/var/lib/raspy/../../../etc/shadow"}, "outside"),
        ({"source": "/var/lib/raspyx"}, "outside"),
        ({"source": "/var/lib/raspy/a\nb"}, "source: must be a line of text"),
        ({"remote": "nas"}, "remote: 'nas' is none"),
        ({"remote": 7}, "remote: must be"),
        ({"remote": ""}, "remote: is missing"),
        ({"schedule": "often"}, "schedule: 'often' is none"),
        ({"delete": "yes"}, "delete: must be true or false"),
        ({"bandwidth_kib": -1}, "bandwidth_kib: must be"),
        ({"limit_s": 1}, "limit_s: must be"),
        ({"retries": 1.5}, "retries: must be"),
        ({"host_key": "MD5:00"}, "host_key: "),
        ({"password": 3}, "password: must be"),
        ({"rsync_options": "-e sh"}, '"rsync_options" is not known; allowed: source, remote'),
    ],
)
def test_says_what_is_wrong(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError) as caught:
        job.check({**GOOD, **change}, ALLOWED)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "7", "{", '"x"', "null", b"\xff"])
def test_something_else_than_a_job(text: str | bytes) -> None:
    with pytest.raises(ClientError, match="the job"):
        job.check(text, ALLOWED)


def test_a_source_is_required() -> None:
    with pytest.raises(ClientError, match="source: is missing"):
        job.check({"remote": "ssh://pi@nas/backup"}, ALLOWED)


@pytest.mark.parametrize("name", ["history", "Größe 2", "写真", "a-b_c"])
def test_names(name: str) -> None:
    assert job.check_job_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", "a.b", "a\nb", " a", "x" * 65, "写" * 64 + "真" * 9, "𠮷" * 60]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ClientError, match="name: "):
        job.check_job_name(name)


def test_a_link_out_of_the_allowed_folders(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to("/etc")
    assert job.check_source(str(inside), [tmp_path]) == inside
    with pytest.raises(ClientError, match="outside"):
        job.check_source(str(inside / "link"), [inside])


@given(
    st.dictionaries(
        st.sampled_from([*job.BY_NAME, "password", "x"]),
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text())),
    )
)
def test_anything_is_a_job_or_a_sentence(given_job: dict[str, Any]) -> None:
    try:
        checked = job.check({**GOOD, **given_job}, ALLOWED)
    except ClientError as error:
        assert str(error)
    else:
        job.Job("x", checked)
