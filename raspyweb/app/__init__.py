# SPDX-License-Identifier: GPL-3.0-or-later
"""The Flask application: a blueprint for each family of pages."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask

import raspy
from raspy.common import durable
from raspyweb.accounts import Accounts
from raspyweb.app import auth, errors, headers, shown, texts
from raspyweb.app.bus import EXTENSION, Bus
from raspyweb.config import Config

SECRET_KEY_FILE = "secret_key"
SECRET_KEY_BYTES = 32


class Entry(NamedTuple):
    """An entry of the menu.

    Args:
        endpoint: where it leads.
        text: its name in English.
        role: who sees it.
    """

    endpoint: str
    text: str
    role: str = "viewer"


FAMILIES = (
    "login", "overview", "device", "scenarios", "cron", "requests", "statistics", "services", "journal",
    "account", "api", "ajax",
)  # fmt: skip

MENU = (
    Entry("overview.index", "Overview"),
    Entry("device.index", "Devices"),
    Entry("scenarios.index", "Scenarios"),
    Entry("cron.index", "Schedule"),
    Entry("journal.index", "Journal"),
    Entry("services.index", "Services"),
    Entry("statistics.index", "Statistics"),
    Entry("requests.index", "Requests", "operator"),
)


def create_app(config: type[Config] | Config | Mapping[str, Any] = Config) -> Flask:
    """Make the application.

    Args:
        config: a class or object of ``raspyweb.config``, or a mapping of what differs from ``Config``.

    Returns:
        The application. Whoever makes it runs ``follow`` of its bus in a thread, and closes it at the end.
    """
    app = Flask("raspyweb.app", static_folder="static", template_folder="templates")
    app.config.from_object(Config)
    if isinstance(config, Mapping):
        app.config.update(config)
    else:
        app.config.from_object(config)
    app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(seconds=app.config["IDLE_LIMIT_S"])
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = headers.STATIC_S
    folder = Path(app.config["DATA_DIR"])
    if not app.config["SECRET_KEY"]:
        install_secret_key(app, folder / SECRET_KEY_FILE)
    broker = app.config["BROKER"] or f"tcp://{app.config['BROKER_IP']}:{app.config['BROKER_PORT']}"
    app.extensions[EXTENSION] = Bus(broker, app.config["HOSTNAME"])
    app.extensions[auth.EXTENSION] = Accounts(folder)
    app.before_request(auth.check_csrf)
    app.after_request(headers.secure)
    errors.install(app)
    shown.install(app)
    app.jinja_env.globals.update(
        _=texts._, csrf_token=auth.csrf_token, current_user=auth.current_user, menu=MENU,
        language=texts.language, script_texts=shown.script_texts, version=raspy.__version__,
    )  # fmt: skip
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    for family in FAMILIES:
        app.register_blueprint(import_module(f"raspyweb.app.{family}").blueprint)
    return app


def install_secret_key(app: Flask, filename: str | Path = SECRET_KEY_FILE) -> None:
    """Configure the SECRET_KEY from a file, which is made with a random key if it is missing.

    Args:
        app: the application.
        filename: the file; a relative one is in the folder of the dashboard's state.

    Raises:
        OSError: it can't be read or written.
    """
    path = Path(app.config["DATA_DIR"]) / filename
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (FileNotFoundError, ValueError):
        key = b""
    if len(key) < SECRET_KEY_BYTES:
        key = secrets.token_bytes(SECRET_KEY_BYTES)
        durable.replace(path, key.hex() + "\n", mode=0o600)
    os.chmod(path, 0o600)
    app.config["SECRET_KEY"] = key
