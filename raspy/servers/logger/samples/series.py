# SPDX-License-Identifier: GPL-3.0-or-later
"""A series: one logged number, its RRD file, and what was last written of it.

The series of the value `/device/pi/fake/tank/temperature` has the key `pi/fake/tank/temperature`
and the file `pi/fake/tank/temperature.rrd`. A value that changes its unit (or its kind) gets another
file, `temperature.2.rrd`: numbers of two units never meet in one. `series.json` remembers them.
"""

from __future__ import annotations

import json
from pathlib import Path

from raspy.common import durable
from raspy.servers.logger.rrd.rrdcached import escape

KINDS = ("GAUGE", "COUNTER", "DERIVE", "ABSOLUTE")

PARTS_MIN = 4
PARTS_MAX = 8
"""HOST, NAME, DEVICE, COMMAND, and room for parts of devices."""

PART_MAX = 80
"""Characters of one part of a key."""

FILES_MAX = 8
"""Files that one key may have, for its units and kinds."""

FILE_NAME_MAX = 240
"""Bytes of one part of a file name, its ending left out; ext4 takes 255."""


class Series:
    """One logged number.

    Arguments:
        key: ``HOST/NAME/DEVICE/COMMAND``.
        file: its RRD, relative to the folder of all RRDs.
        unit: the unit of its values, "" for none.
        kind: the data source type, one of `KINDS`.
        folder: the folder of all RRDs.

    Attributes:
        path: its RRD.
        last: time of the last update sent, in seconds since 1970; 0 before it is known.
        value: the last number sent, and `text`, as it was sent; None at the start.
        unknown: whether the last that was said is that there is no value.
        prefix: the file as rrdcached wants it before an update.
        label: its name in the spool, before a sample.
    """

    __slots__ = ("file", "key", "kind", "label", "last", "path", "prefix", "text", "unit", "unknown", "value")

    def __init__(self, key: str, file: str, unit: str, kind: str, folder: Path) -> None:
        self.key = key
        self.file = file
        self.unit = unit
        self.kind = kind
        self.path = folder / file
        self.last = 0.0
        self.value: float | None = None
        self.text: bytes | None = None
        self.unknown = False
        self.prefix = escape(str(self.path)).encode() + b" "
        self.label = file.removesuffix(".rrd").encode() + b" "


class Catalogue:
    """All series, kept in `series.json`: ``{KEY: [{"file", "unit", "kind"}, ...]}``, the current one last.

    Arguments:
        folder: where `series.json` is, and `rrd/` with the files.

    Attributes:
        rrd: the folder of the files.
        series: the current series of each key.
        files: all series, by their label in the spool.
        damaged: why `series.json` could not be read, "" if it could. It is put aside then, and
            begun anew; the units are learned again with the next values.

    Raises:
        OSError: the folder can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "series.json"
        self.rrd = folder / "rrd"
        self.series: dict[str, Series] = {}
        self.files: dict[str, Series] = {}
        self.damaged = ""
        self._of_key: dict[str, list[Series]] = {}
        self._dirty = False
        try:
            self._read(json.loads(self.path.read_bytes()))
        except FileNotFoundError:
            pass
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            self.damaged = str(error)
            self.path.replace(self.path.with_name("series.json.damaged"))
            self.series, self.files, self._of_key = {}, {}, {}

    def _read(self, known: dict[str, list[dict[str, str]]]) -> None:
        for key, entries in known.items():
            names = {file_name(key, number) for number in range(1, FILES_MAX + 1)}
            for entry in entries:
                file, unit, kind = entry["file"], entry["unit"], entry["kind"]
                if file not in names or kind not in KINDS or not isinstance(unit, str):
                    raise ValueError(f"{key}: not an entry of ours")
                self._add(Series(key, file, unit, kind, self.rrd))

    def _add(self, series: Series) -> None:
        self._of_key.setdefault(series.key, []).append(series)
        self.files[series.label[:-1].decode()] = series
        self.series[series.key] = series

    def find(self, key: str, unit: str, kind: str) -> Series | None:
        """The series of a key in this unit and kind, from now on the current one of the key.

        Returns:
            It, or None when the key has had too many units already.
        """
        of_key = self._of_key.get(key, [])
        for series in of_key:
            if (series.unit, series.kind) == (unit, kind):
                if series is not of_key[-1]:
                    of_key.remove(series)
                    of_key.append(series)
                    self.series[key] = series
                    self._dirty = True
                return series
        if len(of_key) >= FILES_MAX:
            return None
        series = Series(key, file_name(key, len(of_key) + 1), unit, kind, self.rrd)
        self._add(series)
        self._dirty = True
        return series

    def save(self) -> None:
        """Write `series.json` if something changed: after a power cut it is the old one or the new one.

        Raises:
            OSError: the disk refuses; it is tried again by the next call.
        """
        if not self._dirty:
            return
        known = {
            key: [{"file": series.file, "unit": series.unit, "kind": series.kind} for series in of_key]
            for key, of_key in self._of_key.items()
        }
        durable.replace(self.path, json.dumps(known, ensure_ascii=False, indent=0))
        self._dirty = False


def check_key(key: str) -> str | None:
    """Why a key can't be that of a series; None if it can."""
    parts = key.split("/")
    if not PARTS_MIN <= len(parts) <= PARTS_MAX:
        return f"it has {len(parts)} parts, not HOST/NAME/DEVICE/COMMAND"
    for part in parts:
        if len(_escape(part).encode(errors="replace")) > FILE_NAME_MAX:
            return f"its part {part[:20]!r}... is too long for the name of a file"
        if not part or len(part) > PART_MAX or not part.isprintable() or not part[0].isalnum():
            return f"its part {part[:20]!r} is no name of 1 to {PART_MAX} characters, a letter first"
    return None


def file_name(key: str, number: int = 1) -> str:
    """The RRD of a key, relative to the folder of all RRDs.

    Letters and digits of any script, `-` and `_` stand as they are; all else as %XX, so no name leads
    out of the folder.
    """
    *folders, name = (_escape(part) for part in key.split("/"))
    suffix = "" if number == 1 else f".{number}"
    return "/".join([*folders, f"{name}{suffix}.rrd"])


def _escape(part: str) -> str:
    if part.isalnum():
        return part
    return "".join(
        letter if letter.isalnum() or letter in "-_" else "".join(f"%{byte:02X}" for byte in letter.encode())
        for letter in part
    )
