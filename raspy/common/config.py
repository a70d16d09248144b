# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration: /etc/raspy/raspy.conf and the files in conf.d beside it, checked at start.

The format is INI (configparser(3)): a section for each server, and ``[raspy]`` for what they
share; a server's own section may set the shared keys for itself alone. Files in ``conf.d`` are
read after raspy.conf in the order of their names, and the last one wins, key by key.
"""

from __future__ import annotations

import configparser
import difflib
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from raspy.common import plugins
from raspy.common.journal import LEVELS

DEFAULT_FILE = Path("/etc/raspy/raspy.conf")
COMMON_SECTION = "raspy"

# The servers that RasPy brings; any other section must be that of an installed plug-in.
SECTIONS = ("broker", "core", "fake", "host", "logger", "onewire", "sync", "titanic", "web")


class ConfigError(Exception):
    """A configuration that can't be used: one line that names file, section, key and what is allowed."""


class Option(NamedTuple):
    """One key of a section.

    Args:
        name: the key; a unit is part of it (``poll_s``).
        type: str, int, float, bool, Path, or list (texts, separated by commas).
        default: its value when no file sets it; None for "not set".
        info: what it does, for a person.
        minimum: the least number allowed.
        maximum: the greatest number allowed.
        choices: the only texts allowed.
    """

    name: str
    type: type
    default: Any
    info: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] | None = None

    def allowed(self) -> str:
        """What may be written, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.type is bool:
            return "yes or no"
        if self.type is list:
            return "words separated by commas"
        if self.type is Path:
            return "an absolute path"
        if self.type is str:
            return "a text"
        kind = "a whole number" if self.type is int else "a number"
        if self.minimum is not None and self.maximum is not None:
            return f"{kind} from {self.minimum:.10g} to {self.maximum:.10g}"
        if self.minimum is not None:
            return f"{kind} of at least {self.minimum:.10g}"
        if self.maximum is not None:
            return f"{kind} of at most {self.maximum:.10g}"
        return kind

    def read(self, text: str) -> Any:
        """The value that *text* means.

        Raises:
            ValueError: it is not allowed; ``allowed()`` says what is.
        """
        text = text.strip()
        if self.type is bool:
            return _read_bool(text)
        if self.type is list:
            return [word for word in (word.strip() for word in text.split(",")) if word]
        if self.type is Path:
            if not text.startswith("/"):
                raise ValueError(text)
            return Path(text)
        value = self.type(text)
        if self.choices and value not in self.choices:
            raise ValueError(text)
        if self.type in (int, float):
            # Written so that a NaN, which compares false with everything, is refused.
            in_range = (self.minimum is None or value >= self.minimum) and (
                self.maximum is None or value <= self.maximum
            )
            if not in_range or value != value:
                raise ValueError(text)
        return value


def _read_bool(text: str) -> bool:
    try:
        return configparser.RawConfigParser.BOOLEAN_STATES[text.lower()]
    except KeyError:
        raise ValueError(text) from None


def default_hostname() -> str:
    """This machine's name without its domain: the HOST of all our services."""
    return socket.gethostname().partition(".")[0] or "localhost"


COMMON = (
    Option("hostname", str, "", "this machine's name on the bus; empty for the system's own"),
    Option("broker", str, "ipc:///run/raspy", "where the broker is: ipc://FOLDER or tcp://HOST:PORT"),
    Option(
        "broker_key", str, "", "the public key of a broker on another machine (raspyctl key show tells it)"
    ),
    Option("key_file", Path, None, "the file of this machine's own key, for a broker on another machine"),
    Option("log_level", str, "info", "the least level that is logged", choices=LEVELS),
    Option("latitude", float, None, "latitude of the place, degrees, north positive", -90, 90),
    Option("longitude", float, None, "longitude of the place, degrees, east positive", -180, 180),
    Option("timezone", str, "", "time zone of the place, as Europe/Paris; empty for the system's own"),
    Option("idle_exit_s", float, 0, "end after so many seconds without work; 0 never", 0),
)


