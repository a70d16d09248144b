# SPDX-License-Identifier: GPL-3.0-or-later
"""The signed apt repository, made of a small package that the test builds, and read by apt's own tools."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import ROOT

TIMEOUT_S = 120


class Workshop:
    """A copy of what tools/make-repo needs, with packages in dist/ and a data folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.data = folder / "data"
        shutil.copytree(ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "debian-packages.txt", folder)

    def package(self, place: str, name: str, architecture: str = "all") -> None:
        """Build a package with nothing in it, into dist/PLACE."""
        tree = self.folder / "tree" / name
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN" / "control").write_text(
            f"Package: {name}\nVersion: 1\nArchitecture: {architecture}\n"
            "Maintainer: A <a@example.invalid>\nDescription: nothing\n"
        )
        target = self.folder / "dist" / place
        target.mkdir(parents=True, exist_ok=True)
        build = ["dpkg-deb", "--root-owner-group", "-b", tree, target]
        subprocess.run(build, check=True, capture_output=True, timeout=TIMEOUT_S)

    def make(self, *suites: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "XDG_DATA_HOME": str(self.data)}
        return subprocess.run(["tools/make-repo", *suites], cwd=self.folder, env=environment,
                              capture_output=True, text=True, timeout=TIMEOUT_S)  # fmt: skip

    @property
    def repo(self) -> Path:
        return self.folder / "dist" / "repo"

    def listed(self, suite: str, architecture: str = "arm64") -> list[str]:
        index = self.repo / "dists" / suite / "main" / f"binary-{architecture}" / "Packages"
        return sorted(re.findall("^Package: (.+)$", index.read_text(), re.MULTILINE))


@pytest.fixture
def workshop(run_dir: Path) -> Workshop:
    # In a short path: gpg's agent has its socket in the folder of the key.
    return Workshop(run_dir)


def signed(file: Path, key: Path, run_dir: Path) -> bool:
    """Whether gpgv takes a file as signed with an armored key, as apt does."""
    ring = run_dir / "ring.gpg"
    subprocess.run(["gpg", "--homedir", run_dir, "--batch", "--yes", "--quiet", "--dearmor", "-o", ring, key],
                   check=True, capture_output=True, timeout=TIMEOUT_S)  # fmt: skip
    checked = subprocess.run(["gpgv", "--keyring", ring, file], capture_output=True, timeout=TIMEOUT_S)
    return checked.returncode == 0


def test_packages_and_libraries_of_each_suite_are_in_it(workshop: Workshop) -> None:
    workshop.package("bookworm", "raspy")
    workshop.package("bookworm-libraries", "python3-tiny", "arm64")
    workshop.package("trixie", "raspyweb")
    result = workshop.make()
    assert result.returncode == 0, result.stderr
    assert workshop.listed("bookworm") == ["python3-tiny", "raspy"]
    assert workshop.listed("bookworm", "amd64") == ["raspy"]
    assert workshop.listed("trixie") == ["raspyweb"]
    index = workshop.repo / "dists" / "bookworm" / "main" / "binary-arm64" / "Packages"
    (file,) = re.findall("^Filename: (.+raspy_1_all.deb)$", index.read_text(), re.MULTILINE)
    assert (workshop.repo / file).exists()
    release = (workshop.repo / "dists" / "bookworm" / "Release").read_text()
    assert f" {hashlib.sha256(index.read_bytes()).hexdigest()} " in release
    assert "Codename: bookworm\n" in release
    assert "Signed-By: " in (workshop.repo / "README").read_text()


def test_it_is_signed_with_a_key_that_is_made_once_and_stays_private(workshop: Workshop) -> None:
    workshop.package("bookworm", "raspy")
    assert workshop.make("bookworm").returncode == 0
    first = (workshop.repo / "raspy.asc").read_bytes()
    assert workshop.make("bookworm").returncode == 0
    key = workshop.repo / "raspy.asc"
    assert key.read_bytes() == first
    assert b"PRIVATE" not in first
    folder = workshop.data / "raspy" / "repo-key"
    assert folder.stat().st_mode & 0o077 == 0

    release = workshop.repo / "dists" / "bookworm" / "InRelease"
    assert signed(release, key, workshop.folder)
    release.write_text(release.read_text().replace("Origin: RasPy", "Origin: Other"))
    assert not signed(release, key, workshop.folder)


def test_without_packages_it_says_how_to_build_them(workshop: Workshop) -> None:
    result = workshop.make("trixie")
    assert result.returncode == 1
    assert "sudo make deb SUITE=trixie" in result.stderr
    assert not workshop.repo.exists()


def test_no_library_is_lacking_and_that_is_said() -> None:
    result = subprocess.run([ROOT / "tools" / "build-libraries", "trixie"], capture_output=True, text=True,
                            timeout=TIMEOUT_S)  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "debian-libraries.txt lists no library that trixie lacks" in result.stdout
