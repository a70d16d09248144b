# SPDX-License-Identifier: GPL-3.0-or-later
"""What RasPy is and installs; the settings of the tools stand in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "raspy" / "__init__.py").read_text())
assert VERSION is not None

# A package of somebody else adds a server by listing it in the same group, and a device by listing it in
# raspy.devices (raspy/common/plugins.py). Our own devices come with the server that drives them.
SERVERS = [
    "broker = raspy.servers.broker:Broker",
    "titanic = raspy.servers.titanic:Titanic",
    "core = raspy.servers.core:Core",
    "fake = raspy.servers.fake:Fake",
    "host = raspy.servers.host:Host",
    "onewire = raspy.servers.onewire:OneWire",
    "logger = raspy.servers.logger:Logger",
    "sync = raspy.servers.sync:Sync",
    "web = raspyweb.server:Web",
]

setup(
    name="RasPy",
    version=VERSION.group(1),
    description="Home and aquarium automation as small systemd daemons on a ZeroMQ bus",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="GPL-3.0-or-later",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: No Input/Output (Daemon)",
        "Intended Audience :: End Users/Desktop",
        "License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: Home Automation",
    ],
    python_requires=">=3.11",
    install_requires=[
        "apscheduler>=3.9,<4",
        "astral>=1.6",
        "click>=8.1",
        "jeepney",
        "psutil",
        "pyzmq>=24",
        "regex",
        "rich>=13",
        "systemd-python",
    ],
    # The dashboard is a Debian package of its own, raspyweb.
    extras_require={"web": ["flask>=2.2", "waitress>=2.1"]},
    packages=find_packages(include=["raspy", "raspy.*", "raspyweb", "raspyweb.*"]),
    package_data={
        "raspy": ["py.typed"],
        "raspyweb.app": ["static/*", "templates/*.html", "templates/*/*.html", "texts/*.json"],
    },
    entry_points={"raspy.servers": SERVERS, "console_scripts": ["raspyctl = raspy.ctl.__main__:main"]},
    zip_safe=False,
)
