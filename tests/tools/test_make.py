# SPDX-License-Identifier: GPL-3.0-or-later
"""The Makefile as a person meets it."""

from __future__ import annotations

import os
import re
import subprocess

from tests.support.processes import ROOT

MANUAL = {"develop", "install", "uninstall", "tests", "devtests", "start", "docs"}
DAILY = {"help", "run", "test", "systemtest", "lint", "bench", "clean", "deb", "debs", "repo", "debcheck"}


def make(*targets: str) -> subprocess.CompletedProcess[str]:
    # Not as a part of the `make test` that runs us.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *targets], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


def test_bare_make_explains_every_target() -> None:
    result = make()
    assert result.returncode == 0
    assert set(re.findall(r"^  make (\w+) +\S", result.stdout, re.MULTILINE)) == MANUAL | DAILY


def test_install_builds_the_packages_and_hands_them_to_apt() -> None:
    """Shown, not done: it would install RasPy on the machine that runs the tests."""
    build, install = make("-n", "install").stdout.splitlines()
    assert build.startswith("tools/build-deb ")
    assert re.fullmatch(r"apt-get -y install( \S+/dist/\w+/[a-z0-9-]+_\*\.deb){4}", install)
    packages = re.findall(r"/([a-z0-9-]+)_", install)
    control = (ROOT / "debian" / "control").read_text()
    assert sorted(packages) == sorted(re.findall("^Package: (.+)$", control, re.MULTILINE))
    assert make("-n", "uninstall").stdout == f"apt-get -y remove {' '.join(packages)}\n"


def test_tests_is_test() -> None:
    assert make("-n", "tests").stdout == make("-n", "test").stdout
