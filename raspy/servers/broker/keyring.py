# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may come in over the network: the public keys in a folder, a file each.

A file is called ``NAME.pub``; NAME is who it is, in logs. It holds one line with the key (40 characters,
Z85), and comments on lines that begin with ``#``. After the key may stand ``serve=HOST``: this machine may
also offer the services ``HOST.*`` and publish ``/device/HOST/`` and ``/event/``; any other may ask and listen
only.

The folder is looked at again and again, so what is put there holds from then on, and what is taken out no
longer.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import NamedTuple

from raspy.common.curve import is_key

SUFFIX = ".pub"
# What a client may be called, and what may stand after serve=.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
MAX_CLIENTS = 256
MAX_FILE_BYTES = 4096
_SERVE = "serve="
# Who may write it could let in anybody.
_OTHERS_WRITE = 0o022

_Signature = tuple[int, int, int, int]


class Client(NamedTuple):
    """Somebody who may come in.

    Args:
        name: the name of the file.
        key: the public key, Z85.
        serve: the HOST whose services and values it may offer; empty for none.
    """

    name: str
    key: str
    serve: str


def parse(name: str, text: str) -> Client:
    """Read the file of a client.

    Args:
        name: its name, without ``.pub``.
        text: what it holds.

    Raises:
        ValueError: it does not hold one key, or something else besides; the text says what.
    """
    found: list[Client] = []
    for line in text.splitlines():
        key, *options = line.split() or [""]
        if not is_key(key):
            if key and not key.startswith("#"):
                raise ValueError(f"{key[:50]!r} is no key; it has 40 characters (Z85)")
            continue
        serve = ""
        for option in options:
            if not option.startswith(_SERVE) or not NAME.fullmatch(option.removeprefix(_SERVE)):
                raise ValueError(f"{option[:50]!r} after the key; there is only serve=HOST")
            serve = option.removeprefix(_SERVE)
        found.append(Client(name, key, serve))
    if len(found) != 1:
        raise ValueError(f"it holds {len(found) or 'no'} keys; it must be one")
    return found[0]


class Keyring:
    """The clients that may come in, as the folder has them now.

    Any thread may ask; one of them calls ``look``.

    Args:
        folder: where the files are; it need not exist.
        log: where it says what is wrong with a file, once.
    """

    def __init__(self, folder: Path, log: logging.Logger) -> None:
        self.folder = folder
        self._log = log
        self._files: dict[str, tuple[_Signature, Client | None]] = {}
        self._by_key: dict[str, Client] = {}
        self._by_name: dict[str, Client] = {}
        self._fault = ""

    def find(self, key: str) -> Client | None:
        """Who has this public key."""
        return self._by_key.get(key)

    def named(self, name: str) -> Client | None:
        """Who is called so."""
        return self._by_name.get(name)

    def look(self) -> bool:
        """Read what is new or changed.

        Returns:
            Whether somebody who was let in may do less now, or nothing.
        """
        before = self._by_key
        files = {}
        for name, signature in self._list().items():
            known = self._files.get(name)
            files[name] = known if known and known[0] == signature else (signature, self._read(name))
        self._files = files
        clients = [client for _, client in files.values() if client is not None]
        self._by_name = {client.name: client for client in clients}
        self._by_key = {client.key: client for client in clients}
        return any(self._by_key.get(key) != client for key, client in before.items())

    def _list(self) -> dict[str, _Signature]:
        fault = ""
        found: dict[str, _Signature] = {}
        try:
            if os.stat(self.folder).st_mode & _OTHERS_WRITE:
                fault = f"{self.folder}: others may write there, so none of its keys counts; chmod go-w it"
                return {}
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    name = entry.name.removesuffix(SUFFIX)
                    if name == entry.name or not NAME.fullmatch(name):
                        continue
                    if len(found) == MAX_CLIENTS:
                        fault = f"{self.folder}: has more than {MAX_CLIENTS} keys; the others do not count"
                        break
                    status = entry.stat()
                    found[name] = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        except FileNotFoundError:
            # Nobody was let in yet; or a file went while we looked, and the next look finds it gone.
            pass
        except OSError as error:
            fault = f"{self.folder}: can't be read ({error.strerror}), so nobody is let in"
            found = {}
        finally:
            if fault and fault != self._fault:
                self._log.error("%s", fault)
            self._fault = fault
        return found

    def _read(self, name: str) -> Client | None:
        path = self.folder / f"{name}{SUFFIX}"
        try:
            with path.open(encoding="utf-8") as file:
                if os.fstat(file.fileno()).st_mode & _OTHERS_WRITE:
                    raise ValueError("others may write it; chmod go-w it")
                return parse(name, file.read(MAX_FILE_BYTES))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            self._log.error("%s does not count: %s", path, why)
            return None
