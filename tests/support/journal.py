# SPDX-License-Identifier: GPL-3.0-or-later
"""Journal files of a test's own, written by systemd (systemd-journal-remote) from the export format."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

WRITER = "/usr/lib/systemd/systemd-journal-remote"
BOOT = "5b1f3f8a7f0d4c1fa2f9e2f1d2c3b4a5"


def write_journal(folder: Path, entries: Iterable[Mapping[str, str | bytes]], name: str = "test") -> None:
    """Write a journal file `folder`/NAME.journal with these entries, or add them to it.

    :param entries: fields by name; `time` stands for the time in seconds since the epoch.
    """
    exported = b"".join(_export(entry) for entry in entries)
    file = folder / f"{name}.journal"
    done = subprocess.run(
        [WRITER, f"--output={file}", "-"], input=exported, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0 and file.exists(), done.stderr.decode(errors="replace")


def _export(entry: Mapping[str, str | bytes]) -> bytes:
    fields = dict(entry)
    usec = round(float(fields.pop("time")) * 1e6)
    stamps = f"__REALTIME_TIMESTAMP={usec}\n__MONOTONIC_TIMESTAMP={usec % 10**12}\n_BOOT_ID={BOOT}\n"
    out = [stamps.encode()]
    for field, value in fields.items():
        data = value.encode() if isinstance(value, str) else value
        # The binary form, which may hold anything.
        out.append(field.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n")
    return b"".join(out) + b"\n"
