# SPDX-License-Identifier: GPL-3.0-or-later
"""What other packages bring: kinds of devices and servers, through entry points.

A package says so in its ``setup.py``::

    entry_points={"raspy.devices": ["co2 = raspy_co2.device:CO2"]}

Sources: the entry points specification of the Python Packaging User Guide; its file is an INI file,
``entry_points.txt``, in the folder of the package's metadata. It is read here directly, for
``importlib.metadata`` would cost each daemon three megabytes.
"""

from __future__ import annotations

import configparser
import importlib
import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

DEVICES = "raspy.devices"
SERVERS = "raspy.servers"

FILE_MAX = 1 << 20
"""The longest ``entry_points.txt`` that is read, in bytes."""


def find(group: str, path: Iterable[str] | None = None) -> dict[str, str]:
    """The entry points of a group.

    Args:
        group: its name, such as `DEVICES`.
        path: the folders to look in; ``sys.path`` if left out. The first that has a name wins.

    Returns:
        By name: where the object is, ``package.module:name``.
    """
    found: dict[str, str] = {}
    for file in _files(sys.path if path is None else path):
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            log.warning("%s: can't be read, its entry points are left out: %s", file, error)
            continue
        if f"[{group}]" not in text or len(text) > FILE_MAX:
            continue
        parser = configparser.RawConfigParser(delimiters=("=",))
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        try:
            parser.read_string(text, source=str(file))
            points = dict(parser[group])
        except (configparser.Error, KeyError) as error:
            reason = " ".join(str(error).split())
            log.warning("%s: is damaged, its entry points are left out: %s", file, reason)
            continue
        for name, target in points.items():
            found.setdefault(name, target.partition("[")[0].strip())
    return found


def _files(path: Iterable[str]) -> Iterator[Path]:
    for folder in path:
        for pattern in ("*.dist-info/entry_points.txt", "*.egg-info/entry_points.txt"):
            yield from sorted(Path(folder or ".").glob(pattern))


def load(group: str, path: Iterable[str] | None = None) -> dict[str, Any]:
    """Import what is behind the entry points of a group.

    One that can't be imported is logged with its traceback and left out.

    Args:
        group: its name.
        path: as of `find`.

    Returns:
        The objects by name.
    """
    loaded: dict[str, Any] = {}
    for name, target in find(group, path).items():
        module, _, attributes = target.partition(":")
        try:
            item: Any = importlib.import_module(module)
            for attribute in attributes.split(".") if attributes else ():
                item = getattr(item, attribute)
        except Exception:
            # The boundary to other people's packages: a broken one must not end the daemon.
            log.exception("the plug-in %s (%s = %s) is broken and left out", group, name, target)
        else:
            loaded[name] = item
    return loaded
