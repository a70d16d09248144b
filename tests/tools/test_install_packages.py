# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make` installs, against a machine made of stand-ins for apt, dpkg, sudo and id in PATH."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import ROOT

ESSENTIAL = ("awk", "bash", "cat", "dirname", "env", "tr")


class Machine:
    """A folder that is the whole PATH; what apt was asked for is in `asked`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.log = folder / "asked"
        for name in ESSENTIAL:
            found = shutil.which(name)
            assert found is not None
            (folder / name).symlink_to(found)

    def program(self, name: str, body: str) -> None:
        path = self.folder / name
        path.write_text(f"#!{self.folder}/bash\n{body}\n")
        path.chmod(0o755)

    def debian(self, *installed: str, uid: int = 0) -> None:
        """Give it apt and dpkg, with these packages installed."""
        cases = "".join(f"{name}) echo -n installed;; " for name in installed)
        self.program("dpkg-query", f'case "${{@: -1}}" in {cases}*) exit 1;; esac')
        self.program("apt-get", f'echo "apt-get $*" >> {self.log}')
        self.program("id", f"echo {uid}")

    def sudo(self) -> None:
        self.program("sudo", f'echo -n "sudo " >> {self.log}; exec "$@"')

    def install(self, *groups: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.folder / "bash", ROOT / "tools" / "install-packages", *groups],
                              env={"PATH": str(self.folder)}, capture_output=True, text=True, timeout=30)

    @property
    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def listed(group: str) -> list[str]:
    """The packages of a group of debian-packages.txt."""
    found: list[str] = []
    current = ""
    for line in (ROOT / "debian-packages.txt").read_text().splitlines():
        if line.startswith("#"):
            current = line.split()[1].removesuffix(":")
        elif current == group:
            found.append(line.split()[0])
    return found


def test_nothing_missing_asks_apt_for_nothing(machine: Machine) -> None:
    machine.debian(*listed("run"))
    result = machine.install("run")
    assert (result.returncode, result.stdout, machine.asked) == (0, "", [])


def test_only_what_is_missing_is_installed(machine: Machine) -> None:
    run = listed("run")
    machine.debian(*run[:-1])
    result = machine.install("run")
    assert result.returncode == 0, result.stderr
    assert f"Installing with apt: {run[-1]}" in result.stdout
    assert machine.asked == ["apt-get -q update", f"apt-get -q -y install --no-install-recommends {run[-1]}"]


def test_groups_add_up(machine: Machine) -> None:
    machine.debian()
    machine.install("run", "lint")
    wanted = " ".join(listed("run") + listed("lint"))
    assert machine.asked[-1] == f"apt-get -q -y install --no-install-recommends {wanted}"


def test_a_user_goes_through_sudo_and_is_told(machine: Machine) -> None:
    machine.debian(uid=1000)
    machine.sudo()
    result = machine.install("lint")
    assert result.returncode == 0, result.stderr
    assert "Through sudo, because you are not root" in result.stdout
    assert machine.asked[0] == "sudo apt-get -q update"
    assert machine.asked[1].startswith("sudo apt-get -q -y install")


def test_a_user_without_sudo_is_told_what_root_must_run(machine: Machine) -> None:
    machine.debian(uid=1000)
    result = machine.install("lint")
    assert result.returncode == 1
    assert "As root, run:" in result.stderr
    assert f"apt-get install --no-install-recommends {' '.join(listed('lint'))}" in result.stderr
    assert machine.asked == []


def test_a_machine_without_apt_gets_a_clear_message(machine: Machine) -> None:
    result = machine.install("run")
    assert result.returncode == 1
    assert "this machine has none" in result.stderr
    assert " ".join(listed("run")) in result.stderr


def test_a_failing_apt_fails_the_target(machine: Machine) -> None:
    machine.debian()
    machine.program("apt-get", "exit 100")
    assert machine.install("run").returncode == 100


def test_a_service_that_came_with_a_package_is_switched_off(machine: Machine) -> None:
    machine.debian(*(name for name in listed("test") if name != "openssh-server"))
    machine.program("systemctl", f'echo "systemctl $*" >> {machine.log}')
    assert machine.install("test").returncode == 0
    assert machine.asked[-1] == "systemctl --quiet disable --now ssh"


def test_a_service_that_was_there_before_is_left_alone(machine: Machine) -> None:
    machine.debian(*(name for name in listed("test") if name != "dbus"))
    machine.program("systemctl", f'echo "systemctl $*" >> {machine.log}')
    assert machine.install("test").returncode == 0
    assert not [line for line in machine.asked if line.startswith("systemctl")]
