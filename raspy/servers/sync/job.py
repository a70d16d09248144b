# SPDX-License-Identifier: GPL-3.0-or-later
"""A job: what is copied where, when, and how; declared once, checked here and nowhere else.

As JSON, on the bus and in ``titanic.store`` (service ``sync``, section ``jobs``, by the job's name)::

    {"source": "/var/lib/raspy/logger", "remote": "ssh://pi@nas/backup/history", "enabled": true,
     "schedule": "daily 03:30", "delete": false, "bandwidth_kib": 0, "limit_s": 21600, "retries": 5,
     "pause_s": 30, "host_key": "SHA256:..."}

``since``, when the schedule was set, is added by the server. ``password``, for an rsync daemon, can be
sent but is never given out: it is kept in a file of its own that only the server can read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raspy.common.devices.field import Field, check_name, load_json, show
from raspy.common.MDP import ClientError
from raspy.servers.sync import remote, schedule

FIELDS = (
    Field("source", "String", info="the file or folder to copy; of a folder, what is in it", required=True),
    Field("remote", "String", "", info="to ssh://USER@HOST/PATH, rsync://HOST/MODULE or /MOUNTED/PATH"),
    Field("enabled", "Bool", True, info="whether it may run"),
    Field("schedule", "String", "", info="'every 6 h', 'daily 03:30', 'weekly sun 03:30'; empty: on demand"),
    Field("delete", "Bool", False, info="delete at the remote what is no longer in the source"),
    Field("bandwidth_kib", "Int", 0, "the most it may send; 0: no limit", unit="KiB/s", minimum=0,
          maximum=10_000_000),
    Field("limit_s", "Int", 6 * 3600, "how long one run may take, retries included", unit="s", minimum=10,
          maximum=7 * 86400),
    Field("retries", "Int", 5, "how often it is tried again when the connection fails", minimum=0,
          maximum=100),
    Field("pause_s", "Int", 30, "the pause before the first retry; each is twice the one before", unit="s",
          minimum=1, maximum=3600),
    Field("host_key", "String", "", "ssh: the fingerprint of the remote's host key (SHA256:...)"),
)  # fmt: skip
BY_NAME = {field.name: field for field in FIELDS}
PASSWORD = Field("password", "String", "", "rsync daemon: the password; empty removes it")

NAME_BYTES_MAX = 200  # a job's name is part of file names, which may have 255

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


class Job:
    """One checked job; its fields are attributes.

    Args:
        name: its name.
        values: what `check` returned.

    Attributes:
        values: the job for JSON.
    """

    __slots__ = ("name", "remote", "schedule", "values")

    def __init__(self, name: str, values: dict[str, Any]) -> None:
        self.name = name
        self.values = values
        self.remote = remote.parse(values["remote"]) if values["remote"] else None
        self.schedule = schedule.parse(values["schedule"])

    @property
    def there(self) -> remote.Remote:
        """The remote of a job that has one: of all that are enabled."""
        assert self.remote is not None
        return self.remote

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None


def check_job_name(name: str) -> str:
    """A job's name: that of a device, and short enough for a file's.

    Raises:
        ClientError: it is something else.
    """
    check_name(name)
    if len(name.encode()) > NAME_BYTES_MAX:
        raise ClientError(f"name: {show(name)} is too long: at most {NAME_BYTES_MAX} bytes")
    return name


def check(
    json: Any, allowed: Sequence[Path] | None, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Check that the JSON is a valid job.

    Args:
        json: JSON text, or the object that it stands for.
        allowed: the folders that the source may lie in; None to leave that to its runs.
        before: the job that it changes; what the JSON leaves out stays.

    Returns:
        The job as it is kept, plus ``password`` if one was given.

    Raises:
        ClientError: it is not; the sentence names the field and what is allowed.
    """
    given = load_json(json, "the job") if isinstance(json, (str, bytes)) else json
    if not isinstance(given, Mapping):
        raise ClientError(f"the job: must be an object, not {show(given)}")
    for key in given:
        if key not in (*BY_NAME, "password"):
            raise ClientError(f"{show(key)} is not known; allowed: {', '.join(BY_NAME)}, password")
    checked: dict[str, Any] = {}
    for key, field in BY_NAME.items():
        if key in given:
            checked[key] = field.check(given[key])
        elif before is not None:
            checked[key] = before[key]
        elif field.required:
            raise ClientError(f"{key}: is missing; it must be {field.allowed()}")
        else:
            checked[key] = field.default
    if allowed is not None:
        check_source(checked["source"], allowed)
    _check_together(checked)
    if "password" in given:
        checked["password"] = PASSWORD.check(given["password"])
    return checked


def _check_together(values: dict[str, Any]) -> None:
    schedule.parse(values["schedule"])
    if values["remote"]:
        remote.parse(values["remote"])
    elif values["enabled"]:
        raise ClientError("remote: is missing; a job without one can only be kept with enabled = false")
    if values["host_key"] and not _FINGERPRINT.fullmatch(values["host_key"]):
        raise ClientError(
            f"host_key: {show(values['host_key'])} is no fingerprint: it is SHA256: and 43 characters,"
            " as 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub' says on the remote"
        )


def check_source(source: str, allowed: Sequence[Path]) -> Path:
    """The source as it really is, links followed.

    Args:
        source: an absolute path.
        allowed: the folders that it may lie in.

    Raises:
        ClientError: it lies elsewhere. Asked again before each run: links change.
    """
    if not source.startswith("/"):
        raise ClientError(f"source: must be an absolute path, not {show(source)}")
    real = Path(os.path.realpath(source))
    for folder in allowed:
        if real.is_relative_to(os.path.realpath(folder)):
            return real
    folders = ", ".join(str(folder) for folder in allowed)
    raise ClientError(f"source: {show(source)} lies outside the folders that may be copied: {folders}")
