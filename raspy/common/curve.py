# SPDX-License-Identifier: GPL-3.0-or-later
"""CURVE keys: how a peer on another machine and the broker know each other.

Each side has a pair of keys. The broker lets in whose public key it was given, and a peer talks only to the
broker whose public key it was given; what they say is encrypted, and useless to whoever records it. A key is
written as 40 characters of Z85. The file of a pair holds its secret half alone, since the public one follows
from it.

Sources: RFC 26 (CurveZMQ), RFC 32 (Z85), zmq_curve(7).
"""

from __future__ import annotations

import os
import secrets
import stat
import struct
from pathlib import Path
from typing import NamedTuple

import zmq
from zmq.utils import z85

KEY_CHARACTERS = 40
MODE = 0o600
_HEAD = "# RasPy: a secret key (CURVE). Whoever has it is taken for its owner.\n"
# More than a comment and a key need.
_FILE_BYTES = 4096


class KeyFault(Exception):
    """A key, or the file of one, can't be used: what is wrong, where, and what to do."""


class Pair(NamedTuple):
    """Both halves of a key, as Z85 text.

    Args:
        public: what others are given.
        secret: what nobody else may see; it is not in the pair's ``repr``.
    """

    public: str
    secret: str

    def __repr__(self) -> str:
        return f"Pair({self.public!r})"


class CurveKeys(NamedTuple):
    """What a peer needs to reach a broker on another machine.

    Args:
        server: the broker's public key.
        own: the peer's own pair.
    """

    server: str
    own: Pair

    def apply(self, socket: zmq.Socket[bytes]) -> None:
        """Have a socket use them; before it connects."""
        socket.curve_serverkey = self.server.encode()
        socket.curve_publickey = self.own.public.encode()
        socket.curve_secretkey = self.own.secret.encode()


def is_key(text: str) -> bool:
    """Whether *text* is a key in Z85."""
    if len(text) != KEY_CHARACTERS or not text.isascii():
        return False
    try:
        z85.decode(text.encode())  # type: ignore[no-untyped-call]
    except (KeyError, ValueError, struct.error):
        return False
    return True


def user_key_file() -> Path:
    """Where a user's own pair is kept (XDG Base Directory Specification)."""
    return user_folder() / "key"


def user_folder() -> Path:
    """Where a user's keys are."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".config") / "raspy"


def load(path: Path) -> Pair:
    """Read a pair.

    Raises:
        FileNotFoundError: there is no such file.
        KeyFault: it can't be read, others may read it, or it holds no key.
    """
    try:
        with path.open(encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(_FILE_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeyFault(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise KeyFault(f"{path}: holds no key") from error
    if mode & 0o077:
        raise KeyFault(
            f"{path}: others may read this secret key (mode {mode:04o}); chmod 600 it, or make a new one if"
            " somebody did"
        )
    keys = [line for line in map(str.strip, text.splitlines()) if is_key(line)]
    if len(keys) != 1:
        raise KeyFault(f"{path}: holds {len(keys) or 'no'} keys; it must be one line of 40 characters (Z85)")
    return Pair(zmq.curve_public(keys[0].encode()).decode(), keys[0])


def make(path: Path) -> Pair:
    """Make a new pair and keep it, for its owner's eyes only.

    Raises:
        FileExistsError: there is a file already.
        OSError: it can't be written.
    """
    public = "-"
    while public.startswith("-"):
        # On a command line it would be taken for an option.
        public, secret = (half.decode() for half in zmq.curve_keypair())
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Written aside and linked into place: there is no moment at which half a key can be read.
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(f"{_HEAD}{secret}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)
    finally:
        fresh.unlink()
    return Pair(public, secret)


def load_or_make(path: Path) -> Pair:
    """Read a pair, or make it if there is none yet.

    Raises:
        KeyFault: there is one that can't be used, or none can be made.
    """
    try:
        return load(path)
    except FileNotFoundError:
        pass
    try:
        return make(path)
    except FileExistsError:
        # Somebody else was faster by a moment.
        return load(path)
    except OSError as error:
        raise KeyFault(f"{path}: no key can be made: {error.strerror}") from error
