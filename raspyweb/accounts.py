# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may use the dashboard: users with their roles, sessions, and API tokens, in one file.

Several processes may use the file at the same time (the dashboard, ``raspyctl passwd``): changes are made
under a lock, and each sees the others'. Of sessions and tokens only hashes are kept.
"""

from __future__ import annotations

import copy
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from raspy.common import durable
from raspyweb import passwords

FILE = "accounts.json"
LOCK = "accounts.lock"
FIRST_VISIT = "first-visit-token"

ROLES = ("viewer", "operator", "admin")
"""What a user may do, each all of those before it: look, steer devices, change everything."""

SCOPES = {"read": "viewer", "steer": "operator", "admin": "admin"}
"""The scopes of API tokens, and the role that each acts in at most."""

USERS_MAX = 100
SESSIONS_MAX = 20
"""Sessions of one user; the oldest ends when there are more."""
TOKENS_MAX = 50
"""API tokens of one user."""
SESSION_MAX_S = 30 * 86400.0
"""How long a session lasts at most, however much it is used, in seconds."""
PREFERENCES_MAX_BYTES = 65536
LABEL_MAX = 80

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_PREFIX = "raspy_"
_EMPTY: dict[str, Any] = {"version": 1, "users": {}, "sessions": {}, "tokens": {}}


class AccountError(Exception):
    """A change of the accounts that can't be made.

    Args:
        text: why, for a person, with ``{name}`` places for the values; the pages translate it.
        values: what stands there.
    """

    def __init__(self, text: str, **values: object) -> None:
        super().__init__(text.format(**values))
        self.text = text
        self.values = values


class User(NamedTuple):
    """One who may use the dashboard.

    Args:
        name: unique, as it was typed.
        role: one of `ROLES`.
        preferences: what the pages keep for the user.
    """

    name: str
    role: str
    preferences: Mapping[str, Any]

    def may(self, role: str) -> bool:
        """Whether the user's role is *role* or above."""
        return ROLES.index(self.role) >= ROLES.index(role)


