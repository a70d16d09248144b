# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the Flask application, by the kind of place where it runs.

The daemon's own settings come from raspy.conf (``server.Web.SETTINGS``); it hands them to ``create_app`` in a
``ProductionConfig``. There is no database, and nothing is asked of another site, so the settings for these
that the manual of RasPy 0.0.1 had are gone.
"""

from __future__ import annotations

from pathlib import Path

from raspy.common.address import PORT
from raspy.common.config import default_hostname


class Config:
    """What all have in common.

    Attributes:
        DEBUG: errors are shown with their traceback; never where others can connect.
        TESTING: errors in a view are raised to the test.
        ADMINS: mail addresses of those who look after it; a page that fails names them.
        SECRET_KEY: signs the cookies; None for the one in the state folder (``install_secret_key``).
        CSRF_ENABLED: whether a change needs the token of its page.
        CSRF_SESSION_KEY: under which name the session keeps that token.
        BROKER_IP, BROKER_PORT: the broker, when it is reached by TCP.
        BROKER: its URL, which goes before the two; empty for none.
        HOSTNAME: this machine's name on the bus.
        DATA_DIR: the folder of the dashboard's state.
        JOURNAL_FOLDER: journal files to show; None for the machine's journal.
        THREADS_PER_PAGE: pages that are made at the same time.
        IDLE_LIMIT_S: how long a session may be unused, in seconds.
        MAX_CONTENT_LENGTH: bytes of a request's body.
    """

    DEBUG = False
    TESTING = False
    ADMINS: frozenset[str] = frozenset()
    SECRET_KEY: bytes | None = None
    CSRF_ENABLED = True
    CSRF_SESSION_KEY = "csrf"
    BROKER_IP = "127.0.0.1"
    BROKER_PORT = PORT
    BROKER = ""
    HOSTNAME = default_hostname()
    DATA_DIR = Path(".raspy/web")
    JOURNAL_FOLDER: str | None = None
    THREADS_PER_PAGE = 4
    IDLE_LIMIT_S = 7 * 86400.0
    MAX_CONTENT_LENGTH = 2 << 20
    SESSION_COOKIE_NAME = "raspy"
    SESSION_COOKIE_HTTPONLY = True
    SESSION_COOKIE_SAMESITE = "Lax"


class DevelopmentConfig(Config):
    """For work on the pages."""

    DEBUG = True
    TESTING = True


class ProductionConfig(Config):
    """For a house."""


class TestingConfig(Config):
    """For tests."""

    TESTING = True
