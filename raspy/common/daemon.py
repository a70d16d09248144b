# SPDX-License-Identifier: GPL-3.0-or-later
"""The main of every daemon: command line, configuration, logging, signals, exit status."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import raspy
from raspy.common import config, curve, journal, systemd
from raspy.common.address import BrokerAddress
from raspy.common.executive import Executive, ServerFailed

# sysexits(3): the configuration is wrong; systemd is told not to try again on it.
EX_CONFIG = 78


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """The command line that all daemons have."""
    parser = argparse.ArgumentParser(prog=f"raspy-{name}", description=description, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"RasPy {raspy.__version__}")
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"configuration ({config.DEFAULT_FILE})")
    parser.add_argument("--hostname", help="this machine's name on the bus")
    parser.add_argument("--broker", metavar="URL", help="the broker: ipc://FOLDER or tcp://HOST:PORT")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder for what this server keeps")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a key of its section in the configuration",
    )
    parser.add_argument("--log-level", choices=journal.LEVELS, help="least level that is logged")
    return parser


def run(cls: type[Executive], argv: Sequence[str] | None = None) -> int:
    """Run one server until SIGTERM or SIGINT.

    Args:
        cls: the server's class; its ``SERVICE`` is its name and its section, ``SETTINGS`` its keys.
        argv: the command line without the program's name; the process's if left out.

    Returns:
        The exit status: 0 after a requested end, 1 after a failure, 78 (EX_CONFIG) when the
        configuration is wrong, which one line on standard error explains.
    """
    name = cls.SERVICE
    summary = (cls.__doc__ or "").strip().partition("\n")[0]
    arguments = parser(name, summary).parse_args(argv)
    try:
        settings = config.load(name, cls.SETTINGS, arguments.config, arguments.set)
        broker = broker_of(arguments.broker or settings.broker, settings)
    except (config.ConfigError, ValueError) as error:
        return _refuse(name, str(error))
    journal.set_up(name, arguments.log_level or settings.log_level)
    executive = cls(
        hostname=arguments.hostname or settings.hostname,
        service=name,
        broker=broker,
        data_dir=arguments.data_dir or state_folder(name),
        settings=settings,
    )
    return _run_to_end(executive)


def broker_of(url: str, settings: config.Settings) -> BrokerAddress:
    """The broker's address, with the keys to it if the configuration names them.

    Raises:
        ConfigError: they can't be used.
        ValueError: *url* is no address.
    """
    broker = BrokerAddress.parse(url)
    if broker.is_local or not settings.broker_key:
        return broker
    if not curve.is_key(settings.broker_key):
        raise config.ConfigError(
            f"broker_key {settings.broker_key!r}: a key has {curve.KEY_CHARACTERS} characters"
        )
    if settings.key_file is None:
        raise config.ConfigError("broker_key needs key_file, the file of this machine's own key")
    try:
        return broker.secured(curve.CurveKeys(settings.broker_key, curve.load(settings.key_file)))
    except FileNotFoundError:
        raise config.ConfigError(f"key_file {settings.key_file}: there is no such file") from None
    except curve.KeyFault as error:
        raise config.ConfigError(f"key_file {error}") from error


def state_folder(name: str) -> Path:
    """Where a server keeps its state: what systemd says (StateDirectory=), else below XDG_STATE_HOME."""
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else user_state_folder() / name


def user_state_folder() -> Path:
    """Where a user's own stack keeps its state (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / "raspy"


def _refuse(name: str, reason: str) -> int:
    sys.stderr.write(f"raspy-{name}: {reason}\n")
    systemd.notify(STATUS=reason)
    return EX_CONFIG


def _run_to_end(executive: Executive) -> int:
    def stop(_signal: int, _frame: object) -> None:
        executive.shutdown()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        executive.run()
    except ServerFailed:
        status = 1
    except config.ConfigError as error:
        return _refuse(executive.service, str(error))
    except OSError as error:
        executive.log.error("can't start: %s", error)
        status = 1
    else:
        status = 0
    logging.shutdown()
    return status