class Settings:
    """The checked values of one server, each an attribute.

    Args:
        values: value by name.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no setting {name!r}: it is not declared in the server's SETTINGS")

    @classmethod
    def defaults(cls, options: Iterable[Option] = (), **overrides: Any) -> Settings:
        """The default of every option, and of those that all servers share, but for *overrides*."""
        values = {option.name: option.default for option in (*COMMON, *options)}
        values["hostname"] = default_hostname()
        unknown = set(overrides) - set(values)
        if unknown:
            raise ValueError(f"no such setting: {', '.join(sorted(unknown))}")
        values.update(overrides)
        return cls(values)


def load(
    server: str, options: Iterable[Option] = (), path: Path | None = None, assignments: Iterable[str] = ()
) -> Settings:
    """Read the configuration of one server.

    Args:
        server: its name, which is its section's.
        options: the keys of its section, besides those of ``[raspy]``.
        path: the main file; ``DEFAULT_FILE`` if left out, which need not exist.
        assignments: ``KEY=VALUE`` for the server's section, which go before the files.

    Raises:
        ConfigError: a file can't be read, or something in it is wrong.
    """
    known = {option.name: option for option in (*COMMON, *options)}
    common = {option.name: option for option in COMMON}
    settings = Settings.defaults(options)
    own: set[str] = set()
    for file in _files(path):
        parser = _parse(file)
        _check_sections(file, parser.sections(), server)
        for section, allowed in ((COMMON_SECTION, common), (server, known)):
            if not parser.has_section(section):
                continue
            for key, text in parser.items(section):
                value = _read_key(file, section, key, text, allowed)
                # The server's own section goes before [raspy], in whichever file either stands.
                if section == server or key not in own:
                    settings.__dict__[key] = value
                if section == server:
                    own.add(key)
    for assignment in assignments:
        key, _, text = assignment.partition("=")
        settings.__dict__[key] = _read_key("command line", server, key, text, known)
    settings.__dict__["hostname"] = settings.hostname or default_hostname()
    return settings


def _files(path: Path | None) -> list[Path]:
    main = DEFAULT_FILE if path is None else path
    try:
        parts = sorted(part for part in (main.parent / "conf.d").iterdir() if part.suffix == ".conf")
    except FileNotFoundError:
        parts = []
    except OSError as error:
        raise ConfigError(f"{main.parent / 'conf.d'}: can't be listed: {error.strerror}") from error
    if path is None and not main.exists():
        return parts
    return [main, *parts]


def _parse(file: Path) -> configparser.RawConfigParser:
    # Keys keep their case, and nothing is a default of other sections: [DEFAULT] is a wrong section here.
    parser = configparser.RawConfigParser(default_section="", strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(file.read_text(encoding="utf-8"), source=str(file))
    except OSError as error:
        raise ConfigError(f"{file}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 text at byte {error.start}") from error
    except configparser.Error as error:
        raise ConfigError(f"{file}: {' '.join(str(error).split())}") from error
    return parser


def _check_sections(file: Path, sections: list[str], server: str) -> None:
    unknown = set(sections) - {COMMON_SECTION, server, *SECTIONS}
    if not unknown:
        return
    # Only now: looking for plug-ins reads the metadata of every installed package.
    installed = set(plugins.find(plugins.SERVERS))
    for section in sorted(unknown - installed):
        allowed = sorted({COMMON_SECTION, server, *SECTIONS, *installed})
        raise ConfigError(f"{file}: [{section}]: no such section; allowed: {', '.join(allowed)}")


def _read_key(file: Path | str, section: str, key: str, text: str, allowed: Mapping[str, Option]) -> Any:
    option = allowed.get(key)
    if option is None:
        near = difflib.get_close_matches(key, allowed, 1)
        hint = f", did you mean {near[0]}?" if near else ";"
        names = ", ".join(sorted(allowed))
        raise ConfigError(f"{file}: [{section}] {key}: no such key{hint} allowed: {names}")
    try:
        return option.read(text)
    except ValueError:
        raise ConfigError(f"{file}: [{section}] {key} = {text!r}: must be {option.allowed()}") from None