class Accounts:
    """The accounts in a folder. Thread safe.

    Args:
        folder: the dashboard's state folder.
        clock: seconds since the epoch, for tests.

    Raises (all methods):
        AccountError: the change can't be made, or the file is damaged.
        OSError: the disk refuses.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._clock = clock
        self._mutex = threading.RLock()
        self._seen: tuple[int, int, int] | None = None
        self._content: dict[str, Any] = copy.deepcopy(_EMPTY)
        # An unknown user's password takes as long to check as a known one's.
        self._nobody = ""

    # -- users --------------------------------------------------------------------------------------

    def users(self) -> list[User]:
        """All users, by name."""
        return [_user(name, entry) for name, entry in sorted(self._read()["users"].items())]

    def find(self, name: str) -> User | None:
        """The user of that name; None if there is none."""
        entry = self._read()["users"].get(name)
        return None if entry is None else _user(name, entry)

    def add(self, name: str, role: str, password: str) -> User:
        """Add a user."""
        if not NAME.fullmatch(name):
            raise AccountError("A user's name is 1 to 32 letters, digits, '.', '_' or '-', a letter first.")
        _check_role(role)
        hashed = _hash(password)
        with self._change() as content:
            if name in content["users"]:
                raise AccountError("There is a user {name} already.", name=name)
            if len(content["users"]) >= USERS_MAX:
                raise AccountError("There are {count} users; remove one first.", count=USERS_MAX)
            content["users"][name] = {"role": role, "password": hashed, "preferences": {}}
        (self.folder / FIRST_VISIT).unlink(missing_ok=True)
        return User(name, role, {})

    def set_password(self, name: str, password: str) -> None:
        """Change a user's password; all sessions of the user end."""
        hashed = _hash(password)
        with self._change() as content:
            _entry(content, name)["password"] = hashed
            _end_sessions(content, name)

    def set_role(self, name: str, role: str) -> None:
        """Change what a user may do; one admin always stays."""
        _check_role(role)
        with self._change() as content:
            entry = _entry(content, name)
            if entry["role"] == "admin" != role:
                _check_not_last_admin(content, name)
            entry["role"] = role

    def remove(self, name: str) -> None:
        """Remove a user with all sessions and tokens; one admin always stays."""
        with self._change() as content:
            if _entry(content, name)["role"] == "admin":
                _check_not_last_admin(content, name)
            del content["users"][name]
            _end_sessions(content, name)
            content["tokens"] = {
                key: token for key, token in content["tokens"].items() if token["user"] != name
            }

    def check(self, name: str, password: str) -> User | None:
        """The user whose name and password these are; None if they are nobody's."""
        entry = self._read()["users"].get(name)
        self._nobody = self._nobody or passwords.hash_password(secrets.token_urlsafe())
        good = passwords.is_password(password, self._nobody if entry is None else entry["password"])
        return _user(name, entry) if entry is not None and good else None

    def prefer(self, name: str, changes: Mapping[str, Any]) -> None:
        """Keep preferences of a user; a value None forgets one."""
        with self._change() as content:
            entry = _entry(content, name)
            kept = {**entry.get("preferences", {}), **changes}
            entry["preferences"] = {key: value for key, value in kept.items() if value is not None}
            if len(json.dumps(entry["preferences"])) > PREFERENCES_MAX_BYTES:
                raise AccountError("That is more than can be kept for a user.")

    # -- the first visit ----------------------------------------------------------------------------

    def first_visit_token(self) -> str | None:
        """What the first visitor has to know, made when first asked for; None once there are users."""
        if self._read()["users"]:
            return None
        path = self.folder / FIRST_VISIT
        with self._locked():
            try:
                token = path.read_text(encoding="ascii").strip()
            except FileNotFoundError:
                token = ""
            if not token:
                token = "-".join(secrets.token_hex(2) for _ in range(6))
                durable.replace(path, token + "\n", mode=0o600)
            return token

    def claim(self, token: str, name: str, password: str) -> User:
        """Make the first user, an admin, for whoever knows the one-time token."""
        expected = self.first_visit_token()
        if expected is None:
            raise AccountError("The first visit is over: there is a user already.")
        if not hmac.compare_digest(token.strip().lower().encode(), expected.encode()):
            raise AccountError("That is not the token. It stands in the journal: journalctl -u raspy-web")
        return self.add(name, "admin", password)

    # -- sessions -----------------------------------------------------------------------------------

    def open_session(self, name: str) -> str:
        """A new session of a user; its secret."""
        secret = secrets.token_urlsafe(32)
        now = self._clock()
        with self._change() as content:
            _entry(content, name)
            sessions = {k: s for k, s in content["sessions"].items() if now - s["opened"] < SESSION_MAX_S}
            own = sorted((s["opened"], key) for key, s in sessions.items() if s["user"] == name)
            for _opened, key in own[: max(0, len(own) - SESSIONS_MAX + 1)]:
                del sessions[key]
            content["sessions"] = {**sessions, _digest(secret): {"user": name, "opened": now}}
        return secret

    def session(self, secret: str) -> User | None:
        """The user whose session this is; None if it has ended."""
        session = self._read()["sessions"].get(_digest(secret))
        if session is None or not 0 <= self._clock() - session["opened"] < SESSION_MAX_S:
            return None
        return self.find(session["user"])

    def close_session(self, secret: str) -> None:
        """End a session; one that has ended is no error."""
        with self._change() as content:
            content["sessions"].pop(_digest(secret), None)

    def close_sessions(self, name: str) -> None:
        """End all sessions of a user."""
        with self._change() as content:
            _end_sessions(content, name)

    # -- API tokens ---------------------------------------------------------------------------------

    def add_token(self, name: str, label: str, scope: str) -> str:
        """A new API token of a user; its text, which is not kept.

        Args:
            name: the user; the token never may more than the user.
            label: what it is for, for a person.
            scope: a key of `SCOPES`.
        """
        if scope not in SCOPES:
            raise AccountError("A token's scope is one of {scopes}.", scopes=", ".join(SCOPES))
        if not label.strip() or len(label) > LABEL_MAX or not label.isprintable():
            raise AccountError("A token's label is a line of 1 to {most} characters.", most=LABEL_MAX)
        key, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        with self._change() as content:
            _entry(content, name)
            if sum(token["user"] == name for token in content["tokens"].values()) >= TOKENS_MAX:
                raise AccountError("There are {count} tokens; remove one first.", count=TOKENS_MAX)
            content["tokens"][key] = {
                "user": name,
                "label": label.strip(),
                "scope": scope,
                "digest": _digest(secret),
                "made": self._clock(),
            }
        return f"{_PREFIX}{key}_{secret}"

    def tokens(self, name: str) -> list[dict[str, Any]]:
        """The API tokens of a user, newest first: ``id``, ``label``, ``scope``, ``made``."""
        found = [
            {"id": key, **{field: token[field] for field in ("label", "scope", "made")}}
            for key, token in self._read()["tokens"].items()
            if token["user"] == name
        ]
        return sorted(found, key=lambda token: -token["made"])

    def remove_token(self, name: str, key: str) -> None:
        """Remove an API token of a user."""
        with self._change() as content:
            if content["tokens"].get(key, {}).get("user") != name:
                raise AccountError("There is no such token.")
            del content["tokens"][key]

    def bearer(self, text: str) -> tuple[User, str] | None:
        """The user and the scope of an API token; None if it is none."""
        key, _, secret = text.removeprefix(_PREFIX).partition("_")
        token = self._read()["tokens"].get(key)
        if token is None or not hmac.compare_digest(token["digest"], _digest(secret)):
            return None
        user = self.find(token["user"])
        return None if user is None else (user, token["scope"])

    # -- the file -----------------------------------------------------------------------------------

    def _read(self) -> dict[str, Any]:
        """The content as it is now; not to be changed."""
        path = self.folder / FILE
        with self._mutex:
            try:
                status = path.stat()
                version = (status.st_mtime_ns, status.st_ino, status.st_size)
                if version != self._seen:
                    self._content = _checked(path.read_text(encoding="utf-8"), path)
                    self._seen = version
            except FileNotFoundError:
                self._content, self._seen = copy.deepcopy(_EMPTY), None
            return self._content

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (
            self._mutex,
            open(os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)) as lock,
        ):
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _change(self) -> Iterator[dict[str, Any]]:
        """A copy of the content to change; it is on the disk when the block has ended without an error."""
        with self._locked():
            content = copy.deepcopy(self._read())
            yield content
            if content != self._content:
                durable.replace(self.folder / FILE, json.dumps(content, indent=1), mode=0o600)


