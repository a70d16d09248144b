# SPDX-License-Identifier: GPL-3.0-or-later
"""The console inside the application."""

import subprocess
import sys

from tests.support.processes import child_env


def test_it_has_the_application_the_bus_and_the_accounts(broker):
    command = [
        sys.executable,
        "-m",
        "raspyweb.shell",
        "--broker",
        broker.url,
        "--data-dir",
        broker.folder / "web",
    ]
    typed = "print(app.name, len(bus.services()) >= 0, accounts.users())\n"
    done = subprocess.run(
        command,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        env=child_env(broker.folder),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "raspyweb.app True []" in done.stdout
    assert "Here are app, bus, accounts." in done.stderr