def _checked(text: str, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(text)
        parts = [content[name] for name in ("users", "sessions", "tokens")]
        good = all(isinstance(entry, dict) for part in parts for entry in part.values())
        good = good and all(entry["role"] in ROLES for entry in parts[0].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise AccountError(
            "{path} is damaged: restore it, or remove it and claim the dashboard anew.", path=path
        )
    return {**_EMPTY, **content}


def _user(name: str, entry: Mapping[str, Any]) -> User:
    return User(name, entry["role"], entry.get("preferences", {}))


def _entry(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    entry = content["users"].get(name)
    if entry is None:
        raise AccountError("There is no user {name}.", name=name[:40])
    assert isinstance(entry, dict)
    return entry


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise AccountError("A role is one of {roles}.", roles=", ".join(ROLES))


def _check_not_last_admin(content: Mapping[str, Any], name: str) -> None:
    if not any(entry["role"] == "admin" for other, entry in content["users"].items() if other != name):
        raise AccountError("{name} is the only admin; make somebody else one first.", name=name)


def _end_sessions(content: dict[str, Any], name: str) -> None:
    content["sessions"] = {key: s for key, s in content["sessions"].items() if s["user"] != name}


def _hash(password: str) -> str:
    if len(password) < passwords.LENGTH_MIN:
        raise AccountError("A password has at least {count} characters.", count=passwords.LENGTH_MIN)
    if len(password) > passwords.LENGTH_MAX:
        raise AccountError("A password has at most {count} characters.", count=passwords.LENGTH_MAX)
    return passwords.hash_password(password)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
